"""`sprachbund import-snapshots`: vectors of an encoder that ran elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from sprachbund.cli.output import Json, print_json
from sprachbund.models.imported import import_vectors


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command("import-snapshots")(import_snapshots)


def import_snapshots(
    vectors: Annotated[Path, typer.Argument(help=".npy [languages, items, dimension], or .safetensors per language.")],
    meta: Annotated[Path, typer.Option(help="YAML: name, corpus (as in an experiment file), languages, layer.")],
    out: Annotated[Path, typer.Option(help="The encoder's folder: new, or one that gets more vectors.")],
    as_json: Json = False,
) -> None:
    """Give an outside encoder's vectors the place of a model: `models: FOLDER` in an experiment file.

    Example: sprachbund import-snapshots labse.npy --meta labse.yaml --out encoders/labse
    """
    done = import_vectors(vectors, meta, out)
    if as_json:
        print_json(
            {
                "folder": str(done.folder),
                "name": done.name,
                "texts": done.n_texts,
                "dimension": done.dimension,
                "layers": list(done.layers),
            }
        )
        return
    print(f"written  {done.folder}: {done.name}, {done.n_texts} texts, {done.dimension} dimensions")
    print(f"layers   {', '.join(done.layers)}")
    print(f"use it   models: {done.folder}")
