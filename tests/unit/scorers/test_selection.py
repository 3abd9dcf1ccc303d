"""Rankings, cuts and ties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprachbund.errors import ModelError, SpecError
from sprachbund_runners.scorers.selection import (
    rank_units,
    resolve_k,
    select_top,
    select_top_and_bottom,
    tied_at,
)

coarse = st.sampled_from([-np.inf, -1.0, -0.0, 0.0, 0.5, 1.0, np.inf])


@given(st.lists(st.tuples(coarse, coarse, st.integers(1, 3), st.integers(0, 2)), max_size=40))
def test_ranking_equals_a_sort_of_tuples(rows: list[tuple[float, float, int, int]]) -> None:
    table = [(*row, unit) for unit, row in enumerate(rows)]
    table = [table[i] for i in np.random.default_rng(0).permutation(len(table))]
    columns = [np.array([row[c] for row in table], dtype=np.float64 if c < 2 else np.int64) for c in range(5)]
    expected = sorted(table, key=lambda r: (-r[0], -r[1], *r[2:]))
    assert [table[i] for i in rank_units(*columns)] == expected


def test_ranking_refuses_nan_and_other_shapes() -> None:
    zeros = np.zeros(3, dtype=np.int64)
    fine = np.zeros(3)
    with pytest.raises(ModelError, match="scores: NaN for the unit at position 1"):
        rank_units(np.array([0, np.nan, 1]), fine, zeros, zeros, zeros)
    with pytest.raises(ModelError, match="effect: NaN"):
        rank_units(fine, np.array([0, np.nan, 1]), zeros, zeros, zeros)
    with pytest.raises(ValueError, match="block: shape"):
        rank_units(fine, fine, zeros[:2], zeros, zeros)


@pytest.mark.parametrize(
    ("k", "units", "expected"),
    [(1, 10, 1), (10, 10, 10), (1.0, 10, 10), (0.035, 5760, 202), (0.07, 100, 7), (0.25, 10, 3), (1e-9, 10, 1),
     (np.int64(4), 10, 4), (np.float64(0.5), 10, 5)],
)  # fmt: skip
def test_k(k: int | float, units: int, expected: int) -> None:
    assert resolve_k(k, units) == expected


@pytest.mark.parametrize(
    ("k", "message"),
    [
        (11, "k: found 11, but there are 10 units; expected at most 10"),
        (0, "at least 1"),
        (-3, "at least 1"),
        (0.0, "above 0"),
        (1.5, "at most 1"),
        (float("nan"), "above 0"),
        (True, "expected a count"),
        ("5", "expected a count"),
    ],
)
def test_k_refused(k: int | float, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        resolve_k(k, 10)


def test_a_fraction_of_no_units() -> None:
    with pytest.raises(SpecError, match="0 units"):
        resolve_k(0.5, 0)


def test_ties_at_the_cut() -> None:
    scores = np.array([0.5, 0.9, 0.7, 0.7, 0.7, 0.1])
    order = np.array([1, 3, 2, 4, 0, 5])
    assert [tied_at(order, scores, k) for k in range(1, 7)] == [0, 3, 3, 0, 0, 0]
    cut = select_top(order, scores, 3)
    assert (cut.units.tolist(), cut.cut_score, cut.tied, cut.tied_chosen) == ([1, 3, 2], 0.7, 3, 2)
    whole = select_top(order, scores, 1.0)
    assert (whole.units.tolist(), whole.cut_score, whole.tied) == (order.tolist(), 0.1, 0)


def test_top_and_bottom() -> None:
    order = np.array([4, 2, 0, 1, 3])
    assert select_top_and_bottom(order, 2).tolist() == [4, 2, 1, 3]
    with pytest.raises(SpecError, match="need 6 units, but there are 5; expected at most 2"):
        select_top_and_bottom(order, 3)
