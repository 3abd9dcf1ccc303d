"""Intervals, paired tests, multiplicity: arrays in, numbers out. One noun per module."""

from sprachbund_runners.statistics.bootstrap import (
    Bootstrap,
    bootstrap_draws,
    bootstrap_mean,
    bootstrap_replicates,
    dyadic_bootstrap_correlation,
    resampled_sums,
    summarise_replicates,
)
from sprachbund_runners.statistics.comparisons import control_p, max_t, mcnemar_counts, mcnemar_exact
from sprachbund_runners.statistics.crossed import CrossedEffects, crossed_effects
from sprachbund_runners.statistics.dyadic import dyadic_bootstrap_median
from sprachbund_runners.statistics.intervals import wilson
from sprachbund_runners.statistics.paired import Paired, paired_means, paired_replicates, paired_statistic

__all__ = [
    "Bootstrap",
    "CrossedEffects",
    "Paired",
    "bootstrap_draws",
    "bootstrap_mean",
    "bootstrap_replicates",
    "control_p",
    "crossed_effects",
    "dyadic_bootstrap_correlation",
    "dyadic_bootstrap_median",
    "max_t",
    "mcnemar_counts",
    "mcnemar_exact",
    "paired_means",
    "paired_replicates",
    "paired_statistic",
    "resampled_sums",
    "summarise_replicates",
    "wilson",
]
