"""What a direction method finds: the directions of one site in one block that tell languages apart."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Subspace:
    """Directions of one site in one block, all arrays float64.

    reads, writes [width, rank]: what is erased from h is writes·readsᵀ·(h − mean); both are the same orthonormal
    basis, but for `leace`. mean [width]: what erased coordinates become. shift [width]: what `add` adds at strength
    1, None where the method has no target. shrinkage: how far the covariance was drawn to a multiple of the identity,
    None where none was estimated.
    """

    method: str
    reads: NDArray[np.float64]
    writes: NDArray[np.float64]
    mean: NDArray[np.float64]
    shift: NDArray[np.float64] | None
    shrinkage: float | None = None

    @property
    def width(self) -> int:
        return len(self.mean)

    @property
    def rank(self) -> int:
        return self.reads.shape[1]

    @property
    def norm(self) -> float | None:
        """Length of what `add` adds at strength 1."""
        return None if self.shift is None else float(np.linalg.norm(self.shift))
