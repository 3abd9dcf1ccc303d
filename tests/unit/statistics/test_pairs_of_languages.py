"""Crossed effects, medians over pairs, Pareto fronts and detectable differences against references."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from sprachbund.statistics import FEW, detectable_after, detectable_before, may_be_front, pareto_front, rule_of_three
from sprachbund.statistics.student import quantile
from sprachbund_runners.statistics.bootstrap import bootstrap_draws
from sprachbund_runners.statistics.crossed import crossed_effects
from sprachbund_runners.statistics.dyadic import dyadic_bootstrap_median


def ordered_pairs(n):
    pairs = list(itertools.permutations(range(n), 2))
    return np.array([a for a, _ in pairs]), np.array([b for _, b in pairs])


def minque_by_traces(y, design, kernels):
    """MINQUE(0) written out with n × n matrices; no truncation."""
    n = len(y)
    m = np.eye(n) - design @ np.linalg.inv(design.T @ design) @ design.T
    kernels = [*kernels, np.eye(n)]
    left = np.array([[np.trace(m @ a @ m @ b) for b in kernels] for a in kernels])
    return np.linalg.solve(left, [y @ m @ a @ m @ y for a in kernels])


def kernel(labels, other=None):
    same = (labels[:, None] == labels[None]).astype(float)
    if other is None:
        return same
    return same + (other[:, None] == other[None]) + (labels[:, None] == other[None]) + (other[:, None] == labels[None])


def across(query, candidate):
    """Kernels of the two covariances: the query of one pair is the candidate of another; both exchanged."""
    crossing = query[:, None] == candidate[None]
    return [crossing.astype(float) + crossing.T, (crossing & crossing.T).astype(float)]


def made(n, seed, spread=(1.0, 0.7, 0.4)):
    random = np.random.default_rng(seed)
    query, candidate = ordered_pairs(n)
    x = random.normal(size=len(query))
    y = (
        2 + 0.5 * x + spread[0] * random.normal(size=n)[query] + spread[1] * random.normal(size=n)[candidate]
        + spread[2] * random.normal(size=len(query))
    )  # fmt: skip
    return y, x, query, candidate


@pytest.mark.parametrize("with_x", [False, True])
def test_crossed_variances_and_coefficients_equal_those_written_out(with_x):
    y, x, query, candidate = made(7, 4, (2.0, 1.5, 0.8))
    keep = np.arange(len(y)) % 5 != 0  # unbalanced
    y, x, query, candidate = y[keep], x[keep], query[keep], candidate[keep]
    design = np.column_stack([np.ones(len(y)), *([x] if with_x else [])])
    kernels = [kernel(query), kernel(candidate), *across(query, candidate)]
    expected = minque_by_traces(y, design, kernels)
    # Nothing is held to a bound here.
    assert (expected[[0, 1, 4]] > 0).all()
    assert abs(expected[2]) < 0.95 * math.sqrt(expected[0] * expected[1]) and abs(expected[3]) < 0.95 * expected[4]
    found = crossed_effects(y, query, candidate, x if with_x else None)
    got = np.array([found.query_variance, found.candidate_variance, found.role_covariance,
                    found.direction_covariance, found.residual_variance])  # fmt: skip
    assert got == pytest.approx(expected, rel=1e-8)
    covariance = sum(value * each for value, each in zip(expected, [*kernels, np.eye(len(y))], strict=True))
    inverse = np.linalg.inv(covariance)
    information = np.linalg.inv(design.T @ inverse @ design)
    assert found.coefficients == pytest.approx(information @ design.T @ inverse @ y, rel=1e-6)
    assert found.standard_errors == pytest.approx(np.sqrt(np.diag(information)), rel=1e-6)
    degrees = 7 - design.shape[1]
    assert found.degrees == degrees and found.n_languages == 7
    half = stats.t.ppf(0.975, degrees) * found.standard_errors
    assert found.low == pytest.approx(found.coefficients - half) and found.high == pytest.approx(
        found.coefficients + half
    )
    assert found.p == pytest.approx(2 * stats.t.sf(np.abs(found.coefficients / found.standard_errors), degrees))


def test_unordered_pairs_have_one_effect_per_language():
    random = np.random.default_rng(5)
    pairs = np.array(list(itertools.combinations(range(8), 2)))
    effect = random.normal(size=8)
    y = effect[pairs].sum(axis=1) + 0.3 * random.normal(size=len(pairs))
    found = crossed_effects(y, pairs[:, 0], pairs[:, 1], ordered=False)
    expected = minque_by_traces(y, np.ones((len(y), 1)), [kernel(pairs[:, 0], pairs[:, 1])])
    assert (found.query_variance, found.residual_variance) == pytest.approx(expected, rel=1e-8)
    assert found.candidate_variance == found.query_variance
    flipped = crossed_effects(y, pairs[:, 1], pairs[:, 0], ordered=False)
    assert flipped.coefficients == pytest.approx(found.coefficients)


def test_crossed_effects_agree_with_restricted_maximum_likelihood_on_many_languages():
    """Another estimator altogether: close for 16 languages, and equal to it where the design is balanced."""
    y, x, query, candidate = made(16, 1)
    design = np.column_stack([np.ones(len(y)), x])
    kernels = [kernel(query), kernel(candidate), np.eye(len(y))]

    def restricted(logs):
        covariance = sum(math.exp(log) * each for log, each in zip(logs, kernels, strict=True))
        inverse = np.linalg.inv(covariance)
        middle = design.T @ inverse @ design
        p = inverse - inverse @ design @ np.linalg.inv(middle) @ design.T @ inverse
        return np.linalg.slogdet(covariance)[1] + np.linalg.slogdet(middle)[1] + y @ p @ y

    best = np.exp(optimize.minimize(restricted, np.zeros(3), method="Nelder-Mead", options={"maxiter": 160}).x)
    found = crossed_effects(y, query, candidate, x)
    got = np.array([found.query_variance, found.candidate_variance, found.residual_variance])
    assert got == pytest.approx(best, rel=0.1)


def test_interval_of_the_crossed_mean_covers_and_a_plain_one_does_not():
    covered, plain = 0, 0
    for seed in range(200):
        y, _, query, candidate = made(8, seed, (1.0, 1.0, 0.5))
        y = y - 2  # the mean of a + b + 0.5 x + e is 0
        found = crossed_effects(y, query, candidate)
        covered += bool(found.low[0] <= 0 <= found.high[0])
        half = 1.96 * y.std(ddof=1) / math.sqrt(len(y))
        plain += bool(abs(y.mean()) <= half)
    assert covered >= 180
    assert plain <= 140


def test_crossed_intervals_cover_where_roles_and_directions_of_a_language_go_together():
    """A language that is a good query is a good candidate (.9), and most of a pair's residual is the same both ways."""
    n, trials = 12, 200
    query, candidate = ordered_pairs(n)
    mean = slope = 0
    for seed in range(trials):
        random = np.random.default_rng(seed)
        one, rest, level = random.normal(size=(3, n))
        other = 0.9 * one + math.sqrt(1 - 0.9**2) * rest
        pair, distance = (np.triu(each, 1) + np.triu(each, 1).T for each in random.normal(size=(2, n, n)))
        residual = 0.9 * pair[query, candidate] + math.sqrt(1 - 0.9**2) * random.normal(size=len(query))
        y = one[query] + other[candidate] + 0.5 * residual
        x = level[query] + level[candidate] + distance[query, candidate]
        alone, beside = crossed_effects(y, query, candidate), crossed_effects(y, query, candidate, x)
        mean += bool(alone.low[0] <= 0 <= alone.high[0])
        slope += bool(beside.low[1] <= 0 <= beside.high[1])
    assert 0.92 * trials <= mean and 0.92 * trials <= slope


