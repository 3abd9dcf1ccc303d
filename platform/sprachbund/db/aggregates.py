"""The aggregates median, quantile and corr, the same on SQLite and PostgreSQL.

`median(x)` and `quantile(x, q)` interpolate linearly between order statistics (type 7 of Hyndman & Fan
1996, as NumPy and percentile_cont do); `corr(x, y)` is Pearson's. NULL and NaN are left out; of no values,
and for a constant in `corr`, the result is NULL.
"""

import math
import sqlite3

import numpy as np
from sqlalchemy import Connection, text


class Quantile:
    """Aggregate of SQLite: the quantile q in [0, 1] of x."""

    def __init__(self) -> None:
        self._values: list[float] = []
        self._q = 0.5

    def step(self, x: float | None, q: float | None) -> None:
        if q is None or not 0 <= q <= 1:
            raise ValueError("quantile(x, q) needs q between 0 and 1")
        self._q = q
        if x is not None:
            self._values.append(float(x))

    def finalize(self) -> float | None:
        return float(np.quantile(self._values, self._q)) if self._values else None


class Median(Quantile):
    """Aggregate of SQLite: the median of x."""

    def step(self, x: float | None, q: float | None = 0.5) -> None:
        super().step(x, q)


class Correlation:
    """Aggregate of SQLite: Pearson's correlation of x and y."""

    def __init__(self) -> None:
        self._x: list[float] = []
        self._y: list[float] = []

    def step(self, x: float | None, y: float | None) -> None:
        if x is not None and y is not None:
            self._x.append(float(x))
            self._y.append(float(y))

    def finalize(self) -> float | None:
        if not self._x:
            return None
        x, y = np.array(self._x), np.array(self._y)
        x, y = x - x.mean(), y - y.mean()
        scale = math.sqrt(float(x @ x)) * math.sqrt(float(y @ y))
        return float(np.clip(float(x @ y) / scale, -1.0, 1.0)) if scale > 0 else None


def register_aggregates(connection: sqlite3.Connection) -> None:
    """Make the three aggregates known to one SQLite connection."""
    connection.create_aggregate("median", 1, Median)  # type: ignore[arg-type]
    connection.create_aggregate("quantile", 2, Quantile)  # type: ignore[arg-type]
    connection.create_aggregate("corr", 2, Correlation)  # type: ignore[arg-type]


# array_append is extended in place by PostgreSQL's aggregation; a function of our own would copy the array
# for every row. quantile has two arguments, which no such function takes: as VARIADIC they arrive as one
# array, whose concatenation does copy: quick up to some 10,000 rows a group, then use percentile_cont.
_POSTGRESQL = (
    """
    CREATE OR REPLACE FUNCTION sprachbund_median(state double precision[])
    RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY value)
        FROM unnest(state) AS value
        WHERE value <> 'NaN'
    $$
    """,
    """
    CREATE OR REPLACE FUNCTION sprachbund_quantile(state double precision[])
    RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT percentile_cont(state[2]) WITHIN GROUP (ORDER BY value)
        FROM unnest(state) WITH ORDINALITY AS pairs (value, position)
        WHERE position % 2 = 1 AND value <> 'NaN'
    $$
    """,
    """
    CREATE OR REPLACE AGGREGATE median(double precision) (
        SFUNC = array_append, STYPE = double precision[], INITCOND = '{}', FINALFUNC = sprachbund_median
    )
    """,
    """
    CREATE OR REPLACE AGGREGATE quantile(VARIADIC double precision[]) (
        SFUNC = array_cat, STYPE = double precision[], INITCOND = '{}', FINALFUNC = sprachbund_quantile
    )
    """,
)


def create_functions(connection: Connection) -> None:
    """Create median and quantile on PostgreSQL (corr is built in); SQLite gets them on connecting."""
    if connection.dialect.name == "postgresql":
        for statement in _POSTGRESQL:
            connection.execute(text(statement))
