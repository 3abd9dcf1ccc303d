"""What an edit does to each chosen unit: h' = a·h + b inside [lo, hi], from values, moments or samples.

Arrays in, numbers out: `edits_of` (edits.py) turns the result into edits. Formulas, sources and defaults:
docs/methods.md. Arithmetic is in float64, results are float32.
"""

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from sprachbund.errors import ModelError

# A unit that varies less than this, relative to its mean, varies by rounding of float32 only.
_RESOLUTION = 1e-6
# Values sorted and fitted at a time: what stays in a core's cache.
_BLOCK = 1 << 16
# Sentences turned at a time: what one line of the cache holds of a unit.
_LINE = 16

FULL_RANGE = (0.0, 1.0)
"""The source's range from its least to its greatest sample."""


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """One map for each of k units: h' = a·h + b where lo ≤ h ≤ hi, else h; all float32 [k]."""

    a: NDArray[np.float32]
    b: NDArray[np.float32]
    lo: NDArray[np.float32]
    hi: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.a)

    def take(self, index: ArrayLike) -> "Affine":
        """The maps at these places, int64 [n], in this order."""
        places = np.asarray(index, dtype=np.int64)
        return Affine(self.a[places], self.b[places], self.lo[places], self.hi[places])

    def apply(self, h: ArrayLike) -> NDArray[np.float64]:
        """h' in float64 for h [..., k]: the definition, for checks and statistics, not for the model's pass."""
        given = np.asarray(h, dtype=np.float64)
        return np.where((given >= self.lo) & (given <= self.hi), given * self.a + self.b, given)


def set_to(value: ArrayLike) -> Affine:
    """h' = value; value [k]."""
    values = _column("value", value)
    return _affine(np.zeros_like(values), values)


def interpolated(value: ArrayLike, strength: float) -> Affine:
    """h' = (1 − strength)·h + strength·value; strength in [0, 1], value [k]."""
    _check_share(strength)
    values = _column("value", value)
    return _affine(np.full_like(values, 1.0 - strength), strength * values)


def scaled(factor: ArrayLike) -> Affine:
    """h' = factor·h; factor [k]."""
    factors = _column("factor", factor)
    return _affine(factors, np.zeros_like(factors))


def dampened(n_units: int, strength: float) -> Affine:
    """h' = (1 − strength)·h for so many units; strength at most 1, below 0 amplifies."""
    return scaled(np.full(n_units, 1.0 - strength))


def aura(auroc: ArrayLike, strength: float = 1.0) -> Affine:
    """h' = (1 − strength·2·(AUROC − ½))·h where AUROC > ½, else h (Suau et al. 2024, AurA).

    auroc [k] in [0, 1]; strength in [0, 1], 1 is the paper's: a perfect expert becomes 0.
    """
    _check_share(strength)
    scores = _column("auroc", auroc)
    if ((scores < 0) | (scores > 1)).any():
        raise ModelError(f"auroc: found {scores[(scores < 0) | (scores > 1)][0]:g}, expected 0 to 1")
    return scaled(1.0 - strength * 2.0 * np.maximum(scores - 0.5, 0.0))


def shifted(target_mean: ArrayLike, source_mean: ArrayLike, strength: float = 1.0) -> Affine:
    """h' = h + strength·(target mean − source mean); means [k], any finite strength."""
    if not np.isfinite(strength):
        raise ModelError(f"strength: found {strength}, expected a finite number")
    target, source = _columns(target_mean=target_mean, source_mean=source_mean)
    return _affine(np.ones_like(target), strength * (target - source))


def mean_act(target_mean: ArrayLike, source_mean: ArrayLike, strength: float = 1.0) -> Affine:
    """Mean-AcT (Rodriguez et al. 2025): `shifted` with strength in [0, 1]."""
    _check_share(strength)
    return shifted(target_mean, source_mean, strength)


