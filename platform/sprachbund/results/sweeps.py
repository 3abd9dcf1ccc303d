"""Sweeps: settings that differ in how many units are edited, or how strongly, alone."""

import polars as pl

from sprachbund.results.comparison import Comparison

_LINE = ["model", "method", "edit", "target"]


def swept(comparison: Comparison, layer: str) -> tuple[str, pl.DataFrame]:
    """What is swept (k where a method has several, else strength; "" without a sweep) and the rows of the comparison's
    metric at a layer that are, with their `gain` and `line`: the method and edit in words."""
    rows = comparison.rows.filter(
        pl.col("kind") == "setting",
        pl.col("metric") == comparison.metric,
        pl.col("layer") == layer,
        pl.col("method") != "none",
        pl.col("transform") == "none",
    ).with_columns(gain=pl.col("delta"), edit=pl.col("edit").fill_null(""))
    for over, fixed in (("k", "strength"), ("strength", "k")):
        keys = [*_LINE, fixed]
        many = rows.filter(pl.col(over).is_not_null()).group_by(keys).agg(n=pl.col(over).n_unique())
        many = many.filter(pl.col("n") > 1)
        if many.height:
            found = rows.join(many.select(keys), on=keys, how="inner", nulls_equal=True)
            line = pl.concat_str("method", pl.lit(" "), "edit")
            return over, found.with_columns(line=line.str.strip_chars())
    return "", rows
