"""Adjusted p-values of a family against the textbook's definition; max-T in blocks against all of it at once."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sprachbund.statistics import default_resamples, least_q, resamples_needed
from sprachbund_runners.jobs.compare.families import Family, FamilyName, Items, SwappedFamily, adjusted_p
from sprachbund_runners.statistics.bootstrap import least_p
from sprachbund_runners.statistics.comparisons import Swaps

p_values = st.lists(st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.01, 0.05, 1.0])), min_size=1, max_size=30)


def by_definition(p, penalty):
    """The least p · m / rank · penalty of this test and of those with a larger p, at most 1."""
    ranked = sorted(range(len(p)), key=p.__getitem__)
    scaled = [p[index] * len(p) / rank * penalty for rank, index in enumerate(ranked, 1)]
    least = {index: min(1.0, *scaled[place:]) for place, index in enumerate(ranked)}
    return [least[index] for index in range(len(p))]


@given(p=p_values)
def test_benjamini_and_hochberg(p):
    assert adjusted_p(p, "bh") == pytest.approx(by_definition(p, 1.0), abs=1e-14)


@given(p=p_values)
def test_benjamini_and_yekutieli(p):
    penalty = sum(1 / rank for rank in range(1, len(p) + 1))
    assert adjusted_p(p, "by") == pytest.approx(by_definition(p, penalty), abs=1e-14)


@pytest.mark.parametrize("rule", ["bh", "by"])
def test_empty_families_and_tests_that_were_not_done(rule):
    assert adjusted_p([], rule).tolist() == []
    for bad in (np.nan, 1.1, -0.1):
        with pytest.raises(ValueError, match="between 0 and 1"):
            adjusted_p([0.2, bad], rule)


def summed(differences, groups):
    """Sums of groups [groups, tests]."""
    labels = sorted(set(groups))
    return np.array([sum(row for row, group in zip(differences, groups, strict=True) if group == g) for g in labels])


def max_t_at_once(differences, groups, resamples, seed):
    """Westfall and Young's single step with every draw and column at hand."""
    sums = summed(differences, groups)
    signs = np.random.default_rng(seed).integers(0, 2, size=(resamples, len(sums))) * 2.0 - 1.0
    found = []
    scale = [np.sqrt(sum(value**2 for value in column)) or 1.0 for column in sums.T]
    drawn = np.stack([np.abs(signs @ column) / s for column, s in zip(sums.T, scale, strict=True)], axis=1)
    for column, s in zip(sums.T, scale, strict=True):
        observed = abs(column.sum()) / s
        found.append((1 + sum(row.max() >= observed - 1e-9 for row in drawn)) / (1 + resamples))
    return found


CORPORA = {"b": (3, ["x", "y", "x"]), "a": (4, ["x", "x", "y", "z"])}
changes = st.sampled_from([-1.0, 0.0, 0.5, 1.0])
tests_of = st.lists(
    st.fixed_dictionaries(
        {"a": st.lists(changes, min_size=4, max_size=4)}, optional={"b": st.lists(changes, min_size=3, max_size=3)}
    ),
    min_size=1, max_size=9,
)  # fmt: skip


@settings(max_examples=40)
@given(tests=tests_of, most=st.integers(1, 10), unit=st.sampled_from(["item", "group"]))
def test_max_t_in_blocks_is_that_of_the_whole_family(tests, most, unit):
    items = Items.of(CORPORA, unit)
    family = SwappedFamily(NAME, items, Swaps(items.groups, 60, 3), most)
    table = np.zeros((7, len(tests)))
    for number, test in enumerate(tests):
        family.add(number + 10, {corpus: np.array(each) for corpus, each in test.items()})
        table[:4, number], table[4:, number] = test["a"], test.get("b", [0.0] * 3)
    # Groups of two corpora are different groups.
    groups = [0, 0, 1, 2, 3, 4, 3] if unit == "group" else range(7)
    found = family.adjusted(0.05)
    assert found.ids.tolist() == [number + 10 for number in range(len(tests))]
    assert found.q.tolist() == pytest.approx(max_t_at_once(table, list(groups), 60, 3))
    # The p of a normal deviate that is as great as the least |T| with q <= .05.
    scale = [np.sqrt(sum(value**2 for value in column)) for column in summed(table, list(groups)).T]
    t = [abs(column.sum()) / s if s else 0.0 for column, s in zip(summed(table, list(groups)).T, scale, strict=True)]
    for number, q in enumerate(found.q):
        assert (q <= 0.05) <= (2 * stats.norm.sf(t[number]) <= found.threshold + 1e-12)
    assert found.q_floor == 1 / 61


def test_few_swaps_have_no_threshold():
    swaps = Swaps(None, 10, 0)
    swaps.add(np.ones((5, 2)))
    assert swaps.critical(0.05) == math.inf and swaps.critical(0.1) < math.inf


NAME = FamilyName("top1", None, "steered")


@given(p=p_values, rule=st.sampled_from(["bh", "by"]))
def test_the_threshold_is_the_p_of_what_was_found(p, rule):
    found = Family.by_p(NAME, list(range(len(p))), p, rule, 0.05, 0.0)
    # Where something is found, it is what is at most the threshold.
    if (found.q <= 0.05).any():
        assert ((found.q <= 0.05) == (np.array(p) <= found.threshold * (1 + 1e-12))).all()
    else:
        # One that were found alone.
        assert by_definition([found.threshold * (1 - 1e-9), *[1.0] * (len(p) - 1)], penalty(len(p), rule))[0] <= 0.05
    assert Family.by_p(NAME, list(range(len(p))), p, rule, 0.05, 0.06).threshold is None


def penalty(n, rule):
    return 1.0 if rule == "bh" else sum(1 / rank for rank in range(1, n + 1))


@pytest.mark.parametrize("rule", ["bh", "by", "max_t"])
@given(tests=st.integers(1, 300), alpha=st.sampled_from([0.01, 0.05, 0.1]))
def test_the_draws_that_a_family_needs_are_the_fewest(rule, tests, alpha):
    needed = resamples_needed(tests, alpha, rule)
    assert least_q(tests, needed, rule) <= alpha * (1 + 1e-9)
    assert needed == 1 or least_q(tests, needed - 1, rule) > alpha
    if rule != "max_t":
        # The only effect of its family, at the least p that so many draws give.
        q = by_definition([least_p(needed), *[1.0] * (tests - 1)], penalty(tests, rule))[0]
        assert q == pytest.approx(least_q(tests, needed, rule))
    default = default_resamples(tests, alpha, rule)
    assert default == next((each for each in (1000, 2000, 5000, 10_000) if each >= needed), 20_000)


def test_a_true_null_is_seldom_found_in_a_family_of_its_own():
    """16 tests of what certainly works and 32 of nothing: `benchmarks/families.py` with real draws."""
    random = np.random.default_rng(0)
    joint = alone = 0
    for _ in range(1000):
        p = np.concatenate([np.full(16, 1e-6), random.random(32)])
        joint += (adjusted_p(p, "bh")[16:] <= 0.05).any()
        alone += (adjusted_p(p[16:], "bh") <= 0.05).any()
    assert joint / 1000 == pytest.approx(0.44, abs=0.05)
    assert alone / 1000 <= 0.065


def test_no_groups_are_items():
    assert Items.of({"a": (2, None)}, "group").groups is None
    assert Items.of({"a": (2, ["x", "x"])}, "group").groups == [0, 0]
    assert Items.of({"a": (2, ["x", "x"])}, "item").groups is None
