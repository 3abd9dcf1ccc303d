"""Cross-lingual retrieval: where an item's translation stands among all candidates, both directions at once.

Definition. Items i = 0…n-1 are translations of each other: row i of X and row i of Y. X → Y asks for each x_i how
y_i ranks by cosine among y_0…y_{n-1}. Gold is every candidate with the same text as y_i (equal group), and the best
ranked of them counts, once. Against the candidates that are not gold,

    greater = # strictly more similar than the gold      ties = # exactly as similar

and the gold stands with equal chance at any of the places greater + 1 … greater + ties + 1. All figures follow from
these two counts: midrank = 1 + greater + ties / 2, top-k credit = the share of those places that are ≤ k (so a tie
among m = ties + 1 for the first place earns 1 / m), and so on.

`survey` reads more from the same matrix: the nearest neighbours of both sides, and ranks by margin scores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprachbund_runners.evaluation.gold import Counts, Expanded, Gold, Scoring, add_both, checked_groups, gold_by_block
from sprachbund_runners.evaluation.margins import Margin, Refused, margin
from sprachbund_runners.evaluation.neighbours import K_CSLS, Collector, Neighbours
from sprachbund_runners.evaluation.similarity import BLOCK_SIZE, SimilarityMatrix, UnitVectors, check_same_width

CACHE_BYTES = 256 * 2**20
"""Blocks of the first pass over the matrix are kept up to this size, and computed again beyond it."""


@dataclass(frozen=True, slots=True)
class RetrievalOutcome:
    """One direction, per query item: all that ranks, top-k, MRR and meaning ABX need.

    greater: int32 [n], candidates more similar than the gold.
    ties: int32 [n], candidates, not gold, exactly as similar as the gold.
    n_candidates: int32 [n], candidates that compete: those that are not gold, and the gold once.
    """

    greater: NDArray[np.int32]
    ties: NDArray[np.int32]
    n_candidates: NDArray[np.int32]

    @property
    def midrank(self) -> NDArray[np.float64]:
        """float64 [n], from 1 (best): the mean of the places the gold may stand at."""
        return 1.0 + self.greater + 0.5 * self.ties


@dataclass(frozen=True, slots=True)
class RetrievalPair:
    """Both directions of one pair of sides: forward asks with X for Y, backward with Y for X."""

    forward: RetrievalOutcome
    backward: RetrievalOutcome


def top_k_credit(outcome: RetrievalOutcome, k: int) -> NDArray[np.float64]:
    """float64 [n] in [0, 1]: chance that the gold is among the first k if ties are broken by lot.

    Raises ValueError if k < 1.
    """
    if k < 1:
        raise ValueError(f"k: expected at least 1, found {k}")
    places = outcome.ties.astype(np.int64) + 1
    return np.clip(k - outcome.greater.astype(np.int64), 0, places) / places


def reciprocal_rank(outcome: RetrievalOutcome) -> NDArray[np.float64]:
    """float64 [n] in (0, 1]: 1 / rank, in expectation over ties broken by lot (not 1 / midrank)."""
    greater = outcome.greater.astype(np.int64)
    last = greater + outcome.ties
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, last.max(initial=0) + 2))])
    tied = (harmonic[last + 1] - harmonic[greater]) / (outcome.ties + 1)
    return np.where(outcome.ties == 0, 1.0 / (greater + 1), tied)


def meaning_abx(outcome: RetrievalOutcome) -> NDArray[np.float64]:
    """float64 [n] in [0, 1]: share of candidates b with d(x, gold) < d(x, b), ties counting one half.

    1 - (midrank - 1) / (N - 1): the minimal-pair meaning ABX of an item, .5 by chance. NaN where the gold has no
    rival (N = 1): there is nothing to tell it from.
    """
    rivals = outcome.n_candidates.astype(np.float64) - 1.0
    with np.errstate(invalid="ignore"):
        return np.where(rivals > 0, 1.0 - (outcome.midrank - 1.0) / np.where(rivals > 0, rivals, 1.0), np.nan)


@dataclass(frozen=True, slots=True)
class Survey:
    """All that is read from the similarity matrix of one pair of sides.

    cosine: ranks by cosine. forward, backward: neighbours of x among y, and of y among x.
    margins: ranks by each margin score, or why there are none.
    """

    cosine: RetrievalPair
    forward: Neighbours
    backward: Neighbours
    margins: Mapping[Margin, RetrievalPair | Refused]


def survey(
    x: UnitVectors,
    y: UnitVectors,
    *,
    groups_x: NDArray[np.integer[Any]] | None = None,
    groups_y: NDArray[np.integer[Any]] | None = None,
    margins: Sequence[Margin] = ("distance", "ratio", "csls"),
    block_size: int = BLOCK_SIZE,
    cache_bytes: int = CACHE_BYTES,
) -> Survey:
    """Rank every translation in both directions, with neighbours, from one similarity matrix, never held whole.

    x, y: [n, d] each, row i of one the translation of row i of the other.
    groups_x, groups_y: int [n] per side, equal where the texts of that side are the same after normalisation
    (None: all differ). Forward gold comes from groups_y, the candidates' texts; backward gold from groups_x.
    block_size: similarities are computed in blocks of block_size²; memory is that plus `cache_bytes`.
    The margins need all neighbours first, so there are two passes over the matrix; the second computes nothing anew
    as far as `cache_bytes` reaches.

    Equal embeddings tie exactly, whatever the block size. Gold and rivals are compared in values of one and the same
    product. Between block sizes, similarities that differ by rounding only may fall either way.

    Raises ModelError if widths or types differ, ValueError if lengths differ, groups are not integers [n], or
    block_size < 1.
    """
    matrix, forward, backward = _start(x, y, groups_x, groups_y, block_size, cache_bytes)
    places = gold_by_block(matrix, forward, backward)
    near = Collector.of(x, y, K_CSLS)
    for block, similarity in matrix.all_blocks():
        near.add(similarity, *matrix.slices(block))
        if block in places:
            _read_gold(matrix, block, places, forward, backward, similarity)
    x_near, y_near = near.forward(), near.backward()
    found: dict[Margin, Scoring | Refused] = {name: margin(name, x_near, y_near) for name in margins}
    scorings = {name: each for name, each in found.items() if isinstance(each, Scoring)}
    ranked = _rank(matrix, forward, backward, places, [Scoring.cosine(x, y), *scorings.values()])
    by_name: dict[Margin, RetrievalPair | Refused] = {
        name: each for name, each in found.items() if isinstance(each, Refused)
    }
    by_name |= dict(zip(scorings, ranked[1:], strict=True))
    return Survey(ranked[0], x_near, y_near, by_name)


def _start(
    x: UnitVectors,
    y: UnitVectors,
    groups_x: NDArray[np.integer[Any]] | None,
    groups_y: NDArray[np.integer[Any]] | None,
    block_size: int,
    cache_bytes: int,
) -> tuple[SimilarityMatrix, Gold, Gold]:
    check_same_width(x, y)
    if x.n != y.n:
        raise ValueError(f"retrieval: expected as many items on both sides, found {x.n} and {y.n}")
    forward = Gold.of(x, y, checked_groups(groups_y, y.n, "groups_y"))
    backward = Gold.of(y, x, checked_groups(groups_x, x.n, "groups_x"))
    return SimilarityMatrix(x, y, block_size, cache_bytes), forward, backward


_Places = Mapping[tuple[int, int], tuple[NDArray[np.int64], NDArray[np.int64]]]


def _read_gold(
    matrix: SimilarityMatrix,
    block: tuple[int, int],
    places: _Places,
    forward: Gold,
    backward: Gold,
    similarity: NDArray[Any],
) -> None:
    rows, columns = matrix.slices(block)
    forward.read(similarity, places[block][0], rows.start, columns.start)
    backward.read(similarity.T, places[block][1], columns.start, rows.start)


def _rank(
    matrix: SimilarityMatrix, forward: Gold, backward: Gold, places: _Places, scorings: Sequence[Scoring]
) -> list[RetrievalPair]:
    """One pass over the matrix for all scorings and both directions."""
    counts = [(Counts(forward, each, across=False), Counts(backward, each, across=True)) for each in scorings]
    for block, similarity in matrix.all_blocks():
        rows, columns = matrix.slices(block)
        if block in places:
            forward.write(similarity, places[block][0], rows.start, columns.start)
            backward.write(similarity.T, places[block][1], columns.start, rows.start)
        expanded = Expanded.of(similarity, forward, backward, rows, columns)
        for one, other in counts:
            if expanded is not None:
                add_both(one, other, expanded, rows, columns)
                continue
            one.add(similarity, rows, columns)
            other.add(similarity, rows, columns)
    return [RetrievalPair(RetrievalOutcome(*one.counts()), RetrievalOutcome(*other.counts())) for one, other in counts]
