"""The option `--plugin`: files of one's own that register scorers and measures. Nothing else is ever loaded."""

from pathlib import Path
from typing import Annotated

import typer

from sprachbund.catalogue import plugins

Plugins = Annotated[
    list[Path] | None,
    typer.Option("--plugin", metavar="FILE.py", help="Run this file first: it registers your own scorers or measures."),
]


def load_plugins(paths: list[Path] | None) -> None:
    """Run each file; SpecError for one that registers nothing."""
    for path in paths or ():
        plugins.load(path)
