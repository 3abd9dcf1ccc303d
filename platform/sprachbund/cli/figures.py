"""`sprachbund plot-space`."""

from pathlib import Path
from typing import Annotated, Any

import typer
from numpy.typing import NDArray

from sprachbund import workspace
from sprachbund.errors import SprachbundError
from sprachbund.report import figures
from sprachbund.report.charts import save
from sprachbund.results.snapshots import require_snapshots


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command("plot-space")(plot_space)


def plot_space(
    experiment: Annotated[str, typer.Argument(help="The experiment's name.")],
    setting: Annotated[str, typer.Argument(help="The label of the setting to draw beside its baseline.")],
    layer: Annotated[str, typer.Option(help="The layer of the embeddings: 0, 1 … final.")],
    out: Annotated[Path, typer.Option(help="Where to write the figure: .png, .svg or .pdf.")],
    method: Annotated[str, typer.Option(help="pca, or umap (needs sprachbund[figures]).")] = "pca",
    corpus: Annotated[str | None, typer.Option(help="Which corpus, where the role has several.")] = None,
    role: Annotated[str, typer.Option(help="The text to draw: test or select.")] = "test",
    items: Annotated[int, typer.Option(min=3, help="At most so many sentences of each language.")] = 400,
    seed: Annotated[int, typer.Option(min=0, help="Chooses the sentences, and starts UMAP.")] = 0,
) -> None:
    """Draw the embedding space before and after, on the same axes.

    Example: sprachbund plot-space demo "experts eng_Latn k=0.035" --layer 5 --out space.png
    """
    opened = workspace.open()
    panels = []
    sides = figures.recorded(opened.engine, experiment, setting, role=role, corpus=corpus)
    keys = [key for each in sides for keys in (each.snapshots, each.fit_snapshots) for key in keys.values()]
    require_snapshots(opened.engine, opened.store, keys, layer)
    for each in sides:
        vectors = figures.read_vectors(opened.engine, opened.store, each.snapshots, layer)
        panels.append(figures.Panel(f"{each.label}, layer {layer}", _transformed(opened, each, vectors, layer)))
    figure = figures.space_figure(panels, method=method, items=items, seed=seed)  # type: ignore[arg-type]
    save(figure, out)
    print(out)


def _transformed(
    opened: workspace.Workspace, side: figures.Recorded, vectors: dict[str, NDArray[Any]], layer: str
) -> dict[str, NDArray[Any]]:
    """Post-hoc transforms are fitted again: they are cheap, and only their inputs are stored."""
    if side.transform == "none":
        return vectors
    try:
        from sprachbund_runners.evaluation.transforms import fit_transform
    except ImportError:
        raise SprachbundError(
            "drawing a transformed setting needs the runner: pip install 'sprachbund[runner]'"
        ) from None
    if side.transform == "centring_transductive":
        fitted = fit_transform("centring", vectors)
    else:
        fit = figures.read_vectors(opened.engine, opened.store, side.fit_snapshots, layer)
        fitted = fit_transform(side.transform, fit, {"components": side.components})
    return {language: fitted.apply(array, language) for language, array in vectors.items()}
