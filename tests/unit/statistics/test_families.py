"""Adjusted p-values of a family against the textbook's definition."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprachbund_runners.jobs.compare.families import Family

p_values = st.lists(st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.01, 0.05, 1.0])), min_size=1, max_size=30)


def adjusted(p, rule):
    family = Family()
    for value in p:
        family.add({"p": value}, None)
    family.adjust(SimpleNamespace(multiplicity=rule), {})
    assert all(row["family_size"] == len(p) for row in family.rows)
    return [row["q"] for row in family.rows]


def by_definition(p, penalty):
    """The least p · m / rank · penalty of this test and of those with a larger p, at most 1."""
    ranked = sorted(range(len(p)), key=p.__getitem__)
    scaled = [p[index] * len(p) / rank * penalty for rank, index in enumerate(ranked, 1)]
    least = {index: min(1.0, *scaled[place:]) for place, index in enumerate(ranked)}
    return [least[index] for index in range(len(p))]


@given(p=p_values)
def test_benjamini_and_hochberg(p):
    assert adjusted(p, "bh") == pytest.approx(by_definition(p, 1.0), abs=1e-14)


@given(p=p_values)
def test_benjamini_and_yekutieli(p):
    penalty = sum(1 / rank for rank in range(1, len(p) + 1))
    assert adjusted(p, "by") == pytest.approx(by_definition(p, penalty), abs=1e-14)


@pytest.mark.parametrize("rule", ["bh", "by"])
def test_empty_families_and_tests_that_were_not_done(rule):
    assert adjusted([], rule) == []
    for bad in (np.nan, 1.1, -0.1):
        with pytest.raises(ValueError, match="between 0 and 1"):
            adjusted([0.2, bad], rule)
