"""Comparisons end to end: statistics over pairs, max-T, single items, recipes' reports, on a tiny model."""

from itertools import permutations, product

import numpy as np
import pytest
from sqlalchemy import select

from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.db.views import VIEWS
from sprachbund.errors import QueryError, SpecError
from sprachbund.report import document
from sprachbund.results import comparison as results
from sprachbund.results import item as results_item
from sprachbund.work.payloads.compare import ComparedSetting, ComparisonPayload
from sprachbund_runners.jobs.compare import levels, pair_statistics
from sprachbund_runners.jobs.registry import JOBS
from sprachbund_runners.statistics.bootstrap import dyadic_bootstrap_correlation
from sprachbund_runners.statistics.comparisons import max_t
from sprachbund_runners.statistics.crossed import crossed_effects
from sprachbund_runners.statistics.dyadic import dyadic_bootstrap_median
from sprachbund_runners.statistics.population import population_mean
from support.hits import hits, ranks

STEERED = "experts eng_Latn k=4"
# Of the items of a split.
GROUPS = np.arange(30) // 3


@pytest.fixture
def database_url(_sqlite_template, tmp_path):
    """What is tested here does not depend on the database's engine."""
    return f"sqlite:///{tmp_path / 'sprachbund.db'}"


@pytest.fixture
def done(space, experiment):
    """Two steered settings with a control each, on three languages, adjusted by max-T."""
    content = experiment(
        interventions=["none", "centring", {"method": "experts", "k": [4, 12], "controls": ["profile x1"]}],
        embeddings={"layers": [1, "final"]},
        choose=None,
        statistics={"resamples": 100, "multiplicity": "max_t", "metrics": ["top1", "distance_gap"]},
    )
    del content["choose"]
    del content["corpora"]["select"]
    space.submit(content)
    assert space.run().failed == 0
    return space


def cells(space, setting, metric, layer="final"):
    """Value per pair from the views."""
    view = "retrieval_results" if metric == "top1" else "alignment_results"
    found = space.query(
        f"SELECT query_language, candidate_language, value FROM {view} WHERE experiment = 'tiny' "  # noqa: S608
        f"AND role = 'test' AND setting = '{setting}' AND metric = '{metric}' AND layer = '{layer}'"
    )
    return {(row["query_language"], row["candidate_language"]): row["value"] for row in found.to_dicts()}


def test_every_view_has_the_types_it_declares(done):
    """SQLite types values, not columns: here most views have rows."""
    stored = {"integer": int, "flag": int, "real": float, "text": str, "json": str}
    for name, view in VIEWS.items():
        frame = done.query(f"SELECT * FROM {name}")  # noqa: S608 - our own names
        for column in view.columns:
            assert {type(value) for value in frame[column.name].drop_nulls()} <= {stored[column.type]}, column


