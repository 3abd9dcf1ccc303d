"""`sprachbund report`: one HTML file of an experiment."""

from pathlib import Path
from typing import Annotated

import typer

from sprachbund import workspace
from sprachbund.errors import SprachbundError
from sprachbund.report import document


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command()(report)


def report(
    experiment: Annotated[str, typer.Argument(help="The experiment's name.")],
    out: Annotated[Path | None, typer.Option(help="The file to write; default: EXPERIMENT.html here.")] = None,
    metric: Annotated[str, typer.Option(help="What retrieval tables show.")] = "top1",
    layer: Annotated[
        str | None, typer.Option(help="Report this layer alone; default: all, the chosen ones closely.")
    ] = None,
) -> None:
    """Write the tables and figures of an experiment into one HTML file that loads nothing.

    Example: sprachbund report demo --out report.html
    """
    path = out or Path(f"{experiment}.html")
    content = document.report(workspace.open().engine, experiment, metric=metric, layer=layer)
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise SprachbundError(f"{path}: cannot be written: {error.strerror}") from None
    print(f"written {path}, {len(content.encode()) / 1000:.0f} kB")
