"""Compiled loops over a block of similarities: nearest neighbours of both sides, and counts of better candidates.

Both sides are served from one reading of the block: rows ask for columns, and columns ask for rows. Imported when
first needed, since numba takes a second to load.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray


@numba.njit(cache=True, nogil=True)
def collect(
    similarity: NDArray[Any],
    row_start: int,
    column_start: int,
    row_best: NDArray[Any],
    row_place: NDArray[np.int64],
    column_best: NDArray[Any],
    column_place: NDArray[np.int64],
) -> None:
    """Put a block's similarities into the descending lists of the k nearest of every row and column.

    similarity: [r, c], of rows row_start … and columns column_start …. row_best, row_place: [rows, k], filled with
    -inf and -1 before the first block; column_best, column_place: [columns, k']. Of equal ones the first seen stays
    first.
    """
    n_rows, n_columns = similarity.shape
    row_last, column_last = row_best.shape[1] - 1, column_best.shape[1] - 1
    floors = column_best[column_start : column_start + n_columns, column_last].copy()
    for i in range(n_rows):
        r = row_start + i
        floor = row_best[r, row_last]
        for j in range(n_columns):
            value = similarity[i, j]
            if value > floor:
                place = row_last
                while place > 0 and value > row_best[r, place - 1]:
                    row_best[r, place] = row_best[r, place - 1]
                    row_place[r, place] = row_place[r, place - 1]
                    place -= 1
                row_best[r, place] = value
                row_place[r, place] = column_start + j
                floor = row_best[r, row_last]
            if value > floors[j]:
                c = column_start + j
                place = column_last
                while place > 0 and value > column_best[c, place - 1]:
                    column_best[c, place] = column_best[c, place - 1]
                    column_place[c, place] = column_place[c, place - 1]
                    place -= 1
                column_best[c, place] = value
                column_place[c, place] = r
                floors[j] = column_best[c, column_last]


@numba.njit(cache=True, nogil=True)
def count_along(
    similarity: NDArray[Any],
    items: NDArray[np.int64],
    item_rows: NDArray[np.int64],
    row_means: NDArray[np.float64],
    column_means: NDArray[np.float64],
    ratio: bool,
    weights: NDArray[np.int64],
    best: NDArray[np.float64],
    greater: NDArray[np.int64],
    equal: NDArray[np.int64],
) -> None:
    """Rows ask: for each item, how many columns score above, and exactly, its best gold score.

    items: int64 [p], indices into best, greater and equal; item_rows: int64 [p], their rows in the block.
    row_means, column_means: float64 [r], [c], the neighbour means of the margin (zeros: plain cosine).
    weights: int64 [c], candidates that share a column's vector.
    """
    n_columns = similarity.shape[1]
    for p in range(len(items)):
        item, row = items[p], item_rows[p]
        own, limit = row_means[row], best[item]
        above, same = 0, 0
        if ratio:
            for j in range(n_columns):
                score = np.float64(similarity[row, j]) / ((own + column_means[j]) / 2)
                above += weights[j] if score > limit else 0
                same += weights[j] if score == limit else 0
        else:
            for j in range(n_columns):
                score = np.float64(similarity[row, j]) - (own + column_means[j]) / 2
                above += weights[j] if score > limit else 0
                same += weights[j] if score == limit else 0
        greater[item] += above
        equal[item] += same


@numba.njit(cache=True, nogil=True)
def count_across(
    similarity: NDArray[Any],
    items: NDArray[np.int64],
    item_columns: NDArray[np.int64],
    row_means: NDArray[np.float64],
    column_means: NDArray[np.float64],
    ratio: bool,
    weights: NDArray[np.int64],
    best: NDArray[np.float64],
    greater: NDArray[np.int64],
    equal: NDArray[np.int64],
) -> None:
    """Columns ask: as `count_along` with the sides exchanged, the block still read row by row.

    items: int64 [p]; item_columns: int64 [p], their columns in the block; weights: int64 [r].
    """
    n_items = len(items)
    limits = best[items]
    own = column_means[item_columns]
    above, same = np.zeros(n_items, np.int64), np.zeros(n_items, np.int64)
    for i in range(similarity.shape[0]):
        other, weight = row_means[i], weights[i]
        if ratio:
            for p in range(n_items):
                score = np.float64(similarity[i, item_columns[p]]) / ((own[p] + other) / 2)
                above[p] += weight if score > limits[p] else 0
                same[p] += weight if score == limits[p] else 0
        else:
            for p in range(n_items):
                score = np.float64(similarity[i, item_columns[p]]) - (own[p] + other) / 2
                above[p] += weight if score > limits[p] else 0
                same[p] += weight if score == limits[p] else 0
    for p in range(n_items):
        greater[items[p]] += above[p]
        equal[items[p]] += same[p]
