"""`sprachbund explain`: one item of one language pair, before and after steering."""

from dataclasses import asdict
from typing import Annotated

import typer

from sprachbund import workspace
from sprachbund.cli.output import Json, Wide, print_json, print_table
from sprachbund.results.item import explain_item


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command()(explain)


def explain(
    pair: Annotated[str, typer.Argument(help="QUERY:CANDIDATE, such as eng_Latn:deu_Latn.")],
    item: Annotated[str, typer.Option(help="The item's number from 0, or its name.")],
    experiment: Annotated[str, typer.Option(help="The experiment's name.")],
    setting: Annotated[str, typer.Option(help="A setting's label or the start of its key.")],
    layer: Annotated[
        str | None, typer.Option(help="Layer of the embeddings; default: the chosen one, else the best.")
    ] = None,
    role: Annotated[str, typer.Option(help="test or select.")] = "test",
    as_json: Json = False,
    wide: Wide = False,
) -> None:
    """Show an item's texts and the five candidates that are most similar to it, before and after.

    Example: sprachbund explain eng_Latn:deu_Latn --item 3 --experiment demo --setting 'union eng_Latn k=0.035'
    """
    found = workspace.open()
    shown = explain_item(
        found.engine, found.store, pair, item, experiment=experiment, setting=setting, layer=layer, role=role
    )
    if as_json:
        print_json(asdict(shown))
        return
    print(f"{shown.corpus} item {shown.item}, {shown.n_candidates} candidates")
    print(f"layer {shown.layer}: {shown.layer_reason}")
    print(f"query        {shown.query_language}  {shown.query}")
    print(f"translation  {shown.candidate_language}  {shown.translation}")
    for side in shown.sides:
        print(f"\n{side.setting}: the translation is at place {side.rank:g}, cosine {side.similarity:.4f}")
        print_table(
            ["", "cosine", "item", "text"],
            [["→" if each.gold else "", f"{each.similarity:.4f}", each.item, each.text] for each in side.top],
            wide=wide,
        )
