"""Edits along a direction, as the low-rank map h' = h + writes·(readsᵀ·h) + constant."""

import numpy as np
from numpy.typing import NDArray

from sprachbund.errors import ModelError
from sprachbund_runners.directions.subspace import Subspace

Map = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
"""writes [width, rank], reads [width, rank], constant [width]."""


def add(found: Subspace, strength: float) -> Map:
    """h' = h + strength·shift; any finite strength."""
    assert found.shift is not None
    if not np.isfinite(strength):
        raise ModelError(f"strength is {strength}, expected a finite number")
    none = np.zeros((found.width, 0))
    return none, none, strength * found.shift


def project_out(found: Subspace, strength: float) -> Map:
    """h' = h − strength·U·Vᵀ·(h − mean); strength in [0, 1]."""
    if not 0 <= strength <= 1:
        raise ModelError(f"strength is {strength:g}; edit 'project_out' takes 0 to 1")
    writes = -strength * found.writes
    return writes, found.reads, -writes @ (found.reads.T @ found.mean)
