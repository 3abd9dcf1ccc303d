"""The error due to a fit sample: its formula, what it refuses, and how often the wider interval covers."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sprachbund_runners.statistics.bootstrap import bootstrap_replicates, summarise_replicates
from sprachbund_runners.statistics.fit_sample import half_sample_error, with_fit_sample
from sprachbund_runners.statistics.population import population_mean


def test_over_all_halves_the_error_of_a_mean_is_the_known_one():
    """The delete-half jackknife of a mean is s / √n exactly, whatever the values."""
    items = np.array([0.1, 0.4, 0.4, 2.0, -1.0, 0.3, 5.0, 0.0])
    halves = [items[list(kept)].mean() for kept in combinations(range(8), 4)]
    # Of all halves the mean square is exact; of drawn ones n - 1 makes up for the mean that is estimated.
    exact = half_sample_error(halves) * math.sqrt((len(halves) - 1) / len(halves))
    assert exact == pytest.approx(items.std(ddof=1) / math.sqrt(8))


def test_alike_values_have_no_error():
    assert half_sample_error([0.3, 0.3, 0.3]) == 0.0
    assert with_fit_sample(0.2, 0.1, 0.4, 0.0, 3) == pytest.approx((0.1, 0.4))


@pytest.mark.parametrize("values", [[], [0.1], [0.1, math.nan], [[0.1, 0.2]]])
def test_what_has_no_spread_is_refused(values):
    with pytest.raises(ValueError, match="expected two finite values or more"):
        half_sample_error(values)


@given(
    below=st.floats(0, 2), above=st.floats(0, 2), error=st.floats(0, 2), n=st.integers(2, 50),
    confidence=st.floats(0.6, 0.99),
)  # fmt: skip
def test_distances_are_added_in_squares_on_either_side(below, above, error, n, confidence):
    low, high = with_fit_sample(0.5, 0.5 - below, 0.5 + above, error, n, confidence)
    t = stats.t.ppf(0.5 + confidence / 2, n - 1) * error
    assert 0.5 - low == pytest.approx(math.sqrt((0.5 - (0.5 - below)) ** 2 + t**2), abs=1e-9)
    assert high - 0.5 == pytest.approx(math.sqrt((0.5 + above - 0.5) ** 2 + t**2), abs=1e-9)
    assert (low <= 0.5 - below + 1e-12) and (high >= 0.5 + above - 1e-12)


def test_an_estimate_outside_its_interval_stays_inside():
    """A percentile interval may miss the estimate: the end on its side is then the error's alone."""
    low, high = with_fit_sample(0.5, 0.6, 0.8, 0.1, 1000)
    assert low == pytest.approx(0.5 - stats.t.ppf(0.975, 999) * 0.1)
    assert high > 0.8


def test_over_languages_and_items_it_is_a_third_error():
    found = population_mean(0.3, 0.1, 0.2, 6, fit_error=0.2)
    low, high = stats.t.interval(0.95, 6, loc=0.3, scale=0.3)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.p == pytest.approx(2 * stats.t.sf(1.0, 6))
    with pytest.raises(ValueError, match="expected none negative"):
        population_mean(0.3, 0.1, 0.2, 6, fit_error=-0.1)


def test_with_the_fit_sample_it_covers_where_items_alone_do_not():
    """Experts are the top 5 of 60 noisy units. `benchmarks/fit_sample.py` has more designs and trials."""
    n, k, trials, n_halves = 60, 5, 200, 12
    random = np.random.default_rng(4)
    means = random.normal(0, 0.5, 60)
    benefits = means + random.normal(0, 1, 60)

    def effect(responses):
        return benefits[np.argsort(-responses.mean(axis=0))[:k]].mean()

    def responses():
        return means + random.normal(0, 2, (n, 60))

    truth = np.mean([effect(responses()) for _ in range(2000)])
    hits = {"items": 0, "both": 0}
    for trial in range(trials):
        fitted = responses()
        gains = effect(fitted) + random.normal(0, 1, n)
        replicates = bootstrap_replicates(gains[:, None], None, 300, trial)[:, 0]
        value = float(gains.mean())
        fixed = summarise_replicates(value, replicates, confidence=0.95, n_items=n, n_groups=n)
        halves = [effect(fitted[random.permutation(n)[: n // 2]]) for _ in range(n_halves)]
        ends = float(fixed.low), float(fixed.high)
        low, high = with_fit_sample(value, *ends, half_sample_error(halves), n_halves)
        hits["items"] += ends[0] <= truth <= ends[1]
        hits["both"] += low <= truth <= high
    assert hits["items"] < 140
    assert hits["both"] >= 182
