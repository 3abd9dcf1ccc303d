"""What a language gains: item by item and partner by partner the slow way, and how often its interval covers."""

import numpy as np
import pytest
from scipy import stats

from sprachbund_runners.jobs.compare.language_gains import gains_by_language
from sprachbund_runners.jobs.compare.layer_outcomes import LayerOutcomes
from sprachbund_runners.jobs.compare.outcomes import Cell
from sprachbund_runners.statistics.bootstrap import bootstrap_replicates
from sprachbund_runners.statistics.population import item_error, mean_error


def outcomes(tables, directed=True, groups=None, corpus="c") -> LayerOutcomes:
    """Of pairs: values [items] by (query, candidate), all of one metric."""
    found = LayerOutcomes()
    for (query, candidate), items in tables.items():
        cell = Cell(corpus, query, candidate, directed, {"m": np.asarray(items, float)}, groups, 0)
        # `tested` keeps hits of top1, which these have not.
        found.add(cell, ["m"], [("all", None)], tested=True)
    return found


def rows(own: LayerOutcomes, baseline: LayerOutcomes, by_group=False, confidence=0.95):
    found = gains_by_language(own.languages, baseline.languages, "m", own.corpora, by_group, confidence)
    return {(row["language"], row["side"]): row for row in found}


def made(seed: int, languages="abcd", n=12):
    random = np.random.default_rng(seed)
    pairs = [(query, candidate) for query in languages for candidate in languages if query != candidate]
    return {pair: random.integers(0, 2, n).astype(float) for pair in pairs}


@pytest.mark.parametrize("side", ["query", "candidate", "either"])
def test_a_gain_is_a_mean_over_partners_with_both_errors(side):
    own, baseline = made(0), made(1)
    row = rows(outcomes(own), outcomes(baseline))["b", side]
    table = []
    for partner in "acd":
        ways = {"query": ("b", partner), "candidate": (partner, "b")}
        used = ways.values() if side == "either" else [ways[side]]
        table.append(np.mean([own[pair] - baseline[pair] for pair in used], axis=0))
    table = np.array(table)
    assert row["gain"] == pytest.approx(table.mean())
    assert row["partner_error"] == pytest.approx(stats.sem(table.mean(axis=1)))
    assert row["item_error"] == pytest.approx(stats.sem(table.mean(axis=0)))
    error = np.hypot(row["partner_error"], row["item_error"])
    assert (row["low"], row["high"]) == pytest.approx(stats.t.interval(0.95, 2, loc=table.mean(), scale=error))
    assert (row["n_partners"], row["n_items"], row["n_groups"], row["degrees"]) == (3, 12, 12, 2)


def test_what_has_no_direction_has_one_side():
    own, baseline = ({pair: items for pair, items in made(seed).items() if pair[0] < pair[1]} for seed in (0, 1))
    found = rows(outcomes(own, directed=False), outcomes(baseline, directed=False))
    assert {side for _, side in found} == {"either"}
    gains = [np.mean(own[pair] - baseline[pair]) for pair in own if "c" in pair]
    assert found["c", "either"]["gain"] == pytest.approx(np.mean(gains))


def test_with_one_partner_the_interval_is_over_items():
    own, baseline = made(0, "ab"), made(1, "ab")
    row = rows(outcomes(own), outcomes(baseline))["a", "query"]
    change = own["a", "b"] - baseline["a", "b"]
    assert row["partner_error"] is None and row["degrees"] == 11
    expected = stats.t.interval(0.95, 11, loc=change.mean(), scale=stats.sem(change))
    assert (row["low"], row["high"]) == pytest.approx(expected)


def test_with_one_item_there_is_no_interval():
    row = rows(outcomes(made(0, n=1)), outcomes(made(1, n=1)))["a", "query"]
    assert (row["low"], row["high"], row["degrees"], row["item_error"]) == (None, None, 0, 0.0)


