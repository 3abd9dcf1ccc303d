"""What must not be torn apart when rows are cut into folds: items, documents, and equal texts."""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray


def fold_units(*parts: Sequence[Hashable]) -> NDArray[np.int64]:
    """int64 [n]: the same number for rows that are connected, by first appearance.

    parts: each [n]. Rows with the same value in a part are connected, and so are those that both are with a third
    (union-find).
    """
    n = len(parts[0])
    parent = list(range(n))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for part in parts:
        first: dict[Hashable, int] = {}
        for row, value in enumerate(part):
            one, other = root(first.setdefault(value, row)), root(row)
            # The smaller number stays the root, whatever the order of the parts.
            parent[max(one, other)] = min(one, other)
    numbers: dict[int, int] = {}
    return np.array([numbers.setdefault(root(row), len(numbers)) for row in range(n)], dtype=np.int64)
