"""A mean over languages and items like these: its formula, and how often its interval covers."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sprachbund_runners.statistics.bootstrap import bootstrap_replicates, summarise_replicates
from sprachbund_runners.statistics.crossed import crossed_effects
from sprachbund_runners.statistics.population import item_error, population_mean


@given(
    mean=st.floats(-5, 5), language=st.floats(0, 3), item=st.floats(1e-3, 3), degrees=st.integers(1, 40),
    confidence=st.floats(0.5, 0.99),
)  # fmt: skip
def test_both_errors_are_added_in_squares(mean, language, item, degrees, confidence):
    found = population_mean(mean, language, item, degrees, confidence)
    scale = math.sqrt(language**2 + item**2)
    low, high = stats.t.interval(confidence, degrees, loc=mean, scale=scale)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9, abs=1e-9)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(mean) / scale, degrees), rel=1e-9, abs=1e-12)


def test_without_any_error_the_mean_is_known():
    assert population_mean(0.0, 0.0, 0.0, 4).p == 1.0
    found = population_mean(0.2, 0.0, 0.0, 4)
    assert (found.low, found.high, found.p) == (0.2, 0.2, 0.0)


@pytest.mark.parametrize(("language", "item", "degrees"), [(-0.1, 0.1, 3), (0.1, -0.1, 3), (0.1, 0.1, 0)])
def test_no_error_is_negative(language, item, degrees):
    with pytest.raises(ValueError, match="expected none negative"):
        population_mean(0.1, language, item, degrees)


def test_the_error_over_items_is_that_of_their_mean():
    items = np.random.default_rng(0).normal(size=50)
    replicates = bootstrap_replicates(items[:, None], None, 20_000, 1)[:, 0]
    assert item_error(replicates, 50, 49) == pytest.approx(items.std(ddof=1) / math.sqrt(50), rel=0.03)
    assert item_error(replicates, 1, 0) is None


@pytest.mark.parametrize(("n_languages", "language", "item"), [(5, 1.0, 0.0), (5, 0.5, 3.0), (8, 0.0, 3.0)])
def test_it_covers_the_mean_over_new_languages_and_items(n_languages, language, item):
    """`benchmarks/intervals.py` has more designs. Of 200 intervals of 95 % less than 182 would be far off."""
    random = np.random.default_rng(3)
    query, candidate = np.array(list(itertools.permutations(range(n_languages), 2))).T
    hits = {"items": 0, "languages": 0, "both": 0}
    for trial in range(200):
        of_query, of_candidate = random.normal(0, language, (2, n_languages))
        gains = (of_query[query] + of_candidate[candidate] + random.normal(0, 0.3, len(query)))[:, None]
        gains = gains + random.normal(0, item, 60) + random.normal(0, 1.0, (len(query), 60))
        means, items = gains.mean(axis=1), gains.mean(axis=0)
        replicates = bootstrap_replicates(items[:, None], None, 300, trial)[:, 0]
        fixed = summarise_replicates(float(items.mean()), replicates, confidence=0.95, n_items=60, n_groups=60)
        crossed = crossed_effects(means, query, candidate)
        errors = float(crossed.standard_errors[0]), item_error(replicates, 60, 59)
        both = population_mean(float(crossed.coefficients[0]), *errors, crossed.degrees)
        hits["items"] += bool(fixed.low <= 0 <= fixed.high)
        hits["languages"] += bool(crossed.low[0] <= 0 <= crossed.high[0])
        hits["both"] += both.low <= 0 <= both.high
    assert hits["both"] >= 182
    # What varies and is left out is missed.
    assert not language or hits["items"] < 182
    assert not item or hits["languages"] < 182
