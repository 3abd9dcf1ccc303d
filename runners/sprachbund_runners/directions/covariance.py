"""Covariance of responses, shrunk so that it can be inverted also with fewer sentences than units."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from sprachbund.errors import ModelError

# Two sentences that mirror each other have a shrinkage of 0 and a covariance of rank 1.
_LEAST = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Covariance:
    """(1 − shrinkage)·S + shrinkage·(tr S / width)·I with S = XᵀX / n of centred rows X; `matrix` [width, width]."""

    matrix: NDArray[np.float64]
    shrinkage: float

    @classmethod
    def of(cls, centred: NDArray[np.float64], method: str, shrinkage: float | None = None) -> "Covariance":
        """From centred rows [n, width]; shrinkage None: `ledoit_wolf`, at least 10⁻⁶.

        Raises ModelError where nothing varies.
        """
        n, width = centred.shape
        matrix = centred.T @ centred / n
        scale = float(np.trace(matrix)) / width
        if scale <= 0:
            raise ModelError(f"direction '{method}': responses do not vary between sentences of a language")
        share = max(_LEAST, ledoit_wolf(centred, matrix)) if shrinkage is None else shrinkage
        matrix *= 1.0 - share
        matrix[np.diag_indices(width)] += share * scale
        return cls(matrix, share)

    def solve(self, right: NDArray[np.float64]) -> NDArray[np.float64]:
        """Σ⁻¹·right."""
        solved: NDArray[np.float64] = cho_solve(cho_factor(self.matrix, lower=True), right)
        return solved


def ledoit_wolf(centred: NDArray[np.float64], covariance: NDArray[np.float64]) -> float:
    """The share of the identity with the least expected squared error (Ledoit & Wolf 2004), in [0, 1].

    centred [n, width] rows, covariance their XᵀX / n.
    """
    n, width = centred.shape
    squared = float((covariance**2).sum())
    distance = squared - float(np.trace(covariance)) ** 2 / width
    noise = (float(((centred**2).sum(axis=1) ** 2).sum()) / n - squared) / n
    if distance <= 0:
        return 1.0
    return min(1.0, max(0.0, noise / distance))