def test_statistics_over_pairs_are_those_of_their_values(done):
    after, before = cells(done, STEERED, "top1"), cells(done, "none", "top1")
    pairs = list(after)
    gains = np.array([after[pair] - before[pair] for pair in pairs])
    query, candidate = (np.array([pair[side] for pair in pairs]) for side in (0, 1))
    (row,) = done.query(
        "SELECT * FROM gain_summary WHERE experiment = 'tiny' AND setting = :s AND layer = 'final' "
        "AND metric = 'top1' AND scope = 'all'", params={"s": STEERED},
    ).to_dicts()  # fmt: skip
    # Three languages are too few for an interval of the median.
    assert row["median_gain"] == pytest.approx(np.median(gains))
    assert (row["median_low"], row["median_high"]) == (None, None)
    model = crossed_effects(gains, query, candidate)
    assert (row["mean_gain"], row["mean_low"]) == pytest.approx((model.coefficients[0], model.low[0]))
    assert (row["mean_error"], row["mean_degrees"]) == (pytest.approx(model.standard_errors[0]), model.degrees)
    both = population_mean(row["mean_gain"], row["mean_error"], row["item_error"], row["mean_degrees"])
    assert (row["population_low"], row["population_high"]) == pytest.approx((both.low, both.high))
    assert row["population_p"] == pytest.approx(both.p)
    # Over items: the mean over pairs of each item's difference, drawn in their groups of three.
    own, none = (hits(done, setting, "final") for setting in (STEERED, "none"))
    change = np.mean([own[pair] - none[pair] for pair in pairs], axis=0)
    means = change.reshape(10, 3).mean(axis=1)
    assert row["item_error"] == pytest.approx(means.std(ddof=1) / np.sqrt(10), rel=0.2)
    assert (row["n_items"], row["n_groups"], row["item_degrees"]) == (30, 10, 9)
    assert (row["n_pairs"], row["n_languages"], row["n_gaining"]) == (6, 3, int((gains > 0).sum()))
    (row,) = done.query(
        "SELECT * FROM distance_correlations WHERE experiment = 'tiny' AND setting = :s AND layer = 'final' "
        "AND y = 'accuracy_after' AND distance = 'paired_distance'", params={"s": STEERED},
    ).to_dicts()  # fmt: skip
    distance = cells(done, STEERED, "paired_distance")
    x = np.array([distance[tuple(sorted(pair))] for pair in pairs])
    y = np.array([after[pair] for pair in pairs])
    found = dyadic_bootstrap_correlation(x, y, query, candidate, resamples=100, seed=0)
    assert (row["value"], row["ci_low"], row["ci_high"]) == pytest.approx(
        (float(found.estimate), float(found.low), float(found.high))
    )


def test_max_t_swaps_items_of_the_whole_family(done):
    stored = done.query(
        "SELECT setting, layer, q, family_size, family_kind, q_at_floor FROM setting_comparison "
        "WHERE experiment = 'tiny' AND metric = 'top1' AND scope = 'all' AND control IS NULL AND q IS NOT NULL"
    ).to_dicts()
    settings = ["centring", STEERED, "experts eng_Latn k=12"]
    first = dict(done.query("SELECT setting, first_block FROM planned_settings WHERE experiment = 'tiny'").iter_rows())
    expected, sizes = {}, {}
    for family in (settings[:1], settings[1:]):
        columns = {}
        for layer, setting in product(("1", "final"), family):
            # Before the first edited block nothing can differ.
            if layer == "final" or int(layer) >= (first[setting] or 0):
                own, none = hits(done, setting, layer), hits(done, "none", layer)
                columns[setting, layer] = np.mean([own[pair] - none[pair] for pair in none], axis=0)
        expected |= dict(zip(columns, max_t(np.stack(list(columns.values()), axis=1), GROUPS, 100, 0), strict=True))
        sizes |= dict.fromkeys(columns, len(columns))
    assert {(row["setting"], row["layer"]): row["q"] for row in stored} == pytest.approx(expected)
    assert {(row["setting"], row["layer"]): row["family_size"] for row in stored} == sizes
    assert {row["setting"]: row["family_kind"] for row in stored} == {
        "centring": "transforms", STEERED: "steered", "experts eng_Latn k=12": "steered",
    }  # fmt: skip
    # 100 swaps give no less.
    assert {row["q_at_floor"] for row in stored if row["q"] == 1 / 101} <= {1}
    assert {row["q_at_floor"] for row in stored if row["q"] > 1 / 101} <= {0}


def test_an_item_is_explained_as_it_was_evaluated(done):
    counts = {setting: ranks(done, setting, "final") for setting in ("none", STEERED, "centring")}
    for setting in (STEERED, "centring"):
        for number in (0, 7):
            found = results_item.explain_item(
                done.engine, done.store, "eng:deu", str(number), experiment="tiny", setting=setting
            )
            assert [side.setting for side in found.sides] == ["none", setting]
            for side in found.sides:
                greater, ties = counts[side.setting]["eng_Latn", "deu_Latn"]
                assert side.rank == pytest.approx(1 + greater[number] + ties[number] / 2)
                assert len(side.top) == 5
                similar = [each.similarity for each in side.top]
                assert similar == sorted(similar, reverse=True)
                assert any(each.gold for each in side.top) == (side.rank <= 5 or side.similarity >= similar[-1])
            assert found.query.startswith("eng") and found.translation.startswith("deu")
    by_name = results_item.explain_item(
        done.engine, done.store, "eng:deu", found.item, experiment="tiny", setting=STEERED
    )
    assert by_name.item == found.item
    for pair, item, setting, message in (
        ("eng", "0", STEERED, "expected QUERY:CANDIDATE"),
        ("eng:eng", "0", STEERED, "two languages"),
        ("eng:spa", "0", STEERED, "was not evaluated"),
        ("eng:deu", "99", STEERED, "expected a number from 0 to 29"),
        ("eng:deu", "0", "experts", "unknown setting"),
    ):
        with pytest.raises(QueryError, match=message):
            results_item.explain_item(done.engine, done.store, pair, item, experiment="tiny", setting=setting)


