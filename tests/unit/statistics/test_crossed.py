"""Crossed effects by the structure of the design against the same model with matrices of all pairs by all pairs."""

import importlib.util
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sprachbund_runners.statistics.crossed import crossed_effects
from sprachbund_runners.statistics.pairs import Covariance, Pairs

_found = importlib.util.spec_from_file_location("crossed_reference", Path(__file__).parent / "crossed_reference.py")
assert _found is not None and _found.loader is not None
reference = importlib.util.module_from_spec(_found)
sys.modules[_found.name] = reference
_found.loader.exec_module(reference)


def drawn(n, design, seed):
    """Query and candidate of pairs of n languages."""
    random = np.random.default_rng(seed)
    pairs = np.array(list(itertools.permutations(range(n), 2)))
    if design == "self pairs":
        pairs = np.array(list(itertools.product(range(n), repeat=2)))
    if design == "one direction":
        pairs = pairs[pairs[:, 0] < pairs[:, 1]]
    if design == "missing":
        pairs = pairs[random.permutation(len(pairs))[: max(6, 2 * len(pairs) // 3)]]
    if design == "corpora":
        pairs = np.concatenate([pairs, pairs, pairs[random.random(len(pairs)) < 0.5]])
    if design == "drawn rows":
        pairs = pairs[random.integers(0, len(pairs), 2 * len(pairs))]
    return pairs.T


def response(query, candidate, n, spread, exchange, seed):
    """Values with effects of roles, and residuals of a pair both ways that go together as `exchange` says."""
    random = np.random.default_rng(seed)
    table = random.normal(size=(n, n))
    table = table + exchange * table.T + 0.1
    own = random.normal(size=(2, n)) * np.array(spread[:2])[:, None]
    noise = 0.3 * random.normal(size=len(query))
    return 5 + own[0][query] + own[1][candidate] + spread[2] * table[query, candidate] + noise


def same(found, expected, scale):
    for name, value in expected.items():
        unit = scale**2 if "variance" in name else max(scale, float(np.abs(value).max()))
        assert np.abs(np.asarray(value, float) - getattr(found, name)).max() <= 1e-10 * unit, name


def variances_of(expected):
    return np.array([expected[f"{name}_variance"] for name in ("query", "candidate", "residual")])


def decided(given_pairs, ordered, variances, seed):
    """Whether the reference finds the same for values moved by less than counts.

    Where estimates tie, as of rounded responses, rounding decides which variance is left out: in the reference too.
    """
    random = np.random.default_rng(seed)
    for _ in range(16):
        moved = given_pairs[0] + 1e-9 * random.normal(size=len(given_pairs[0]))
        try:
            near = variances_of(reference.crossed_effects(moved, *given_pairs[1:], ordered=ordered))
        except ValueError:
            return False
        if np.abs(near - variances).max() > 1e-6 * max(1.0, variances.sum()):
            return False
    return True


DESIGNS = ["all", "self pairs", "one direction", "missing", "corpora", "drawn rows"]


@settings(max_examples=120)
@given(
    st.sampled_from(DESIGNS), st.integers(4, 11), st.booleans(), st.integers(0, 2), st.sampled_from([-0.9, 0, 0.9]),
    st.tuples(*[st.sampled_from([0.0, 0.3, 1.0])] * 3), st.integers(0, 10_000), st.booleans(),
)  # fmt: skip
def test_everything_equals_the_reference(design, n, ordered, columns, exchange, spread, seed, tied):
    query, candidate = drawn(n, design, seed)
    y = response(query, candidate, n, spread, exchange, seed)
    y = y.round() if tied else y
    names = np.array([f"l{number:02d}" for number in range(n)])
    x = np.random.default_rng(seed).normal(size=(len(y), columns)) if columns else None
    given_pairs = y, names[query], names[candidate], x
    try:
        expected = reference.crossed_effects(*given_pairs, ordered=ordered)
    except ValueError as error:
        with pytest.raises(ValueError, match=str(error)):
            crossed_effects(*given_pairs, ordered=ordered)
        return
    found = crossed_effects(*given_pairs, ordered=ordered)
    variances = variances_of(expected)
    if tied and not decided(given_pairs, ordered, variances, seed):
        return
    # One that is rounding is 0 or 1e-17 by chance, and without a residual the reference loses seven digits.
    if ((variances == 0) | (variances > 1e-6 * variances.sum())).all() and variances[2] > 0:
        same(found, expected, float(np.abs(y).max()))


@pytest.mark.parametrize(("design", "n"), [("all", 44), ("corpora", 28), ("missing", 54), ("one direction", 62)])
def test_thousands_of_pairs_equal_the_reference(design, n):
    query, candidate = drawn(n, design, 1)
    assert 1800 <= len(query) <= 2000
    y = response(query, candidate, n, (1.0, 0.7, 0.5), 0.8, 2)
    x = np.random.default_rng(3).normal(size=(len(y), 2)) + y[:, None] / 4
    ordered = design != "one direction"
    expected = reference.crossed_effects(y, query, candidate, x, ordered=ordered)
    same(crossed_effects(y, query, candidate, x, ordered=ordered), expected, float(np.abs(y).max()))


@pytest.mark.parametrize("value", [0.0, 0.1, 5.0, 1e-9, 1e9])
@pytest.mark.parametrize("ordered", [True, False])
def test_values_that_are_all_equal_have_no_slope_and_no_variance(value, ordered):
    """Rounding of the mean is neither a residual nor a slope that is known exactly."""
    query, candidate = drawn(7, "missing", 3)
    x = np.random.default_rng(5).normal(size=(len(query), 2))
    found = crossed_effects(np.full(len(query), value), query, candidate, x, ordered=ordered)
    assert found.coefficients == pytest.approx([value, 0, 0])
    assert found.coefficients[1:].tolist() == [0, 0] and found.p[1:].tolist() == [1, 1]
    assert (found.query_variance, found.candidate_variance, found.residual_variance) == (0, 0, 0)


def test_a_design_that_tells_no_language_from_a_residual_shares_the_variance():
    """Each language beside the first is in one unordered pair: its effect and the residual are one."""
    y = np.random.default_rng(0).normal(size=7)
    found = crossed_effects(y, np.zeros(7), np.arange(1, 8), ordered=False)
    assert found.query_variance == pytest.approx(found.residual_variance)
    assert found.query_variance + found.residual_variance == pytest.approx(y.var(ddof=1))


@pytest.mark.parametrize("residual", [1.0, 1e-9])
@pytest.mark.parametrize("direction", [0.0, -0.4])
def test_products_with_the_inverse_are_exact_however_small_the_residual(residual, direction):
    """V r = s r for residuals r that sum to 0 for every language, V 1 = (row sum) 1 where all pairs are there."""
    n = 9
    query, candidate = drawn(n, "all", 0)
    pairs = Pairs.of(query, candidate, True)
    between = np.kron(np.array([[1.0, 0.5], [0.5, 2.0]]), np.eye(n))
    covariance = Covariance(residual, direction * residual, between)
    random = np.random.default_rng(4)
    table = random.normal(size=(n, n))
    table = table + table.T
    np.fill_diagonal(table, 0)
    design = np.concatenate([query[None] == np.arange(n)[:, None], candidate[None] == np.arange(n)[:, None]]).T * 1.0
    rest = table[query, candidate]
    rest = rest - design @ np.linalg.lstsq(design, rest, rcond=None)[0]
    rows = np.column_stack([np.ones(len(query)), rest])
    first = residual * (1 + direction) + (n - 1) * (1 + 2) + 2 * (n - 1) * 0.5
    expected = np.diag([len(query) / first, rest @ rest / (residual * (1 + direction))])
    products = covariance.products(rows, pairs)
    assert np.diag(products) == pytest.approx(np.diag(expected), rel=1e-12)
    assert abs(products[0, 1]) <= 1e-11 * np.sqrt(expected[0, 0] * expected[1, 1])
