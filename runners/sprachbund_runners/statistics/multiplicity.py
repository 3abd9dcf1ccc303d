"""Adjusted p-values for a family of tests.

A family is what is looked at together (pairs × layers × settings, declared by whoever calls). NaN marks a test that
could not be done: it stays NaN and does not count towards the family's size.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray


def benjamini_hochberg(p: ArrayLike) -> NDArray[np.float64]:
    """Adjusted p (q-values) controlling the false discovery rate under independence or positive dependence.

    Float64 of p's shape. Source: Benjamini and Hochberg, JRSS B 57 (1995). Raises ValueError if a p is outside [0, 1].
    """
    return _adjust(p, lambda ordered: _step_up(ordered, 1.0))


def benjamini_yekutieli(p: ArrayLike) -> NDArray[np.float64]:
    """Adjusted p controlling the false discovery rate under any dependence: `benjamini_hochberg` times Σ 1/i.

    Float64 of p's shape. Source: Benjamini and Yekutieli, Annals of Statistics 29 (2001). Raises ValueError likewise.
    """
    return _adjust(p, lambda ordered: _step_up(ordered, float(np.sum(1.0 / np.arange(1, len(ordered) + 1)))))


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Adjusted p controlling the chance of any false discovery under any dependence (step-down).

    Float64 of p's shape. Source: Holm, Scandinavian Journal of Statistics 6 (1979). Raises ValueError likewise.
    """
    return _adjust(p, lambda ordered: np.maximum.accumulate(ordered * np.arange(len(ordered), 0, -1)))


def _step_up(ordered: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    scaled = ordered * (factor * len(ordered)) / np.arange(1, len(ordered) + 1)
    return np.minimum.accumulate(scaled[::-1])[::-1]


def _adjust(p: ArrayLike, step: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> NDArray[np.float64]:
    values = np.asarray(p, np.float64)
    done = ~np.isnan(values)
    tested = values[done]
    if ((tested < 0) | (tested > 1)).any():
        raise ValueError("p-values: expected numbers between 0 and 1")
    order = np.argsort(tested, kind="stable")
    adjusted = np.empty(len(tested))
    adjusted[order] = np.minimum(step(tested[order]), 1.0)
    out = np.full(values.shape, np.nan)
    out[done] = adjusted
    return out
