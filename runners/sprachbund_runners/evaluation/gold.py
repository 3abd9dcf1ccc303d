"""Gold pairs of one direction, and how many candidates beat them under a scoring of similarities.

A scoring is cosine, or a margin: cosine against the mean cosines of both sides' neighbourhoods (`margins`). It is
computed in float64 by one and the same expression for gold and rivals, so that ties of equal embeddings are exact.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprachbund_runners.evaluation.similarity import SimilarityMatrix, UnitVectors

Block = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Scoring:
    """score = cos - (x + y) / 2, or with `ratio` cos / ((x + y) / 2), for neighbour means x and y.

    x: float64 [distinct vectors of x]; y: float64 [distinct vectors of y]. plain: both are 0.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    ratio: bool = False
    plain: bool = False

    @classmethod
    def cosine(cls, x: UnitVectors, y: UnitVectors) -> "Scoring":
        return cls(np.zeros(len(x.distinct)), np.zeros(len(y.distinct)), plain=True)

    def swapped(self) -> "Scoring":
        """The same with the sides exchanged."""
        return Scoring(self.y, self.x, self.ratio, self.plain)

    def of(self, similarity: NDArray[Any], rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.float64]:
        """float64: the scores of similarities between `rows` of x and `columns` of y."""
        mean = (self.x[rows] + self.y[columns]) / 2
        return similarity.astype(np.float64) / mean if self.ratio else similarity.astype(np.float64) - mean


@dataclass(slots=True)
class Gold:
    """The gold pairs of one direction: queries ask, candidates of the same text as the item's translation are gold.

    query: int64 [pairs], item of each pair, ascending. row, column: int64 [pairs], its distinct query and candidate
    vector. similarity: [pairs], read from the matrix. group_sizes: int64 [n], gold candidates of each item.
    """

    queries: UnitVectors
    candidates: UnitVectors
    group_sizes: NDArray[np.int64]
    query: NDArray[np.int64]
    row: NDArray[np.int64]
    column: NDArray[np.int64]
    similarity: NDArray[Any]
    # Items in order of their distinct vector: a block of rows is then a slice of them.
    items: NDArray[np.int64]
    item_rows: NDArray[np.int64]

    @classmethod
    def of(cls, queries: UnitVectors, candidates: UnitVectors, groups: NDArray[np.int64]) -> "Gold":
        query, candidate, sizes = _pairs(groups)
        items = np.argsort(queries.inverse, kind="stable")
        return cls(
            queries=queries,
            candidates=candidates,
            group_sizes=sizes,
            query=query,
            row=queries.inverse[query],
            column=candidates.inverse[candidate],
            similarity=np.empty(len(query), queries.rows.dtype),
            items=items,
            item_rows=queries.inverse[items],
        )

    def read(self, similarity: NDArray[Any], pairs: NDArray[np.int64], row: int, column: int) -> None:
        self.similarity[pairs] = similarity[self.row[pairs] - row, self.column[pairs] - column]

    def write(self, similarity: NDArray[Any], pairs: NDArray[np.int64], row: int, column: int) -> None:
        """Put the gold similarities back: a block computed again then holds the very values compared with."""
        similarity[self.row[pairs] - row, self.column[pairs] - column] = self.similarity[pairs]


