"""The smallest difference a comparison can be expected to find."""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

POWER = 0.8
ALPHA = 0.05


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
    low: ArrayLike, high: ArrayLike, confidence: float = 0.95, *, alpha: float = ALPHA, power: float = POWER
) -> NDArray[np.float64]:
    """Minimum detectable difference from the interval that a difference got: (z₁₋α⸝₂ + z_power) standard errors.

    low, high: ends of its interval of this confidence, taken as ± z standard errors. Says what the test could have
    found, not whether what it found is true. Raises ValueError for an interval upside down.
    """
    width = np.asarray(high, np.float64) - np.asarray(low, np.float64)
    if (width < 0).any():
        raise ValueError("detectable difference: an interval's low end is above its high end")
    error = width / (2 * NormalDist().inv_cdf(0.5 + confidence / 2))
    return np.asarray(error * sum(_quantiles(alpha, power)))


def _quantiles(alpha: float, power: float) -> tuple[float, float]:
    for name, value in (("alpha", alpha), ("power", power)):
        if not 0 < value < 1:
            raise ValueError(f"{name}: expected a number between 0 and 1, found {value}")
    return NormalDist().inv_cdf(1 - alpha / 2), NormalDist().inv_cdf(power)
