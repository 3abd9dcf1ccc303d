"""The bootstrap against resampling by hand, sharing of draws, and its edges."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sprachbund.statistics import FEW
from sprachbund_runners.statistics.bootstrap import (
    bootstrap_draws,
    bootstrap_mean,
    bootstrap_replicates,
    dyadic_bootstrap_correlation,
    least_p,
    summarise_mean,
    summarise_replicates,
)


def draws(n, resamples, seed, chunk=None):
    return np.concatenate(list(bootstrap_draws(n, resamples, seed, chunk)))


@given(n=st.integers(1, 40), resamples=st.integers(1, 30), chunk=st.integers(1, 40), seed=st.integers(0, 3))
def test_draws_are_counts_and_do_not_depend_on_chunks(n, resamples, chunk, seed):
    whole = draws(n, resamples, seed)
    assert whole.shape == (resamples, n) and (whole.sum(axis=1) == n).all() and (whole >= 0).all()
    assert (draws(n, resamples, seed, chunk) == whole).all()
    assert (draws(n, resamples + 5, seed)[:resamples] == whole).all()


def test_draws_are_uniform_multinomials():
    counts = draws(6, 40_000, 0)
    assert counts.mean(axis=0) == pytest.approx(np.ones(6), abs=0.03)
    assert np.cov(counts.T) == pytest.approx(np.eye(6) - 1 / 6, abs=0.03)


def by_hand(outcomes, groups, counts):
    """Each resample written out: the items of every drawn group, as often as drawn."""
    names = sorted(set(groups))
    out = []
    for row in counts:
        items = [
            i
            for name, times in zip(names, row, strict=True)
            for _ in range(int(times))
            for i in range(len(groups))
            if groups[i] == name
        ]
        out.append(np.mean([outcomes[i] for i in items], axis=0))
    return np.array(out)


@settings(max_examples=40)
@given(
    items=st.lists(
        st.tuples(st.floats(-5, 5, width=32), st.floats(0, 1, width=32), st.integers(0, 4)), min_size=1, max_size=12
    ),
    seed=st.integers(0, 3),
)
def test_replicates_are_means_of_the_drawn_groups(items, seed):
    first, second, groups = (list(column) for column in zip(*items, strict=True))
    outcomes = np.array([first, second]).T
    counts = draws(len(set(groups)), 20, seed)
    found = bootstrap_replicates(outcomes, groups, resamples=20, seed=seed)
    assert found == pytest.approx(by_hand(outcomes, groups, counts), abs=1e-12)
    ungrouped = bootstrap_replicates(outcomes, resamples=20, seed=seed)
    assert ungrouped == pytest.approx(
        by_hand(outcomes, list(range(len(items))), draws(len(items), 20, seed)), abs=1e-12
    )


def test_interval_error_and_p_from_the_replicates():
    rng = np.random.default_rng(5)
    a, b = rng.random((60, 2, 3)), rng.random((60, 2, 3))
    found = bootstrap_mean(a - b, resamples=700, seed=3, confidence=0.9)
    replicates = bootstrap_replicates(a - b, resamples=700, seed=3)
    assert found.estimate == pytest.approx((a - b).mean(axis=0), abs=1e-15)
    for index in product(range(2), range(3)):
        ordered = np.sort(replicates[(slice(None), *index)])
        assert found.low[index] == pytest.approx(np.interp(0.05 * 699, np.arange(700), ordered), abs=1e-14)
        assert found.high[index] == pytest.approx(np.interp(0.95 * 699, np.arange(700), ordered), abs=1e-14)
        tails = min((ordered <= 0).sum(), (ordered >= 0).sum())
        assert found.p[index] == min(1.0, 2 * (1 + tails) / 701)
        assert found.standard_error[index] == pytest.approx(np.std(ordered, ddof=1), rel=1e-12)
    assert (found.n_items, found.n_groups, found.resamples) == (60, 60, 700)


def test_columns_share_draws_with_single_calls():
    outcomes = np.random.default_rng(6).random((50, 4))
    together = bootstrap_mean(outcomes, resamples=300, seed=9)
    for column in range(4):
        alone = bootstrap_mean(outcomes[:, column], resamples=300, seed=9)
        assert alone.low == pytest.approx(together.low[column], abs=1e-14)
        assert alone.p == together.p[column]


def test_many_columns_are_summarised_in_parts(monkeypatch):
    from sprachbund_runners.statistics import bootstrap

    outcomes = np.random.default_rng(7).random((20, 11))
    whole = bootstrap_mean(outcomes, resamples=100)
    monkeypatch.setattr(bootstrap, "_REPLICATE_BYTES", 3 * 8 * 100)
    monkeypatch.setattr(bootstrap, "_KEPT_BYTES", 0)
    parts = bootstrap_mean(outcomes, resamples=100)
    for name in ("estimate", "low", "high", "standard_error", "p"):
        assert getattr(parts, name) == pytest.approx(getattr(whole, name), abs=1e-14)


@pytest.mark.parametrize("room", [0, 400 * 30, 10**9])
def test_kept_draws_are_those_that_are_drawn(monkeypatch, room):
    """Of several corpora in turn, kept or not."""
    from sprachbund_runners.statistics import bootstrap

    monkeypatch.setattr(bootstrap, "_KEPT_BYTES", room)
    monkeypatch.setattr(bootstrap, "_draws", bootstrap._Draws())
    monkeypatch.setattr(bootstrap, "_DRAW_BYTES", 8 * 30 * 7)
    for n, seed in [(30, 1), (17, 1), (30, 2), (30, 1), (17, 1), (1, 1)]:
        outcomes = np.random.default_rng(n).random(n)
        drawn = np.concatenate(list(bootstrap_draws(n, 400, seed)))
        found = bootstrap_replicates(outcomes, resamples=400, seed=seed)
        assert found == pytest.approx((drawn @ outcomes) / n, abs=1e-14)
        assert bootstrap._draws._bytes() <= max(room, 400 * 30)


def test_no_difference_has_p_one_and_a_point_interval():
    found = bootstrap_mean(np.zeros(4), resamples=200)
    assert (float(found.p), float(found.low), float(found.high)) == (1.0, 0.0, 0.0)
    assert found.estimate.shape == ()


def test_a_sure_difference_has_the_least_p():
    assert float(bootstrap_mean(np.ones(9), resamples=999).p) == 2 / 1000


def test_groups_widen_the_interval_when_documents_agree():
    groups = np.repeat(np.arange(20), 10)
    outcomes = np.random.default_rng(8).random(20)[groups]
    alone, grouped = bootstrap_mean(outcomes), bootstrap_mean(outcomes, groups=groups)
    assert grouped.standard_error > 2.5 * alone.standard_error
    assert (grouped.n_items, grouped.n_groups) == (200, 20)


def test_coverage_of_the_grouped_interval():
    """Over 200 corpora of 40 documents of unequal size, the 90 % interval holds the true mean about as often."""
    rng, held = np.random.default_rng(10), 0
    for corpus in range(200):
        sizes = rng.integers(1, 6, 40)
        groups = np.repeat(np.arange(40), sizes)
        outcomes = rng.standard_normal(40)[groups] + rng.standard_normal(len(groups))
        found = bootstrap_mean(outcomes, groups=groups, resamples=300, seed=corpus, confidence=0.9)
        held += bool(found.low <= 0 <= found.high)
    assert 0.82 <= held / 200 <= 0.96


@pytest.mark.parametrize(
    ("outcomes", "groups", "message"),
    [
        ([], None, "at least one item"),
        ([1.0, np.nan], None, "item 1 is not finite"),
        ([1.0, 2.0], [1], r"groups: expected shape \[2\]"),
    ],
)
def test_bad_outcomes_are_refused(outcomes, groups, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_mean(outcomes, groups=groups, resamples=5)


def test_other_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="confidence"):
        bootstrap_mean([1.0], resamples=5, confidence=95)
    with pytest.raises(ValueError, match="one resample"):
        list(bootstrap_draws(5, 0, 0))


def test_summary_of_a_median_over_pairs():
    outcomes = np.random.default_rng(11).random((30, 7)) - 0.4
    replicates = np.median(bootstrap_replicates(outcomes, resamples=400, seed=1), axis=1)
    found = summarise_replicates(np.median(outcomes.mean(axis=0)), replicates, n_items=30, n_groups=30)
    assert found.low <= found.estimate <= found.high
    assert float(found.low) == pytest.approx(float(np.quantile(replicates, 0.025)))


def pearson(x, y):
    return np.corrcoef(x, y)[0, 1]


def test_dyadic_correlation_draws_languages():
    rng = np.random.default_rng(13)
    languages = np.array(["de", "en", "es", "fr", "ja", "zh"])
    i, j = np.triu_indices(6, 1)
    x, y = rng.random((2, len(i)))
    found = dyadic_bootstrap_correlation(x, y, languages[i], languages[j], resamples=150, seed=2)
    replicates = []
    for counts in draws(6, 150, 2):
        drawn = [language for language, times in enumerate(counts) for _ in range(int(times))]
        pairs = [(a, b) for place, a in enumerate(drawn) for b in drawn[place + 1 :] if a != b]
        rows = [next(r for r in range(len(i)) if {i[r], j[r]} == {a, b}) for a, b in pairs]
        if len(set(rows)) > 1:
            replicates.append(pearson(x[rows], y[rows]))
    assert found.resamples == len(replicates)
    assert float(found.low) == pytest.approx(np.quantile(replicates, 0.025), abs=1e-9)
    assert (found.n_items, found.n_groups) == (15, 6)


def test_dyadic_interval_is_wider_when_languages_drive_the_values():
    """Than one of pairs resampled as if each were independent of the others."""
    rng = np.random.default_rng(14)
    i, j = np.triu_indices(12, 1)
    quality, other = rng.standard_normal((2, 12))
    x, y = quality[i] + quality[j], other[i] + other[j]
    dyadic = dyadic_bootstrap_correlation(x, y, i, j, resamples=1000)
    independent = [pearson(np.repeat(x, c.astype(int)), np.repeat(y, c.astype(int))) for c in draws(len(i), 1000, 0)]
    low, high = np.quantile(independent, [0.025, 0.975])
    assert dyadic.high - dyadic.low > 1.5 * (high - low)


def test_constant_draws_are_left_out_and_constants_refused():
    pairs = ["a", "a", "b"], ["b", "c", "c"]
    found = dyadic_bootstrap_correlation([0.0, 0.0, 1.0], [0.0, 1.0, 2.0], *pairs, resamples=500)
    # Only a draw with all three languages has three pairs; two pairs or fewer correlate fully or not at all.
    assert 0 < found.resamples < 500
    for x in ([1.0, 1.0, 1.0], [1.0, 2.0, np.nan], [1.0, 2.0]):
        with pytest.raises(ValueError, match="correlation"):
            dyadic_bootstrap_correlation(x, [1.0, 2.0, 3.0][: len(x)], *(side[: len(x)] for side in pairs))
    with pytest.raises(ValueError, match="itself"):
        dyadic_bootstrap_correlation([1.0, 2.0, 3.0], [1.0, 2.0, 4.0], [1, 1, 2], [2, 1, 3])


@pytest.mark.parametrize("n", [2, 5, 49])
def test_few_groups_have_students_interval_and_p(n):
    """Of groups of one size: that of the groups' means, but for what draws leave open of the error."""
    random = np.random.default_rng(n)
    groups = np.repeat(np.arange(n), 3)
    outcomes = random.normal(0.4, 1.0, n)[groups] + random.normal(0, 1.0, 3 * n)
    replicates = bootstrap_replicates(outcomes[:, None], groups, 50_000, 1)[:, 0]
    found = summarise_mean(float(outcomes.mean()), replicates, n_items=3 * n, n_groups=n, strata=1)
    means = outcomes.reshape(n, 3).mean(axis=1)
    low, high = stats.t.interval(0.95, n - 1, loc=means.mean(), scale=stats.sem(means))
    assert (float(found.low), float(found.high)) == pytest.approx((low, high), abs=0.02 * (high - low))
    assert float(found.standard_error) == pytest.approx(stats.sem(means), rel=0.02)
    assert float(found.p) == pytest.approx(max(least_p(50_000), stats.ttest_1samp(means, 0).pvalue), rel=0.1)


