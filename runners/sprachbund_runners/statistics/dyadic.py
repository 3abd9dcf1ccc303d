"""Medians over language pairs, with intervals that know pairs share languages."""

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
        _weighted_medians(array[order], counts[:, i] * counts[:, j])
        for counts in bootstrap_draws(len(languages), resamples, seed)
    ]
    replicates = np.concatenate(kept)
    if not len(replicates):
        raise ValueError("median over pairs: no draw of languages has a pair")
    return summarise_replicates(
        np.median(array), replicates, confidence=confidence, n_items=len(array), n_groups=len(languages)
    )


def _weighted_medians(ordered: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Medians [rows with weight] of values that occur as often as whole `weights` [rows, n] say."""
    weights = weights[weights.sum(axis=1) > 0]
    below = np.cumsum(weights, axis=1)
    half = below[:, -1:] / 2
    lower = np.argmax(below >= half, axis=1)
    upper = np.argmax(below > half, axis=1)
    return np.asarray((ordered[lower] + ordered[upper]) / 2)
