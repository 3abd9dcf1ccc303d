"""Compiled loops over a block of similarities: nearest neighbours of both sides, and counts of better candidates.

Both sides are served from one reading of the block: rows ask for columns, and columns ask for rows. Imported when
first needed, since numba takes a second to load.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

LANES = 32
"""Maxima kept per row and per column to bound its k-th nearest from below; of more than these nothing is known."""


@numba.njit(cache=True, nogil=True, error_model="numpy")
def scale_rows(
    values: NDArray[np.float32],
    rows: NDArray[np.float32],
    bits: NDArray[np.uint32],
    lengths: NDArray[np.float64],
    prints: NDArray[np.uint32],
    total: NDArray[np.float64],
) -> None:
    """Scale every row to length one, from one reading of it; of float64 sums, the same bytes as NumPy's.

    values: [n, d]. rows: [n, d], filled; bits: its memory as integers. lengths: [n], filled. prints: [n], filled with
    the wrapping sum of each scaled row's bits. total: [d], zeros before, the sum of all rows after.
    """
    n, width = values.shape
    squares = np.empty(width)
    for i in range(n):
        row, scaled = values[i], rows[i]
        for j in range(width):
            wide = np.float64(row[j])
            squares[j] = wide * wide
            total[j] += wide
        length = np.sqrt(_pairwise_sum(squares))
        lengths[i] = length
        for j in range(width):
            # Adding 0 makes -0.0 0.0, so that equal vectors are equal bit for bit.
            scaled[j] = np.float32(np.float64(row[j]) / length) + np.float32(0)
        own = bits[i]
        seen = np.uint32(0)
        for j in range(width):
            seen += own[j]
        prints[i] = seen


@numba.njit(cache=True, nogil=True)
def _pairwise_sum(values: NDArray[np.float64]) -> float:
    """Halves are summed apart, down to 128 values, those in eight lanes: the order of NumPy's reduction."""
    n = len(values)
    if n > 128:
        half = n // 2
        half -= half % 8
        return _pairwise_sum(values[:half]) + _pairwise_sum(values[half:])
    if n < 8:
        short = 0.0
        for value in values:
            short += value
        return short
    a, b, c, d = values[0], values[1], values[2], values[3]
    e, f, g, h = values[4], values[5], values[6], values[7]
    whole = n - n % 8
    for start in range(8, whole, 8):
        a += values[start]
        b += values[start + 1]
        c += values[start + 2]
        d += values[start + 3]
        e += values[start + 4]
        f += values[start + 5]
        g += values[start + 6]
        h += values[start + 7]
    found = ((a + b) + (c + d)) + ((e + f) + (g + h))
    for place in range(whole, n):
        found += values[place]
    return found


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
    row_floors, column_floors = _floors(similarity, row_last, column_last)
    for i in range(n_rows):
        row_floors[i] = max(row_floors[i], row_best[row_start + i, row_last])
    for j in range(n_columns):
        column_floors[j] = max(column_floors[j], column_best[column_start + j, column_last])
    hits = np.empty(n_columns + 1, np.int64)
    for i in range(n_rows):
        r, floor, found = row_start + i, row_floors[i], 0
        for j in range(n_columns):  # without a branch: most are below both floors, but which is not foreseeable
            value = similarity[i, j]
            hits[found] = j
            found += (value >= floor) | (value >= column_floors[j])
        for j in hits[:found]:
            value, c = similarity[i, j], column_start + j
            if value >= floor:
                _insert(value, c, row_best[r], row_place[r])
            if value >= column_floors[j]:
                _insert(value, r, column_best[c], column_place[c])


@numba.njit(cache=True, nogil=True)
def _insert(value: Any, place: int, best: NDArray[Any], places: NDArray[np.int64]) -> None:
    """Into a descending list, behind its equals; the last one falls out."""
    at = len(best) - 1
    if not value > best[at]:
        return
    while at > 0 and value > best[at - 1]:
        best[at] = best[at - 1]
        places[at] = places[at - 1]
        at -= 1
    best[at] = value
    places[at] = place