def test_texts_drawn_each_by_itself_cost_a_degree_each():
    replicates = np.random.default_rng(0).normal(0.1, 0.05, 5000)
    found = summarise_mean(0.1, replicates, n_items=90, n_groups=30, strata=10)
    error = replicates.std() * np.sqrt(30 / 20)
    assert (float(found.low), float(found.high)) == pytest.approx(stats.t.interval(0.95, 20, loc=0.1, scale=error))


def test_many_groups_have_percentiles_and_one_has_nothing():
    replicates = np.random.default_rng(0).normal(0.1, 0.05, 500)
    sizes = {"n_items": 90, "strata": 1}
    many = summarise_mean(0.1, replicates, n_groups=FEW, **sizes)
    plain = summarise_replicates(0.1, replicates, n_items=90, n_groups=FEW)
    assert (many.low, many.high, many.p) == (plain.low, plain.high, plain.p)
    one = summarise_mean(0.1, np.full(500, 0.1), n_groups=1, **sizes)
    assert np.isnan([one.low, one.high, one.p, one.standard_error]).all()
    # Where no draw differs: no difference is certain, another is as much as so many draws can say.
    same = [summarise_mean(value, np.full(500, value), n_groups=5, **sizes) for value in (0.0, 0.1)]
    assert [float(each.p) for each in same] == [1.0, least_p(500)]
    assert [(float(each.low), float(each.high)) for each in same] == [(0.0, 0.0), (0.1, 0.1)]


