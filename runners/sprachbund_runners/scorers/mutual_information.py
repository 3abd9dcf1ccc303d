"""Mutual information between a unit's binned response and the label (target or negative), in nats.

The plug-in estimate Σ p(b, y) log(p(b, y) / (p(b) p(y))) over 16 bins of equal frequency: a response with midrank r
among the n sentences of the target and its negatives lies in bin ⌊16 (r − ½) / n⌋. Equal responses have equal midranks,
so that ties stay together (and leave bins empty) whatever the order of the sentences. The plug-in estimate is biased
upwards by about (bins − 1) / 2n (Miller 1955), by the same for all units without ties, so that it ranks them fairly; it
is not comparable across numbers of sentences. It has no sign: a unit that falls silent for the target scores as high as
one that fires.
"""

import numba
import numpy as np
from numpy.typing import NDArray

from sprachbund_runners.scorers.ranking import RankedResponses

BINS = 16


def mutual_information(ranked: RankedResponses) -> NDArray[np.float64]:
    """Mutual information of each target against its negatives: float64 [targets, units], in [0, log 2]."""
    layout = ranked.layout
    out = np.zeros((layout.positive.size, ranked.keys.shape[0]))
    total = layout.n_positive + layout.n_negative
    _inform(ranked.keys, layout.positive, layout.negative.astype(np.int64), total, layout.n_positive, BINS, out)
    return out


@numba.njit(cache=True, nogil=True)
def _inform(keys, positive, negative, total, n_positive, n_bins, out):  # type: ignore[no-untyped-def]
    """Fill `out` [targets, units]; `negative` int64 [targets, languages] is 1 where the language is one."""
    n_targets, n_languages = negative.shape
    language_bits = np.uint64(0xFFFFFFFF)
    run = np.zeros(n_languages, dtype=np.int64)
    seen = np.empty(n_targets, dtype=np.int64)
    table = np.empty((n_targets, n_bins, 2), dtype=np.int64)
    for row in range(keys.shape[0]):
        seen[:] = 0
        table[:] = 0
        first = 0
        while first < keys.shape[1]:
            key = keys[row, first]
            end = first
            while end < keys.shape[1] and key ^ keys[row, end] <= language_bits:  # the same response
                run[keys[row, end] & language_bits] += 1
                end += 1
            for target in range(n_targets):
                hits = run[positive[target]]
                misses = np.int64(0)
                for language in range(n_languages):
                    misses += run[language] * negative[target, language]
                if hits + misses > 0:
                    # The run's midrank less one half is seen + (hits + misses) / 2.
                    place = (2 * seen[target] + hits + misses) * n_bins // (2 * total[target])
                    table[target, place, 0] += hits
                    table[target, place, 1] += misses
                    seen[target] += hits + misses
            run[:] = 0
            first = end
        for target in range(n_targets):
            n = np.float64(total[target])
            information = 0.0
            for place in range(n_bins):
                here = table[target, place, 0] + table[target, place, 1]
                for label in range(2):
                    count = table[target, place, label]
                    if count > 0:
                        of_label = n_positive[target] if label == 0 else total[target] - n_positive[target]
                        information += count * np.log(count * n / (np.float64(here) * of_label))
            out[target, row] = max(information / n, 0.0)
