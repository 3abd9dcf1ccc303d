"""`sprachbund demo`: the built-in experiment from an empty folder to a comparison."""

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from sprachbund import workspace
from sprachbund.cli.changed import print_submitted_change
from sprachbund.cli.compare import print_comparison
from sprachbund.cli.runs import work


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command()(demo)


def demo(
    folder: Annotated[Path, typer.Argument(help="Where the demo's workspace shall be.")] = Path("demo"),
    quick: Annotated[bool, typer.Option("--quick", help="A smaller experiment, for trying an installation.")] = False,
    spec: Annotated[bool, typer.Option("--spec", help="Only print the experiment file.")] = False,
) -> None:
    """Make a workspace, run the built-in experiment in it, and compare its settings.

    Examples: sprachbund demo; sprachbund demo --spec > my-experiment.yaml
    """
    name = "quick" if quick else "demo"
    template = (files("sprachbund") / "templates" / f"{name}.yaml").read_text(encoding="utf-8")
    if spec:
        print(template, end="")
        return
    found = workspace.init(folder)
    path = found.root / f"{name}.yaml"
    if not path.exists():
        path.write_text(template, encoding="utf-8")
    print(f"workspace {found.root}, experiment {path.name}")
    submitted = found.submit(path, replace=True)
    print_submitted_change(submitted)
    print(f"{submitted.n_new} new jobs, {sum(submitted.existing.values())} exist already")
    work(found)
    print_comparison(found, name)
    print(f"\nNext, in {folder}: `sprachbund report {name}`, `sprachbund views`, `sprachbund ui`")