@pytest.mark.parametrize("effect", ["normal", "hits"])
@pytest.mark.parametrize("n_groups", [5, 8, 12, 19, 50])
def test_intervals_of_clustered_items_cover(n_groups, effect):
    """`benchmarks/groups.py` has more. Of 400 intervals of 95 % less than 368 would be far off."""
    random = np.random.default_rng(7)
    groups = np.repeat(np.arange(n_groups), 5)
    ours = false = plain = 0
    for trial in range(400):
        of_group = random.normal(0, 1, n_groups)[groups]
        if effect == "hits":
            share = 0.5 + 0.4 * np.tanh(of_group)[:, None]
            one, other = (random.random((len(groups), 4)) < share for _ in range(2))
            outcomes = (one.astype(float) - other).mean(axis=1)
        else:
            outcomes = of_group + random.normal(0, 1, len(groups))
        replicates = bootstrap_replicates(outcomes[:, None], groups, 300, trial)[:, 0]
        sizes = {"n_items": len(groups), "n_groups": n_groups}
        found = summarise_mean(float(outcomes.mean()), replicates, strata=1, **sizes)
        percentile = summarise_replicates(float(outcomes.mean()), replicates, **sizes)
        ours += bool(found.low <= 0 <= found.high)
        false += bool(found.p <= 0.05)
        plain += bool(percentile.low <= 0 <= percentile.high)
    assert ours >= 368 and false <= 32
    assert n_groups > 5 or plain < 350
