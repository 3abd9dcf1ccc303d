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
from sprachbund.statistics.crossed import CrossedEffects, crossed_effects
from sprachbund.statistics.dyadic import dyadic_bootstrap_median
from sprachbund.statistics.intervals import quantile, wilson
from sprachbund.statistics.multiplicity import benjamini_hochberg, benjamini_yekutieli, holm
from sprachbund.statistics.pareto import pareto_front
from sprachbund.statistics.power import detectable_after, detectable_before
from sprachbund.statistics.student import student_p, student_quantile

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
    "detectable_after",
    "detectable_before",
    "dyadic_bootstrap_correlation",
    "dyadic_bootstrap_median",
    "holm",
    "max_t",
    "mcnemar_counts",
    "mcnemar_exact",
    "paired_bootstrap",
    "pareto_front",
    "quantile",
    "student_p",
    "student_quantile",
    "summarise_replicates",
    "wilson",
]
