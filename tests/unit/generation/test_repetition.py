"""Repetition and variety against counting by hand."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprachbund_runners.generation.repetition import distinct, is_degenerate, repeated_share

IDS = st.lists(st.integers(0, 3), max_size=30)


def slow_repeated(ids: list[int], n: int) -> float:
    """How many n-grams stood there before, one by one."""
    seen: Counter[str] = Counter()
    repeated = total = 0
    for start in range(len(ids)):
        gram = ids[start : start + n]
        if len(gram) == n:
            repeated += seen[str(gram)] > 0
            seen[str(gram)] += 1
            total += 1
    return repeated / total if total else math.nan


@given(IDS, st.integers(1, 5))
def test_repeated_share_is_that_of_the_slow_count(ids: list[int], n: int) -> None:
    expected = slow_repeated(ids, n)
    assert repeated_share(np.array(ids, dtype=np.int64), n) == pytest.approx(expected, nan_ok=True)


@given(st.lists(IDS, max_size=5), st.integers(1, 3))
def test_distinct_counts_over_all_sequences_but_not_across_their_borders(sequences: list[list[int]], n: int) -> None:
    grams = [tuple(ids[at : at + n]) for ids in sequences for at in range(len(ids)) if at + n <= len(ids)]
    expected = len(set(grams)) / len(grams) if grams else math.nan
    found = distinct([np.array(ids, dtype=np.int64) for ids in sequences], n)
    assert found == pytest.approx(expected, nan_ok=True)


def test_known_values() -> None:
    assert repeated_share(np.array([1, 2, 3, 4, 1, 2, 3, 4])) == pytest.approx(1 / 5)
    assert repeated_share(np.full(23, 7)) == pytest.approx(19 / 20)
    assert math.isnan(repeated_share(np.array([1, 2, 3])))
    assert distinct([np.array([1, 1, 2]), np.array([2])], 1) == pytest.approx(2 / 4)
    assert math.isnan(distinct([], 1))


@pytest.mark.parametrize(
    ("text", "repetition", "expected"),
    [
        ("", None, True),
        ("  \n…", None, True),
        ("12:30 – 14 €", 0.0, True),
        ("猫", None, False),
        ("a", 0.5, False),
        ("ha ha ha ha", 0.51, True),
    ],
)
def test_degenerate_texts(text: str, repetition: float | None, expected: bool) -> None:
    assert is_degenerate(text, repetition, 0.5) is expected