@numba.njit(cache=True, nogil=True)
def _floors(similarity: NDArray[Any], row_rank: int, column_rank: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """([r], [c]): values that at least rank + 1 entries of each row, and of each column, reach.

    Entries are dealt to lanes in turn: as many different entries reach the n-th greatest of the lanes' maxima.
    """
    n_rows, n_columns = similarity.shape
    rows = np.full((n_rows, LANES), -np.inf, similarity.dtype)
    columns = np.full((LANES, n_columns), -np.inf, similarity.dtype)
    whole = n_columns - n_columns % LANES
    for i in range(n_rows):
        own, lane = rows[i], columns[i % LANES]
        for j in range(n_columns):
            lane[j] = max(lane[j], similarity[i, j])
        for start in range(0, whole, LANES):
            for place in range(LANES):
                own[place] = max(own[place], similarity[i, start + place])
        for j in range(whole, n_columns):
            own[j - whole] = max(own[j - whole], similarity[i, j])
    return _ranked(np.ascontiguousarray(rows.T), row_rank), _ranked(columns, column_rank)


@numba.njit(cache=True, nogil=True)
def _ranked(lanes: NDArray[Any], rank: int) -> NDArray[Any]:
    """[n]: the entry of every column that has `rank` others above or before it; -inf if there is none."""
    n = lanes.shape[1]
    if rank >= LANES:
        return np.full(n, -np.inf, lanes.dtype)
    best = np.full((rank + 1, n), -np.inf, lanes.dtype)
    for lane in lanes:
        for place in range(rank + 1):  # each list takes what it can use; the rest is handed down
            row = best[place]
            for j in range(n):
                taken = max(row[j], lane[j])
                lane[j] = min(row[j], lane[j])
                row[j] = taken
    return best[rank]


@numba.njit(cache=True, nogil=True)
def count_both(
    similarity: NDArray[Any],
    row_means: NDArray[np.float64],
    column_means: NDArray[np.float64],
    ratio: bool,
    row_limits: NDArray[np.float64],
    column_limits: NDArray[np.float64],
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Both sides ask, every row and column being one item: how many score above, and exactly, its best gold score.

    Returns int32 [r] above and exactly, of rows, then [c] of columns. Elsewhere as `count_along` and `count_across`.
    """
    n_rows, n_columns = similarity.shape
    row_above, row_same = np.zeros(n_rows, np.int32), np.zeros(n_rows, np.int32)
    above, same = np.zeros(n_columns, np.int64), np.zeros(n_columns, np.int64)
    scores = np.empty(n_columns)
    for i in range(n_rows):
        own, limit = row_means[i], row_limits[i]
        if ratio:
            for j in range(n_columns):
                scores[j] = np.float64(similarity[i, j]) / ((own + column_means[j]) / 2)
        else:
            for j in range(n_columns):
                scores[j] = np.float64(similarity[i, j]) - (own + column_means[j]) / 2
        over, level = 0, 0
        for j in range(n_columns):
            score = scores[j]
            over += score > limit
            level += score == limit
            above[j] += score > column_limits[j]
            same[j] += score == column_limits[j]
        row_above[i], row_same[i] = over, level
    return row_above, row_same, above.astype(np.int32), same.astype(np.int32)


@numba.njit(cache=True, nogil=True)
def compare_both(
    similarity: NDArray[Any], row_limits: NDArray[Any], column_limits: NDArray[Any]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """`count_both` by plain cosine; limits are of the type of `similarity`."""
    n_rows, n_columns = similarity.shape
    row_above, row_same = np.zeros(n_rows, np.int32), np.zeros(n_rows, np.int32)
    above, same = np.zeros(n_columns, np.int32), np.zeros(n_columns, np.int32)
    for i in range(n_rows):
        limit = row_limits[i]
        over, level = np.int32(0), np.int32(0)
        for j in range(n_columns):
            score = similarity[i, j]
            over += np.int32(score > limit)
            level += np.int32(score == limit)
            above[j] += np.int32(score > column_limits[j])
            same[j] += np.int32(score == column_limits[j])
        row_above[i], row_same[i] = over, level
    return row_above, row_same, above, same


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


@numba.njit(cache=True, nogil=True)
def language_credit(
    own: NDArray[Any],
    other: NDArray[Any],
    same_vector: NDArray[np.bool_],
    row_groups_x: NDArray[np.int64],
    column_groups_x: NDArray[np.int64],
    row_groups_y: NDArray[np.int64],
    column_groups_y: NDArray[np.int64],
    tie: float,
    credit: NDArray[np.float64],
    rivals: NDArray[np.float64],
) -> None:
    """Add to every row how often its own language is nearer (a tie counts ½), and over how many columns.

    own, other: [r, c], similarities of x's items to x's, and to y's. same_vector: bool [c], the column is one vector
    in both. Groups: int64 of rows and columns on either side; columns that share one with the row are left out.
    tie: similarities that differ by no more are equal.
    """
    n_columns = own.shape[1]
    for i in range(own.shape[0]):
        group_x, group_y = row_groups_x[i], row_groups_y[i]
        halves, kept = 0, 0
        for j in range(n_columns):
            counts = (column_groups_x[j] != group_x) & (column_groups_y[j] != group_y)
            nearer, tied = own[i, j] > other[i, j] + tie, np.abs(own[i, j] - other[i, j]) <= tie
            half = 1 if same_vector[j] else 2 * nearer + tied
            halves += half if counts else 0
            kept += counts
        credit[i] += halves / 2
        rivals[i] += kept


@numba.njit(cache=True, nogil=True)
def take_free(
    order: NDArray[np.int64], left: NDArray[np.int64], right: NDArray[np.int64], n_left: int, n_right: int
) -> NDArray[np.int64]:
    """int64: the pairs, in this order, neither side of which is in a pair taken before. left, right: 0 … n - 1."""
    left_taken, right_taken = np.zeros(n_left, np.bool_), np.zeros(n_right, np.bool_)
    taken = np.empty(len(order), np.int64)
    count = 0
    for pair in order:
        if not left_taken[left[pair]] and not right_taken[right[pair]]:
            left_taken[left[pair]] = right_taken[right[pair]] = True
            taken[count] = pair
            count += 1
    return taken[:count]
