"""The interval of a share."""

from statistics import NormalDist

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

    Ours, since scipy's `proportion_ci` takes whole counts only. Source: Wilson, JASA 22 (1927).
    Raises ValueError unless 0 ≤ successes ≤ n and 0 < confidence < 1.
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
