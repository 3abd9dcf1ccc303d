"""Repetition and variety of token sequences, and which texts are degenerate."""

import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

REPEATED = 4


def _grams(ids: NDArray[np.int64], n: int) -> list[tuple[int, ...]]:
    listed = ids.tolist()
    return [tuple(listed[start : start + n]) for start in range(len(listed) - n + 1)]


def repeated_share(ids: NDArray[np.int64], n: int = REPEATED) -> float:
    """1 - different n-grams / n-grams of one sequence of token ids; NaN for fewer than n tokens.

    Source: seq-rep-n, Welleck et al., ICLR 2020.
    """
    grams = _grams(ids, n)
    return 1.0 - len(set(grams)) / len(grams) if grams else float("nan")


def distinct(sequences: Sequence[NDArray[np.int64]], n: int) -> float:
    """Different n-grams / n-grams over all sequences together; NaN where there are none.

    It falls with the number of sequences: compare equally many. Source: distinct-n, Li et al., NAACL 2016.
    """
    grams = [gram for ids in sequences for gram in _grams(ids, n)]
    return len(set(grams)) / len(grams) if grams else float("nan")


def is_degenerate(text: str, repetition: float | None, limit: float) -> bool:
    """Whether a text holds no letter at all, or repeats more than `limit` of its 4-grams."""
    if not any(unicodedata.category(character)[0] == "L" for character in text):
        return True
    return repetition is not None and repetition > limit
