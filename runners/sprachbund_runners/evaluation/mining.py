"""Bitext mining as BUCC scores it: which pairs would be taken for translations, and F1 above a threshold.

Pairs are the best by ratio margin among the k = 4 nearest, asked from both sides; going down by score, a pair is
taken unless one of its texts is taken already (Artetxe and Schwenk 2019, retrieval `max`). The threshold is tuned
where gold is known (BUCC's train; here the role `select`) and applied elsewhere. A text that occurs several times
counts once on its side.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprachbund_runners.evaluation.gold import Scoring, checked_groups
from sprachbund_runners.evaluation.margins import Margin, Refused, margin
from sprachbund_runners.evaluation.neighbours import K_MARGIN, Neighbours
from sprachbund_runners.evaluation.similarity import UnitVectors


@dataclass(frozen=True, slots=True)
class Mined:
    """Mined pairs by descending score.

    score: float64 [m]. correct: bool [m]. n_gold: translation pairs there are to find.
    """

    score: NDArray[np.float64]
    correct: NDArray[np.bool_]
    n_gold: int


@dataclass(frozen=True, slots=True)
class MiningScores:
    """Precision, recall and F1 of the pairs scoring at least `threshold`."""

    threshold: float
    precision: float
    recall: float
    f1: float


def mine(
    forward: Neighbours,
    backward: Neighbours,
    x: UnitVectors,
    y: UnitVectors,
    groups_x: NDArray[np.integer[Any]] | None = None,
    groups_y: NDArray[np.integer[Any]] | None = None,
    by: Margin = "ratio",
) -> Mined | Refused:
    """The pairs mined from the neighbours of both sides; items i of x and y are translations of each other.

    groups: int [n] per side, equal where texts are. Of equal scores, pairs asked from x come first, by place.
    Refused if `by` is the ratio and a neighbour mean is not positive.
    """
    scoring = margin(by, forward, backward)
    if isinstance(scoring, Refused):
        return scoring
    from sprachbund_runners.evaluation import kernels

    labels_x, texts_x = np.unique(checked_groups(groups_x, x.n, "groups_x"), return_inverse=True)
    labels_y, texts_y = np.unique(checked_groups(groups_y, y.n, "groups_y"), return_inverse=True)
    from_x, score_x = _best(forward, scoring)
    from_y, score_y = _best(backward, scoring.swapped())
    left = texts_x[x.distinct[np.concatenate([np.arange(len(from_x)), from_y])]]
    right = texts_y[y.distinct[np.concatenate([from_x, np.arange(len(from_y))])]]
    score = np.concatenate([score_x, score_y])
    order = np.argsort(-score, kind="stable")
    taken = kernels.take_free(order, left, right, len(labels_x), len(labels_y))
    gold = np.unique(texts_x * len(labels_y) + texts_y)
    correct = np.isin(left[taken] * len(labels_y) + right[taken], gold)
    return Mined(score[taken], correct, len(gold))


def tuned_threshold(mined: Mined) -> float:
    """The threshold with the best F1, halfway to the next lower score; inf if no pair is correct.

    Of equally good ones the highest. Pairs of equal score are taken all or none.
    """
    n = len(mined.score)
    hits = np.cumsum(mined.correct)
    if n == 0 or hits[-1] == 0:
        return float("inf")
    ends = np.flatnonzero(np.append(mined.score[1:] < mined.score[:-1], True))
    f1 = 2 * hits[ends] / (ends + 1 + mined.n_gold)
    best = int(ends[int(np.argmax(f1))])
    if best == n - 1:
        return float(mined.score[best])
    return float((mined.score[best] + mined.score[best + 1]) / 2)


def score_at(mined: Mined, threshold: float) -> MiningScores:
    """Scores of the pairs at or above `threshold`; all 0 where nothing is taken."""
    taken = mined.score >= threshold
    hits = int(mined.correct[taken].sum())
    precision = hits / int(taken.sum()) if hits else 0.0
    recall = hits / mined.n_gold
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    return MiningScores(threshold, precision, recall, f1)


def _best(near: Neighbours, scoring: Scoring) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(int64 [u], float64 [u]): the best of the k nearest by margin, the first of equals, and its score."""
    rows = np.repeat(np.arange(len(near.place)), near.k)
    scores = scoring.of(near.similarity.reshape(-1), rows, np.maximum(near.place, 0).reshape(-1))
    scores = np.where(near.taken(K_MARGIN) > 0, scores.reshape(near.place.shape), -np.inf)
    chosen = scores.argmax(axis=1)
    every = np.arange(len(chosen))
    return near.place[every, chosen], scores[every, chosen]