def gold_by_block(
    matrix: SimilarityMatrix, forward: Gold, backward: Gold
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


@dataclass(slots=True)
class Counts:
    """Candidates above, and as good as, the best gold of every item under one scoring, gathered block by block.

    across: the gold's queries are the columns of the blocks, not their rows.
    """

    gold: Gold
    scoring: Scoring
    across: bool
    best: NDArray[np.float64] = field(init=False)
    gold_at_best: NDArray[np.int64] = field(init=False)
    greater: NDArray[np.int64] = field(init=False)
    equal: NDArray[np.int64] = field(init=False)
    weights: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        gold, n = self.gold, self.gold.queries.n
        own = self.scoring.swapped() if self.across else self.scoring
        score = own.of(gold.similarity, gold.row, gold.column)
        starts = np.searchsorted(gold.query, np.arange(n))
        self.best = np.maximum.reduceat(score, starts)
        self.gold_at_best = np.add.reduceat((score == self.best[gold.query]).astype(np.int64), starts)
        self.greater, self.equal = np.zeros(n, np.int64), np.zeros(n, np.int64)
        self.weights = gold.candidates.copies

    def add(self, similarity: NDArray[Any], rows: slice, columns: slice) -> None:
        from sprachbund_runners.evaluation import kernels

        asking, answering = (columns, rows) if self.across else (rows, columns)
        items, places = _asking(self.gold, asking)
        count = kernels.count_across if self.across else kernels.count_along
        count(
            similarity, items, places,
            self.scoring.x[rows], self.scoring.y[columns], self.scoring.ratio, self.weights[answering],
            self.best, self.greater, self.equal,
        )  # fmt: skip

    def counts(self) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
        """(greater, ties, candidates that compete), int32 [n] each.

        No gold candidate is above the best gold, so `greater` needs no correction; those as good are taken off.
        """
        pool = self.gold.candidates.n - self.gold.group_sizes + 1
        ties = self.equal - self.gold_at_best
        return self.greater.astype(np.int32), ties.astype(np.int32), pool.astype(np.int32)


@dataclass(frozen=True, slots=True)
class Expanded:
    """A block with one row and one column for every item, though several items may share a vector.

    rows, columns: int64, the items that ask, in order of their vectors; their places in the block.
    """

    similarity: NDArray[Any]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    row_places: NDArray[np.int64]
    column_places: NDArray[np.int64]

    @classmethod
    def of(
        cls, similarity: NDArray[Any], forward: Gold, backward: Gold, rows: slice, columns: slice
    ) -> "Expanded | None":
        """None where many copies of a vector would make it much larger than the block."""
        (row_items, row_places), (column_items, column_places) = (
            _asking(gold, side) for gold, side in ((forward, rows), (backward, columns))
        )
        if len(row_items) * len(column_items) > 2 * similarity.size:
            return None
        if (len(row_items), len(column_items)) != similarity.shape:
            similarity = similarity[row_places[:, None], column_places]
        return cls(similarity, row_items, column_items, row_places, column_places)


def add_both(one: Counts, other: Counts, block: Expanded, rows: slice, columns: slice) -> None:
    """`Counts.add` of both directions of one scoring from one reading of the block. other: across."""
    from sprachbund_runners.evaluation import kernels

    similarity, scoring = block.similarity, one.scoring
    limits = one.best[block.rows], other.best[block.columns]
    if scoring.plain:
        # Best gold scores are similarities then: nothing is lost in their type.
        found = kernels.compare_both(similarity, *(each.astype(similarity.dtype) for each in limits))
    else:
        means = scoring.x[rows][block.row_places], scoring.y[columns][block.column_places]
        found = kernels.count_both(similarity, *means, scoring.ratio, *limits)
    one.greater[block.rows] += found[0]
    one.equal[block.rows] += found[1]
    other.greater[block.columns] += found[2]
    other.equal[block.columns] += found[3]


def _asking(gold: Gold, side: slice) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The items whose query vectors are those of a block's side, and their places in it."""
    start, stop = np.searchsorted(gold.item_rows, [side.start, side.stop])
    return gold.items[start:stop], gold.item_rows[start:stop] - side.start


def _pairs(groups: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """(query, candidate) of every gold pair with queries ascending, and each item's group size."""
    _, inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)
    members = np.argsort(inverse, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    sizes = counts[inverse]
    query = np.repeat(np.arange(len(groups)), sizes)
    within = np.arange(len(query)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return query, members[starts[inverse[query]] + within], sizes


def checked_groups(groups: NDArray[np.integer[Any]] | None, n: int, name: str) -> NDArray[np.int64]:
    """`groups` as int64 [n], or all different if None; ValueError otherwise."""
    if groups is None:
        return np.arange(n)
    array = np.asarray(groups)
    if array.shape != (n,) or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name}: expected integers of shape [{n}], found {array.dtype} {list(array.shape)}")
    return array.astype(np.int64)
