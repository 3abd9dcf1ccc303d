"""How benchmarks of the field score the same embeddings: xSIM, MTEB bitext mining, MEXA, XTREME's Tatoeba.

All are read from the neighbours that `survey` found; none needs the similarity matrix again. docs/conventions.md says
why they differ. Like `top1` they give a tie among m candidates 1/m, where the benchmarks take the first index.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprachbund_runners.evaluation.gold import Scoring, checked_groups
from sprachbund_runners.evaluation.margins import Margin, Refused, margin
from sprachbund_runners.evaluation.neighbours import K_MARGIN, Neighbours, gold_copies
from sprachbund_runners.evaluation.similarity import UnitVectors


def xsim_error(
    forward: Neighbours,
    backward: Neighbours,
    queries: UnitVectors,
    candidates: UnitVectors,
    groups: NDArray[np.integer[Any]] | None = None,
    by: Margin = "ratio",
    k: int = K_MARGIN,
) -> NDArray[np.float64] | Refused:
    """float64 [n] in [0, 1]: 1 where the best of the query's k nearest candidates by margin is not its translation.

    LASER's xSIM with k = 4: candidates are limited to the k nearest by cosine, so a translation that is not among
    them is an error whatever its margin. groups: int [n] of the candidates' texts for the equal-text mode, in which
    every candidate of the same text is right (LASER compares lines as they are; our groups come from normalised
    texts). None: only the candidate at the query's own index is.

    Refused if `by` is the ratio and a neighbour mean is not positive. Raises ValueError if groups do not fit.
    """
    scoring = margin(by, forward, backward)
    if isinstance(scoring, Refused):
        return scoring
    taken = forward.taken(k)
    scores = _scores(scoring, forward)
    scores[taken == 0] = -np.inf
    chance = np.where(scores == scores.max(axis=1, keepdims=True), taken, 0).astype(np.float64)
    chance /= chance.sum(axis=1, keepdims=True)
    labels = None if groups is None else checked_groups(groups, candidates.n, "groups")
    return 1.0 - _gold_chance(chance, forward, queries, candidates, labels)


def bitext_items(forward: Neighbours, queries: UnitVectors, candidates: UnitVectors) -> dict[str, NDArray[np.float64]]:
    """float64 [n] each, `precision`, `recall`, `f1`, `accuracy`: their means are MTEB's bitext mining scores.

    Each query predicts its most similar candidate; every candidate is a class with one item, the scores are averaged
    over classes. So with c = how many queries predict an item's translation, a hit gives precision 1/c, recall 1 and
    F1 2/(1 + c): candidates that are predicted often (hubs) are punished. Gold is the own index, also among equal
    texts. Tied candidates share a prediction; where more different vectors tie than neighbours are kept, those kept do.
    """
    chance = np.where(forward.similarity == forward.similarity[:, :1], forward.shared(), 0).astype(np.float64)
    chance /= chance.sum(axis=1, keepdims=True)
    hit = _gold_chance(chance, forward, queries, candidates, None)
    asked = np.bincount(queries.inverse, minlength=len(forward.place)).astype(np.float64)
    listed = forward.place >= 0
    mass = np.zeros(len(candidates.distinct))
    np.add.at(mass, forward.place[listed], (chance * asked[:, None])[listed])
    predicted = (mass / candidates.copies)[candidates.inverse]
    precision = np.divide(hit, predicted, out=np.zeros_like(hit), where=predicted > 0)
    return {"precision": np.minimum(precision, 1.0), "recall": hit, "f1": 2 * hit / (1 + predicted), "accuracy": hit}


def mexa_hits(forward: Neighbours, backward: Neighbours, x: UnitVectors, y: UnitVectors) -> NDArray[np.float64]:
    """float64 [n] of 0 and 1: the item's similarity strictly beats all others in its row and its column.

    MEXA (Kargaran et al. 2025). By index: of two items with the same embedding neither can win. Its pooling
    (token means weighted by position), its pivot (English) and its first 100 sentences are the caller's choice.
    NaN for a single item, which has nothing to beat.
    """
    if x.n < 2:
        return np.full(x.n, np.nan)
    return (_wins(forward, x, y) & _wins(backward, y, x)).astype(np.float64)


def _scores(scoring: Scoring, forward: Neighbours) -> NDArray[np.float64]:
    """float64 [u, k]: the margin of every listed candidate (of the first candidate where none is listed)."""
    rows = np.repeat(np.arange(len(forward.place)), forward.k)
    values = scoring.of(forward.similarity.reshape(-1), rows, np.maximum(forward.place, 0).reshape(-1))
    return values.reshape(forward.place.shape)


def _gold_chance(
    chance: NDArray[np.float64],
    forward: Neighbours,
    queries: UnitVectors,
    candidates: UnitVectors,
    groups: NDArray[np.int64] | None,
) -> NDArray[np.float64]:
    """float64 [n]: chance that the candidate drawn has the group of the query's translation, or is it (None).

    chance: float64 [u, k], of each listed vector; among the candidates that share it all are equally likely.
    """
    gold = gold_copies(forward, queries, candidates, groups)
    shared = np.maximum(forward.shared()[queries.inverse], 1)
    return np.minimum((chance[queries.inverse] * gold / shared).sum(axis=1), 1.0)


def _wins(forward: Neighbours, queries: UnitVectors, candidates: UnitVectors) -> NDArray[np.bool_]:
    """bool [n]: the item's own candidate is strictly nearer than every other."""
    alone = forward.copies[forward.place[:, 0]] == 1
    if forward.k > 1:
        alone &= forward.similarity[:, 0] > forward.similarity[:, 1]
    return np.asarray(alone[queries.inverse] & (forward.place[queries.inverse, 0] == candidates.inverse))
