"""What steering gains against what it costs: the settings of a sweep that no other setting beats."""

from dataclasses import dataclass
from typing import Literal

import polars as pl

from sprachbund.errors import QueryError
from sprachbund.measures import METRICS
from sprachbund.results.comparison import Comparison
from sprachbund.results.side_effects import COLUMNS
from sprachbund.statistics import may_be_front, pareto_front

# Perplexity where bits per byte are missing: within one model and language both order settings alike.
COSTS = ("bits_per_byte", "perplexity")
SHARE = "target_share"


@dataclass(frozen=True, slots=True, eq=False)
class Pareto:
    """Settings with their objectives at one layer; `front` marks those that none of their model and target beats.

    rows: model, target, setting, k, strength, gain (retrieval metric minus baseline), the objectives of `objectives`
    by column, each with `_low` and `_high`, front and maybe. The unsteered model stands among the settings of every
    target, with gain 0. Intervals are of differences to it, put on top of its own values, so that it has none.
    `maybe`: off the front, but not beyond doubt (`may_be_front`).
    layer_reason: why this layer, in the words of the comparison.
    """

    experiment: str
    metric: str
    layer: str
    layer_reason: str
    objectives: dict[str, Literal["higher", "lower"]]
    rows: pl.DataFrame


def pareto(comparison: Comparison) -> Pareto:
    """The Pareto front of target share, bits per byte (or perplexity) and retrieval gain, for each model and target.

    At the first layer the comparison looks at closely: the one asked for, else the first chosen on the select role,
    else the best on the reported text itself, as `layer_reason` then says. Controls are left out.

    Raises QueryError if the comparison is broken down by languages, is on several corpora, or no side effect was
    measured.
    """
    better = METRICS[comparison.metric].better
    if better == "none":
        raise QueryError(f"neither way of {comparison.metric} is better: a front needs a metric with a direction")
    if set(comparison.by) - {"setting", "layer", "target"} or comparison.vs is not None:
        raise QueryError("a front is drawn over all pairs against each setting's baseline: leave --by and --vs out")
    layer = comparison.detail_layers[0]
    gains = comparison.rows.filter(
        pl.col("kind") == "setting", pl.col("metric") == comparison.metric, pl.col("layer") == layer,
        pl.col("target").is_not_null(), pl.col("delta").is_not_null(),
    )  # fmt: skip
    if gains["corpus"].n_unique() > 1:
        raise QueryError(f"the comparison is on several corpora ({', '.join(gains['corpus'].unique().sort())})")
    effects = comparison.side_effects
    cost = next((each for each in COSTS if effects[each].null_count() < effects.height), None)
    share = SHARE if effects[SHARE].null_count() < effects.height else None
    named = [each for each in (share, cost) if each is not None]
    if not named:
        raise QueryError(
            f"experiment '{comparison.experiment}' measured neither target share nor perplexity: add side_effects"
        )
    measured = effects.select(
        "setting_key", *named, *(f"{each}_baseline" for each in named),
        *(_end(each, end).alias(f"{each}_{end}") for each in named for end in ("low", "high")),
    )  # fmt: skip
    gains = gains.select(
        "model", "target", "setting_key", "setting", "baseline_setting", "k", "strength", gain="delta",
        gain_low=pl.coalesce("delta_ci_low", "delta"), gain_high=pl.coalesce("delta_ci_high", "delta"),
    )  # fmt: skip
    rows = gains.join(measured, on="setting_key", how="inner")
    plain = rows.group_by("model", "target", maintain_order=True).agg(
        setting=pl.col("baseline_setting").first(),
        k=pl.lit(None, pl.Int64),
        strength=pl.lit(None, pl.Float64),
        **dict.fromkeys(_with_ends("gain"), pl.lit(0.0)),
        **{name: pl.col(f"{each}_baseline").drop_nulls().first() for each in named for name in _with_ends(each)},
    )
    kept = [
        "model",
        "target",
        "setting",
        "k",
        "strength",
        *(name for each in ("gain", *named) for name in _with_ends(each)),
    ]
    together = pl.concat([plain.select(kept), rows.select(kept)])
    objectives: dict[str, Literal["higher", "lower"]] = {"gain": better}
    if share is not None:
        objectives[share] = "higher"
    if cost is not None:
        objectives[cost] = "lower"
    parts = []
    for _, group in together.group_by("model", "target", maintain_order=True):
        values, low, high = (
            group.select(f"{each}{end}" for each in objectives).fill_null(float("nan")).to_numpy()
            for end in ("", "_low", "_high")
        )
        ways = list(objectives.values())
        front = pareto_front(values, ways)
        maybe = may_be_front(low, high, front, ways)
        parts.append(group.with_columns(front=pl.Series(front), maybe=pl.Series(maybe)))
    if not parts:
        raise QueryError(f"no setting with a target has {comparison.metric} and side effects at layer {layer}")
    return Pareto(
        comparison.experiment, comparison.metric, layer, comparison.layer_reason, objectives, pl.concat(parts)
    )


def _with_ends(name: str) -> tuple[str, str, str]:
    return name, f"{name}_low", f"{name}_high"


def _end(name: str, end: str) -> pl.Expr:
    """An end of the difference's interval as a value, within its bounds; the value itself without an interval."""
    bounds = METRICS[COLUMNS[name]]
    shifted = pl.col(name) - pl.col(f"{name}_delta") + pl.col(f"{name}_delta_{end}")
    return pl.coalesce(shifted.clip(bounds.low, bounds.high), name)
