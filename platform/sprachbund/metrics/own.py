"""Measures that users register (`sprachbund.plugins`): their metric names are theirs, `name@digest`."""

from sprachbund.metrics.base import Measure, Metric

METRICS: tuple[Metric, ...] = ()

MEASURES: tuple[Measure, ...] = (
    Measure(
        "own", 2, "pair", False, (),
        "measures of your own (docs/plugins.md): one metric each, called by its name and the digest of its source",
        optional=True,
    ),
)  # fmt: skip