@settings(max_examples=30)
@given(st.integers(3, 6), st.integers(0, 10_000), st.booleans())
def test_covariances_stay_within_what_variances_allow(n, seed, several_corpora):
    query, candidate = (np.tile(side, 2 if several_corpora else 1) for side in ordered_pairs(n))
    y = np.random.default_rng(seed).normal(size=len(query))
    found = crossed_effects(y, query, candidate)
    assert abs(found.role_covariance) <= math.sqrt(found.query_variance * found.candidate_variance)
    assert abs(found.direction_covariance) <= found.residual_variance
    assert np.isfinite(found.standard_errors).all() and (found.standard_errors >= 0).all()


def test_negative_variances_are_set_to_zero():
    query, candidate = ordered_pairs(4)
    # Every query's values sum to the same: less variance between queries than residuals alone would give.
    y = np.array(
        [(0.0, 1.0, -1.0)[list(candidate[query == q]).index(c)] for q, c in zip(query, candidate, strict=True)]
    )
    found = crossed_effects(y, query, candidate)
    assert found.query_variance == 0.0 and found.residual_variance >= 0
    same = crossed_effects(np.full(12, 3.0), query, candidate)
    assert same.coefficients == pytest.approx([3.0]) and same.standard_errors == pytest.approx([0.0], abs=1e-9)


