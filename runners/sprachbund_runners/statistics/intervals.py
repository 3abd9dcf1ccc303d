"""Intervals for a level, and quantiles."""

from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def check_confidence(confidence: float) -> None:
    """Raise ValueError unless 0 < confidence < 1."""
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence: expected a number between 0 and 1, found {confidence}")


def wilson(
    successes: ArrayLike, n: ArrayLike, confidence: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(low, high) of the Wilson score interval of a share, float64 of the arguments' common shape.

    successes may be fractional: a tie among m credits 1 / m, and the interval is that of the summed credit out of n.
    It then errs on the wide side, since a credit between 0 and 1 varies less than a hit or a miss. Zero hits give
    [0, z² / (n + z²)], not [0, 0]. n = 0 gives NaN.

    Source: Wilson, JASA 22 (1927). Raises ValueError unless 0 ≤ successes ≤ n and 0 < confidence < 1.
    """
    check_confidence(confidence)
    hits, total = np.broadcast_arrays(np.asarray(successes, np.float64), np.asarray(n, np.float64))
    # Summed credits may exceed n by rounding only.
    if not np.all((hits >= 0) & (hits <= total * (1 + 1e-12)) & np.isfinite(total)):
        raise ValueError("wilson: expected 0 <= successes <= n, both finite")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.minimum(hits / total, 1.0)
        centre = share + z * z / (2 * total)
        half = z * np.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
        scale = 1 + z * z / total
        low, high = (centre - half) / scale, (centre + half) / scale
        # The bounds' product and that of their complements are known: this way neither cancels near 0 or 1, and
        # no hits give exactly 0, all hits exactly 1.
        return share**2 / (scale * high), 1 - (1 - share) ** 2 / (scale * (1 - low))


def quantile(values: ArrayLike, q: ArrayLike, weights: ArrayLike | None = None) -> NDArray[Any]:
    """Quantiles q in [0, 1] of `values` [n].

    Unweighted: linear between order statistics (Hyndman and Fan type 7). Weighted, float [n] of weights ≥ 0: the
    smallest value at which the cumulated weight reaches q of the whole (inverse distribution function).

    Raises ValueError if values are empty or hold NaN: a quantile that skips them would hide a missing cell.
    """
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or not len(array) or np.isnan(array).any():
        raise ValueError("quantile: expected at least one value and no NaN")
    at = np.asarray(q, np.float64)
    if weights is None:
        return np.asarray(np.quantile(array, at))
    return np.asarray(np.quantile(array, at, weights=np.asarray(weights, np.float64), method="inverted_cdf"))
