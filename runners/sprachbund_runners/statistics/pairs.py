"""Language pairs as few languages and many cells, and covariances of pairs without a matrix of all pairs.

Z: [pairs, columns] says which languages a pair has: one column per language and role, or per language where pairs have
no direction. R: [pairs, pairs] is 1 where two rows are one pair of languages in both directions. A cell is the rows of
one ordered pair (several where it stands on several corpora): Z and R see sums over cells only, so that what they do to
rows is known from one number per cell, sum / √(rows), the coordinate along the cell's constant vector.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Of the greatest eigenvalue: what is below is a direction that no pair has.
_NO_DIRECTION = 1e-12


@dataclass(frozen=True, slots=True)
class Pairs:
    """Which pairs there are.

    languages (int64 [cells], int64 [cells]): places of a cell's two; cell int64 [pairs]: of each row; root float64
    [cells]: √(rows); back int64 [cells]: the cell of the other direction, -1 where there is none. together: Z'Z and,
    of ordered pairs, exchanged: Z'RZ, both [columns, columns].
    """

    n_languages: int
    ordered: bool
    languages: tuple[NDArray[np.int64], NDArray[np.int64]]
    cell: NDArray[np.int64]
    root: NDArray[np.float64]
    back: NDArray[np.int64]
    together: NDArray[np.float64]
    exchanged: NDArray[np.float64]

    @classmethod
    def of(cls, one: NDArray[Any], other: NDArray[Any], ordered: bool) -> "Pairs":
        """The pairs of languages `one` and `other` [pairs]; ordered False: no row is another's reverse."""
        names, places = np.unique(np.concatenate([one, other]), return_inverse=True)
        count = len(names)
        codes = places[: len(one)] * count + places[len(one) :]
        kept, cell, rows = np.unique(codes, return_inverse=True, return_counts=True)
        first, second = kept // count, kept % count
        back = _reverse(kept, second * count + first) if ordered else np.full(len(kept), -1)
        back[first == second] = -1
        there = back >= 0
        return cls(
            n_languages=count,
            ordered=ordered,
            languages=(first, second),
            cell=cell,
            root=np.sqrt(rows),
            back=back,
            together=_together(first, second, rows, count, ordered),
            exchanged=_exchanged(first[there], second[there], (rows * rows[back])[there], count),
        )

    @property
    def columns(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where in Z a cell's languages are."""
        one, other = self.languages
        return one, other + self.n_languages if self.ordered else other

    @property
    def both_ways(self) -> bool:
        """Whether a pair is there in both directions."""
        return bool((self.back >= 0).any())

    @property
    def n_exchanged(self) -> float:
        """Ones in R."""
        there = self.back >= 0
        return float((self.root[there] ** 2 * self.root[self.back[there]] ** 2).round().sum())

    @property
    def most_partners(self) -> float:
        """The most rows that are one row's other direction."""
        return float((self.root[self.back[self.back >= 0]] ** 2).round().max(initial=0))

    def cells(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Coordinates [cells] or [cells, p] of rows [pairs] or [pairs, p] along the cells' constant vectors."""
        if rows.ndim == 1:
            return np.bincount(self.cell, rows, len(self.root)) / self.root
        return np.column_stack([self.cells(column) for column in rows.T])

    def by_language(self, cells: NDArray[Any]) -> NDArray[np.float64]:
        """Z' of rows whose coordinates are `cells` [cells] or [cells, p]: [columns] or [columns, p]."""
        if cells.ndim == 2:
            return np.column_stack([self.by_language(column) for column in cells.T])
        sums = cells * self.root
        one, other = (np.bincount(side, sums, len(self.together)) for side in self.columns)
        return np.asarray(one + other)

    def of_languages(self, effects: NDArray[Any]) -> NDArray[np.float64]:
        """Coordinates [cells, p] of Z times effects [columns, p]."""
        return self.root[:, None] * (effects[self.columns[0]] + effects[self.columns[1]])

    def exchange(self, cells: NDArray[Any]) -> NDArray[np.float64]:
        """Coordinates of R times rows whose coordinates are `cells` [cells] or [cells, p]."""
        there, turned = self.back >= 0, np.zeros_like(cells)
        turned[there] = (cells[self.back[there]].T * (self.root[there] * self.root[self.back[there]])).T
        return turned


@dataclass(frozen=True, slots=True)
class Covariance:
    """residual·1 + direction·R + Z @ between @ Z.T: of pairs; residual above the most partners times |direction|."""

    residual: float
    direction: float
    between: NDArray[np.float64]

    def products(self, rows: NDArray[np.float64], pairs: Pairs) -> NDArray[np.float64]:
        """rows' @ inverse @ rows, [p, p] for rows [pairs, p].

        Rows are made white as to residual and direction, with Z beside them; what Z does not reach is then summed as
        it is, the rest is divided by 1 + the effects' variance. Nothing is a difference of large numbers, however small
        the residual (Woodbury's identity is one).
        """
        cells = pairs.cells(rows)
        inside = (rows - (cells / pairs.root[:, None])[pairs.cell]) / np.sqrt(self.residual)
        white = self._whiten(cells, pairs)
        reach, vectors = np.linalg.eigh(self._reach(pairs))
        kept = reach > _NO_DIRECTION * reach[-1]
        # Z made white is Q @ half.T with orthonormal columns Q = Z made white @ toward.
        half, toward = vectors[:, kept] * np.sqrt(reach[kept]), vectors[:, kept] / np.sqrt(reach[kept])
        along = toward.T @ pairs.by_language(self._whiten(white, pairs))
        rest = white - self._whiten(pairs.of_languages(toward @ along), pairs)
        effects = np.eye(len(along)) + half.T @ self.between @ half
        return np.asarray(inside.T @ inside + rest.T @ rest + along.T @ np.linalg.solve(effects, along))

    def _whiten(self, cells: NDArray[np.float64], pairs: Pairs) -> NDArray[np.float64]:
        """(residual·1 + direction·R)^-½ of coordinates [cells, p]: 2 × 2 blocks of a pair's directions."""
        there = pairs.back >= 0
        coupling = np.where(there, self.direction * pairs.root * pairs.root[pairs.back], 0.0)
        plus, minus = (1 / np.sqrt(self.residual + sign * coupling) for sign in (1, -1))
        crossed = np.where(there, (plus - minus) / 2, 0.0)
        return np.asarray(((plus + minus) / 2)[:, None] * cells + crossed[:, None] * cells[pairs.back])

    def _reach(self, pairs: Pairs) -> NDArray[np.float64]:
        """Z' (residual·1 + direction·R)^-1 Z."""
        one, other = pairs.languages
        rows, there = pairs.root**2, pairs.back >= 0
        coupling = np.where(there, self.direction * pairs.root * pairs.root[pairs.back], 0.0)
        determinant = self.residual**2 - coupling**2
        own = _together(one, other, rows * self.residual / determinant, pairs.n_languages, pairs.ordered)
        if not pairs.ordered:
            return own
        across = -coupling * pairs.root * pairs.root[pairs.back] / determinant
        return own + _exchanged(one, other, across, pairs.n_languages)


def _reverse(codes: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places of `wanted` among ascending codes, -1 where absent."""
    places = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
    return np.where(codes[places] == wanted, places, -1)


def _together(
    one: NDArray[np.int64], other: NDArray[np.int64], weights: NDArray[Any], count: int, ordered: bool
) -> NDArray[np.float64]:
    """Sum over cells of weight × z z', with z the cell's row of Z."""
    table = _table(one, other, weights, count)
    ones, others = np.diag(table.sum(axis=1)), np.diag(table.sum(axis=0))
    return np.block([[ones, table], [table.T, others]]) if ordered else ones + table + table.T + others


def _exchanged(
    one: NDArray[np.int64], other: NDArray[np.int64], weights: NDArray[Any], count: int
) -> NDArray[np.float64]:
    """Sum over cells of weight × z r', with r the row of Z of the other direction."""
    table = _table(one, other, weights, count)
    return np.block([[table, np.diag(table.sum(axis=1))], [np.diag(table.sum(axis=0)), table.T]])


def _table(one: NDArray[np.int64], other: NDArray[np.int64], weights: NDArray[Any], count: int) -> NDArray[np.float64]:
    return np.bincount(one * count + other, weights, count * count).reshape(count, count).astype(np.float64)
