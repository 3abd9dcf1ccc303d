"""Count, mean and sum of squared deviations of units over tokens, mergeable between collections of text."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sprachbund.errors import ModelError


@dataclass(frozen=True, slots=True, eq=False)
class TokenMoments:
    """count: tokens; mean and m2 (Σ (h − mean)²): float64 [width]."""

    count: int
    mean: NDArray[np.float64]
    m2: NDArray[np.float64]

    @property
    def variance(self) -> NDArray[np.float64]:
        """Population variance, m2 / count; NaN without tokens."""
        return self.m2 / self.count if self.count else np.full_like(self.m2, np.nan)

    def merge(self, other: "TokenMoments") -> "TokenMoments":
        """Moments of both collections together (Chan, Golub and LeVeque 1979)."""
        if self.mean.shape != other.mean.shape:
            raise ModelError(f"moments of {self.mean.shape} and {other.mean.shape} units cannot be merged")
        count = self.count + other.count
        if not count:
            return self
        delta = other.mean - self.mean
        weight = other.count / count
        m2 = self.m2 + other.m2 + delta**2 * (self.count * weight)
        return TokenMoments(count, self.mean + delta * weight, m2)


def merge_all(moments: Iterable[TokenMoments]) -> TokenMoments:
    """Moments of several collections together; raises ModelError for none."""
    merged: TokenMoments | None = None
    for part in moments:
        merged = part if merged is None else merged.merge(part)
    if merged is None:
        raise ModelError("no moments to merge")
    return merged


@dataclass(slots=True, eq=False)
class MomentSums:
    """Running Σ (h − pivot) and Σ (h − pivot)², float64 [width].

    The pivot is the mean of the first batch: close enough to the mean of all that subtracting the squared sum loses
    nothing, and fixed, so that batches only add.
    """

    pivot: NDArray[np.float32]
    count: int
    first: NDArray[np.float64]
    second: NDArray[np.float64]

    def add(self, count: int, first: NDArray[np.float64], second: NDArray[np.float64]) -> None:
        self.count += count
        self.first += first
        self.second += second

    def moments(self) -> TokenMoments:
        mean = self.pivot.astype(np.float64) + self.first / self.count
        return TokenMoments(self.count, mean, np.maximum(self.second - self.first**2 / self.count, 0.0))
