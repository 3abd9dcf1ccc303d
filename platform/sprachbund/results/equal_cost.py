"""What methods gain at equal cost: interpolated between neighbouring settings of their sweeps."""

from dataclasses import dataclass
from typing import Any

import polars as pl
from sqlalchemy import Engine

from sprachbund.errors import QueryError, WorkspaceError, known
from sprachbund.files.artifacts import ArtifactStore
from sprachbund.progress import Silent
from sprachbund.results.comparison import Comparison
from sprachbund.results.contrasts import unplanned
from sprachbund.results.side_effects import COLUMNS, OF_TARGET
from sprachbund.results.sweeps import swept

# Those that are one number of a setting, with the draws of its interval.
COSTS = ("bits_per_byte", "perplexity", "target_share", "target_share_nondegenerate", "degenerate", "repetition")
_SCHEMA: dict[str, Any] = {
    "model": pl.String, "method": pl.String, "target": pl.String, "after": pl.String, "before": pl.String,
    "place": pl.Float64, "gain": pl.Float64, "ci_low": pl.Float64, "ci_high": pl.Float64, "draws_reaching": pl.Float64,
    "least_cost": pl.Float64, "greatest_cost": pl.Float64, "note": pl.String,
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class EqualCost:
    """Gains of every sweep at one cost and layer.

    rows: one per model, method (with its edit) and target: the neighbours `after` and `before` which the cost is
    reached, `place` (k or strength, interpolated), gain with its interval, the share of draws that reach the cost, the
    sweep's range of costs (the unsteered model's included), and in `note` why there is no gain.
    """

    experiment: str
    metric: str
    layer: str
    layer_reason: str
    cost: str
    at: float
    over: str
    rows: pl.DataFrame


def parse_cost(asked: str) -> tuple[str, float]:
    """`bits_per_byte=1.5` as name and level. Raises QueryError for anything else."""
    name, equals, level = asked.partition("=")
    known("--at", name, COSTS)
    try:
        return name, float(level)
    except ValueError:
        found = f"'{level}'" if equals else "no level"
        raise QueryError(f"--at: found {found} for {name}; expected a number, such as {name}=1.5") from None


def equal_cost(
    engine: Engine, store: ArtifactStore, comparison: Comparison, cost: str, at: float, progress: Any = None
) -> EqualCost:
    """The gain of every sweep of a comparison at the cost `at`, at the first layer that it looks at closely.

    A sweep is a path from the unsteered model (0 units, strength 0) over its settings in the order of k or strength,
    linear between neighbours; the cost is taken where the path first gets to it, and never beyond its ends. Items of
    the corpus and documents (or samples) of the cost are resampled, independently of each other.

    Raises QueryError without a sweep or draws of the cost, or for a comparison broken down by languages.
    """
    known("cost", cost, COSTS)
    if set(comparison.by) - {"setting", "layer", "target"} or comparison.vs is not None:
        raise QueryError("equal cost is over all pairs against each setting's baseline: leave --by and --vs out")
    layer = comparison.detail_layers[0]
    over, points = swept(comparison, layer)
    points = points.filter(pl.col("target").is_not_null(), pl.col("delta").is_not_null())
    if not over or not points.height:
        raise QueryError(
            f"experiment '{comparison.experiment}' sweeps nothing: give a method several k, or several strengths"
        )
    points = points.filter(pl.col(over) > 0)
    corpora = points["corpus"].unique().sort().to_list()
    if len(corpora) > 1:
        raise QueryError(f"the comparison is on several corpora ({', '.join(corpora)})")
    try:
        from sprachbund_runners.jobs.compare.equal_cost import Sweep, paths
    except ModuleNotFoundError as error:
        raise WorkspaceError(f"equal cost needs {error.name}: install `sprachbund[runner]`") from None
    fixed = "strength" if over == "k" else "k"
    groups = [
        group.sort(over)
        for _, group in points.group_by("model", "line", "target", fixed, "baseline_key", maintain_order=True)
    ]
    sweeps = [Sweep(each["baseline_key"][0], tuple(each["setting_key"]), each["target"][0]) for each in groups]
    asking = unplanned(
        engine, store, (comparison.experiment,), role=comparison.role, group=corpora[0], metric=comparison.metric,
        progress=progress or Silent(),
    )  # fmt: skip
    found = list(paths(asking, sweeps, layer, comparison.scope, COLUMNS[cost], cost in OF_TARGET, at))
    if not any(found):
        raise QueryError(
            f"experiment '{comparison.experiment}' has no {cost} of its sweeps with draws: add side_effects, or run"
        )
    rows = [_row(group, path, cost, at, over) for group, path in zip(groups, found, strict=True)]
    return EqualCost(
        comparison.experiment, comparison.metric, layer, comparison.layer_reason, cost, at, over,
        pl.DataFrame(rows, _SCHEMA),
    )  # fmt: skip


def _row(group: pl.DataFrame, path: Any, cost: str, at: float, over: str) -> dict[str, Any]:
    row = dict.fromkeys(_SCHEMA) | {
        "model": group["model"][0],
        "method": group["line"][0],
        "target": group["target"][0],
    }
    if path is None:
        return row | {"note": f"{cost} or the gain of a setting is missing"}
    least, greatest = min(path.costs), max(path.costs)
    row |= {"least_cost": least, "greatest_cost": greatest}
    if path.found is None:
        return row | {"note": f"not reached: {cost} goes from {least:.4g} to {greatest:.4g}"}
    labels, places = [group["baseline_setting"][0], *group["setting"]], [0.0, *group[over].to_list()]
    first = min(int(path.found.place), len(labels) - 2)
    share = path.found.place - first
    return row | {
        "after": labels[first],
        "before": labels[first + 1],
        "place": places[first] + share * (places[first + 1] - places[first]),
        "gain": path.found.gain,
        "ci_low": _number(path.found.low),
        "ci_high": _number(path.found.high),
        "draws_reaching": path.found.reached,
        "note": None if path.found.low == path.found.low else "no interval: too many draws do not reach it",
    }


def _number(value: float) -> float | None:
    return value if value == value else None
