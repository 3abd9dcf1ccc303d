"""The bootstrap over items or groups (documents), with draws shared by everything that has the same items.

A draw is a vector of counts: how often each item (or group) came up. Resampled means of many pairs, layers and
settings are then one matrix product, counts [resamples, n] @ outcomes [n, columns], and all columns see the same
draws, so that differences between columns are paired.
"""

import math
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from sprachbund.statistics.student import FEW
from sprachbund_runners.statistics.intervals import check_confidence

_DRAW_BYTES = 32 * 2**20  # counts made at once
_KEPT_BYTES = 128 * 2**20  # counts kept for the next call with the same items
_REPLICATE_BYTES = 256 * 2**20  # replicates held at once while many columns are summarised


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """What resampling says of an estimate. Arrays have the shape of one item's outcome (no axes: one number).

    estimate, low, high: the statistic and its interval. standard_error: of the replicates, 0 if n is 1.
    p: two-sided, of the statistic being 0; never below 2 / (resamples + 1).
    n_items, n_groups: what was resampled (n_groups = n_items without groups).
    """

    estimate: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    standard_error: NDArray[np.float64]
    p: NDArray[np.float64]
    n_items: int
    n_groups: int
    resamples: int


def bootstrap_draws(n: int, resamples: int, seed: int, chunk: int | None = None) -> Iterator[NDArray[np.float64]]:
    """Yield counts float64 [chunk, n] whose rows sum to n, `resamples` rows in all.

    The same n, resamples and seed give the same rows, however they are cut into chunks (None: by memory), in one
    NumPy version. Raises ValueError if n or resamples is under 1.
    """
    if n < 1 or resamples < 1:
        raise ValueError(f"bootstrap: expected at least one item and one resample, found {n} and {resamples}")
    generator = np.random.default_rng(seed)
    step = chunk if chunk is not None else max(1, _DRAW_BYTES // (8 * n))
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        picks = generator.integers(0, n, size=(count, n))
        picks += np.arange(count)[:, None] * n
        yield np.bincount(picks.ravel(), minlength=count * n).reshape(count, n).astype(np.float64)


def bootstrap_replicates(
    outcomes: ArrayLike, groups: ArrayLike | None = None, resamples: int = 10_000, seed: int = 0
) -> NDArray[np.float64]:
    """Resampled means, float64 [resamples, …], of outcomes [n, …].

    groups: [n] labels; whole groups are drawn and the mean is a ratio of sums, since groups differ in size.
    Row r belongs to the same draw in every call with the same number of items (or groups), resamples and seed.

    Raises ValueError if outcomes are empty or not finite, or groups do not fit.
    """
    values = _checked(outcomes)
    sums, sizes = _sums(values.reshape(len(values), -1), groups)
    return _replicates(sums, sizes, resamples, seed).reshape(resamples, *values.shape[1:])


def resampled_sums(
    values: ArrayLike, groups: ArrayLike | None = None, resamples: int = 10_000, seed: int = 0
) -> NDArray[np.float64]:
    """Resampled sums, float64 [resamples, columns], of values [n, columns]: what ratios and scores are made of.

    Draws, groups and errors are those of `bootstrap_replicates`.
    """
    sums, _ = _sums(_checked(values), groups)
    return np.concatenate([counts @ sums for counts in _draws.of(len(sums), resamples, seed)])


def summarise_replicates(
    estimate: ArrayLike,
    replicates: NDArray[np.float64],
    *,
    confidence: float = 0.95,
    n_items: int,
    n_groups: int,
) -> Bootstrap:
    """Percentile interval, standard error and p of `estimate` […] from its replicates [resamples, …].

    For statistics made of several means: the median over language pairs, a ratio, a difference of gaps.
    p = 2 min(1 + #{replicate ≤ 0}, 1 + #{replicate ≥ 0}) / (1 + resamples), at most 1: the level at which the
    percentile interval first excludes 0. Replicates within rounding of 0 count on both sides.

    Raises ValueError if confidence is not in (0, 1).
    """
    check_confidence(confidence)
    value = np.asarray(estimate, np.float64)
    resamples = len(replicates)
    low, high = np.quantile(replicates, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    rounding = 1e-12 * np.abs(replicates).max(axis=0)
    below = (replicates <= rounding).sum(axis=0)
    above = (replicates >= -rounding).sum(axis=0)
    p = np.minimum(1.0, 2.0 * (1.0 + np.minimum(below, above)) / (1.0 + resamples))
    error = replicates.std(axis=0, ddof=1) if resamples > 1 else np.zeros_like(value)
    return Bootstrap(value, np.asarray(low), np.asarray(high), np.asarray(error), p, n_items, n_groups, resamples)


def least_p(resamples: int) -> float:
    """The least two-sided p that so many draws can give."""
    return 2.0 / (1.0 + resamples)


def summarise_mean(
    estimate: float,
    replicates: NDArray[np.float64],
    *,
    confidence: float = 0.95,
    n_items: int,
    n_groups: int,
    strata: int,
) -> Bootstrap:
    """As `summarise_replicates`, of a mean over n_groups drawn units (groups, or items) by its replicates [resamples].

    Of fewer than `FEW` units: estimate ± t · standard error, with Student's t of n_groups - strata degrees of freedom
    (strata: texts that are drawn each by itself), by which the error is made good for what replicates vary too little.
    Its p is never below `least_p` either. Of one unit nothing is known: NaN. Where no replicate differs, low = high =
    estimate.
    """
    found = summarise_replicates(estimate, replicates, confidence=confidence, n_items=n_items, n_groups=n_groups)
    degrees = n_groups - strata
    if degrees >= FEW - 1:
        return found
    if degrees < 1:
        nothing = np.asarray(np.nan)
        return replace(found, low=nothing, high=nothing, standard_error=nothing, p=nothing)
    error = float(replicates.std()) * math.sqrt(n_groups / degrees)
    half = float(stdtrit(degrees, 0.5 + confidence / 2)) * error
    varies = error > 1e-12 * abs(estimate)
    p = 2 * stdtr(degrees, -abs(estimate) / error) if varies else float(estimate == 0)
    return replace(
        found,
        low=np.asarray(estimate - half),
        high=np.asarray(estimate + half),
        standard_error=np.asarray(error),
        p=np.maximum(p, least_p(len(replicates))),
    )


def bootstrap_mean(
    outcomes: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    resamples: int = 10_000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Bootstrap:
    """Mean of outcomes [n] or [n, …] with a bootstrap interval over items, or over groups [n] (see above).

    For a share of hits prefer `wilson`: with no hit at all a bootstrap gives [0, 0].
    Memory is bounded however many columns there are. Raises ValueError as `bootstrap_replicates`.
    """
    values = _checked(outcomes)
    flat = values.reshape(len(values), -1)
    sums, sizes = _sums(flat, groups)
    estimate = flat.mean(axis=0)
    width = max(1, _REPLICATE_BYTES // (8 * resamples))
    parts = [
        summarise_replicates(
            estimate[start : start + width],
            _replicates(sums[:, start : start + width], sizes, resamples, seed),
            confidence=confidence,
            n_items=len(values),
            n_groups=len(sums),
        )
        for start in range(0, flat.shape[1], width)
    ]

    def joined(name: str) -> NDArray[np.float64]:
        return np.concatenate([getattr(part, name) for part in parts]).reshape(values.shape[1:])

    return Bootstrap(
        estimate=joined("estimate"),
        low=joined("low"),
        high=joined("high"),
        standard_error=joined("standard_error"),
        p=joined("p"),
        n_items=len(values),
        n_groups=len(sums),
        resamples=resamples,
    )


def dyadic_bootstrap_correlation(
    x: ArrayLike,
    y: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    *,
    resamples: int = 10_000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Bootstrap:
    """Pearson correlation over language pairs with a percentile interval, resampling languages.

    x, y: [n], values of pairs (first, second).

    A pair enters a draw as often as the product of its languages' counts, so that pairs sharing a language move
    together (node bootstrap for dyadic data; Snijders and Borgatti, Connections 22, 1999, without their filling of
    self pairs: a language drawn twice makes no pair with itself). n_groups is the number of languages.

    Draws in which x or y does not vary have no correlation and are left out; `resamples` counts the others.

    Raises ValueError if n < 3, a value is not finite, x or y is constant, no draw is left, labels do not fit, or a pair
    is of one language with itself.
    """
    left, right = _checked_pair(x, y)
    one, other = np.asarray(first), np.asarray(second)
    if one.shape != left.shape or other.shape != left.shape:
        raise ValueError(f"languages of pairs: expected shape [{len(left)}], found {one.shape} and {other.shape}")
    if (one == other).any():
        raise ValueError("dyadic bootstrap: a language is paired with itself")
    languages, places = np.unique(np.concatenate([one, other]), return_inverse=True)
    n = len(languages)
    cells = places[: len(left)] * n + places[len(left) :]
    left, right = _standardised(left), _standardised(right)
    moments = np.stack([np.ones_like(left), left, right, left * left, right * right, left * right], axis=1)
    # Of all pairs count × count × moment: a form in the languages' counts, whose table has no row per pair.
    tables = [np.bincount(cells, column, n * n).reshape(n, n) for column in moments.T]
    kept = [
        _correlations(np.stack([np.einsum("dl,dl->d", counts @ table, counts) for table in tables], axis=1))
        for counts in bootstrap_draws(n, resamples, seed)
    ]
    replicates = np.clip(np.concatenate(kept), -1.0, 1.0)
    if not len(replicates):
        raise ValueError("correlation: x or y is constant in every draw")
    return summarise_replicates(
        np.clip(np.mean(left * right), -1.0, 1.0),
        replicates,
        confidence=confidence,
        n_items=len(left),
        n_groups=len(languages),
    )


def _standardised(values: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = values - values.mean()
    return np.asarray(centred / np.sqrt(np.mean(centred * centred)))


def _correlations(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlations from the sums [draws, 6] of 1, x, y, x², y² and xy over what each draw has, where there is one."""
    total, sx, sy, sxx, syy, sxy = sums.T
    usable = total > 0
    total = np.where(usable, total, 1.0)
    variance_x, variance_y = sxx / total - (sx / total) ** 2, syy / total - (sy / total) ** 2
    usable &= (variance_x > 1e-10) & (variance_y > 1e-10)  # of 1: what is left of a constant is rounding
    scale = np.sqrt(np.where(usable, variance_x * variance_y, 1.0))
    return np.asarray(((sxy / total - sx * sy / total**2) / scale)[usable])


@dataclass(slots=True)
class _Draws:
    """Counts by (n, resamples, seed), in as few bytes each as hold them.

    Drawing costs more than multiplying: evaluations and comparisons of one corpus follow each other and share their
    draws, those of a collection each corpus's in turn.
    """

    kept: "OrderedDict[tuple[int, int, int], list[NDArray[Any]]]" = field(default_factory=OrderedDict)

    def of(self, n: int, resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
        """As `bootstrap_draws`; what was asked for longest ago makes room."""
        key = (n, resamples, seed)
        if key not in self.kept:
            # A byte each, as good as always.
            if n * resamples > _KEPT_BYTES:
                yield from bootstrap_draws(n, resamples, seed)
                return
            draws = bootstrap_draws(n, resamples, seed)
            self.kept[key] = [counts.astype(np.min_scalar_type(int(counts.max()))) for counts in draws]
            while len(self.kept) > 1 and self._bytes() > _KEPT_BYTES:
                self.kept.popitem(last=False)
        self.kept.move_to_end(key)
        for counts in self.kept[key]:
            yield counts.astype(np.float64)

    def _bytes(self) -> int:
        return sum(counts.nbytes for each in self.kept.values() for counts in each)


_draws = _Draws()


def _replicates(
    sums: NDArray[np.float64], sizes: NDArray[np.float64], resamples: int, seed: int
) -> NDArray[np.float64]:
    out = np.empty((resamples, sums.shape[1]))
    done = 0
    for counts in _draws.of(len(sums), resamples, seed):
        out[done : done + len(counts)] = (counts @ sums) / (counts @ sizes)[:, None]
        done += len(counts)
    return out


def _sums(values: NDArray[np.float64], groups: ArrayLike | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if groups is None:
        return values, np.ones(len(values))
    labels = np.asarray(groups)
    if labels.shape != (len(values),):
        raise ValueError(f"groups: expected shape [{len(values)}], found {list(labels.shape)}")
    _, inverse, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    sums = np.zeros((len(sizes), values.shape[1]))
    np.add.at(sums, inverse, values)
    return sums, sizes.astype(np.float64)


def _checked(outcomes: ArrayLike) -> NDArray[Any]:
    values = np.asarray(outcomes, np.float64)
    if values.ndim < 1 or not len(values):
        raise ValueError("bootstrap: expected at least one item")
    if not np.isfinite(values).all():
        item = int(np.argwhere(~np.isfinite(values))[0][0])
        raise ValueError(f"bootstrap: the outcome of item {item} is not finite")
    return values


def _checked_pair(x: ArrayLike, y: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    left, right = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if left.ndim != 1 or left.shape != right.shape or len(left) < 3:
        raise ValueError(
            f"correlation: expected x and y of one length of at least 3, found {left.shape}, {right.shape}"
        )
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        raise ValueError("correlation: a value is not finite")
    if np.ptp(left) == 0 or np.ptp(right) == 0:
        raise ValueError("correlation: x or y is constant")
    return left, right