def test_undefined_and_missing_pairs_leave_their_languages_out():
    own, baseline = made(0), made(1)
    own["a", "b"][3] = np.nan
    found = rows(outcomes(own), outcomes(baseline))
    gone = {("a", "query"), ("a", "either"), ("b", "candidate"), ("b", "either")}
    assert gone.isdisjoint(found) and len(found) == 12 - len(gone)
    del baseline["c", "d"]
    assert ("c", "query") not in rows(outcomes(own), outcomes(baseline))


def test_what_rounding_did_is_no_difference():
    own = made(0)
    moved = {pair: items + 1e-8 for pair, items in own.items()}
    row = rows(outcomes(moved), outcomes(own))["a", "either"]
    assert row["item_error"] == 0.0
    assert row["high"] - row["low"] < 1e-12


def test_a_language_beside_itself_is_no_partner():
    own = {("a", "a"): np.ones(4), ("a", "b"): np.ones(4), ("b", "a"): np.zeros(4)}
    row = rows(outcomes(own), outcomes({pair: np.zeros(4) for pair in own}))["a", "either"]
    assert (row["n_partners"], row["gain"]) == (1, 0.5)


def test_corpora_of_a_collection_are_independent():
    """Each with its own items: the error over items is that of the mean of both corpora's means."""
    random = np.random.default_rng(0)
    first, second = random.normal(size=9), random.normal(size=25)
    own, baseline = LayerOutcomes(), LayerOutcomes()
    for corpus, partner, items in (("one", "b", first), ("two", "c", second)):
        for found, values in ((own, items), (baseline, np.zeros(len(items)))):
            found.add(Cell(corpus, "a", partner, True, {"m": values}, None, 0), ["m"], [], tested=True)
    row = rows(own, baseline)["a", "query"]
    assert row["gain"] == pytest.approx((first.mean() + second.mean()) / 2)
    assert row["item_error"] == pytest.approx(np.hypot(stats.sem(first), stats.sem(second)) / 2)
    assert (row["n_items"], row["n_groups"], row["degrees"]) == (34, 34, 1)


def test_the_error_of_a_mean_is_that_of_the_bootstrap():
    random = np.random.default_rng(0)
    items, groups = random.normal(size=60), [str(each) for each in random.integers(0, 12, 60)]
    for names, n in ((None, 60), (groups, 12)):
        found, drawn = mean_error(items, names)
        replicates = bootstrap_replicates(items[:, None], names, 20_000, 1)[:, 0]
        assert drawn == n
        assert found == pytest.approx(item_error(replicates, n, n - 1), rel=0.06)
    assert mean_error(items)[0] == pytest.approx(stats.sem(items))
    assert mean_error(items[:1]) == (0.0, 1)
    assert mean_error(items, ["same"] * 60) == (0.0, 1)


# Deviations of partners, of items that partners share, of groups of items, and of the rest.
DESIGNS = {"partners": (1.0, 0.0, 0.0), "items": (0.2, 3.0, 0.0), "groups": (0.2, 0.5, 3.0), "rest": (0.0, 0.0, 0.0)}


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("n_partners", [4, 21])
def test_it_covers_over_partners_and_items(n_partners, design):
    """Of 300 intervals of 95 % less than 276 would be far off; over partners alone they cover as few as 21."""
    random = np.random.default_rng(5)
    partner, item, group = DESIGNS[design]
    groups = [str(number // 6) for number in range(60)]
    covered = alone = 0
    for _ in range(300):
        shared = random.normal(0, item, 60) + np.repeat(random.normal(0, group, 10), 6)
        table = random.normal(0, partner, (n_partners, 1)) + shared + random.normal(0, 1, (n_partners, 60))
        own = {("a", f"p{number}"): items for number, items in enumerate(table)}
        row = rows(outcomes(own, groups=groups), outcomes({pair: np.zeros(60) for pair in own}, groups=groups),
                   by_group=True)["a", "query"]  # fmt: skip
        covered += row["low"] <= 0 <= row["high"]
        half = stats.t.ppf(0.975, n_partners - 1) * row["partner_error"]
        alone += abs(row["gain"]) <= half
    assert covered >= 276
    if design in ("items", "groups") and n_partners == 21:
        assert alone < 150
