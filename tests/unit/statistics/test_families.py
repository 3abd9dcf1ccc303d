"""Adjusted p-values of a family against the textbook's definition; max-T in blocks against all of it at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sprachbund_runners.jobs.compare.families import Items, SwappedFamily, adjusted_p
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


def max_t_at_once(differences, groups, resamples, seed):
    """Westfall and Young's single step with every draw and column at hand."""
    labels = sorted(set(groups))
    sums = np.array([sum(row for row, group in zip(differences, groups, strict=True) if group == g) for g in labels])
    signs = np.random.default_rng(seed).integers(0, 2, size=(resamples, len(labels))) * 2.0 - 1.0
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
    family = SwappedFamily("top1", None, items, Swaps(items.groups, 60, 3), most)
    table = np.zeros((7, len(tests)))
    for number, test in enumerate(tests):
        family.add(number + 10, {corpus: np.array(each) for corpus, each in test.items()})
        table[:4, number], table[4:, number] = test["a"], test.get("b", [0.0] * 3)
    # Groups of two corpora are different groups.
    groups = [0, 0, 1, 2, 3, 4, 3] if unit == "group" else range(7)
    found = family.adjusted()
    assert found.ids.tolist() == [number + 10 for number in range(len(tests))]
    assert found.q.tolist() == pytest.approx(max_t_at_once(table, list(groups), 60, 3))


def test_no_groups_are_items():
    assert Items.of({"a": (2, None)}, "group").groups is None
    assert Items.of({"a": (2, ["x", "x"])}, "group").groups == [0, 0]
    assert Items.of({"a": (2, ["x", "x"])}, "item").groups is None
