"""`sprachbund export`: a setting as a checkpoint folder."""

import os
from pathlib import Path
from typing import Annotated

import typer

from sprachbund import workspace
from sprachbund.cli.output import Json, print_json
from sprachbund.db.engine import reading
from sprachbund.db.names import find_setting
from sprachbund.errors import WorkspaceError


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command()(export)


def export(
    experiment: Annotated[str, typer.Argument(help="The experiment's name.")],
    setting: Annotated[str, typer.Argument(help="A setting's label or the start of its key (`sprachbund show`).")],
    out: Annotated[Path, typer.Option(help="The folder to write: new or empty.")],
    dtype: Annotated[
        str | None, typer.Option(help="float32, float16 or bfloat16; default: as the checkpoint has it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a checkpoint folder with a setting's edits merged into the weights, for any program that reads them.

    Example: sprachbund export demo 'experts spa_Latn k=100' --out steered
    """
    found = workspace.open()
    with reading(found.engine) as connection:
        key = find_setting(connection, setting, experiment).key
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        from sprachbund_runners.export.checkpoint import export as write
    except ModuleNotFoundError as error:
        raise WorkspaceError(
            f"exporting needs {error.name}: install `sprachbund[runner]` (queueing and querying do not)"
        ) from None
    done = write(found.engine, found.store, experiment, key, out, dtype)
    merged = done.merged
    if as_json:
        print_json(
            {
                "folder": str(out),
                "setting": key,
                "fingerprint": done.fingerprint,
                "class": done.model_class,
                "was": done.was,
                "dtype": done.dtype,
                "n_edited": done.n_edited,
                "options": list(merged.options),
                "moved": list(merged.moved),
                "rounding": merged.rounding,
                "difference": done.difference,
            }
        )
        return
    print(f"written     {out}: {done.model_class} in {done.dtype}, {done.n_edited} units edited")
    print(f"fingerprint {done.fingerprint}")
    if done.n_edited:
        print(f"difference  at most {done.difference:.2g} from the model with hooks (last hidden state, random tokens)")
    if done.was is not None:
        print(f"written as  {done.model_class}, the same computation: {done.was} has no bias for the shift")
    if merged.options:
        print(f"turned on   {', '.join(merged.options)} in config.json, as the model had no bias for the shift")
