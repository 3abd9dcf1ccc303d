"""`sprachbund …`: one file per noun."""

from sprachbund.cli.main import main

__all__ = ["main"]
