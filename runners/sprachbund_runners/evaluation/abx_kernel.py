"""The compiled inner loop of the general ABX task.

Per x the distances to its own category are sorted and those to all others searched in them, both through a table of
equally wide buckets between the smallest and the largest. Where distances are spread as they mostly are, nearly every
bucket holds two at most: a search is then two comparisons without a branch, many at a time. Elsewhere it is never
worse than a sort and a binary search.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

_FEW = 16
_FINE = 4
"""Buckets per value of x's own category."""


@numba.njit(cache=True, nogil=True)
def count_wins(
    distances: NDArray[Any],
    x_class: NDArray[Any],
    own: NDArray[Any],
    x_item: NDArray[Any],
    ab_item: NDArray[Any],
    starts: NDArray[Any],
    m_ab: NDArray[Any],
    b_even: NDArray[Any],
    m_x: NDArray[Any],
    x_even: NDArray[Any],
    tie: float,
    even: NDArray[Any],
    wins: NDArray[Any],
    cells: NDArray[Any],
    items: NDArray[Any],
) -> None:
    """Add the wins of one block of x to `even`, `wins` [draws] and `cells` [classes, classes]; fill `items` [x].

    distances: [x, ab], ab sorted by class with class c at starts[c]:starts[c + 1]. own: place of x in ab, or -1.
    x_item, ab_item: an a of the item of x is drawn whenever x is: it counts once for each time that x does.
    m_ab [draws, ab] and m_x [draws, x]: multiplicities. b_even, x_even: the same, scaled so that every pair of
    classes weighs alike. tie: distances that differ by no more are equal. The first draw is every row once: `even` and
    `wins` of it come from the counts.
    """
    n_ab = distances.shape[1]
    n_draws = m_ab.shape[0]
    low = np.empty(n_ab, np.int32)
    high = np.empty(n_ab, np.int32)
    widest = 0
    for each in range(starts.shape[0] - 1):
        widest = max(widest, starts[each + 1] - starts[each])
    near = np.empty(widest + 3)
    order = np.empty(widest, np.int64)
    bounds = np.empty(_FINE * widest + 1, np.int32)
    cumulated = np.empty(n_ab + 1)
    for i in range(distances.shape[0]):
        mine = x_class[i]
        first, last = starts[mine], starts[mine + 1]
        n_near, smallest, scale = _sort(distances[i], first, last, own[i], near, order, bounds)
        if n_near == 0:
            continue
        score, n_classes = 0.0, 0
        for other in range(cells.shape[0]):
            if other == mine:
                continue
            start, stop = starts[other], starts[other + 1]
            below = _search(
                near, bounds, n_near, smallest, scale, distances[i, start:stop], tie, low[start:stop], high[start:stop]
            )
            total = 0.5 * below
            cells[mine, other] += total
            score += total / (n_near * (stop - start))
            n_classes += 1
            wins[0] += total
            even[0] += x_even[0, i] * b_even[0, start] * total
        if n_classes:
            items[i] = score / n_classes
        for draw in range(1, n_draws):
            if m_x[draw, i] == 0.0:
                continue
            cumulated[0] = 0.0
            for rank in range(n_near):
                times = 1.0 if ab_item[order[rank]] == x_item[i] else m_ab[draw, order[rank]]
                cumulated[rank + 1] = cumulated[rank] + times
            evenly, plainly = 0.0, 0.0
            for j in range(n_ab):
                if j < first or j >= last:
                    won = 0.5 * (cumulated[low[j]] + cumulated[high[j]])
                    evenly += b_even[draw, j] * won
                    plainly += m_ab[draw, j] * won
            even[draw] += x_even[draw, i] * evenly
            wins[draw] += m_x[draw, i] * plainly


