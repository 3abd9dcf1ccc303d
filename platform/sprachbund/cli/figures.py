"""`sprachbund plot-space`."""

from pathlib import Path
from typing import Annotated

import typer

from sprachbund import workspace
from sprachbund.report import figures
from sprachbund.report.charts import save


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command("plot-space")(plot_space)


def plot_space(
    experiment: Annotated[str, typer.Argument(help="The experiment's name.")],
    setting: Annotated[str, typer.Argument(help="The setting to draw beside its baseline: label or start of key.")],
    out: Annotated[Path, typer.Option(help="Where to write the figure: .png, .svg or .pdf.")],
    layer: Annotated[
        str | None, typer.Option(help="Layer of the embeddings; default: the chosen one, else the best.")
    ] = None,
    method: Annotated[str, typer.Option(help="pca, or umap (needs sprachbund[figures]).")] = "pca",
    corpus: Annotated[str | None, typer.Option(help="Which corpus, where the role has several.")] = None,
    role: Annotated[str, typer.Option(help="The text to draw: test or select.")] = "test",
    items: Annotated[int, typer.Option(min=3, help="At most so many sentences of each language.")] = 400,
    seed: Annotated[int, typer.Option(min=0, help="Chooses the sentences, and starts UMAP.")] = 0,
) -> None:
    """Draw the embedding space before and after, on the same axes.

    Example: sprachbund plot-space demo "experts eng_Latn k=0.035" --out space.png
    """
    opened = workspace.open()
    drawn = figures.panels(opened.engine, opened.store, experiment, setting, layer, role=role, corpus=corpus)
    figure = figures.space_figure(drawn.panels, method=method, items=items, seed=seed)  # type: ignore[arg-type]
    save(figure, out)
    print(f"drawn into {out}; layer {drawn.layers.first}: {drawn.layers.reason}")
