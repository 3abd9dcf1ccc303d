"""Paired differences: against slow references, at the edges, and how often intervals cover."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t, ttest_rel

from sprachbund_runners.statistics import paired_means, paired_replicates, paired_statistic, resampled_sums
from sprachbund_runners.statistics.bootstrap import bootstrap_draws
from sprachbund_runners.statistics.paired import ratio_of

RATIO = ratio_of(0, 1)


def slow(own, baseline, groups, resamples, seed, confidence):
    """Draw whole groups with replacement, one at a time; the ratio of sums of what was drawn, for both alike."""
    names = sorted(set(groups))
    members = [[row for row, group in enumerate(groups) if group == name] for name in names]
    differences = []
    for counts in np.concatenate(list(bootstrap_draws(len(names), resamples, seed))):
        rows = [row for name, times in enumerate(counts) for _ in range(int(times)) for row in members[name]]
        ratios = []
        for table in (own, baseline):
            above, below = sum(table[row][0] for row in rows), sum(table[row][1] for row in rows)
            ratios.append(above / below if below > 0 else float("nan"))
        differences.append(ratios[0] - ratios[1])
    known = sorted(each for each in differences if each == each)
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    below = sum(each <= 1e-12 for each in known)
    above = sum(each >= -1e-12 for each in known)
    return low, high, min(1.0, 2 * (1 + min(below, above)) / (1 + len(known)))


def tables(seed, n):
    drawn = np.random.default_rng(seed)
    weights = drawn.integers(1, 9, size=n).astype(float)
    return [np.stack([drawn.integers(0, 20, size=n), weights], axis=1).astype(float) for _ in range(2)]


@pytest.mark.parametrize("grouped", [False, True])
def test_equals_drawing_one_by_one(grouped):
    own, baseline = tables(1, 240)
    groups = [f"g{row % 120}" for row in range(240)] if grouped else None
    found = paired_statistic(own, baseline, RATIO, groups=groups, resamples=200, seed=4, confidence=0.9)
    expected = slow(own, baseline, groups or list(range(240)), 200, 4, 0.9)
    assert (found.low, found.high, found.p) == pytest.approx(expected)
    assert found.delta == pytest.approx(own[:, 0].sum() / own[:, 1].sum() - baseline[:, 0].sum() / baseline[:, 1].sum())
    assert (found.n_items, found.n_groups) == (240, 120 if grouped else 240)


def test_draws_that_leave_a_side_undefined_are_left_out():
    # One row in three has something below the line: .67³ of the draws have none.
    own = np.array([[1.0, 2.0], [0.0, 0.0], [0.0, 0.0]])
    found = paired_statistic(own, own * [3.0, 1.0], RATIO, resamples=300, seed=0)
    assert np.isnan(found.replicates).any()
    assert (found.delta, found.low, found.high) == pytest.approx((-1.0, -1.0, -1.0))


def test_equal_settings_and_rounding_are_no_difference():
    own, _ = tables(2, 9)
    for other in (own, own * [1 + 1e-9, 1.0]):
        found = paired_statistic(own, other, RATIO, resamples=100)
        assert (found.low, found.high, found.p) == (0.0, 0.0, 1.0)


def test_few_units_have_students_interval():
    own, baseline = tables(5, 7)
    found = paired_statistic(own, baseline, RATIO, resamples=500, seed=1, confidence=0.9)
    differences = found.replicates[:, 0] - found.replicates[:, 1]
    half = t.ppf(0.95, 6) * np.sqrt(np.mean((differences - differences.mean()) ** 2) * 7 / 6)
    assert (found.low, found.high) == pytest.approx((found.delta - half, found.delta + half))
    far = paired_statistic(own, baseline + np.array([1e6, 0]), RATIO, resamples=500)
    assert far.p == pytest.approx(2 / 501)


def test_too_little_has_no_interval():
    one = np.array([[3.0, 2.0]])
    found = paired_statistic(one, one * 2, RATIO)
    assert found.delta == 0 and np.isnan([found.low, found.high, found.p]).all() and found.replicates is None
    several = np.repeat(one, 4, axis=0)
    assert np.isnan(paired_statistic(several, several, RATIO, groups=["a"] * 4).low)
    assert paired_statistic(np.empty((0, 2)), np.empty((0, 2)), RATIO) is None
    assert paired_statistic(one * 0, one, RATIO) is None and paired_statistic(one, one * 0, RATIO) is None
    nothing = paired_replicates(1.0, 0.5, np.full((10, 2), np.nan), 3, 3, 0.95)
    assert nothing.delta == 0.5 and np.isnan(nothing.low)


def test_other_shapes_and_values_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        paired_statistic(np.zeros((3, 2)), np.zeros((2, 2)), RATIO)
    with pytest.raises(ValueError, match="not finite"):
        paired_statistic(np.full((3, 2), np.nan), np.ones((3, 2)), lambda sums: sums[:, 1])


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 5))
def test_sums_are_of_what_was_drawn(n, columns, seed):
    values = np.random.default_rng(seed).normal(size=(n, columns))
    counts = np.concatenate(list(bootstrap_draws(n, 7, seed)))
    assert np.allclose(resampled_sums(values, None, 7, seed), counts @ values)


def test_means_of_a_few_are_those_of_scipy():
    drawn = np.random.default_rng(3)
    one, other = drawn.normal(size=(2, 5))
    found, expected = paired_means(one, other, 0.9), ttest_rel(one, other)
    interval = expected.confidence_interval(0.9)
    assert (found.low, found.high, found.p) == pytest.approx((interval.low, interval.high, expected.pvalue))
    assert np.isnan(paired_means(one[:2], other[:2]).low) and paired_means([], []) is None
    same = paired_means(one, one)
    assert (same.low, same.high, same.p) == (0, 0, 1)
    shifted = paired_means(one, one + 1)
    assert (shifted.low, shifted.high) == pytest.approx((-1, -1)) and np.isnan(shifted.p)


@pytest.mark.parametrize("n", [8, 60])
def test_intervals_cover_and_a_true_null_is_seldom_refused(n):
    """Documents of very different length, whose difficulty both settings share: what pairing is for."""
    drawn = np.random.default_rng(3)
    covered, refused, paired_width, unpaired_width = [], [], [], []
    shift = 0.05
    for trial in range(400):
        tokens = np.exp(drawn.normal(3, 0.4, size=n)).round()
        hard = drawn.normal(2.0, 0.5, size=n)
        nats = [tokens * (hard + noise + add) for noise, add in
                zip(drawn.normal(0, 0.1, size=(3, n)), (0.0, shift, 0.0), strict=True)]  # fmt: skip
        plain, steered, null = (np.stack([each, tokens], axis=1) for each in nats)
        found = paired_statistic(steered, plain, RATIO, resamples=200, seed=trial)
        covered.append(found.low <= shift <= found.high)
        refused.append(paired_statistic(null, plain, RATIO, resamples=200, seed=trial).p <= 0.05)
        paired_width.append(found.high - found.low)
        level = np.quantile(found.replicates[:, 0], [0.025, 0.975])
        unpaired_width.append(np.sqrt(2) * np.ptp(level))
    assert 0.91 <= np.mean(covered) <= 0.98
    assert np.mean(refused) <= 0.08
    assert np.mean(paired_width) < np.mean(unpaired_width) / 3