def test_the_report_is_whole(done):
    page = document.report(done.engine, "tiny")
    for heading in ("Over layers", "Distances (Table 1)", "Accuracy and distance (Table 2)", "Experts", "Controls"):
        assert f">{heading}</h2>" in page
    assert results.compare(done.engine, "tiny").missing == []


def attempts(space, kind):
    """Outcomes of attempts by what the jobs of a kind are called."""
    found = {}
    statement = (
        select(t.Job.label, t.JobAttempt.outcome)
        .join(t.JobAttempt, t.JobAttempt.job_id == t.Job.id)
        .where(t.Job.kind == kind)
        .order_by(t.JobAttempt.job_id, t.JobAttempt.attempt)
    )
    with reading(space.engine) as connection:
        for label, outcome in connection.execute(statement):
            found.setdefault(label, []).append(outcome)
    return found


def stored_comparisons(space):
    """Ids and numbers of all comparisons."""
    with reading(space.engine) as connection:
        return {tuple(row) for row in connection.execute(select(t.Comparison.__table__))}


def families(space, name):
    """(layer, q, size) of a setting in a plan's families."""
    return space.query(
        f"SELECT setting, layer, q, family_size FROM setting_comparison WHERE experiment = '{name}' "  # noqa: S608
        "AND metric = 'top1' AND scope = 'all' AND q IS NOT NULL"
    ).to_dicts()


def with_k(experiment, k, name="tiny", rule="bh", layers=(2,)):
    content = experiment(
        name=name,
        interventions=["none", {"method": "experts", "k": k, "controls": ["profile x1"]}],
        targets=["eng_Latn"],
        embeddings={"layers": list(layers)},
        statistics={"resamples": 100, "multiplicity": rule, "metrics": ["top1"]},
    )
    del content["choose"], content["corpora"]["select"]
    return content


@pytest.mark.parametrize("rule", ["bh", "max_t"])
def test_one_more_setting_is_compared_alone_and_families_are_a_plans_own(space, experiment, rule):
    space.submit(with_k(experiment, [4], rule=rule))
    assert space.run().failed == 0
    before, q = stored_comparisons(space), families(space, "tiny")
    submitted = space.submit(with_k(experiment, [4, 12], "more", rule))
    assert {kind: submitted.new[kind] for kind in ("pair_evaluation", "comparison", "adjustment")} == {
        "pair_evaluation": 2 * 2, "comparison": 1, "adjustment": 1,
    }  # fmt: skip
    assert space.run().failed == 0
    assert before < stored_comparisons(space)
    assert families(space, "tiny") == q
    assert {row["family_size"] for row in q} == {1}
    assert {row["family_size"] for row in families(space, "more")} == {2}
    layers = space.submit(with_k(experiment, [4, 12], "deeper", rule, (2, "final")))
    assert {kind: layers.new[kind] for kind in ("comparison", "adjustment")} == {"comparison": 3, "adjustment": 1}
    assert space.run().failed == 0
    assert len(families(space, "deeper")) == 4
    assert {row["family_size"] for row in families(space, "deeper")} == {4}


