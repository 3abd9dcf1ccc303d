"""Intervals, paired tests, multiplicity: numpy only, used on both sides. One noun per module."""

from sprachbund.statistics.bootstrap import (
    Bootstrap,
    bootstrap_correlation,
    bootstrap_draws,
    bootstrap_mean,
    bootstrap_replicates,
    dyadic_bootstrap_correlation,
    paired_bootstrap,
    summarise_replicates,
)
from sprachbund.statistics.comparisons import control_p, max_t, mcnemar_counts, mcnemar_exact
from sprachbund.statistics.intervals import quantile, wilson
from sprachbund.statistics.multiplicity import benjamini_hochberg, benjamini_yekutieli, holm

__all__ = [
    "Bootstrap",
    "benjamini_hochberg",
    "benjamini_yekutieli",
    "bootstrap_correlation",
    "bootstrap_draws",
    "bootstrap_mean",
    "bootstrap_replicates",
    "control_p",
    "dyadic_bootstrap_correlation",
    "holm",
    "max_t",
    "mcnemar_counts",
    "mcnemar_exact",
    "paired_bootstrap",
    "quantile",
    "summarise_replicates",
    "wilson",
]
