"""The same gain over several models: against textbook formulas on items, and by simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from sprachbund_runners.statistics.arms import arms
from sprachbund_runners.statistics.bootstrap import bootstrap_replicates


def summary(items, resamples=4000):
    """Of gains item by item [n, arms]."""
    return arms(items.mean(axis=0), bootstrap_replicates(items, None, resamples, 0), len(items))


def hotelling(items):
    """p of all arms having the same mean, from the items themselves."""
    contrasts = items[:, 1:] - items[:, :1]
    n, rank = contrasts.shape
    mean, covariance = contrasts.mean(axis=0), np.atleast_2d(np.cov(contrasts, rowvar=False))
    t_squared = n * mean @ np.linalg.inv(covariance) @ mean
    return float(stats.f.sf(t_squared * (n - rank) / ((n - 1) * rank), rank, n - rank))


@pytest.mark.parametrize("n_arms", [2, 3, 5])
def test_whether_they_differ_is_hotellings_test_of_the_items(n_arms):
    random = np.random.default_rng(n_arms)
    items = random.normal(size=(200, 1)) + random.normal(size=(200, n_arms)) + np.linspace(0, 0.2, n_arms)
    found = summary(items, 20_000)
    assert found.mean == pytest.approx(items.mean())
    assert found.differ_p == pytest.approx(hotelling(items), rel=0.15)


def test_two_arms_are_a_paired_t_test():
    random = np.random.default_rng(0)
    items = random.normal(loc=[0.0, 0.3], size=(60, 2))
    assert summary(items, 20_000).differ_p == pytest.approx(stats.ttest_rel(*items.T).pvalue, rel=0.15)


def test_as_a_sample_of_models_it_is_a_t_test_over_their_gains():
    gains = np.array([0.1, 0.15, 0.05, 0.2])
    found = arms(gains, np.tile(gains, (10, 1)), 50)
    reference = stats.ttest_1samp(gains, 0)
    assert (found.low, found.high) == pytest.approx(tuple(reference.confidence_interval(0.95)))
    assert found.p == pytest.approx(reference.pvalue)


def test_few_arms_or_none_that_vary():
    one = arms([0.2], [[0.1], [0.3]], 10)
    assert math.isnan(one.differ_p)
    assert math.isnan(one.low)
    # Arms alike item by item: nothing tells them apart, and nothing is divided by nothing.
    assert arms([0.2, 0.2], [[0.1, 0.1], [0.3, 0.3]], 10).differ_p == 1.0
    # Different by the same on every item: it is certain.
    assert arms([0.2, 0.3], [[0.1, 0.2], [0.3, 0.4]], 10).differ_p == 0.0
    # More contrasts than items to tell their covariance.
    assert math.isnan(arms([0.0, 0.1, 0.2], np.random.default_rng(0).normal(size=(20, 3)), 2).differ_p)


@pytest.mark.parametrize(
    ("gains", "replicates"),
    [([], np.empty((5, 0))), ([0.1, 0.2], [[0.1], [0.2]]), ([math.nan, 0.1], [[0.1, 0.2]] * 3), ([0.1], [[0.1]])],
)
def test_what_does_not_fit_is_refused(gains, replicates):
    with pytest.raises(ValueError, match="arms: "):
        arms(gains, replicates, 10)


def test_equal_arms_are_told_apart_no_more_often_than_stated():
    random = np.random.default_rng(3)
    p = [summary(random.normal(size=(40, 1)) + random.normal(size=(40, 3)), 400).differ_p for _ in range(300)]
    assert np.mean(np.array(p) <= 0.05) < 0.08
    assert 0.4 < np.mean(p) < 0.6
