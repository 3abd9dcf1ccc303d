"""Which points no other point beats."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray


def pareto_front(values: ArrayLike, better: Sequence[Literal["higher", "lower"]]) -> NDArray[np.bool_]:
    """bool [n]: rows of `values` [n, m] that no other row dominates, column j being better when `better[j]`.

    A row dominates another if it is at least as good in every column and better in one; equal rows are both in the
    front. A row with a NaN is never in the front and dominates nothing.

    Raises ValueError if shapes do not fit or a direction is unknown.
    """
    scores = _scores(values, better)
    known = np.asarray(~np.isnan(scores).any(axis=1))
    front = known.copy()
    for row in np.flatnonzero(known):
        front[row] = not _beats(scores, scores[row]).any()
    return front


def may_be_front(
    low: ArrayLike, high: ArrayLike, front: ArrayLike, better: Sequence[Literal["higher", "lower"]]
) -> NDArray[np.bool_]:
    """bool [n]: rows off the front whose intervals, low and high [n, m], overlap with it.

    A row does where no row of `front` [n] at the worse end of all of its intervals dominates it at the better end of
    all of its own. Without intervals (low = high) none does. A row with a NaN does not.

    Raises ValueError as `pareto_front`.
    """
    ends = np.stack([_scores(low, better), _scores(high, better)])
    worst, best = ends.min(axis=0), ends.max(axis=0)
    inside = np.asarray(front, np.bool_)
    found = ~inside & ~np.isnan(best).any(axis=1)
    for row in np.flatnonzero(found):
        found[row] = not _beats(worst[inside], best[row]).any()
    return found


def _scores(values: ArrayLike, better: Sequence[Literal["higher", "lower"]]) -> NDArray[np.float64]:
    table = np.asarray(values, np.float64)
    if table.ndim != 2 or table.shape[1] != len(better) or not len(better):
        raise ValueError(f"Pareto front: expected values [n, {len(better)}], found {table.shape}")
    if not set(better) <= {"higher", "lower"}:
        raise ValueError(f"Pareto front: expected directions higher or lower, found {list(better)}")
    return np.asarray(table * np.array([1.0 if each == "higher" else -1.0 for each in better]))


def _beats(scores: NDArray[np.float64], row: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray((scores >= row).all(axis=1) & (scores > row).any(axis=1))