def test_a_comparison_that_is_cut_short_repeats_itself_alone(space, experiment, monkeypatch):
    served = []
    compare = JOBS["comparison"]

    def interrupted(claims, context):
        for outcome in compare(claims, context):
            served.append(outcome.claim.label)
            if len(served) == 2:
                raise KeyboardInterrupt
            yield outcome

    monkeypatch.setitem(JOBS, "comparison", interrupted)
    space.submit(with_k(experiment, [4, 12]))
    with pytest.raises(KeyboardInterrupt):
        space.run()
    assert space.run().failed == 0
    counted = {label: served.count(label) for label in served}
    assert sorted(counted.values()) == [1, 1, 2]
    assert {tuple(each) for each in attempts(space, "comparison").values()} == {("done",), ("released", "done")}


def test_a_comparison_that_fails_is_left_out_and_taken_in_later(space, experiment, monkeypatch):
    compare = JOBS["comparison"]

    def fails(claims, context):
        for claim in claims:
            if "k=12" in claim.label:
                raise SpecError("it broke")
            yield from compare([claim], context)

    monkeypatch.setitem(JOBS, "comparison", fails)
    space.submit(with_k(experiment, [4, 12]))
    assert space.run().failed == 1
    assert [(row["setting"], row["family_size"]) for row in families(space, "tiny")] == [(STEERED, 1)]
    found = results.compare(space.engine, "tiny")
    assert [each.label for each in found.left_out] == ["experts eng_Latn k=12"]
    assert "failed: it broke" in found.missing[0]
    monkeypatch.undo()
    assert space.queue.retry("tiny") == 1
    assert space.run().failed == 0
    assert {row["family_size"] for row in families(space, "tiny")} == {2}
    assert results.compare(space.engine, "tiny").missing == []
    assert attempts(space, "adjustment") == {"families of tests on words for tiny-bloom (test)": ["done", "done"]}


def payload_of(settings):
    """What a comparison of these settings is asked."""
    return ComparisonPayload(
        group="book", split="test", role="test", settings=settings, layers=("1",), metrics=("top1",),
        resamples=100, confidence=0.95, unit="item", seed=0,
    )  # fmt: skip


def test_settings_are_resampled_in_the_order_of_the_payload():
    """Sums round by the place of a column: an order that hashes decide gives other last digits in every process."""
    controls = {"random_units": tuple(f"control {number}" for number in range(20))}
    settings = (ComparedSetting("steered", "none", None, controls),)
    wanted = levels.wanted_levels(payload_of(settings))
    assert [member for member, *_ in wanted] == ["steered", "none", *controls["random_units"]]


@pytest.mark.parametrize("n_languages", [2, 7, 8])
def test_a_median_over_few_languages_has_no_interval(n_languages):
    """It would cover too seldom."""
    languages = [f"q{letter}a_Latn" for letter in "bcdfghjk"[:n_languages]]
    pairs = [("book", *pair) for pair in permutations(languages, 2)]
    gains = np.random.default_rng(0).random(len(pairs))
    row = pair_statistics.summed_up(gains, pairs, "top1", payload_of(()))
    assert (row["n_languages"], row["median_gain"]) == (n_languages, pytest.approx(np.median(gains)))
    if n_languages < 8:
        assert (row["median_low"], row["median_high"]) == (None, None)
    else:
        query, candidate = (np.array([pair[side] for pair in pairs]) for side in (1, 2))
        expected = dyadic_bootstrap_median(gains, query, candidate, resamples=100, seed=0)
        assert (row["median_low"], row["median_high"]) == pytest.approx((float(expected.low), float(expected.high)))


@pytest.mark.parametrize(
    ("metric", "n"), [("top1", 2), ("xsim", 1), ("language_abx", 1), ("paired_distance", None), ("distance_gap", 2)]
)
def test_pairs_that_gain_are_those_that_get_better(metric, n):
    """Less is better of an error; of a distance neither way is; and rounding is no gain."""
    pairs = [("book", "eng_Latn", code) for code in ("deu_Latn", "fra_Latn", "jpn_Jpan", "spa_Latn", "zho_Hans")]
    row = pair_statistics.summed_up(np.array([0.1, 0.3, -0.2, 5e-7, -5e-7]), pairs, metric, payload_of(()))
    assert row["n_gaining"] == n
