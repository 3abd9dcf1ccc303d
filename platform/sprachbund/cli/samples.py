"""`sprachbund samples`."""

from typing import Annotated

import typer

from sprachbund import workspace
from sprachbund.cli.output import Json, Wide, print_json, print_table
from sprachbund.results import side_effects


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command()(samples)


def samples(
    experiment: Annotated[str, typer.Argument(help="The experiment's name.")],
    setting: Annotated[str, typer.Argument(help="A setting's label or the start of its key.")],
    n: Annotated[int, typer.Option(min=1, help="So many of each kind: free, and of every translated pair.")] = 5,
    as_json: Json = False,
    wide: Wide = False,
) -> None:
    """Texts that the model wrote under a setting, with what language they were found to be.

    Example: sprachbund samples sweep "experts eng_Latn k=200" --n 3
    """
    found = side_effects.samples(workspace.open().engine, experiment, setting, n)
    if as_json:
        print_json(found.to_dicts())
        return
    rows = []
    for each in found.iter_rows(named=True):
        if each["into_language"] is None:
            kind = f"seed {each['seed']}"
            language = "–" if each["label"] is None else f"{each['label']} {each['probability']:.2f}"
        else:
            kind, language = f"{each['language']} to {each['into_language']}", ""
        notes = [name for name, flag in (("degenerate", each["degenerate"]), ("cut", each["ended"] == 0)) if flag]
        rows.append([kind, each["sample"], language, ", ".join(notes), " ⏎ ".join(each["text"].splitlines())])
    columns = ["kind", "sample", "language", "notes", "text"]
    print_table(columns, rows, title=f"{experiment}: {setting}", wide=wide, labels=2)
