"""Pooled responses of several languages at one site of one block, checked once."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sprachbund.errors import ModelError

# Languages' means closer than this, relative to the responses' size, differ by rounding of float32 only.
_RESOLUTION = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Responses:
    """Of each language, the target first: rows float64 [sentences, width] and their mean; `mean` is the mean of these
    means, so that languages count alike however many sentences they have."""

    rows: tuple[NDArray[np.float64], ...]
    means: NDArray[np.float64]

    @classmethod
    def of(cls, target: NDArray[np.floating], others: Mapping[str, NDArray[np.floating]]) -> "Responses":
        """Raises ModelError for shapes that do not fit, numbers that are not finite, and no other language."""
        if not others:
            raise ModelError("directions: no language beside the target; expected at least one")
        rows = []
        for name, given in (("the target", target), *others.items()):
            if given.ndim != 2 or len(given) == 0:
                raise ModelError(f"responses of {name}: shape {given.shape}, expected [sentences, width], at least one")
            if given.shape[1] != target.shape[1]:
                raise ModelError(
                    f"responses of {name} have width {given.shape[1]}, those of the target {target.shape[1]}"
                )
            wide = given.astype(np.float64)
            wrong = ~np.isfinite(wide).all(axis=1)
            if wrong.any():
                raise ModelError(f"responses of {name}: sentence {int(wrong.argmax())} is not finite")
            rows.append(wide)
        return cls(tuple(rows), np.stack([each.mean(axis=0) for each in rows]))

    @property
    def mean(self) -> NDArray[np.float64]:
        mean: NDArray[np.float64] = self.means.mean(axis=0)
        return mean

    @property
    def difference(self) -> NDArray[np.float64]:
        """The target's mean minus the mean of the other languages' means, [width]."""
        difference: NDArray[np.float64] = self.means[0] - self.means[1:].mean(axis=0)
        return difference

    def require_sentences(self, method: str) -> None:
        """Raises ModelError unless every language has two sentences: one has no variance."""
        if min(len(each) for each in self.rows) < 2:
            raise ModelError(f"direction '{method}' needs at least 2 sentences of each language, found one with 1")

    def require_difference(self, method: str) -> None:
        """Raises ModelError where the target's mean does not differ from the others'."""
        if float(np.abs(self.difference).max()) <= _RESOLUTION * float(np.abs(self.means).max()):
            raise ModelError(f"direction '{method}': the target's mean response equals that of the other languages")
