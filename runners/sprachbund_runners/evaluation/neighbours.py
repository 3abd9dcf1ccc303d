"""The k nearest candidates of every query, from which margins, mining and the field's conventions are read.

Lists are over *distinct* vectors, with how many candidates share each: copies of one embedding are then never
told apart by their place. Between different vectors that are exactly as similar, the first one stands first; only
a cut that falls among such ties can be told by it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprachbund_runners.evaluation.similarity import UnitVectors

K_MARGIN = 4
"""Neighbours that a margin's mean is over (Artetxe and Schwenk 2019; LASER's xSIM)."""

K_CSLS = 10
"""Neighbours that a CSLS mean is over (Conneau et al. 2018)."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Nearest candidates of every distinct query vector, in descending order.

    similarity: [u, k], float32 or float64; -inf where there are fewer than k distinct candidates.
    place: int64 [u, k], which distinct candidate vector; -1 where there is none.
    copies: int64 [v], candidates that share each distinct candidate vector.
    """

    similarity: NDArray[Any]
    place: NDArray[np.int64]
    copies: NDArray[np.int64]
    # What several conventions ask for is computed once.
    _known: dict[tuple[str, int], NDArray[Any]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def k(self) -> int:
        return int(self.place.shape[1])

    @property
    def n_candidates(self) -> int:
        return int(self.copies.sum())

    def taken(self, k: int) -> NDArray[np.int64]:
        """int64 [u, self.k]: how many copies of each listed vector are among the k nearest candidates.

        Fewer than k in all where there are fewer candidates. Raises ValueError unless 1 ≤ k, and the lists reach it.
        """
        reach = min(k, len(self.copies))
        if k < 1 or reach > self.k:
            raise ValueError(f"k: expected between 1 and {self.k}, found {k}")
        return self._once("taken", k, lambda: self._taken(k))

    def shared(self) -> NDArray[np.int64]:
        """int64 [u, self.k]: how many candidates share each listed vector; 0 where none is listed."""
        return self._once("shared", 0, lambda: np.where(self.place >= 0, self.copies[self.place], 0))

    def means(self, k: int) -> NDArray[np.float64]:
        """float64 [u]: mean similarity of the k nearest candidates, of all where there are fewer than k."""
        return self._once("means", k, lambda: self._means(k))

    def _taken(self, k: int) -> NDArray[np.int64]:
        copies = self.shared()
        before = np.cumsum(copies, axis=1) - copies
        return np.clip(k - before, 0, copies)

    def _means(self, k: int) -> NDArray[np.float64]:
        taken = self.taken(k)
        values = np.where(taken > 0, self.similarity, 0.0).astype(np.float64)
        return np.asarray((values * taken).sum(axis=1) / taken.sum(axis=1))

    def _once(self, name: str, k: int, compute: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        if (name, k) not in self._known:
            values = compute()
            values.flags.writeable = False
            self._known[name, k] = values
        return self._known[name, k]


def gold_copies(
    near: Neighbours, queries: UnitVectors, candidates: UnitVectors, groups: NDArray[np.int64] | None
) -> NDArray[np.int64]:
    """int64 [n, k]: for every query item, how many candidates at each listed vector are its translation.

    groups: int64 [n] of the candidates' texts; item i's translations are the candidates with the group of candidate i.
    None: only candidate i is.
    """
    place = near.place[queries.inverse]
    if groups is None:
        return (place == candidates.inverse[:, None]).astype(np.int64)
    _, labels = np.unique(groups, return_inverse=True)
    width = np.int64(len(candidates.distinct))
    codes, counts = np.unique(labels * width + candidates.inverse, return_counts=True)
    wanted = labels[:, None] * width + place
    found = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
    return np.where((codes[found] == wanted) & (place >= 0), counts[found], 0)


@dataclass(slots=True)
class Collector:
    """Gathers the neighbours of both sides while blocks of similarities pass by."""

    x: UnitVectors
    y: UnitVectors
    k: int
    _best: tuple[NDArray[Any], NDArray[Any]]
    _place: tuple[NDArray[np.int64], NDArray[np.int64]]

    @classmethod
    def of(cls, x: UnitVectors, y: UnitVectors, k: int) -> "Collector":
        rows, columns = len(x.distinct), len(y.distinct)
        shapes = ((rows, min(k, columns)), (columns, min(k, rows)))
        best = tuple(np.full(shape, -np.inf, x.rows.dtype) for shape in shapes)
        place = tuple(np.full(shape, -1, np.int64) for shape in shapes)
        return cls(x, y, k, (best[0], best[1]), (place[0], place[1]))

    def add(self, similarity: NDArray[Any], rows: slice, columns: slice) -> None:
        """A block over distinct vectors. Blocks must come row by row, in order."""
        from sprachbund_runners.evaluation import kernels

        kernels.collect(
            np.ascontiguousarray(similarity), rows.start, columns.start,
            self._best[0], self._place[0], self._best[1], self._place[1],
        )  # fmt: skip

    def forward(self) -> Neighbours:
        """x asks, y answers."""
        return Neighbours(self._best[0], self._place[0], self.y.copies)

    def backward(self) -> Neighbours:
        """y asks, x answers."""
        return Neighbours(self._best[1], self._place[1], self.x.copies)
