"""Sprachbund: database-backed experiments on steering and comparing multilingual language models."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sprachbund.catalogue.plugins import register
    from sprachbund.workspace import Workspace, init, open

__all__ = ["Workspace", "init", "open", "register"]


def __getattr__(name: str) -> Any:
    # The workspace brings the database and data frames along: numerics that import a neighbour need neither.
    if name == "register":
        from sprachbund.catalogue import plugins

        return plugins.register
    if name in __all__:
        from sprachbund import workspace

        return getattr(workspace, name)
    raise AttributeError(f"module 'sprachbund' has no attribute '{name}'")