@numba.njit(cache=True, nogil=True)
def _sort(
    row: NDArray[Any],
    first: int,
    last: int,
    own: int,
    near: NDArray[Any],
    order: NDArray[Any],
    bounds: NDArray[Any],
) -> tuple[int, float, float]:
    """Fill near [n] with row[first:last] in ascending order, `own` left out; order [n]: where each stood in the row.

    near [n] and the two behind it become infinite. bounds [_FINE * n + 1]: where each bucket starts. Returns n, the
    smallest value and buckets per unit of distance (0 if all are in the first bucket). A value's bucket is a rounded,
    hence monotone function of it: buckets are in order, whatever the rounding.
    """
    n = 0
    smallest, largest = np.inf, -np.inf
    for j in range(first, last):
        if j != own:
            smallest = min(smallest, row[j])
            largest = max(largest, row[j])
            n += 1
    if n == 0:
        return 0, 0.0, 0.0
    near[n] = near[n + 1] = near[n + 2] = np.inf
    n_buckets = _FINE * n
    scale = (n_buckets - 1) / (largest - smallest) if largest > smallest else 0.0
    if not np.isfinite(scale):
        scale = 0.0
    bounds[: n_buckets + 1] = 0
    for j in range(first, last):
        if j != own:
            bounds[_bucket(row[j], smallest, scale, n_buckets) + 1] += 1
    for bucket in range(n_buckets):
        bounds[bucket + 1] += bounds[bucket]
    for j in range(first, last):
        if j != own:
            bucket = _bucket(row[j], smallest, scale, n_buckets)
            near[bounds[bucket]] = row[j]
            order[bounds[bucket]] = j
            bounds[bucket] += 1
    # Filling moved every bound to the end of its bucket: the start of the next one.
    for bucket in range(n_buckets, 0, -1):
        bounds[bucket] = bounds[bucket - 1]
    bounds[0] = 0
    for bucket in range(n_buckets):
        start, stop = bounds[bucket], bounds[bucket + 1]
        if stop - start > _FEW:
            sorting = np.argsort(near[start:stop])
            near[start:stop] = near[start:stop][sorting]
            order[start:stop] = order[start:stop][sorting]
            continue
        for place in range(start + 1, stop):
            value, j = near[place], order[place]
            before = place
            while before > start and near[before - 1] > value:
                near[before] = near[before - 1]
                order[before] = order[before - 1]
                before -= 1
            near[before] = value
            order[before] = j
    return n, smallest, scale


@numba.njit(cache=True, nogil=True, inline="always")
def _bucket(value: float, smallest: float, scale: float, n_buckets: int) -> np.int32:
    return np.int32(min(max((value - smallest) * scale, 0.0), n_buckets - 1.0))


@numba.njit(cache=True, nogil=True)
def _search(
    near: NDArray[Any],
    bounds: NDArray[Any],
    n: int,
    smallest: float,
    scale: float,
    values: NDArray[Any],
    tie: float,
    low: NDArray[Any],
    high: NDArray[Any],
) -> int:
    """Set low to how many of near [n] are below each value - tie, high to how many are not above value + tie.

    Returns their sum.
    """
    n_buckets = _FINE * n
    crowded = 0
    for j in range(len(values)):
        below, above = values[j] - tie, values[j] + tie
        bucket = _bucket(below, smallest, scale, n_buckets)
        start = bounds[bucket]
        # What stands behind the bucket's own entries is greater than `below`.
        one, two = near[start], near[start + 1]
        low[j] = start + np.int32(one < below) + np.int32(two < below)
        high[j] = start + np.int32(one <= above) + np.int32(two <= above)
        crowded |= (bounds[bucket + 1] - start > 2) | (near[start + 2] <= above)
    if crowded:
        for j in range(len(values)):
            below, above = values[j] - tie, values[j] + tie
            bucket = _bucket(below, smallest, scale, n_buckets)
            start = bounds[bucket]
            if bounds[bucket + 1] - start > 2 or near[start + 2] <= above:
                last = _bucket(above, smallest, scale, n_buckets)
                low[j] = _within(near, start, bounds[bucket + 1], below, False)
                high[j] = _within(near, bounds[last], bounds[last + 1], above, True)
    total = 0
    for j in range(len(values)):
        total += low[j] + high[j]
    return total


@numba.njit(cache=True, nogil=True)
def _within(near: NDArray[Any], start: int, stop: int, value: float, or_equal: bool) -> Any:
    """How many of near are below `value`, which falls into the bucket start:stop (`or_equal`: not above it)."""
    if stop - start > _FEW:
        part = near[start:stop]
        if or_equal:
            return start + np.searchsorted(part, value, side="right")
        return start + np.searchsorted(part, value, side="left")
    place = start
    while place < stop and (near[place] < value or (or_equal and near[place] == value)):
        place += 1
    return place
