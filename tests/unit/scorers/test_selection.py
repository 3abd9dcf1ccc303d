"""Rankings, cuts and ties."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sprachbund.errors import ModelError, SpecError
from sprachbund.models.architectures import UnitBlock
from sprachbund_runners.scorers.selection import Rule, choose, difference, intersection, rank_units, resolve_k, tied_at

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
    assert tied_at(order, scores, 1.0) == 0


AXIS = [UnitBlock(1, "mlp.up", 4, 0), UnitBlock(1, "mlp.down", 2, 4), UnitBlock(2, "mlp.up", 4, 6)]
ORDER = np.array([9, 4, 0, 7, 2, 5, 1, 8, 3, 6])
FLAT = np.ones(10)


def pick(rule: Rule, order: NDArray[np.int64] = ORDER) -> list[int]:
    return choose(rule, AXIS, order, FLAT, FLAT).tolist()


def test_rules_on_a_small_axis() -> None:
    assert pick(Rule("top", 3)) == [9, 4, 0]
    assert pick(Rule("top", 0.2)) == [9, 4]
    assert pick(Rule("top_and_bottom", 2)) == [9, 4, 3, 6]
    assert pick(Rule("per_block", 2)) == [0, 2, 4, 5, 9, 7]
    assert pick(Rule("per_block", 0.75)) == [0, 2, 1, 4, 5, 9, 7, 8]


@given(st.permutations(range(10)), st.integers(1, 10), st.integers(0, 10))
def test_top_top_and_bottom_and_per_block_equal_loops(drawn: list[int], k: int, dropped: int) -> None:
    order = np.array(drawn[: len(drawn) - dropped], dtype=np.int64)
    if k <= len(order):
        assert pick(Rule("top", k), order) == drawn[:k]
    else:
        with pytest.raises(SpecError, match=f"{k} units are wanted, but only {len(order)} may be chosen"):
            pick(Rule("top", k), order)
    if 2 * k <= len(order):
        assert pick(Rule("top_and_bottom", k), order) == drawn[:k] + order.tolist()[-k:]
    parts = [[u for u in order.tolist() if a.offset <= u < a.offset + a.width] for a in AXIS]
    if all(len(part) >= k for part in parts):
        assert pick(Rule("per_block", k), order) == [u for part in parts for u in part[:k]]
    else:
        with pytest.raises(SpecError, match="k: "):
            pick(Rule("per_block", k), order)


some_p = st.sampled_from([0.0, 0.0008, 0.012, 0.037, 0.21, 1.0])
some_d = st.sampled_from([-2.0, 0.0, 0.3, 0.5, 1.0])


@given(
    st.lists(st.tuples(some_p, some_d), min_size=10, max_size=10),
    st.sampled_from([0.01, 0.05, 0.2]),
    st.sampled_from([None, 0.0, 0.5]),
)
def test_threshold_equals_the_step_up_rule(rows: list[tuple[float, float]], q: float, floor: float | None) -> None:
    p, effect = (np.array(column) for column in zip(*rows, strict=True))
    # Benjamini and Hochberg as they put it: the largest i with p_(i) <= i q / m, and all up to it.
    ranked = sorted(p)
    cut = max((ranked[i] for i in range(10) if ranked[i] <= (i + 1) * q / 10), default=-1.0)
    expected = [u for u in ORDER.tolist() if p[u] <= cut and effect[u] > 0 and effect[u] >= (floor or 0)]
    rule = Rule("threshold", q=q, effect=floor)
    if expected:
        assert choose(rule, AXIS, ORDER, p, effect).tolist() == expected
    else:
        with pytest.raises(ModelError, match=r"selection: none of 10 units has q at most .* Cohen's d at least"):
            choose(rule, AXIS, ORDER, p, effect)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"how": "topp", "k": 1}, "found 'topp', expected one of top, .*did you mean 'top'"),
        ({"how": "top"}, "k is missing: selection 'top'"),
        ({"how": "threshold", "k": 3, "q": 0.1}, "k: found 3; selection 'threshold' takes none"),
        ({"how": "threshold"}, "q: found None"),
        ({"how": "threshold", "q": 1.0}, "q: found 1.0"),
        ({"how": "threshold", "q": 0.1, "effect": -1}, "effect: found -1"),
        ({"how": "threshold", "q": 0.1, "effect": float("nan")}, "effect: found nan"),
        ({"how": "per_block", "k": 3, "q": 0.1}, "q: found 0.1; only selection 'threshold'"),
        ({"how": "top", "k": 3, "effect": 0.0}, "effect: found 0.0; only"),
    ],
)
def test_rules_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Rule(**fields)


def test_more_than_there_is() -> None:
    with pytest.raises(SpecError, match="need 12 units, but there are 10; expected at most 5"):
        pick(Rule("top_and_bottom", 6))
    with pytest.raises(SpecError, match=r"k: found 3, but mlp.down of block 1 has 2 units"):
        pick(Rule("per_block", 3))
    with pytest.raises(SpecError, match=r"2 units of mlp.down in block 1 are wanted, but only 1 may be chosen"):
        pick(Rule("per_block", 2), ORDER[:5])
    with pytest.raises(SpecError, match="found 11, but there are 10"):
        pick(Rule("top", 11))
    with pytest.raises(ValueError, match=r"effect: shape \[3\]; expected \[10\]"):
        choose(Rule("top", 1), AXIS, ORDER, FLAT, FLAT[:3])


sets_of_units = st.lists(st.lists(st.integers(0, 6), max_size=8), min_size=1, max_size=4)


@given(sets_of_units)
def test_intersection_and_difference_equal_those_of_sets(drawn: list[list[int]]) -> None:
    shared = sorted(set(drawn[0]).intersection(*drawn[1:]))
    left = sorted(set(drawn[0]).difference(*drawn[1:]))
    arrays = [np.array(each, dtype=np.int64) for each in drawn]
    for found, expected, message in (
        (lambda: intersection(arrays), shared, "share no unit"),
        (lambda: difference(arrays[0], arrays[1:]), left, "every unit is another set's too"),
    ):
        if expected:
            assert found().tolist() == expected
        else:
            with pytest.raises(ModelError, match=message):
                found()


def test_an_intersection_of_nothing() -> None:
    with pytest.raises(ModelError, match="no set given"):
        intersection([])
