"""The smallest difference a comparison can be expected to find."""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sprachbund.statistics.student import quantile

POWER = 0.8
ALPHA = 0.05
# Of fewer items that differ the normal approximation says nothing.
ENOUGH = 10


def detectable_before(
    n_items: int,
    n_pairs: int,
    discordant: float,
    *,
    shared: float = 1.0,
    alpha: float = ALPHA,
    power: float = POWER,
) -> float:
    """Minimum detectable difference of a share (top-1) averaged over pairs, from design figures alone.

    discordant: assumed share of a pair's items that only one of the two settings hits. shared: assumed correlation of
    one item's differences between two pairs (1: more pairs of the same items add nothing, the cautious end; 0: every
    pair counts as new items). An item's mean difference then has variance (discordant - δ²) (1 + (P - 1) shared) / P,
    discordant under no difference, and δ = (z₁₋α⸝₂ √v₀ + z_power √v₁) / √n (Miettinen's unconditional form of
    McNemar's test; Lachin, Statistics in Medicine 11, 1992), two-sided. NaN where no
    difference up to `discordant` is: n is too small.

    Raises ValueError for n or P under 1 or an assumption outside its range.
    """
    if n_items < 1 or n_pairs < 1:
        raise ValueError(f"detectable difference: expected items and pairs, found {n_items} and {n_pairs}")
    for name, value in (("discordant", discordant), ("shared", shared)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name}: expected a share between 0 and 1, found {value}")
    critical, wanted = _quantiles(alpha, power)
    scale = (1 + (n_pairs - 1) * shared) / (n_pairs * n_items)

    def lacks(difference: float) -> bool:
        under = max(0.0, discordant - difference**2)
        return difference < critical * math.sqrt(discordant * scale) + wanted * math.sqrt(under * scale)

    low, high = 0.0, discordant
    if lacks(high):
        return math.nan
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if lacks(middle) else (low, middle)
    return high


def detectable_after(
    error: ArrayLike, degrees: ArrayLike, threshold: ArrayLike, floor: ArrayLike = 0.0, *, power: float = POWER
) -> NDArray[np.float64]:
    """Minimum detectable difference from the standard error that a difference got: (t₁₋ₐ⸝₂ + t_power) errors.

    degrees: of freedom of the error. threshold: the p, a, up to which a test counts as found. floor: no less is said.
    NaN where one of them is: what cannot differ, or cannot be found, has none. Says what the test could have found, not
    whether what it found is true. Raises ValueError for a negative error or a power outside (0, 1).
    """
    errors, freedom, found_at, least = np.broadcast_arrays(
        *(np.asarray(each, np.float64) for each in (error, degrees, threshold, floor))
    )
    if (errors < 0).any():
        raise ValueError("detectable difference: a standard error is negative")
    if not 0 < power < 1:
        raise ValueError(f"power: expected a number between 0 and 1, found {power}")
    # Few are different.
    kinds = np.stack([freedom.ravel(), found_at.ravel()], axis=1)
    each, places = np.unique(kinds, axis=0, return_inverse=True)
    steps = np.array([_step(freed, at, power) for freed, at in each])
    return np.asarray(np.maximum(errors * steps[places].reshape(errors.shape), least))


def _step(degrees: float, threshold: float, power: float) -> float:
    """How many standard errors a difference needs."""
    if math.isnan(degrees) or math.isnan(threshold):
        return math.nan
    return quantile(1 - threshold / 2, int(degrees)) + quantile(power, int(degrees))


def rule_of_three(n_differing: ArrayLike, degrees: ArrayLike, largest: ArrayLike) -> NDArray[np.float64]:
    """The least difference to speak of where hardly any of n drawn units differ: 3 / n times an item's largest change.

    None of n having differed, up to 3 / n of them may (at 95 %: Hanley and Lippman-Hand, JAMA 249, 1983), each
    in all its pairs. From `ENOUGH` that differ on their spread says more: 0. NaN where few differ and there is no
    largest change.
    """
    few, n, most = np.broadcast_arrays(*(np.asarray(each, np.float64) for each in (n_differing, degrees, largest)))
    return np.asarray(np.where(few < ENOUGH, 3 / (n + 1) * most, 0.0))


def _quantiles(alpha: float, power: float) -> tuple[float, float]:
    for name, value in (("alpha", alpha), ("power", power)):
        if not 0 < value < 1:
            raise ValueError(f"{name}: expected a number between 0 and 1, found {value}")
    return NormalDist().inv_cdf(1 - alpha / 2), NormalDist().inv_cdf(power)
