"""The difference of two settings in a statistic of sums over the same units, which are resampled together."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from sprachbund_runners.statistics.bootstrap import resampled_sums, summarise_mean

ROUNDING = 1e-6
"""Batches differ between runs: what rounding did to a number is no difference of settings."""

NAN = float("nan")
Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""From sums [r, columns] to values [r]; NaN where a draw leaves it undefined."""


@dataclass(frozen=True, slots=True, eq=False)
class Paired:
    """A setting's value and its baseline's on the units that both have, with interval and p of the difference.

    low, high, p are NaN where nothing can be resampled. replicates: float64 [resamples, 2], setting and baseline by
    the same draws; NaN where a draw leaves one undefined. n_items, n_groups: what there is, and what is drawn.
    """

    value: float
    baseline: float
    low: float
    high: float
    p: float
    n_items: int
    n_groups: int
    replicates: NDArray[np.float64] | None = None

    @property
    def delta(self) -> float:
        return self.value - self.baseline


def paired_statistic(
    own: ArrayLike,
    baseline: ArrayLike,
    statistic: Statistic,
    *,
    groups: ArrayLike | None = None,
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Paired | None:
    """`statistic` of the column sums of `own` less that of `baseline`, both [units, columns], row by row of one unit.

    A bootstrap over units, or over groups [units] of them: both are drawn together. None where the statistic is
    undefined for one of the two; no interval from fewer than two units (or groups).

    Raises ValueError if the two have other shapes or values that are not finite.
    """
    pair = [np.asarray(each, np.float64) for each in (own, baseline)]
    if pair[0].shape != pair[1].shape or pair[0].ndim != 2:
        raise ValueError(f"paired: expected two tables of one shape, found {pair[0].shape} and {pair[1].shape}")
    if not all(np.isfinite(each).all() for each in pair):
        raise ValueError("paired: a value is not finite")
    if not len(pair[0]):
        return None
    value, reference = (float(statistic(each.sum(axis=0)[None])[0]) for each in pair)
    if np.isnan(value) or np.isnan(reference):
        return None
    n_groups = len(pair[0]) if groups is None else len(np.unique(np.asarray(groups)))
    if n_groups < 2:
        return Paired(value, reference, NAN, NAN, NAN, len(pair[0]), n_groups)
    width = pair[0].shape[1]
    sums = resampled_sums(np.concatenate(pair, axis=1), groups, resamples, seed)
    replicates = np.stack([statistic(sums[:, :width]), statistic(sums[:, width:])], axis=1)
    return paired_replicates(value, reference, replicates, len(pair[0]), n_groups, confidence)


def paired_replicates(
    value: float, baseline: float, replicates: NDArray[np.float64], n_items: int, n_groups: int, confidence: float
) -> Paired:
    """Of two values and their replicates [resamples, 2] by the same draws; a draw that leaves one undefined is left
    out.

    Interval and p are those of `summarise_mean`.
    """
    differences = replicates[:, 0] - replicates[:, 1]
    differences = differences[~np.isnan(differences)]
    if not len(differences):
        return Paired(value, baseline, NAN, NAN, NAN, n_items, n_groups)
    differences[np.abs(differences) < ROUNDING] = 0.0
    delta = value - baseline
    found = summarise_mean(
        0.0 if abs(delta) < ROUNDING else delta, differences, confidence=confidence, n_items=n_items,
        n_groups=n_groups, strata=1,
    )  # fmt: skip
    return Paired(value, baseline, float(found.low), float(found.high), float(found.p), n_items, n_groups, replicates)


def paired_means(own: ArrayLike, baseline: ArrayLike, confidence: float = 0.95) -> Paired | None:
    """Means of a few values [n] each, paired, by Student's t with n - 1 degrees of freedom.

    For values that cannot be made of resampled items, such as a number per seed. No interval from fewer than three.
    """
    one, other = (np.asarray(each, np.float64) for each in (own, baseline))
    n = len(one)
    if not n:
        return None
    value, reference = float(one.mean()), float(other.mean())
    if n < 3:
        return Paired(value, reference, NAN, NAN, NAN, n, n)
    changes = one - other
    changes[np.abs(changes) < ROUNDING] = 0.0
    delta, error = float(changes.mean()), float(changes.std(ddof=1) / np.sqrt(n))
    if error <= 1e-12 * abs(delta):
        return Paired(value, reference, delta, delta, 1.0 if delta == 0 else NAN, n, n)
    half = float(stdtrit(n - 1, 0.5 + confidence / 2)) * error
    p = 2 * float(stdtr(n - 1, -abs(delta) / error))
    return Paired(value, reference, delta - half, delta + half, p, n, n)


def ratio_of(above: int, below: int) -> Statistic:
    """One column's sum over another's; NaN over nothing."""

    def ratio(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.where(sums[:, below] > 0, sums[:, above] / sums[:, below], NAN))

    return ratio
