"""Cross-lingual retrieval: where an item's translation stands among all candidates, both directions at once.

Definition. Items i = 0…n-1 are translations of each other: row i of X and row i of Y. X → Y asks for each x_i how
y_i ranks by cosine among y_0…y_{n-1}. Gold is every candidate with the same text as y_i (equal group), and the best
ranked of them counts, once. Against the candidates that are not gold,

    greater = # strictly more similar than the gold      ties = # exactly as similar

and the gold stands with equal chance at any of the places greater + 1 … greater + ties + 1. All figures follow from
these two counts: midrank = 1 + greater + ties / 2, top-k credit = the share of those places that are ≤ k (so a tie
among m = ties + 1 for the first place earns 1 / m), and so on.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprachbund_runners.evaluation.similarity import (
    BLOCK_SIZE,
    UnitVectors,
    blocks,
    check_same_width,
    similarity_block,
)

CACHE_BYTES = 256 * 2**20
"""Blocks computed to read gold similarities are kept up to this size, and computed again beyond it."""

Block = tuple[int, int]


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


def retrieve(
    x: UnitVectors,
    y: UnitVectors,
    *,
    groups_x: NDArray[np.integer[Any]] | None = None,
    groups_y: NDArray[np.integer[Any]] | None = None,
    block_size: int = BLOCK_SIZE,
    cache_bytes: int = CACHE_BYTES,
) -> RetrievalPair:
    """Rank every translation in both directions from one similarity matrix, never held whole.

    x, y: [n, d] each, row i of one the translation of row i of the other.
    groups_x, groups_y: int [n] per side, equal where the texts of that side are the same after normalisation
    (None: all differ). Forward gold comes from groups_y, the candidates' texts; backward gold from groups_x.
    block_size: similarities are computed in blocks of block_size²; memory is that plus `cache_bytes`.

    Equal embeddings tie exactly, whatever the block size. Gold and rivals are compared in values of one and the same
    product. Between block sizes, similarities that differ by rounding only may fall either way.

    Raises ModelError if widths or types differ, ValueError if lengths differ, groups are not integers [n], or
    block_size < 1.
    """
    check_same_width(x, y)
    if x.n != y.n:
        raise ValueError(f"retrieval: expected as many items on both sides, found {x.n} and {y.n}")
    forward = _Direction.of(x, y, _checked_groups(groups_y, y.n, "groups_y"))
    backward = _Direction.of(y, x, _checked_groups(groups_x, x.n, "groups_x"))
    matrix = _Matrix(x, y, block_size, cache_bytes)

    gold = _gold_by_block(matrix, forward, backward)
    for block, (forward_pairs, backward_pairs) in gold.items():
        similarity = matrix.block(block)
        rows, columns = matrix.slices(block)
        forward.read(similarity, forward_pairs, rows.start, columns.start)
        backward.read(similarity.T, backward_pairs, columns.start, rows.start)
    forward.settle()
    backward.settle()
    for block, similarity in matrix.all_blocks():
        rows, columns = matrix.slices(block)
        if block in gold:
            forward.write(similarity, gold[block][0], rows.start, columns.start)
            backward.write(similarity.T, gold[block][1], columns.start, rows.start)
        forward.count(similarity, rows, columns, block_size)
        backward.count(similarity.T, columns, rows, block_size)
    return RetrievalPair(forward.outcome(), backward.outcome())


@dataclass(slots=True)
class _Direction:
    """The gold pairs of one direction and the counts gathered so far. Rows are queries, columns candidates."""

    queries: UnitVectors
    candidates: UnitVectors
    group_sizes: NDArray[np.int64]
    query: NDArray[np.int64]  # item of each gold pair, ascending
    row: NDArray[np.int64]  # distinct query vector of each gold pair
    column: NDArray[np.int64]  # distinct candidate vector of each gold pair
    score: NDArray[Any]
    weights: NDArray[np.float64] | None  # how many candidates share each distinct vector; None: one each
    items: NDArray[np.int64]  # query items in order of their distinct vector
    item_rows: NDArray[np.int64]
    best: NDArray[Any] = field(init=False)
    gold_at_best: NDArray[np.int64] = field(init=False)
    greater: NDArray[np.int64] = field(init=False)
    equal: NDArray[np.int64] = field(init=False)

    @classmethod
    def of(cls, queries: UnitVectors, candidates: UnitVectors, groups: NDArray[np.int64]) -> "_Direction":
        query, candidate, sizes = _gold_pairs(groups)
        items = np.argsort(queries.inverse, kind="stable")
        weights = None
        if not candidates.all_distinct:
            weights = np.bincount(candidates.inverse, minlength=len(candidates.distinct)).astype(np.float64)
        return cls(
            queries=queries,
            candidates=candidates,
            group_sizes=sizes,
            query=query,
            row=queries.inverse[query],
            column=candidates.inverse[candidate],
            score=np.empty(len(query), queries.rows.dtype),
            weights=weights,
            items=items,
            item_rows=queries.inverse[items],
        )

    def read(self, similarity: NDArray[Any], pairs: NDArray[np.int64], row: int, column: int) -> None:
        self.score[pairs] = similarity[self.row[pairs] - row, self.column[pairs] - column]

    def write(self, similarity: NDArray[Any], pairs: NDArray[np.int64], row: int, column: int) -> None:
        """Put the gold similarities back: a block computed again then holds the very values compared with."""
        similarity[self.row[pairs] - row, self.column[pairs] - column] = self.score[pairs]

    def settle(self) -> None:
        """All gold similarities are read: choose the best of each item."""
        n = self.queries.n
        starts = np.searchsorted(self.query, np.arange(n))
        self.best = np.maximum.reduceat(self.score, starts)
        self.gold_at_best = np.add.reduceat((self.score == self.best[self.query]).astype(np.int64), starts)
        self.greater = np.zeros(n, np.int64)
        self.equal = np.zeros(n, np.int64)

    def count(self, similarity: NDArray[Any], rows: slice, columns: slice, size: int) -> None:
        weights = None if self.weights is None else self.weights[columns]
        if self.queries.all_distinct:
            self._add(rows, similarity, weights)
            return
        start, stop = np.searchsorted(self.item_rows, [rows.start, rows.stop])
        for part in range(start, stop, size):  # a vector shared by many items must not blow the block up
            chosen = slice(part, min(part + size, stop))
            self._add(self.items[chosen], similarity[self.item_rows[chosen] - rows.start], weights)

    def _add(
        self, items: slice | NDArray[np.int64], similarity: NDArray[Any], weights: NDArray[np.float64] | None
    ) -> None:
        best = self.best[items][:, None]
        # No gold candidate exceeds the best gold, so `greater` needs no mask; `equal` is corrected in outcome().
        self.greater[items] += _row_counts(similarity > best, weights)
        self.equal[items] += _row_counts(similarity == best, weights)

    def outcome(self) -> RetrievalOutcome:
        return RetrievalOutcome(
            greater=self.greater.astype(np.int32),
            ties=(self.equal - self.gold_at_best).astype(np.int32),
            n_candidates=(self.candidates.n - self.group_sizes + 1).astype(np.int32),
        )


@dataclass(slots=True)
class _Matrix:
    """The similarity matrix of distinct vectors, block by block, the first ones remembered."""

    x: UnitVectors
    y: UnitVectors
    size: int
    cache_bytes: int
    row_blocks: list[slice] = field(init=False)
    column_blocks: list[slice] = field(init=False)
    cache: dict[Block, NDArray[Any]] = field(init=False)

    def __post_init__(self) -> None:
        self.row_blocks = blocks(len(self.x.distinct), self.size)
        self.column_blocks = blocks(len(self.y.distinct), self.size)
        self.cache = {}

    def slices(self, block: Block) -> tuple[slice, slice]:
        return self.row_blocks[block[0]], self.column_blocks[block[1]]

    def block(self, block: Block) -> NDArray[Any]:
        similarity = similarity_block(self.x, self.y, *self.slices(block))
        if similarity.nbytes <= self.cache_bytes:
            self.cache_bytes -= similarity.nbytes
            self.cache[block] = similarity
        return similarity

    def all_blocks(self) -> Iterator[tuple[Block, NDArray[Any]]]:
        for row in range(len(self.row_blocks)):
            for column in range(len(self.column_blocks)):
                kept = self.cache.pop((row, column), None)
                if kept is None:
                    kept = similarity_block(self.x, self.y, *self.slices((row, column)))
                yield (row, column), kept


def _gold_by_block(
    matrix: _Matrix, forward: _Direction, backward: _Direction
) -> dict[Block, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The gold pairs (forward, backward) that lie in each block that has any."""
    size, across = matrix.size, len(matrix.column_blocks)
    ids = (
        forward.row // size * across + forward.column // size,
        backward.column // size * across + backward.row // size,
    )
    used = np.unique(np.concatenate(ids))
    parts = []
    for each in ids:
        order = np.argsort(each, kind="stable")
        parts.append(np.split(order, np.searchsorted(each[order], used[1:])))
    places = [(int(block) // across, int(block) % across) for block in used]
    return dict(zip(places, zip(*parts, strict=True), strict=True))


def _gold_pairs(
    groups: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """(query, candidate) of every gold pair with queries ascending, and each item's group size."""
    _, inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)
    members = np.argsort(inverse, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    sizes = counts[inverse]
    query = np.repeat(np.arange(len(groups)), sizes)
    within = np.arange(len(query)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return query, members[starts[inverse[query]] + within], sizes


def _row_counts(mask: NDArray[np.bool_], weights: NDArray[np.float64] | None) -> NDArray[np.int64]:
    if weights is None:
        return np.count_nonzero(mask, axis=1)
    return np.rint(mask.astype(np.float64) @ weights).astype(np.int64)


def _checked_groups(groups: NDArray[np.integer[Any]] | None, n: int, name: str) -> NDArray[np.int64]:
    if groups is None:
        return np.arange(n)
    array = np.asarray(groups)
    if array.shape != (n,) or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name}: expected integers of shape [{n}], found {array.dtype} {list(array.shape)}")
    return array.astype(np.int64)
