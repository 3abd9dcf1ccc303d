"""What the sample that experts, values and directions are fitted on adds to the error of a number."""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from sprachbund_runners.statistics.intervals import check_confidence


def half_sample_error(values: ArrayLike) -> float:
    """Standard error of a number due to its fit sample, from its values [B] fitted on random halves of that.

    The delete-d jackknife at d = n / 2, where its factor (n - d) / d is 1: the root of Σ (value - mean)² / (B - 1).
    So many are left out since which units come first is no smooth function of the sample: leaving out one at a time
    would be inconsistent (Shao and Wu, Annals of Statistics 17, 1989; Politis and Romano, Annals of Statistics 22,
    1994). Raises ValueError for fewer than two values, or one that is not finite.
    """
    found = np.asarray(values, np.float64)
    if found.ndim != 1 or len(found) < 2 or not np.isfinite(found).all():
        raise ValueError(f"half samples: expected two finite values or more, found {found.tolist()}")
    return float(found.std(ddof=1))


def with_fit_sample(
    estimate: float, low: float, high: float, error: float, n_resamples: int, confidence: float = 0.95
) -> tuple[float, float]:
    """(low, high) of an estimate's interval over items, widened by the error due to the fit sample.

    Squared distances to the limits are added on either side, so that an interval keeps its shape; those of the fit
    sample are t · error with n_resamples - 1 degrees of freedom (Zou and Donner, Statistics in Medicine 27, 2008).
    """
    check_confidence(confidence)
    half = float(stdtrit(n_resamples - 1, 0.5 + confidence / 2)) * error
    return (
        estimate - math.hypot(max(0.0, estimate - low), half),
        estimate + math.hypot(max(0.0, high - estimate), half),
    )