def gaussian_act(
    target_mean: ArrayLike,
    target_variance: ArrayLike,
    source_mean: ArrayLike,
    source_variance: ArrayLike,
    strength: float = 1.0,
) -> Affine:
    """Gaussian-AcT: optimal transport between normal distributions, h' = μ_t + (σ_t / σ_s)·(h − μ_s).

    All [k]; strength in [0, 1] interpolates between h and h'. A unit that is constant in the source has no slope of
    its own: it is shifted by the difference of means.
    """
    _check_share(strength)
    mean_t, variance_t, mean_s, variance_s = _columns(
        target_mean=target_mean,
        target_variance=target_variance,
        source_mean=source_mean,
        source_variance=source_variance,
    )
    for name, values in (("target_variance", variance_t), ("source_variance", variance_s)):
        if (values < 0).any():
            raise ModelError(f"{name}: found {values[values < 0][0]:g}, expected no negative variance")
    varies = ~_constant(mean_s, variance_s)
    slope = np.ones_like(mean_t)
    np.divide(np.sqrt(variance_t), np.sqrt(variance_s), out=slope, where=varies)
    return _part_way(slope, mean_t - slope * mean_s, strength)


def linear_act(
    target: NDArray[np.float32],
    source: NDArray[np.float32],
    strength: float = 1.0,
    quantiles: tuple[float, float] | None = FULL_RANGE,
) -> Affine:
    """Linear-AcT: the affine map nearest, by least squares, to 1-D optimal transport of each unit (Rodriguez 2025).

    target [n, k], source [m, k]: responses to n and m sentences. Transport pairs equal quantiles: for n = m the
    sorted samples, else the monotone coupling, in which a sample's mass 1/n may go to several. On these pairs (x, y)
    a = cov(x, y) / var(x) and b = mean(y) − a·mean(x); a ≥ 0, as both ascend. strength in [0, 1] interpolates
    between h and h'. The map acts from the first to the second of the source's `quantiles`, both included: (0, 1) is
    the range of its samples; None acts everywhere, and can then be merged. A unit that is constant in the source is
    shifted by the difference of means. Memory: blocks of units, never a copy of all.
    """
    _check_share(strength)
    if quantiles is not None and not 0 <= quantiles[0] <= quantiles[1] <= 1:
        raise ModelError(f"quantiles: found {quantiles}, expected two ascending numbers from 0 to 1")
    for name, samples in (("target", target), ("source", source)):
        if samples.ndim != 2 or len(samples) == 0:
            raise ModelError(f"{name}: responses have shape {samples.shape}, expected [sentences, units], at least one")
    (n, k), m = target.shape, len(source)
    if source.shape[1] != k:
        raise ModelError(f"linear_act: {k} units in the target but {source.shape[1]} in the source")
    a, b = np.empty(k), np.empty(k)
    lo, hi = np.full(k, -np.inf), np.full(k, np.inf)
    step = max(1, _BLOCK // max(n, m))
    for start in range(0, k, step):
        here = slice(start, start + step)
        x, y = _sorted("source", source[:, here]), _sorted("target", target[:, here])
        if quantiles is not None:
            lo[here], hi[here] = (_quantile(x, level) for level in quantiles)
        _fit(x, y, a[here], b[here])
    return _part_way(a, b, strength, lo, hi)


@numba.njit(cache=True, nogil=True)
def _fit(x, y, slope, intercept):  # type: ignore[no-untyped-def]
    """Fill slope and intercept [units] of ascending samples [units, m] and [units, n] under the monotone coupling."""
    paired = x.shape[1] == y.shape[1]
    for unit in range(len(x)):
        mean_x, mean_y = _mean(x[unit]), _mean(y[unit])
        variance, covariance = _moments(x[unit], y[unit] if paired else x[unit], mean_x, mean_y if paired else mean_x)
        if not paired:
            covariance = _coupled(x[unit], y[unit], mean_x, mean_y)
        # Of ascending samples the covariance is at least 0, but for rounding.
        varies = variance > (_RESOLUTION * mean_x) ** 2
        slope[unit] = max(covariance / variance, 0.0) if varies else 1.0
        intercept[unit] = mean_y - slope[unit] * mean_x


# Sums may be reordered, so that they are vectors.
@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _mean(x):  # type: ignore[no-untyped-def]
    total = 0.0
    for place in range(len(x)):
        total += np.float64(x[place])
    return total / len(x)


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _moments(x, y, mean_x, mean_y):  # type: ignore[no-untyped-def]
    """Variance of x and covariance of x and y, sample by sample."""
    variance = covariance = 0.0
    for place in range(len(x)):
        apart = np.float64(x[place]) - mean_x
        variance += apart * apart
        covariance += apart * (np.float64(y[place]) - mean_y)
    return variance / len(x), covariance / len(x)


@numba.njit(cache=True, nogil=True)
def _coupled(x, y, mean_x, mean_y):  # type: ignore[no-untyped-def]
    """Covariance of samples of which each has a mass of len(y) or len(x): whole numbers, so that cuts are exact."""
    total, i, j, left_x, left_y = 0.0, 0, 0, len(y), len(x)
    while i < len(x):
        mass = min(left_x, left_y)
        total += mass * ((np.float64(x[i]) - mean_x) * (np.float64(y[j]) - mean_y))
        left_x -= mass
        left_y -= mass
        if left_x == 0:
            i, left_x = i + 1, len(y)
        if left_y == 0:
            j, left_y = j + 1, len(x)
    return total / (len(x) * len(y))


@numba.njit(cache=True, nogil=True)
def _turn(samples, rows):  # type: ignore[no-untyped-def]
    """Fill rows [units, samples] from samples [samples, units]."""
    for start in range(0, len(samples), _LINE):
        for unit in range(len(rows)):
            for sample in range(start, min(start + _LINE, len(samples))):
                rows[unit, sample] = samples[sample, unit]


def _sorted(name: str, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Every unit's samples ascending, [units, samples]."""
    rows = np.empty(samples.T.shape, np.float32)
    _turn(samples, rows)
    rows.sort(axis=1)
    # NaN and +inf sort last, −inf first.
    if not (np.isfinite(rows[:, 0]).all() and np.isfinite(rows[:, -1]).all()):
        raise ModelError(f"{name}: a response is not a finite number")
    return rows


def _quantile(rows: NDArray[np.float32], level: float) -> NDArray[np.float64]:
    """The quantile of ascending rows, linear between samples, [units]."""
    place = level * (rows.shape[1] - 1)
    low = int(place)
    high = min(low + 1, rows.shape[1] - 1)
    below, above = rows[:, low].astype(np.float64), rows[:, high].astype(np.float64)
    return below + (place - low) * (above - below)


def _constant(mean: NDArray[np.float64], variance: NDArray[np.float64]) -> NDArray[np.bool_]:
    return variance <= (_RESOLUTION * mean) ** 2


def _part_way(
    slope: NDArray[np.float64],
    intercept: NDArray[np.float64],
    strength: float,
    lo: NDArray[np.float64] | None = None,
    hi: NDArray[np.float64] | None = None,
) -> Affine:
    return _affine(1.0 - strength + strength * slope, strength * intercept, lo, hi)


def _affine(
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    lo: NDArray[np.float64] | None = None,
    hi: NDArray[np.float64] | None = None,
) -> Affine:
    lowest = np.full(len(a), -np.inf) if lo is None else lo
    highest = np.full(len(a), np.inf) if hi is None else hi
    return Affine(*(each.astype(np.float32) for each in (a, b, lowest, highest)))


def _columns(**given: ArrayLike) -> tuple[NDArray[np.float64], ...]:
    found = {name: _column(name, values) for name, values in given.items()}
    sizes = {name: len(values) for name, values in found.items()}
    if len(set(sizes.values())) > 1:
        raise ModelError("edits of units: " + ", ".join(f"{name} has {size} units" for name, size in sizes.items()))
    return tuple(found.values())


def _column(name: str, values: ArrayLike) -> NDArray[np.float64]:
    column = np.asarray(values, dtype=np.float64)
    if column.ndim != 1:
        raise ModelError(f"{name}: shape {column.shape}, expected one number per unit")
    wrong = ~np.isfinite(column)
    if wrong.any():
        raise ModelError(f"{name}: {column[wrong][0]} for the unit at place {int(wrong.argmax())}, expected a number")
    return column


def _check_share(strength: float) -> None:
    if not 0 <= strength <= 1:
        raise ModelError(f"strength: found {strength:g}, expected 0 (no change) to 1 (the whole)")
