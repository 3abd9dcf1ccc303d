"""Cosine similarity between two sets of embeddings, a block at a time.

Two facts shape this module. A matrix product may give two bitwise equal rows similarities that differ in the
last bit, because their places in the matrix meet different kernels; so equal rows are found first and multiplied
once, and a tie of equal embeddings is exact whatever the block size. And the N x N matrix is never held: whoever
needs more than a block asks for the next one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprachbund.embeddings.checked import checked_embeddings
from sprachbund.errors import ModelError

BLOCK_SIZE = 1024
"""Rows and columns of one block: 4 MiB in float32, near the peak of a matrix product, small beside a snapshot."""

COARSE = 1e-5
"""A cosine distance below which float32 is too coarse: its rounding, some 6e-8, is then a hundredth of it and more."""

_CHUNK_BYTES = 1 << 20  # of scratch while float64 rows are scaled: stays in a core's cache


@dataclass(frozen=True, slots=True)
class UnitVectors:
    """Embeddings scaled to length one, and which of them are the same.

    rows: [n, d] float32 (float64 if the embeddings were), C order.
    distinct: int64 [u], the row where each distinct vector is first seen, ascending.
    inverse: int64 [n], for each row the place in `distinct` of its vector.
    """

    rows: NDArray[Any]
    distinct: NDArray[np.int64]
    inverse: NDArray[np.int64]

    @property
    def n(self) -> int:
        return int(self.rows.shape[0])

    @property
    def width(self) -> int:
        return int(self.rows.shape[1])

    @property
    def all_distinct(self) -> bool:
        return len(self.distinct) == self.n

    @property
    def copies(self) -> NDArray[np.int64]:
        """int64 [u]: how many rows share each distinct vector."""
        return np.bincount(self.inverse, minlength=len(self.distinct)).astype(np.int64)

    @property
    def crowded(self) -> bool:
        """Whether the mean distance of the rows to their mean direction is below `COARSE`: all are nearly the same."""
        return 1.0 - float(np.linalg.norm(self.rows.sum(axis=0, dtype=np.float64))) / self.n < COARSE

    def resolved(self) -> "UnitVectors":
        """The same for similarities among the rows themselves: in float64 where they are crowded."""
        return self.widened() if self.crowded else self

    def widened(self) -> "UnitVectors":
        """The same in float64, scaled to length one anew.

        Rounded to float32 a row has a length that is off by some 3e-8, which is a cosine's error; that its direction is
        as much off changes the cosine of neighbours at distance d by √d of it.
        """
        if self.rows.dtype == np.float64:
            return self
        return UnitVectors(_scale_wide(self.rows.astype(np.float64), "embeddings")[0], self.distinct, self.inverse)

    def distinct_rows(self, start: int, stop: int) -> NDArray[Any]:
        """[stop - start, d]: the distinct vectors from `start` up to `stop`."""
        if self.all_distinct:
            return self.rows[start:stop]
        return self.rows[self.distinct[start:stop]]


@dataclass(frozen=True, slots=True)
class Scaled:
    """Unit vectors, and what scaling them told of the embeddings: lengths, float64 [n], and their mean, float64 [d]."""

    unit: UnitVectors
    lengths: NDArray[np.float64]
    mean: NDArray[np.float64]


def unit_vectors(embeddings: NDArray[Any], name: str = "embeddings") -> UnitVectors:
    """Scale every row of `embeddings` [n, d] to length one and find the equal rows.

    Lengths are taken in float64. float16 and float32 come back as float32, float64 stays.
    `name` says in an error whose embeddings these are (setting, language, layer).

    Raises ModelError naming the row if one holds NaN or infinity, or is zero (it has no direction).
    """
    return scaled(embeddings, name).unit


def scaled(embeddings: NDArray[Any], name: str = "embeddings") -> Scaled:
    """`unit_vectors` with lengths and mean, from the same reading; raises the same."""
    array = checked_embeddings(embeddings, name)
    return _scaled_wide(array, name) if array.dtype == np.float64 else _scaled(array, name)


def _scaled(array: NDArray[np.float32], name: str) -> Scaled:
    from sprachbund_runners.evaluation import kernels

    n, width = array.shape
    rows, lengths, prints, total = np.empty_like(array), np.empty(n), np.empty(n, np.uint32), np.zeros(width)
    kernels.scale_rows(array, rows, rows.view(np.uint32), lengths, prints, total)
    # Squares of float32 neither overflow nor vanish in float64.
    _refuse(~np.isfinite(lengths), lengths == 0.0, 0, name)
    return Scaled(UnitVectors(rows, *_equal_rows(rows, prints)), lengths, total / n)


def _scaled_wide(array: NDArray[np.float64], name: str) -> Scaled:
    rows, lengths = _scale_wide(array, name)
    prints = np.add.reduce(rows.view(np.uint64), axis=1, dtype=np.uint64)
    return Scaled(UnitVectors(rows, *_equal_rows(rows, prints)), lengths, array.mean(axis=0))


def _scale_wide(array: NDArray[np.float64], name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(rows of length one, lengths)."""
    rows, lengths = np.empty_like(array), np.empty(len(array))
    step = max(1, _CHUNK_BYTES // (8 * array.shape[1]))
    for start in range(0, len(array), step):
        chunk = array[start : start + step]
        # Scaling by the largest coordinate keeps squares of very large or very small numbers in range.
        peaks = np.abs(chunk).max(axis=1)
        _refuse(~np.isfinite(peaks), peaks == 0.0, start, name)
        chunk = chunk / peaks[:, None]
        # A plain reduction, row by row: equal rows get equal lengths, which a threaded product need not give.
        own = np.sqrt(np.add.reduce(np.square(chunk), axis=1))
        rows[start : start + step] = chunk / own[:, None]
        lengths[start : start + step] = peaks * own
    rows += 0.0  # -0.0 becomes 0.0, so that equal vectors are equal bit for bit
    return rows, lengths


def check_same_width(x: UnitVectors, y: UnitVectors) -> None:
    """Raise ModelError unless both sides have the same width and floating type."""
    if x.width != y.width:
        raise ModelError(f"embeddings of width {x.width} and {y.width} cannot be compared")
    if x.rows.dtype != y.rows.dtype:
        raise ModelError(f"embeddings of type {x.rows.dtype} and {y.rows.dtype} cannot be compared")


def similarity_block(x: UnitVectors, y: UnitVectors, rows: slice, columns: slice) -> NDArray[Any]:
    """Cosine similarity of distinct vectors `rows` of x with distinct vectors `columns` of y, one product."""
    return x.distinct_rows(rows.start, rows.stop) @ y.distinct_rows(columns.start, columns.stop).T


def blocks(n: int, size: int) -> list[slice]:
    """`range(n)` cut into slices of `size`, the last one shorter. Raises ValueError if size < 1."""
    if size < 1:
        raise ValueError(f"block size: expected at least 1, found {size}")
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


@dataclass(slots=True)
class SimilarityMatrix:
    """The similarity matrix of distinct vectors, block by block and row by row; the first blocks are remembered.

    Pass after pass may be made over it: beyond `cache_bytes` blocks are computed anew.
    """

    x: UnitVectors
    y: UnitVectors
    size: int
    cache_bytes: int
    row_blocks: list[slice] = field(init=False)
    column_blocks: list[slice] = field(init=False)
    cache: dict[tuple[int, int], NDArray[Any]] = field(init=False)

    def __post_init__(self) -> None:
        self.row_blocks = blocks(len(self.x.distinct), self.size)
        self.column_blocks = blocks(len(self.y.distinct), self.size)
        self.cache = {}

    def slices(self, block: tuple[int, int]) -> tuple[slice, slice]:
        return self.row_blocks[block[0]], self.column_blocks[block[1]]

    def block(self, block: tuple[int, int]) -> NDArray[Any]:
        if block in self.cache:
            return self.cache[block]
        similarity = similarity_block(self.x, self.y, *self.slices(block))
        if similarity.nbytes <= self.cache_bytes:
            self.cache_bytes -= similarity.nbytes
            self.cache[block] = similarity
        return similarity

    def all_blocks(self) -> Iterator[tuple[tuple[int, int], NDArray[Any]]]:
        """Every block: row by row, columns ascending."""
        for row in range(len(self.row_blocks)):
            for column in range(len(self.column_blocks)):
                yield (row, column), self.block((row, column))


def _refuse(endless: NDArray[np.bool_], zero: NDArray[np.bool_], start: int, name: str) -> None:
    for bad, problem in (
        (endless, "holds NaN or infinity"),
        (zero, "is zero: a zero vector has no direction, so no cosine"),
    ):
        if bad.any():
            raise ModelError(f"{name}: row {start + np.flatnonzero(bad)[0]} {problem}")


def _equal_rows(rows: NDArray[Any], prints: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(distinct, inverse) of bitwise equal rows; prints [n], equal where rows are, spare comparing most of them."""
    n = len(rows)
    order = np.argsort(prints, kind="stable")
    same_as_last = prints[order][1:] == prints[order][:-1]
    suspect = np.zeros(n, dtype=bool)
    suspect[order[1:][same_as_last]] = True
    suspect[order[:-1][same_as_last]] = True
    first = np.arange(n)
    seen: dict[bytes, int] = {}
    for row in np.flatnonzero(suspect):
        first[row] = seen.setdefault(rows[row].tobytes(), int(row))
    distinct = np.flatnonzero(first == np.arange(n))
    place = np.empty(n, dtype=np.int64)
    place[distinct] = np.arange(len(distinct))
    return distinct, place[first]
