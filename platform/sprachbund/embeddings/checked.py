"""Embeddings as numerics take them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprachbund.errors import ModelError


def checked_embeddings(embeddings: NDArray[Any], name: str) -> NDArray[Any]:
    """`embeddings` as a C-ordered [n, d] array, float16 widened to float32.

    Raises ModelError if it is not a matrix of floating numbers with at least one row and one column.
    """
    array = np.asarray(embeddings)
    if array.ndim != 2 or 0 in array.shape:
        raise ModelError(f"{name}: expected embeddings of shape [items, width], found shape {list(array.shape)}")
    if array.dtype not in (np.float16, np.float32, np.float64):
        raise ModelError(f"{name}: expected float16, float32 or float64 embeddings, found {array.dtype}")
    return np.ascontiguousarray(array, dtype=np.float64 if array.dtype == np.float64 else np.float32)
