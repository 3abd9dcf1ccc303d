"""Sums over language pairs by where the target stands, read from the table of pairs a column per metric."""

from collections.abc import Sequence

import polars as pl

from sprachbund.db.views.columns import Type, of
from sprachbund.db.views.evaluated import EVALUATED
from sprachbund.db.views.pairs import against_baseline

(_SIDE,) = (column.sql for column in of(EVALUATED, "target_side"))
_BY = {
    "corpus": "coalesce(c.collection, c.name)",
    "setting_key": "s.key",
    "layer": "e.layer",
    "layer_ordinal": "xl.ordinal",
    "target_side": _SIDE,
}
_LANGUAGES = {"query_language": "e.query_language", "candidate_language": "e.candidate_language"}
SUMS: dict[str, Type] = {
    "sum_value": "real", "n_values": "integer", "sum_baseline": "real", "n_baselines": "integer",
}  # fmt: skip


def pair_sums_sql(metrics: Sequence[str], extra: Sequence[str], one_layer: bool) -> str:
    """SELECT of a row per corpus, setting, layer, target's side and languages (`extra`), with four sums per metric.

    Bound: experiment, role, and `layer` if there is one layer. Columns of the metric of number i: `SUM_i`.
    """
    by = {**_BY, **{name: _LANGUAGES[name] for name in extra}}
    sums = (
        f"sum(e.{name}) AS sum_value_{i}, count(e.{name}) AS n_values_{i}, "
        f"sum({_both(name)}) AS sum_baseline_{i}, count({_both(name)}) AS n_baselines_{i}"
        for i, name in enumerate(metrics)
    )
    named = (f"{sql} AS {name}" for name, sql in by.items())
    where = "AND x.name = :experiment AND xc.role = :role" + (" AND xl.layer = :layer" if one_layer else "")
    grouped = "v.id, c.collection, c.name, s.key, e.layer, xl.ordinal, i.target, " + ", ".join(
        [_SIDE, *(_LANGUAGES[name] for name in extra)]
    )
    return f"SELECT {', '.join([*named, *sums])} {against_baseline()} {where} GROUP BY {grouped}"


def _both(metric: str) -> str:
    """SQL: the baseline's value where the setting has one too."""
    return f"CASE WHEN e.{metric} IS NOT NULL THEN b.{metric} END"


def long(wide: pl.DataFrame, metrics: Sequence[str], extra: Sequence[str]) -> pl.DataFrame:
    """A row per metric that is defined anywhere in the group, in place of columns."""
    frames = [
        wide.filter(pl.col(f"n_values_{i}") > 0).select(
            *_BY, *extra, pl.lit(metric).alias("metric"), *(pl.col(f"{name}_{i}").alias(name) for name in SUMS)
        )
        for i, metric in enumerate(metrics)
    ]
    return pl.concat(frames, how="vertical_relaxed")