def test_crossed_effects_refuse_what_they_cannot_fit():
    query, candidate = ordered_pairs(4)
    y = np.arange(12.0)
    with pytest.raises(ValueError, match="collinear"):
        crossed_effects(y, query, candidate, np.ones(12))
    with pytest.raises(ValueError, match="not finite"):
        crossed_effects(np.where(y > 3, np.nan, y), query, candidate)
    with pytest.raises(ValueError, match="too few"):
        crossed_effects(y[:2], query[:2], candidate[:2])
    with pytest.raises(ValueError, match="languages of pairs"):
        crossed_effects(y, query[:3], candidate)
    with pytest.raises(ValueError, match="confidence"):
        crossed_effects(y, query, candidate, confidence=1.0)
    pairs = np.array(list(itertools.combinations(range(6), 2)))
    random = np.random.default_rng(1)
    effects, x = random.normal(size=6), random.normal(size=15)
    with pytest.raises(ValueError, match="no residual"):
        crossed_effects(effects[pairs].sum(axis=1), pairs[:, 0], pairs[:, 1], x, ordered=False)


def test_one_query_language_is_a_model_about_that_language():
    random = np.random.default_rng(2)
    y = random.normal(size=9)
    found = crossed_effects(y, np.zeros(9), np.arange(1, 10))
    assert found.query_variance == 0.0 and found.degrees == 8
    # Each candidate occurs once: its effect and the residual are one, and the interval is that of a t test.
    expected = stats.t.interval(0.95, 8, loc=y.mean(), scale=stats.sem(y))
    assert (found.low[0], found.high[0]) == pytest.approx(expected)


@settings(max_examples=30)
@given(st.integers(3, 6), st.integers(0, 5), st.booleans())
def test_medians_over_pairs_equal_resampling_by_hand(n, seed, tied):
    query, candidate = ordered_pairs(n)
    values = np.random.default_rng(seed).normal(size=len(query)).round(0 if tied else 6)
    found = dyadic_bootstrap_median(values, query, candidate, resamples=60, seed=seed)
    by_hand = []
    for counts in np.concatenate(list(bootstrap_draws(n, 60, seed))):
        drawn = [v for v, q, c in zip(values, query, candidate, strict=True) for _ in range(int(counts[q] * counts[c]))]
        if drawn:
            by_hand.append(np.median(drawn))
    assert found.estimate == np.median(values)
    assert found.resamples == len(by_hand) and found.n_groups == n
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(by_hand, [0.025, 0.975])))


def test_medians_refuse_nonsense():
    with pytest.raises(ValueError, match="finite"):
        dyadic_bootstrap_median([], [], [])
    with pytest.raises(ValueError, match="itself"):
        dyadic_bootstrap_median([1.0, 2.0], ["a", "b"], ["a", "c"])
    # One pair both ways: every draw that has it has both, so that the interval would be one point.
    with pytest.raises(ValueError, match="found 2 languages, expected at least 3"):
        dyadic_bootstrap_median([1.0, 2.0], ["a", "b"], ["b", "a"])


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=25))
def test_pareto_front_is_what_nothing_dominates(rows):
    signs = (1, -1, 1)
    front = pareto_front(rows, ("higher", "lower", "higher"))
    for place, row in enumerate(rows):
        mine = [sign * each for sign, each in zip(signs, row, strict=True)]
        beaten = False
        for other in rows:
            theirs = [sign * each for sign, each in zip(signs, other, strict=True)]
            beaten |= all(a >= b for a, b in zip(theirs, mine, strict=True)) and theirs != mine
        assert front[place] == (not beaten)


INTERVALS = st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 2), st.integers(0, 2))


@given(st.lists(INTERVALS, min_size=1, max_size=12))
def test_what_may_be_on_the_front_is_beaten_by_nothing_surely(rows):
    """Each row: gain, cost and half the lengths of their intervals."""
    values = np.array([row[:2] for row in rows], float)
    halves = np.array([row[2:] for row in rows], float)
    ways = ("higher", "lower")
    front = pareto_front(values, ways)
    maybe = may_be_front(values - halves, values + halves, front, ways)
    for place, (gain, cost, more, less) in enumerate(rows):
        best = gain + more, -(cost - less)
        beaten = False
        for other in np.flatnonzero(front):
            theirs = rows[other][0] - rows[other][2], -(rows[other][1] + rows[other][3])
            beaten |= theirs[0] >= best[0] and theirs[1] >= best[1] and theirs != best
        assert maybe[place] == (not front[place] and not beaten)
    # Without intervals there is no doubt.
    assert not may_be_front(values, values, front, ways).any()
    unknown = np.full((1, 2), math.nan)
    assert may_be_front(unknown, unknown, [False], ways).tolist() == [False]


