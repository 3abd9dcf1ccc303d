"""Area under the ROC curve: the chance that a sentence of the target excites a unit more than one of the negatives.

AUROC = U / (n₊ n₋), with U the Mann–Whitney statistic: pairs in which the positive's response is greater, plus half of
the equal ones (Hanley & McNeil 1982). Counted in integers and divided once: exact with ties, whatever the order of
the sentences. A unit that says nothing has .5. Units below .5 are anti-experts (they fall silent for the target); they
keep their score, so that a ranking by descending score puts them last. They are never mirrored to 1 - AUROC.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfc

from sprachbund_runners.scorers.ranking import RankedResponses


def auroc(ranked: RankedResponses) -> NDArray[np.float64]:
    """AUROC of each target against all its negatives together: float64 [targets, units], in [0, 1]."""
    return _doubled_u(ranked) / (2 * _n_pairs(ranked))[:, None]


def minimum_auroc(ranked: RankedResponses) -> NDArray[np.float64]:
    """The least of the target's AUROCs against each negative language apart: float64 [targets, units].

    It shows the unit that tells Spanish from Japanese and not from Portuguese.
    """
    layout = ranked.layout
    pairs = 2 * layout.n_positive[:, None] * layout.counts[None, :]  # [targets, languages]
    each = np.where(layout.negative, ranked.pairs.wins / pairs, np.inf)  # [units, targets, languages]
    return np.ascontiguousarray(each.min(axis=2).T)


def mann_whitney_p(ranked: RankedResponses) -> NDArray[np.float64]:
    """Two-sided p of the Mann–Whitney test for each target and unit: float64 [targets, units], in [0, 1].

    Normal approximation with tie and continuity correction (Lehmann 1975; scipy's `method="asymptotic"`): for tens
    of sentences and more on each side. A constant unit has p = 1; beyond about 38 standard errors p is 0.
    """
    layout = ranked.layout
    n = (layout.n_positive + layout.n_negative).astype(np.float64)[:, None]
    pairs = _n_pairs(ranked).astype(np.float64)[:, None]
    spread = np.sqrt(pairs / 12 * ((n + 1) - ranked.pairs.ties.T / (n * (n - 1))))
    # |U - mean| - 1/2, from doubled integers
    excess = np.abs(_doubled_u(ranked) - _n_pairs(ranked)[:, None]) / 2 - 0.5
    p = np.ones_like(spread)
    apart = (excess > 0) & (spread > 0)
    p[apart] = erfc(excess[apart] / spread[apart] / math.sqrt(2))  # P(|Z| > excess / spread)
    return p


def _n_pairs(ranked: RankedResponses) -> NDArray[np.int64]:
    return ranked.layout.n_positive * ranked.layout.n_negative


def _doubled_u(ranked: RankedResponses) -> NDArray[np.int64]:
    """int64 [targets, units]."""
    return np.where(ranked.layout.negative, ranked.pairs.wins, 0).sum(axis=2).T
