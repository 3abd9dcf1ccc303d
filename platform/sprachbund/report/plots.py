"""Plots with matplotlib, which is imported only when one is drawn."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from sprachbund.errors import QueryError, SprachbundError, nearest
from sprachbund.measures import METRICS
from sprachbund.results.comparison import Comparison
from sprachbund.results.pareto import SHARE, Pareto

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which colour-blind readers can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8A8A00")


def retrieval_heatmap(
    results: pl.DataFrame,
    *,
    setting: str,
    layer: str,
    metric: str = "top1",
    role: str = "test",
    corpus: str | None = None,
) -> "Figure":
    """Query languages (rows) × candidate languages (columns) of one setting at one layer.

    `results` is a frame of `sprachbund.results.retrieval`. Pairs without a value stay white. Raises
    QueryError if nothing matches, or if several corpora do and none is named.
    """
    rows = results.filter(
        pl.col("query_setting") == setting,
        pl.col("candidate_setting") == setting,
        pl.col("layer") == layer,
        pl.col("metric") == metric,
        pl.col("role") == role,
    )
    names = rows.select(pl.coalesce("collection", "corpus"))
    corpora = names.to_series().unique().sort().to_list()
    if corpus is not None:
        rows = rows.filter(names.to_series() == corpus)
    elif len(corpora) > 1:
        raise QueryError(f"results are on several corpora ({', '.join(corpora)}): name one")
    if not rows.height:
        hint = nearest(setting, results["setting"].unique().to_list())
        raise QueryError(f"no {metric} of setting '{setting}' at layer {layer} in role {role}{hint}")
    languages = sorted({*rows["query_language"], *rows["candidate_language"]})
    place = {language: number for number, language in enumerate(languages)}
    grid = np.full((len(languages), len(languages)), np.nan)
    for row in rows.iter_rows(named=True):
        grid[place[row["query_language"]], place[row["candidate_language"]]] = row["value"]
    size = max(3.5, 0.5 * len(languages) + 1.5)
    figure = new_figure(size + 1.0, size)
    axes = figure.add_subplot()
    known = METRICS[metric]
    image = axes.imshow(grid, cmap="viridis", vmin=known.low, vmax=known.high)
    axes.set_xticks(range(len(languages)), languages, rotation=90)
    axes.set_yticks(range(len(languages)), languages)
    axes.set_xlabel("candidate language")
    axes.set_ylabel("query language")
    axes.set_title(f"{metric}: {setting}, layer {layer}")
    if len(languages) <= 12:
        middle = ((known.low or 0.0) + (known.high if known.high is not None else 1.0)) / 2
        for (line, column), value in np.ndenumerate(grid):
            if not np.isnan(value):
                colour = "black" if value > middle else "white"
                axes.text(column, line, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=8)
    figure.colorbar(image, ax=axes, label=f"{metric} ({known.unit})")
    return figure


def layer_curves(comparison: Comparison, *, corpus: str | None = None) -> "Figure":
    """The comparison's metric over layers, a line per setting; controls as a band from lowest to highest seed.

    Raises QueryError if there is nothing to draw, or if several corpora are compared and none is named.
    """
    rows = comparison.rows.filter(pl.col("metric") == comparison.metric)
    corpora = rows["corpus"].unique(maintain_order=True).to_list()
    if corpus is None and len(corpora) > 1:
        raise QueryError(f"the comparison is on several corpora ({', '.join(corpora)}): name one")
    rows = rows.filter(pl.col("corpus") == (corpus or (corpora[0] if corpora else "")))
    if not rows.height:
        raise QueryError(f"no {comparison.metric} to draw{nearest(corpus or '', corpora)}")
    if set(comparison.by) - {"setting", "layer", "target"}:
        raise QueryError("curves are drawn over all pairs: compare by setting")
    places = {layer: number for number, layer in enumerate(comparison.layers)}
    figure = new_figure(7.5, 4.5)
    axes = figure.add_subplot()
    identity = ["kind", "setting_key", "control_of_key", "control"]
    lines = rows.group_by(*identity, "setting", maintain_order=True)
    for number, ((kind, *_, label), group) in enumerate(lines):
        x = [places[layer] for layer in group["layer"]]
        colour = COLOURS[number % len(COLOURS)]
        if kind == "control":
            axes.fill_between(
                x, group["value_low"].to_list(), group["value_high"].to_list(), alpha=0.2, color=colour, lw=0
            )
            axes.plot(x, group["value"].to_list(), ls="--", lw=1, color=colour, label=str(label))
        else:
            axes.plot(x, group["value"].to_list(), marker="o", ms=3, color=colour, label=str(label))
    axes.set_xticks(range(len(comparison.layers)), comparison.layers)
    axes.set_xlabel("layer")
    axes.set_ylabel(f"{comparison.metric} ({METRICS[comparison.metric].unit})")
    axes.set_title(f"{comparison.experiment}: mean over language pairs, role {comparison.role}")
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def pareto_plot(found: Pareto) -> "Figure":
    """Retrieval gain against cost, a colour per target, the front filled; the target share stands at each point.

    Without a cost the target share is the horizontal axis.
    """
    costs = [name for name in found.objectives if name not in ("gain", SHARE)]
    across = costs[0] if costs else SHARE
    figure = new_figure(7.0, 4.5)
    axes = figure.add_subplot()
    groups = found.rows.drop_nulls(across).group_by("model", "target", maintain_order=True)
    several = found.rows["model"].n_unique() > 1
    for number, ((model, target), group) in enumerate(groups):
        colour = COLOURS[number % len(COLOURS)]
        label = f"{target} ({model})" if several else str(target)
        axes.scatter(group[across], group["gain"], s=40, facecolors="none", edgecolors=colour, label=label)
        front = group.filter(pl.col("front")).sort(across)
        axes.plot(front[across], front["gain"], color=colour, lw=0.8, ls=":")
        axes.scatter(front[across], front["gain"], s=40, color=colour)
        for row in group.iter_rows(named=True):
            name = _point_name(row)
            share = row.get(SHARE)
            said = name if share is None or across == SHARE else f"{name}, {share:.2f}"
            axes.annotate(said, (row[across], row["gain"]), xytext=(4, 4), textcoords="offset points", fontsize=7)
    axes.axhline(0, color="#8A8A00", lw=0.5)
    axes.set_xlabel(across.replace("_", " "))
    axes.set_ylabel(f"gain in {found.metric} at layer {found.layer}")
    numbers = ", numbers: target share" if costs and SHARE in found.objectives else ""
    title = f"{found.experiment}: filled points are the Pareto front{numbers}"
    axes.set_title(f"{title}\nlayer {found.layer}: {found.layer_reason}", fontsize=9)
    axes.legend(fontsize=7)
    return figure


def _point_name(row: dict[str, Any]) -> str:
    parts = [f"k={row['k']}"] if row["k"] is not None else []
    parts += [f"λ={row['strength']:g}"] if row["strength"] is not None else []
    return " ".join(parts) or str(row["setting"])


def save(figure: "Figure", path: str | Path, dpi: int = 150) -> None:
    """Write a figure; the name's ending tells the format (png, svg, pdf)."""
    try:
        figure.savefig(path, dpi=dpi, bbox_inches="tight")
    except (OSError, ValueError) as error:
        raise SprachbundError(f"{path}: the figure cannot be written: {error}") from None


def new_figure(width: float, height: float) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise SprachbundError("plots need matplotlib: pip install 'sprachbund[mlflow]'") from None
    return Figure(figsize=(width, height), layout="constrained")
