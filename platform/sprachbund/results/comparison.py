"""The comparison of an experiment's settings."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sqlalchemy import Engine

from sprachbund.db.engine import reading
from sprachbund.db.names import NamedSetting, find_experiment, find_setting
from sprachbund.errors import known
from sprachbund.files.artifacts import ArtifactStore
from sprachbund.measures import MEASURES, METRICS, RATIO_FLOOR, WITH_RATIO
from sprachbund.progress import Silent
from sprachbund.results import contrasts
from sprachbund.results.layers import BEST, CHOSEN, layers_shown, levels_by_layer
from sprachbund.results.left_out import LeftOut, left_out
from sprachbund.results.missing import missing_lines
from sprachbund.results.probes import probes
from sprachbund.results.reader import Reader, means
from sprachbund.results.side_effects import side_effects
from sprachbund.statistics import detectable_after, rule_of_three
from sprachbund.vocabulary import SCOPES

# What a comparison may be broken down by, and the columns that takes.
BY: dict[str, tuple[str, ...]] = {
    "setting": (),
    "layer": (),
    "target": (),
    "pair": ("query_language", "candidate_language"),
    "query": ("query_language",),
    "candidate": ("candidate_language",),
}
# Shown beside what was tested: distance without the gap, or without the spread, may be mere collapse.
DESCRIBED = ("paired_distance", "unpaired_distance", "distance_gap", "spread")
_UNDIRECTED = {name for measure in MEASURES.values() if not measure.directed for name in measure.metrics}
_SIDES = {"target_query": ("query",), "target_candidate": ("candidate",), "without_target": ("neither",)}
_STORED = (
    "value", "ci_low", "ci_high", "unit", "n_groups", "item_degrees", "baseline", "delta", "delta_ci_low",
    "delta_ci_high", "fit_low", "fit_high", "ratio_ci_low", "ratio_ci_high", "p", "q", "p_floor",
    "q_at_floor", "family_kind", "threshold", "item_error", "n_differing",
)  # fmt: skip
# Of these the first are the same whatever a setting is compared with.
_OF_ITSELF = _STORED[:6]


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """An experiment's settings side by side.

    rows: one per corpus, setting (`setting_key`) or variant of a setting's controls (`control` and
        `control_of_key`), layer, metric and, where asked for, language or pair.
        `value` is the mean over language pairs; of a control row (kind 'control') the mean
        over its seeds, with value_low and value_high the extremes. baseline and delta refer to `vs`, or to
        each setting's own baseline; delta_centring to mean-centring without steering. Intervals, p and q are
        there where a comparison job tested them, else NULL; so are median_gain (over the pairs) with its interval
        and n_gaining. ratio is value / baseline, NULL below `RATIO_FLOOR` and for metrics that can be negative, with
        its interval by the same draws.
        chance is the level of a random ranking, mean over the pairs. detectable is the smallest difference that the
        test finds in 80 % of cases at its family's threshold; NULL where nothing can differ. q_at_floor: q is at most
        that, more draws could say less.
    controls: steered settings against each variant of their controls: mean, low, high, delta, p.
    contrasts: settings that the spec holds against each other, and what was chosen against what was chosen of the
        baselines, each at its own layer (best against best), with the controls that chose too; of the metric.
    side_effects: what steering does beside its aim, one row per setting; none if nothing was measured.
    probes: accuracy of logistic probes beside chance, where the experiment asked for any.
    chosen: (setting, layer) chosen on the select role.
    detail_layers, layer_reason: the layers to look at closely, and why these.
    confidence: of the intervals.
    left_out: settings without a row, because something failed on the way to their evaluations.
    missing: a line for each of them, and for everything else that the plan asks for and the database does not have yet.
    """

    experiment: str
    role: str
    scope: str
    metric: str
    metrics: tuple[str, ...]
    layers: tuple[str, ...]
    detail_layers: tuple[str, ...]
    layer_reason: str
    by: tuple[str, ...]
    vs: str | None
    rows: pl.DataFrame
    controls: pl.DataFrame
    contrasts: contrasts.Contrasts
    side_effects: pl.DataFrame
    probes: pl.DataFrame
    chosen: tuple[tuple[str, str], ...]
    confidence: float
    left_out: tuple[LeftOut, ...]
    missing: list[str]

    @property
    def picked(self) -> bool:
        """Whether results decided which layers are looked at closely: a p against controls there is too small."""
        return self.layer_reason in (CHOSEN, BEST)


def compare(
    engine: Engine,
    experiment: str,
    *,
    metric: str = "top1",
    layer: str | int | None = None,
    vs: str | None = None,
    by: Sequence[str] = ("setting",),
    role: str = "test",
    scope: str = "all",
    store: ArtifactStore | None = None,
    progress: Any = None,
) -> Comparison:
    """Settings × layers and metrics of one experiment, with differences to baseline, controls and centring.

    `metric` comes first and decides on completeness; with `layer` no other is read. `vs` is a setting (its label or the
    start of its key) to take differences from; their intervals, p and q, at the layers that are looked at closely, are
    worked out from outcomes in `store`: without it there are none. `by` may sort by target, or add pair, query or
    candidate: then there is a row per language or pair, of this one metric. `scope` limits the pairs by where the
    target language stands.

    Raises:
        QueryError: an experiment, metric, layer, setting, role, scope or `by` that does not exist.
    """
    known("metric", metric, METRICS)
    known("scope", scope, SCOPES)
    for each in by:
        known("by", each, BY)
    with reading(engine) as connection:
        experiment_id = find_experiment(connection, experiment)
        absent = tuple(left_out(connection, experiment_id, role))
        named = None if vs is None else find_setting(connection, vs, experiment)
    read = Reader(engine, experiment, role, scope, None if layer is None else str(layer))
    settings, layers = read.settings(), read.layers()
    known("role", role, read.roles())
    if read.layer is not None:
        known("layer", read.layer, layers)
        layers = (read.layer,)
    stored = read.stored(_STORED)
    extra = tuple(dict.fromkeys(column for each in by for column in BY[each]))
    # By language a metric has as many rows as there are cells: then it is one metric.
    beside = [] if extra else [each for each in METRICS if each in (*DESCRIBED, *stored["metric"].unique())]
    metrics = tuple(dict.fromkeys([metric, *beside]))
    gone = [each.setting_key for each in absent]
    # Controls stand beside a row: without it they say nothing.
    present = settings.filter(
        ~pl.col("setting_key").is_in(gone), ~pl.col("control_of_key").is_in(gone).fill_null(False)
    )
    sums = read.sums(metrics, extra)
    levels = _levels(sums, present, scope, extra)
    pairs = read.pair_tests(metric) if extra == BY["pair"] else stored
    rows = _with_tests(levels, stored, pairs, named, extra)
    rows = _with_sizes(rows, read, vs, extra)
    rows = _with_centring(rows, extra)
    rows = _with_chance(rows, read, metrics, extra)
    plain = rows.filter(pl.col("control_of_key").is_null()).with_columns(kind=pl.lit("setting"))
    condensed = _condensed(rows, settings, extra)
    chosen = read.chosen()
    by_layer = levels_by_layer(plain.filter(pl.col("metric") == metric))
    shown = layers_shown(read.layer, chosen["layer"].to_list(), by_layer, layers, metric)
    if named is not None and store is not None and not extra:
        of = {"role": role, "metric": metric, "scope": scope, "progress": progress or Silent()}
        plain = _against(plain, engine, store, experiment, named.key, shown.layers, of)
    both = pl.concat([plain, condensed], how="diagonal_relaxed")
    picked = chosen.select("setting_key", "layer", chosen=True)
    both = both.join(picked, on=["setting_key", "layer"], how="left", maintain_order="left")
    both = both.with_columns(pl.col("chosen").fill_null(False))
    order = [*(["target"] if "target" in by else []), "corpus", "ordinal", "kind_order", "setting", *extra]
    both = both.with_columns(kind_order=(pl.col("kind") == "control").cast(pl.Int64))
    both = both.sort([*order, "layer_ordinal", "metric"], nulls_last=False, maintain_order=True)
    return Comparison(
        experiment=experiment,
        role=role,
        scope=scope,
        metric=metric,
        metrics=tuple(each for each in metrics if each in set(both["metric"])),
        layers=layers,
        detail_layers=shown.layers,
        layer_reason=shown.reason,
        by=tuple(by),
        vs=None if named is None else named.label,
        rows=both.drop("kind_order", "control_of"),
        controls=_controls(plain, condensed, read.control_tests(), extra),
        contrasts=contrasts.stored(engine, experiment, role, metric, scope, read.layer),
        side_effects=side_effects(engine, experiment),
        probes=probes(engine, experiment, role, read.layer),
        chosen=tuple(chosen.select("setting", "layer").iter_rows()),
        confidence=read.confidence(),
        left_out=absent,
        missing=missing_lines(read, metric, layers, sums, present, absent),
    )


def _levels(sums: pl.DataFrame, settings: pl.DataFrame, scope: str, extra: Sequence[str]) -> pl.DataFrame:
    """Means over the pairs of the scope. An unordered pair has the target on a side if it has it at all."""
    if scope != "all":
        sides = _SIDES[scope]
        either = ("query", "candidate") if scope != "without_target" else sides
        ordered = ~pl.col("metric").is_in(sorted(_UNDIRECTED))
        sums = sums.filter(
            pl.when(ordered).then(pl.col("target_side").is_in(sides)).otherwise(pl.col("target_side").is_in(either))
        )
    keys = ["corpus", "setting_key", "layer", "layer_ordinal", "metric", *extra]
    return means(sums, keys).join(settings, on="setting_key", how="inner")


def _with_tests(
    levels: pl.DataFrame, stored: pl.DataFrame, pairs: pl.DataFrame, vs: NamedSetting | None, extra: Sequence[str]
) -> pl.DataFrame:
    """Baselines, differences, and what comparison jobs stored about them, of means over all pairs or of each pair."""
    keys = ["corpus", "layer", "metric"]
    name, key = (pl.lit(vs.label), pl.lit(vs.key)) if vs else (None, None)
    levels = levels.with_columns(
        baseline_setting=pl.col("own_baseline") if name is None else name,
        baseline_key=pl.col("own_baseline_key") if key is None else key,
    )
    if vs is not None:
        reference = levels.filter(pl.col("setting_key") == vs.key)
        reference = reference.select(*keys, *extra, baseline="value")
        levels = levels.drop("baseline").join(reference, on=[*keys, *extra], how="left", nulls_equal=True)
    levels = levels.with_columns(delta=pl.col("value") - pl.col("baseline"))
    if extra:
        if extra == BY["pair"]:
            # A test is of the setting's own baseline, an interval is the value's.
            shown = ["ci_low", "ci_high", *(["p", "q"] if vs is None else [])]
            levels = levels.join(pairs.select(*keys, "setting_key", *extra, *shown),
                                 on=[*keys, "setting_key", *extra], how="left", maintain_order="left")  # fmt: skip
        empty = [pl.lit(None, stored.schema[name]).alias(name) for name in _STORED if name not in levels.columns]
        return levels.with_columns(empty)
    # Tests are of its own baseline.
    stored = stored.select(*keys, "setting_key", *(pl.col(name).alias(f"stored_{name}") for name in _STORED))
    joined = levels.join(stored, on=[*keys, "setting_key"], how="left")
    tested = pl.col("baseline_key") == pl.coalesce("own_baseline_key", "setting_key")
    return joined.with_columns(
        pl.coalesce(_of(name, tested), name) if name in joined.columns else _of(name, tested).alias(name)
        for name in _STORED
    ).drop([f"stored_{name}" for name in _STORED])


def _against(
    plain: pl.DataFrame,
    engine: Engine,
    store: ArtifactStore,
    experiment: str,
    vs: str,
    layers: Sequence[str],
    of: Mapping[str, Any],
) -> pl.DataFrame:
    """Tests against `vs` where rows are looked at closely; of rows whose own baseline it is, as they were planned."""
    close = pl.col("layer").is_in(layers) & (pl.col("metric") == of["metric"])
    close &= pl.col("own_baseline_key").ne_missing(vs)
    found = contrasts.against(engine, store, experiment, plain.filter(close), vs, **of)
    names = list(contrasts.TESTED)
    tested = found.with_columns(metric=pl.lit(of["metric"])).rename({name: f"vs_{name}" for name in names})
    joined = plain.join(tested, on=["corpus", "setting_key", "layer", "metric"], how="left", maintain_order="left")
    return joined.with_columns(pl.when(close).then(f"vs_{name}").otherwise(name).alias(name) for name in names).drop(
        [f"vs_{name}" for name in names]
    )


def _of(name: str, tested: pl.Expr) -> pl.Expr:
    stored = pl.col(f"stored_{name}")
    return stored if name in _OF_ITSELF else pl.when(tested).then(stored)


def _with_sizes(rows: pl.DataFrame, read: Reader, vs: str | None, extra: Sequence[str]) -> pl.DataFrame:
    """Ratios, detectable differences, and the gains over pairs (of differences to each setting's own baseline)."""
    usable = pl.col("metric").is_in(WITH_RATIO) & (pl.col("baseline") >= RATIO_FLOOR)
    rows = rows.with_columns(ratio=pl.when(usable).then(pl.col("value") / pl.col("baseline")))
    rows = rows.with_columns(detectable=pl.Series(_detectable(rows), dtype=pl.Float64).fill_nan(None))
    gains = read.gains()
    keys = ["corpus", "setting_key", "layer", "metric"]
    if extra or vs is not None:
        return rows.with_columns(pl.lit(None, gains.schema[name]).alias(name) for name in gains.columns[len(keys) :])
    return rows.join(gains, on=keys, how="left")


def _detectable(rows: pl.DataFrame) -> NDArray[np.float64]:
    """Of rows that are in a family; NaN of others, which cannot differ, or where draws are too few."""
    shares = {name: metric.low == 0 and metric.high == 1 for name, metric in METRICS.items()}
    largest = [1.0 if shares[metric] else math.nan for metric in rows["metric"]]
    error, degrees, threshold, differing = (
        rows[name].cast(pl.Float64).fill_null(math.nan).to_numpy()
        for name in ("item_error", "item_degrees", "threshold", "n_differing")
    )
    return detectable_after(error, degrees, threshold, rule_of_three(differing, degrees, largest))


def _with_centring(rows: pl.DataFrame, extra: Sequence[str]) -> pl.DataFrame:
    """The difference to mean-centring (fitted on `fit`) of the unsteered model."""
    # The same model in two types is two models here: what is told apart is the setting without steering.
    rows = rows.with_columns(unsteered=pl.coalesce("own_baseline_key", "setting_key"))
    keys = ["corpus", "unsteered", "layer", "metric", *extra]
    centred = (pl.col("transform") == "centring") & (pl.col("method") == "none")
    reference = rows.filter(centred).select(*keys, centring="value")
    joined = rows.join(reference, on=keys, how="left", nulls_equal=True)
    return joined.with_columns(delta_centring=pl.when(~centred).then(pl.col("value") - pl.col("centring"))).drop(
        "centring", "unsteered"
    )


def _with_chance(rows: pl.DataFrame, read: Reader, metrics: Sequence[str], extra: Sequence[str]) -> pl.DataFrame:
    """The level of a random ranking, mean over the pairs of the scope."""
    pairs = read.chances(metrics)
    targets = rows.select("target").unique()
    sides = {"all": pl.lit(True)} | {
        "target_query": pl.col("query_language") == pl.col("target"),
        "target_candidate": pl.col("candidate_language") == pl.col("target"),
        "without_target": ~pl.any_horizontal(pl.col(each) == pl.col("target") for each in BY["pair"]),
    }
    inside = pairs.join(targets, how="cross").filter(sides[read.scope])
    keys = ["corpus", "metric", "target", *extra]
    levels = inside.group_by(keys).agg(pl.col("chance").mean())
    return rows.join(levels, on=keys, how="left", nulls_equal=True, maintain_order="left")


def _condensed(rows: pl.DataFrame, settings: pl.DataFrame, extra: Sequence[str]) -> pl.DataFrame:
    """One row per variant of a setting's controls, over its seeds (or languages)."""
    steered = settings.select(control_of_key="setting_key", control_of="setting", ordinal="ordinal")
    keys = ["corpus", "control_of_key", "control", "layer", "layer_ordinal", "metric", *extra]
    same = ["model", "method", "selection", "direction", "edit", "strength", "target", "k", "k_fraction",
            "transform", "side", "baseline_setting", "baseline_key"]  # fmt: skip
    return (
        rows.filter(pl.col("control_of_key").is_not_null())
        .group_by(keys, maintain_order=True)
        .agg(
            *(pl.col(name).first() for name in same),
            value=pl.col("value").mean(),
            value_low=pl.col("value").min(),
            value_high=pl.col("value").max(),
            baseline=pl.col("baseline").mean(),
            delta=pl.col("delta").mean(),
            delta_centring=pl.col("delta_centring").mean(),
            chance=pl.col("chance").first(),
            n_pairs=pl.col("n_pairs").min(),
            n_seeds=pl.len().cast(pl.Int64),
        )
        .join(steered, on="control_of_key", how="left")
        .with_columns(
            kind=pl.lit("control"), setting=pl.col("control") + " of " + pl.col("control_of"),
        )
    )  # fmt: skip


def _controls(plain: pl.DataFrame, condensed: pl.DataFrame, tests: pl.DataFrame, extra: Sequence[str]) -> pl.DataFrame:
    keys = ["corpus", "setting_key", "layer", "metric"]
    against = condensed.select(
        "corpus", "layer", "layer_ordinal", "metric", *extra, "control", "n_seeds",
        setting_key="control_of_key", mean="value", low="value_low", high="value_high",
    )  # fmt: skip
    own = plain.select(*keys, *extra, "setting", "ordinal", "value")
    joined = own.join(against, on=[*keys, *extra], how="inner", nulls_equal=True).with_columns(
        delta=pl.col("value") - pl.col("mean")
    )
    if extra:
        joined = joined.with_columns(p=pl.lit(None, pl.Float64))
    else:
        joined = joined.join(tests, on=[*keys, "control"], how="left")
    return joined.sort("corpus", "ordinal", "control", "layer_ordinal", "metric", *extra)
