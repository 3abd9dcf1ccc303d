"""Medians over language pairs, with intervals that know pairs share languages."""

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from sprachbund_runners.statistics.bootstrap import Bootstrap, bootstrap_draws, summarise_replicates


def dyadic_bootstrap_median(
    values: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    *,
    resamples: int = 10_000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Bootstrap:
    """Median of values [n] over language pairs (first, second), with a percentile interval over resampled languages.

    A pair enters a draw as often as the product of its languages' counts, as in `dyadic_bootstrap_correlation`. Draws
    without a pair are left out; `resamples` counts the others. The median of an even number of values is the mean of
    the middle two. n_groups is the number of languages.

    Raises ValueError if there are no values, one is not finite, labels do not fit, a pair is of one language with
    itself, there are fewer than three languages (every draw would give the same median), or no draw has a pair.
    """
    array = np.asarray(values, np.float64)
    one, other = np.asarray(first), np.asarray(second)
    if array.ndim != 1 or not len(array) or not np.isfinite(array).all():
        raise ValueError("median over pairs: expected finite values of shape [pairs]")
    if one.shape != array.shape or other.shape != array.shape:
        raise ValueError(f"languages of pairs: expected shape [{len(array)}], found {one.shape} and {other.shape}")
    if (one == other).any():
        raise ValueError("dyadic bootstrap: a language is paired with itself")
    languages, places = np.unique(np.concatenate([one, other]), return_inverse=True)
    if len(languages) < 3:
        raise ValueError(f"median over pairs: found {len(languages)} languages, expected at least 3 to resample")
    order = np.argsort(array, kind="stable")
    i, j = places[: len(array)][order], places[len(array) :][order]
    kept = [
        _weighted_medians(array[order], i, j, counts) for counts in bootstrap_draws(len(languages), resamples, seed)
    ]
    replicates = np.concatenate(kept)
    if not len(replicates):
        raise ValueError("median over pairs: no draw of languages has a pair")
    return summarise_replicates(
        np.median(array), replicates, confidence=confidence, n_items=len(array), n_groups=len(languages)
    )


def _weighted_medians(
    ordered: NDArray[np.float64], i: NDArray[np.int64], j: NDArray[np.int64], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Medians [draws with a pair] of ascending values [n] of languages i, j [n], drawn `counts` [draws, languages]."""
    lower, upper = np.empty(len(counts)), np.empty(len(counts))
    there = _middle(ordered, i, j, counts.astype(np.int64), lower, upper)
    return np.asarray((lower[there] + upper[there]) / 2)


@numba.njit(cache=True, nogil=True)
def _middle(ordered, i, j, counts, lower, upper):  # type: ignore[no-untyped-def]
    """Fill the two middle values of each draw (one twice, of an odd number); whether it has a pair. In whole numbers:
    no table of draws by pairs."""
    there = np.zeros(len(counts), np.bool_)
    for draw in range(len(counts)):
        weights = counts[draw]
        total = 0
        for pair in range(len(ordered)):
            total += weights[i[pair]] * weights[j[pair]]
        if total == 0:
            continue
        there[draw] = True
        below, pair = 0, -1
        while 2 * below < total:
            pair += 1
            below += weights[i[pair]] * weights[j[pair]]
        lower[draw] = ordered[pair]
        while 2 * below <= total:
            pair += 1
            below += weights[i[pair]] * weights[j[pair]]
        upper[draw] = ordered[pair]
    return there
