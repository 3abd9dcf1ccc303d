"""The same gain in several models (arms), measured on the same items: their mean, and whether they differ."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import f as f_distribution
from scipy.stats import t as t_distribution

from sprachbund_runners.statistics.intervals import check_confidence


@dataclass(frozen=True, slots=True)
class Arms:
    """mean: of the arms' gains, for these models. differ_p: of the gains being all the same; NaN for one arm.

    low, high, p: over models as a sample of models like these; NaN for fewer than three.
    """

    mean: float
    differ_p: float
    low: float
    high: float
    p: float


def arms(gains: ArrayLike, replicates: ArrayLike, n: int, confidence: float = 0.95) -> Arms:
    """Summary of gains [arms] with their paired bootstrap replicates [draws, arms] over n items (or groups).

    Whether they differ: Hotelling's T² of the contrasts between arms, whose covariance over items is that of the
    replicates; F with (rank, n − rank) degrees of freedom (Hotelling, Ann. Math. Stat. 2, 1931). Contrasts that never
    vary decide without a test: p is 0 if such a one is not 0. As a sample: Student's t over the arms' gains, which
    vary over items too.

    Raises ValueError where shapes do not fit, or nothing is finite.
    """
    check_confidence(confidence)
    values, draws = np.asarray(gains, np.float64), np.asarray(replicates, np.float64)
    if values.ndim != 1 or not len(values) or draws.ndim != 2 or draws.shape[1] != len(values) or len(draws) < 2:
        raise ValueError(
            f"arms: expected gains [arms] and replicates [draws, arms], found {values.shape}, {draws.shape}"
        )
    if not (np.isfinite(values).all() and np.isfinite(draws).all()):
        raise ValueError("arms: a gain is not finite")
    mean, m = float(values.mean()), len(values)
    low = high = p = math.nan
    if m >= 3:
        error = float(values.std(ddof=1)) / math.sqrt(m)
        half = float(t_distribution.ppf(0.5 + confidence / 2, m - 1)) * error
        low, high = mean - half, mean + half
        p = float(2 * t_distribution.sf(abs(mean) / error, m - 1)) if error > 0 else float(mean == 0)
    return Arms(mean, _differ(values, draws, n) if m > 1 else math.nan, low, high, p)


def _differ(values: NDArray[np.float64], draws: NDArray[np.float64], n: int) -> float:
    contrasts, resampled = values[1:] - values[0], draws[:, 1:] - draws[:, :1]
    # A bootstrap over n items varies as by n - 1.
    covariance = np.atleast_2d(np.cov(resampled, rowvar=False)) * n / max(1, n - 1)
    variances, axes = np.linalg.eigh(covariance)
    scale = max(float(np.abs(draws).max()), float(np.abs(values).max()), 1e-300)
    varying = variances > 1e-12 * scale**2
    along = axes.T @ contrasts
    if (np.abs(along[~varying]) > 1e-6 * scale).any():
        return 0.0
    rank = int(varying.sum())
    if not rank:
        return 1.0
    if n <= rank:
        return math.nan
    t_squared = float((along[varying] ** 2 / variances[varying]).sum())
    return float(f_distribution.sf(t_squared * (n - rank) / ((n - 1) * rank), rank, n - rank))