def test_unknown_values_are_never_in_the_front():
    assert pareto_front([[math.nan, 1], [0, 0], [1, 1]], ("higher", "lower")).tolist() == [False, True, True]
    with pytest.raises(ValueError, match="directions"):
        pareto_front([[1.0]], ("more",))
    with pytest.raises(ValueError, match="expected values"):
        pareto_front([1.0, 2.0], ("higher",))


@pytest.mark.parametrize(("shared", "n_pairs"), [(1.0, 1), (0.0, 6), (1.0, 6)])
def test_a_detectable_difference_is_found_as_often_as_said(shared, n_pairs):
    n, discordant = 400, 0.2
    difference = detectable_before(n, n_pairs, discordant, shared=shared)
    random = np.random.default_rng(0)
    found = 0
    for _ in range(400):
        draws = random.random((n, 1 if shared == 1 else n_pairs))
        up, down = (discordant + difference) / 2, (discordant - difference) / 2
        items = np.where(draws < up, 1.0, np.where(draws < up + down, -1.0, 0.0)).mean(axis=1)
        found += bool(abs(items.mean()) > 1.96 * items.std(ddof=1) / math.sqrt(n))
    assert found / 400 == pytest.approx(0.8, abs=0.06)


def test_detectable_differences_shrink_with_items_and_are_bounded():
    assert detectable_before(100, 1, 0.2) > detectable_before(1000, 1, 0.2) > 0
    assert detectable_before(100, 1, 0.2) <= 0.2
    # Not even where every discordant item speaks for the same setting.
    assert math.isnan(detectable_before(5, 1, 0.1)) and math.isnan(detectable_before(2, 1, 0.1))
    assert detectable_before(100, 5, 0.0) == 0.0
    with pytest.raises(ValueError, match="discordant"):
        detectable_before(100, 1, 1.5)


@given(st.integers(1, FEW - 2), st.floats(0.5, 1 - 1e-7))
def test_quantiles_of_few_are_those_of_student(degrees, share):
    assert quantile(share, degrees) == pytest.approx(stats.t.ppf(share, degrees), rel=1e-7, abs=1e-9)


def test_quantiles_of_many_are_normal():
    assert quantile(0.975, FEW - 1) == pytest.approx(stats.norm.ppf(0.975))


def test_a_detectable_difference_is_that_of_its_error_and_threshold():
    error, degrees, threshold = np.array([0.01, 0.02, 0.0]), np.array([4, 200, 200]), np.array([0.05, 0.001, 0.05])
    few = stats.t.ppf(0.975, 4) + stats.t.ppf(0.8, 4)
    many = stats.norm.ppf(1 - 0.0005) + stats.norm.ppf(0.8)
    found = detectable_after(error, degrees, threshold, [0.0, 0.0, 0.03])
    assert found == pytest.approx([0.01 * few, 0.02 * many, 0.03])
    # What cannot differ, or cannot be found, has none; nor what hardly differs in no known measure.
    assert np.isnan(detectable_after([0.01, np.nan, 0.01], [4, 4, np.nan], [np.nan, 0.05, 0.05])).all()
    assert np.isnan(detectable_after(0.01, 200, 0.05, np.nan))
    assert detectable_after([], [], []).tolist() == []
    for bad in ({"error": -0.1}, {"power": 1.0}):
        with pytest.raises(ValueError, match=r"negative|power"):
            detectable_after(**{"error": 0.1, "degrees": 5, "threshold": 0.05, **bad})


def test_where_hardly_any_item_differs_three_in_n_might():
    assert rule_of_three([0, 9, 10, 0], [99, 99, 99, 19], [1.0, 1.0, 1.0, np.nan]).tolist()[:3] == [0.03, 0.03, 0.0]
    assert np.isnan(rule_of_three(0, 19, np.nan)) and rule_of_three(10, 19, np.nan) == 0
    # With this share of items that differ, none of 100 does in one case of twenty.
    assert pytest.approx(0.05, abs=0.003) == (1 - 0.03) ** 100


@pytest.mark.parametrize(("n", "threshold"), [(8, 0.05), (19, 0.05), (200, 0.05), (200, 0.002)])
def test_what_is_detectable_is_found_in_four_of_five_cases(n, threshold):
    random = np.random.default_rng(1)
    difference = float(detectable_after(1 / math.sqrt(n), n - 1, threshold))
    items = random.normal(difference, 1, (2000, n))
    p = stats.ttest_1samp(items, 0, axis=1).pvalue
    # Of few items the error itself is not known well: somewhat less than said is found.
    assert (p <= threshold).mean() == pytest.approx(0.8, abs=0.05)
