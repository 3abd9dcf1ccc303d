"""Average precision: Σ (recallᵢ - recallᵢ₋₁) precisionᵢ over the distinct responses, from the greatest down.

No interpolation (scikit-learn's definition, which self-conditioning uses, Suau et al. 2022); equal responses enter
together. Its chance level is the share of positives: never compare it across ratios of positives to negatives.
"""

import numba
import numpy as np
from numpy.typing import NDArray

from sprachbund_runners.scorers.ranking import RankedResponses


def average_precision(ranked: RankedResponses) -> NDArray[np.float64]:
    """Average precision of each target against its negatives: float64 [targets, units], in (0, 1]."""
    layout = ranked.layout
    # Targets grouped by language: those of language l are by_language[start[l]:start[l + 1]].
    by_language = np.argsort(layout.positive, kind="stable")
    start = np.searchsorted(layout.positive[by_language], np.arange(layout.counts.size + 1))
    negative = np.ascontiguousarray(layout.negative.T).astype(np.int64)
    out = np.zeros((layout.positive.size, ranked.keys.shape[0]))
    _walk(ranked.keys, by_language, start, negative, out)
    return out / layout.n_positive[:, None]


@numba.njit(cache=True, nogil=True)
def _walk(keys, by_language, start, negative, out):  # type: ignore[no-untyped-def]
    """Add up precision at every positive; `negative` int64 [languages, targets] is 1 where the language is one."""
    n_languages, n_targets = negative.shape
    language_bits = np.uint64(0xFFFFFFFF)
    one = np.uint64(1)
    hits = np.empty(n_languages, dtype=np.int64)  # sentences of each language seen so far
    misses = np.empty(n_targets, dtype=np.int64)  # sentences of each target's negatives seen so far
    total = np.empty(n_targets, dtype=np.float64)
    run = np.zeros(n_languages, dtype=np.int64)
    for row in range(keys.shape[0]):
        hits[:] = 0
        misses[:] = 0
        total[:] = 0.0
        end = np.uint64(keys.shape[1])  # what is left to see is [0, end)
        while end > 0:
            first = end - one
            key = keys[row, first]
            while first > 0 and key ^ keys[row, first - one] <= language_bits:  # the same response
                first -= one
            if first == end - one:
                language = key & language_bits
                hits[language] += 1
                seen = hits[language]
                for i in range(start[language], start[language + one]):
                    target = by_language[np.uint64(i)]
                    total[target] += seen / (seen + misses[target])
                is_negative = negative[language]
                for target in range(n_targets):
                    misses[target] += is_negative[target]
            else:
                for i in range(first, end):
                    run[keys[row, i] & language_bits] += 1
                for language in range(n_languages):
                    if run[language] > 0:
                        hits[language] += run[language]
                        for target in range(n_targets):
                            misses[target] += run[language] * negative[language, target]
                for language in range(n_languages):
                    if run[language] > 0:
                        seen = hits[language]
                        for i in range(start[language], start[language + 1]):
                            target = by_language[i]
                            total[target] += run[language] * (seen / (seen + misses[target]))
                        run[language] = 0
            end = first
        for target in range(n_targets):
            out[target, row] = total[target]
