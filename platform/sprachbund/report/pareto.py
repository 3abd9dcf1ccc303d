"""The Pareto front as a plot."""

from typing import TYPE_CHECKING, Any

import polars as pl

from sprachbund.report.charts import COLOURS, new_figure, styled
from sprachbund.results.pareto import SHARE, Pareto

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
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
        axes.errorbar(
            group[across], group["gain"], xerr=_arms(group, across), yerr=_arms(group, "gain"), fmt="none",
            ecolor=colour, elinewidth=0.6, alpha=0.6,
        )  # fmt: skip
        maybe = group.filter(pl.col("maybe"))
        axes.scatter(maybe[across], maybe["gain"], s=40, color=colour, alpha=0.35)
        front = group.filter(pl.col("front")).sort(across)
        axes.plot(front[across], front["gain"], color=colour, lw=0.8, ls=":")
        axes.scatter(front[across], front["gain"], s=40, color=colour)
        for row in group.iter_rows(named=True):
            name = "none" if row["setting"] == "none" else _point_name(row)
            share = row.get(SHARE)
            said = name if share is None or across == SHARE else f"{name}, {share:.2f}"
            axes.annotate(said, (row[across], row["gain"]), xytext=(4, 4), textcoords="offset points", fontsize=7)
    axes.axhline(0, color="#8A8A00", lw=0.5)
    axes.set_xlabel(across.replace("_", " "))
    axes.set_ylabel(f"gain in {found.metric} at layer {found.layer}")
    numbers = ", numbers: target share" if costs and SHARE in found.objectives else ""
    title = f"{found.experiment}: filled points are the Pareto front, pale ones may be{numbers}"
    axes.set_title(f"{title}\nlayer {found.layer}: {found.layer_reason}", fontsize=9)
    axes.legend(fontsize=7)
    return figure


def _arms(group: pl.DataFrame, name: str) -> list[list[float]]:
    """Lengths of the interval below and above each point; 0 where rounding puts an end on its wrong side."""
    below, above = group[name] - group[f"{name}_low"], group[f"{name}_high"] - group[name]
    return [each.clip(lower_bound=0).to_list() for each in (below, above)]


def _point_name(row: dict[str, Any]) -> str:
    parts = [f"k={row['k']}"] if row["k"] is not None else []
    parts += [f"λ={row['strength']:g}"] if row["strength"] is not None else []
    return " ".join(parts) or str(row["setting"])
