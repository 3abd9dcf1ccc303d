"""Intervals, paired tests, multiplicity: arrays in, numbers out. One noun per module."""

from sprachbund_runners.statistics.bootstrap import (
    Bootstrap,
    bootstrap_correlation,
    bootstrap_draws,
    bootstrap_mean,
    bootstrap_replicates,
    dyadic_bootstrap_correlation,
    paired_bootstrap,
    summarise_replicates,
)
from sprachbund_runners.statistics.comparisons import control_p, max_t, mcnemar_counts, mcnemar_exact
from sprachbund_runners.statistics.crossed import CrossedEffects, crossed_effects
from sprachbund_runners.statistics.dyadic import dyadic_bootstrap_median
from sprachbund_runners.statistics.intervals import quantile, wilson
from sprachbund_runners.statistics.multiplicity import benjamini_hochberg, benjamini_yekutieli, holm
from sprachbund_runners.statistics.student import student_p, student_quantile

__all__ = [
    "Bootstrap",
    "CrossedEffects",
    "benjamini_hochberg",
    "benjamini_yekutieli",
    "bootstrap_correlation",
    "bootstrap_draws",
    "bootstrap_mean",
    "bootstrap_replicates",
    "control_p",
    "crossed_effects",
    "dyadic_bootstrap_correlation",
    "dyadic_bootstrap_median",
    "holm",
    "max_t",
    "mcnemar_counts",
    "mcnemar_exact",
    "paired_bootstrap",
    "quantile",
    "student_p",
    "student_quantile",
    "summarise_replicates",
    "wilson",
]
