"""Cohen's d: the standardised difference of mean responses, which orders units that a rank score leaves tied."""

import numba
import numpy as np
from numpy.typing import NDArray

from sprachbund_runners.scorers.ranking import RankedResponses


def cohens_d(ranked: RankedResponses) -> NDArray[np.float64]:
    """(mean of positives - mean of negatives) / pooled standard deviation: float64 [targets, units].

    Pooled over n₊ + n₋ - 2 degrees of freedom (Cohen 1988). Where neither side varies, d is 0 for equal means and
    ±inf for unequal ones. Sums run over sorted responses and then over sorted terms, so that neither the order of
    the sentences nor the numbering of the languages changes a bit.
    """
    layout = ranked.layout
    rows = ranked.keys.shape[0]
    mean = np.empty((rows, layout.counts.size))
    squares = np.empty((rows, layout.counts.size))
    _moments(ranked.keys, layout.counts, mean, squares)
    out = np.empty((len(layout.targets), rows))
    for t, positive in enumerate(layout.positive):
        others = np.flatnonzero(layout.negative[t])
        n_positive, n_negative = layout.n_positive[t], layout.n_negative[t]
        mean_negative = _ordered_sum(layout.counts[others] * mean[:, others]) / n_negative
        between = layout.counts[others] * (mean[:, others] - mean_negative[:, None]) ** 2
        within = _ordered_sum(np.concatenate([squares[:, others], between, squares[:, [positive]]], axis=1))
        difference = mean[:, positive] - mean_negative
        deviation = np.sqrt(within / max(n_positive + n_negative - 2, 1))
        with np.errstate(divide="ignore", invalid="ignore"):
            out[t] = np.where(difference == 0, 0.0, difference / deviation)
    return out


def _ordered_sum(terms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Row sums that don't depend on the order of the columns."""
    terms = np.sort(terms, axis=1)
    total = np.zeros(terms.shape[0])
    for column in terms.T:
        total += column
    return total


@numba.njit(cache=True, nogil=True)
def _moments(keys, counts, mean, squares):  # type: ignore[no-untyped-def]
    """Fill `mean` and `squares` (summed squared deviations from the mean), float64 [units, languages]."""
    n_languages = counts.size
    low = np.uint64(0xFFFFFFFF)
    half = np.uint64(32)
    sign = np.uint32(0x80000000)
    least = np.empty(n_languages)
    seen = np.empty(n_languages, dtype=np.bool_)
    first = np.empty(n_languages)
    second = np.empty(n_languages)
    for row in range(keys.shape[0]):
        seen[:] = False
        first[:] = 0.0
        second[:] = 0.0
        for i in range(keys.shape[1]):
            key = keys[row, i]
            language = np.int64(key & low)
            ordered = np.uint32(key >> half)
            bits = ordered ^ sign if ordered >= sign else ~ordered
            response = np.float64(np.uint32(bits).view(np.float32))
            # Deviations from the language's own least response: a constant language gets squares of exactly 0,
            # and since (mean - least)² ≤ (n - 1) × variance, little is cancelled below.
            if not seen[language]:
                seen[language] = True
                least[language] = response
            deviation = response - least[language]
            first[language] += deviation
            second[language] += deviation * deviation
        for language in range(n_languages):
            shift = first[language] / counts[language]
            mean[row, language] = least[language] + shift
            squares[row, language] = max(second[language] - first[language] * shift, 0.0)
