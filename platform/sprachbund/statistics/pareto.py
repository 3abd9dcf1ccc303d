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
    table = np.asarray(values, np.float64)
    if table.ndim != 2 or table.shape[1] != len(better) or not len(better):
        raise ValueError(f"Pareto front: expected values [n, {len(better)}], found {table.shape}")
    if not set(better) <= {"higher", "lower"}:
        raise ValueError(f"Pareto front: expected directions higher or lower, found {list(better)}")
    scores = table * np.array([1.0 if each == "higher" else -1.0 for each in better])
    known = ~np.isnan(scores).any(axis=1)
    front = known.copy()
    for row in np.flatnonzero(known):
        beats = (scores >= scores[row]).all(axis=1) & (scores > scores[row]).any(axis=1)
        front[row] = not beats.any()
    return front
