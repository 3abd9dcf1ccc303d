"""Nearest items within one language: which they are, who is everybody's, and whether translations agree on them.

k-occurrence  how often an item is among the k nearest of others; hubness is the skewness of its distribution
              (Radovanović et al., 2010): 0 without hubs
mutual kNN    share of the k nearest that an item has in common with its translation (Huh et al., 2024)
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprachbund_runners.evaluation.similarity import BLOCK_SIZE, UnitVectors, blocks

K = 10


def nearest_items(unit: UnitVectors, groups: NDArray[np.int64], k: int = K) -> NDArray[np.int64]:
    """int64 [n, k]: the k most similar items of each item, in ascending order of item.

    groups: int64 [n]; items of the same group (equal texts), the item itself among them, are left out. Of equally
    similar items at the cut those with the larger number stay out.

    Raises ValueError if an item has fewer than k others.
    """
    n, unit = unit.n, unit.resolved()
    sizes = np.bincount(np.unique(groups, return_inverse=True)[1].reshape(-1))
    if k < 1 or n - sizes.max() < k:
        raise ValueError(f"nearest items: expected 1 to {n - sizes.max()} neighbours, found {k}")
    found = np.empty((n, k), dtype=np.int64)
    for rows in blocks(n, BLOCK_SIZE):
        similar = unit.rows[rows] @ unit.rows.T
        similar[groups[rows, None] == groups[None, :]] = -np.inf
        found[rows] = _largest(similar, k)
    return found


def _largest(similar: NDArray[Any], k: int) -> NDArray[np.int64]:
    """int64 [m, k]: columns of the k largest values per row, the first ones where values tie at the cut."""
    threshold = np.partition(similar, -k, axis=1)[:, -k][:, None]
    above = similar > threshold
    tied = similar == threshold
    room = k - above.sum(axis=1, keepdims=True)
    kept = above | (tied & (np.cumsum(tied, axis=1) <= room))
    return np.nonzero(kept)[1].reshape(len(similar), k)


def occurrence_skewness(nearest: NDArray[np.int64]) -> float:
    """Skewness of how often each of the n items is among the others' nearest [n, k]; 0 if all are so equally often."""
    counts = np.bincount(nearest.reshape(-1), minlength=len(nearest)).astype(np.float64)
    centred = counts - counts.mean()
    deviation = np.sqrt(np.square(centred).mean())
    return float((centred**3).mean() / deviation**3) if deviation > 0 else 0.0


def mutual_neighbours(x: NDArray[np.int64], y: NDArray[np.int64]) -> NDArray[np.float64]:
    """float64 [n]: share of item i's nearest in x [n, k] that are also nearest to it in y [n, k].

    Raises ValueError if the shapes differ.
    """
    if x.shape != y.shape:
        raise ValueError(f"mutual neighbours: expected equal shapes, found {x.shape} and {y.shape}")
    n, k = x.shape
    offset = np.arange(n)[:, None] * n
    shared = np.isin(x + offset, y + offset, kind="sort")
    return shared.sum(axis=1) / k
