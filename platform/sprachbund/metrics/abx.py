"""The general ABX task over label columns, on request."""

from sprachbund.metrics.base import Measure, Metric

_SOURCE = "Schatz 2016; de Seyssel et al., EMNLP 2025; conventions of fastabx, whose score is 1 - abx"

METRICS: tuple[Metric, ...] = (
    Metric(
        "abx", "share", "none", 0.0, 1.0, "bootstrap",
        "share of triples with x closer to a (same label) than to b (another), ties one half; pairs of labels, then "
        "groups count alike; chance is .5",
        _SOURCE,
    ),
    Metric(
        "abx_weighted", "share", "none", 0.0, 1.0, "bootstrap",
        "the same with every triple counting alike",
        _SOURCE,
    ),
    Metric(
        "abx_standard_error", "share", "none", 0.0, None, "none",
        "standard error of abx from drawing triples; only where triples are sampled",
        "binomial",
    ),
    Metric(
        "abx_triples", "triples", "none", 1.0, None, "none",
        "triples there are, or triples drawn",
        "count",
    ),
)  # fmt: skip

MEASURES: tuple[Measure, ...] = (
    Measure(
        "abx", 1, "space", False, ("abx", "abx_weighted", "abx_standard_error", "abx_triples"),
        "the general ABX task: ON a label, BY others, ACROSS others", optional=True,
    ),
)  # fmt: skip
