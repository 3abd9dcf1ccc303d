"""The function that serves each job kind."""

from importlib import import_module

from sprachbund.work.kinds import KINDS
from sprachbund_runners.jobs.context import Run


def _resolved(name: str) -> Run:
    """The function called `module:name`."""
    module, _, function = name.partition(":")
    found: Run = getattr(import_module(module), function)
    return found


JOBS: dict[str, Run] = {kind.name: _resolved(kind.run) for kind in KINDS.values()}
