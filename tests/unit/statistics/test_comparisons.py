"""McNemar, control p-values and max-T against scipy and enumeration."""

from fractions import Fraction
from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from sprachbund_runners.statistics.comparisons import control_p, max_t, mcnemar_counts, mcnemar_exact


@given(b=st.integers(0, 1500), c=st.integers(0, 1500))
def test_mcnemar_equals_the_binomial_test(b, c):
    expected = binomtest(b, b + c).pvalue if b + c else 1.0
    assert mcnemar_exact(b, c) == pytest.approx(expected, rel=1e-9)


@given(counts=st.lists(st.tuples(st.integers(0, 90), st.integers(0, 90)), max_size=20))
def test_mcnemar_of_many_pairs_sums_the_tail_exactly(counts):
    """In whole numbers: the chance of at most as few heads, doubled, among a + b tosses."""
    tails = [Fraction(2 * sum(comb(a + b, k) for k in range(min(a, b) + 1)), 2 ** (a + b)) for a, b in counts]
    found = mcnemar_exact([a for a, _ in counts], [b for _, b in counts])
    assert found.shape == (len(counts),)
    assert found == pytest.approx([float(min(tail, 1)) for tail in tails], rel=1e-12)


def test_mcnemar_of_many_items():
    assert mcnemar_exact(49_000, 51_000) == pytest.approx(binomtest(49_000, 100_000).pvalue, rel=1e-9)
    assert mcnemar_exact(0, 2000) == 0.0 or mcnemar_exact(0, 2000) < 1e-300


def test_mcnemar_counts_and_refusals():
    assert mcnemar_counts([1, 1, 0, 0, 1], [1, 0, 1, 0, 0]) == (2, 1)
    assert mcnemar_counts(np.array([True, False]), np.array([False, False])) == (1, 0)
    with pytest.raises(ValueError, match="fractional tie credits"):
        mcnemar_counts([0.5, 1.0], [1.0, 0.0])
    with pytest.raises(ValueError, match="one length"):
        mcnemar_counts([1], [1, 0])


@given(
    observed=st.integers(0, 5),
    controls=st.lists(st.integers(0, 5), min_size=1, max_size=25),
    better=st.sampled_from(["higher", "lower"]),
)
def test_control_p_counts_those_at_least_as_good(observed, controls, better):
    as_good = [value >= observed if better == "higher" else value <= observed for value in controls]
    assert float(control_p(observed, controls, better)) == (1 + sum(as_good)) / (1 + len(controls))


def test_control_p_of_columns_and_refusals():
    assert control_p([3.0, 0.0], [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]).tolist() == [0.5, 1.0]
    for observed, controls in ((np.nan, [1.0]), (1.0, [np.nan]), (1.0, []), ([1.0], [1.0, 2.0])):
        with pytest.raises(ValueError, match="control p"):
            control_p(observed, controls)
    with pytest.raises(ValueError, match="better"):
        control_p(1.0, [1.0], "more")


def all_swaps(differences):
    """Exact max-T p without the +1: every assignment of signs."""
    scale = np.sqrt((differences**2).sum(axis=0))
    scale[scale == 0] = 1
    observed = np.abs(differences.sum(axis=0)) / scale
    largest = [np.max(np.abs(np.array(s) @ differences) / scale) for s in product([-1, 1], repeat=len(differences))]
    return [np.mean([value >= t - 1e-9 for value in largest]) for t in observed]


@settings(max_examples=15)
@given(rows=st.lists(st.tuples(*[st.sampled_from([-1.0, 0.0, 0.5, 1.0])] * 3), min_size=2, max_size=8))
def test_max_t_approaches_all_swaps(rows):
    differences = np.array(rows)
    found = max_t(differences, resamples=20_000, seed=1)
    assert found == pytest.approx(all_swaps(differences), abs=0.02)


def test_max_t_swaps_groups_whole():
    rng = np.random.default_rng(2)
    differences = rng.standard_normal((12, 2)) + 0.8
    groups = np.repeat(np.arange(4), 3)[rng.permutation(12)]
    sums = np.array([differences[groups == g].sum(axis=0) for g in range(4)])
    assert max_t(differences, groups, resamples=20_000) == pytest.approx(all_swaps(sums), abs=0.02)


def test_max_t_of_no_difference_and_of_nan():
    assert max_t(np.zeros((5, 2)), resamples=50).tolist() == [1.0, 1.0]
    assert max_t(np.ones((30, 1)), resamples=999)[0] == 0.001
    with pytest.raises(ValueError, match="finite differences"):
        max_t([[np.nan]])
