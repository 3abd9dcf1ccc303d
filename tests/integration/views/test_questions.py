"""docs/questions.md: its SQL is run as it stands, on both engines, and gives the answers that Python gives."""

import itertools
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, median

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sqlalchemy import insert, select, update

from sprachbund.db import tables as t
from sprachbund.db.engine import writing
from sprachbund.languages import table as languages
from sprachbund.results import query
from sprachbund.results.questions import find, questions
from support.made import LANGUAGES, N_ITEMS, OTHER, SEEDS, STEERED, Database, Maker

LAYER = "10"


def ask(database: Database, name: str, **params: object) -> pl.DataFrame:
    """The answer, about the made experiment."""
    found = find(name)
    values = {"experiment": database.made.name, "layer": LAYER, **params}
    return query.run(database.engine, found.sql, {each: values[each] for each in found.parameters})


def deltas(made, setting: str, metric: str, layer: str) -> dict:
    """Differences to the baseline per pair, on test."""
    return {
        key[4:]: value - made.truth[("test", "none", *key[2:])]
        for key, value in made.truth.items()
        if key[:4] == ("test", setting, metric, layer)
    }


def language_gain(made, setting: str, language: str, side: str) -> tuple[float, float, float]:
    """The gain of a language with its interval, item by item the slow way."""
    items = Maker(made, None, None, 0).items

    def gained(query: str, candidate: str) -> np.ndarray:
        own, baseline = (items("test", each, "top1", LAYER, query, candidate) for each in (setting, "none"))
        return own - baseline

    by_partner = []
    for partner in LANGUAGES:
        if partner != language:
            ways = {"query": gained(language, partner), "candidate": gained(partner, language)}
            by_partner.append(np.mean(list(ways.values()), axis=0) if side == "either" else ways[side])
    table = np.array(by_partner)
    error = np.hypot(stats.sem(table.mean(axis=1)), stats.sem(table.mean(axis=0)))
    low, high = stats.t.interval(0.95, len(table) - 1, loc=table.mean(), scale=error)
    return float(table.mean()), low, high


def test_every_question_is_asked_here():
    asked = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in questions() if f'"{name}"' not in asked] == []
    assert find("trust").heading == "May I trust the table?"
    assert find("equal_perplexity").parameters == ("experiment", "layer", "ratio")


def test_headline_by_method_and_k(database):
    made = database.made
    frame = ask(database, "headline")
    assert frame.height == 4 * 4
    assert frame["layer"].to_list()[:4] == ["0", "1", "10", "final"]
    row = frame.filter(pl.col("k") == 20, pl.col("layer") == LAYER).row(0, named=True)
    values = [value for key, value in made.truth.items() if key[:4] == ("test", STEERED, "top1", LAYER)]
    change = list(deltas(made, STEERED, "top1", LAYER).values())
    assert (row["method"], row["n_values"]) == ("experts", 12)
    assert row["median_value"] == pytest.approx(median(values))
    assert row["mean_value"] == pytest.approx(fmean(values))
    assert row["median_delta"] == pytest.approx(median(change))
    assert row["mean_delta"] == pytest.approx(fmean(change))


def test_headline_with_tests(database):
    frame = ask(database, "headline_tests")
    assert frame["setting"].unique(maintain_order=True).to_list() == ["none", OTHER, STEERED, "centring"]
    for row in frame.iter_rows(named=True):
        value = database.made.macro("test", row["setting"], "top1", row["layer"])
        stored = database.stored("test", row["setting"], "top1", row["layer"])
        assert row["value"] == pytest.approx(value)
        assert (row["ci_low"], row["q"]) == (stored.ci_low, stored.q)
        # No edit reaches layer 0.
        untested = row["setting"] == "none" or (row["setting"] != "centring" and row["layer"] == "0")
        assert (row["q"] is None) == untested


def test_controls(database):
    frame = ask(database, "controls")
    assert frame["layer"].to_list() == ["0", "1", "10", "final"]
    for row in frame.iter_rows(named=True):
        value = database.made.macro("test", STEERED, "top1", row["layer"])
        seeds = [database.made.macro("test", seed, "top1", row["layer"]) for seed in SEEDS]
        assert row["delta"] == pytest.approx(value - fmean(seeds))
        assert row["p"] == pytest.approx((1 + sum(seed >= value for seed in seeds)) / 4)


def test_controls_of_what_was_chosen(database):
    """On select every setting is best at `final`, so that every control chose it there too."""
    (row,) = ask(database, "chosen_controls").to_dicts()
    value = database.made.macro("test", STEERED, "top1", "final")
    seeds = [database.made.macro("test", seed, "top1", "final") for seed in SEEDS]
    assert (row["setting"], row["layer"], row["n_controls"]) == (STEERED, "final", 3)
    assert (row["value"], row["control_mean"]) == pytest.approx((value, fmean(seeds)))
    assert row["p"] == pytest.approx((1 + sum(seed >= value for seed in seeds)) / 4)


def test_alignment_or_collapse(database):
    frame = ask(database, "collapse")
    assert frame.height == 6 * 4
    metrics = {
        "paired": "paired_distance", "unpaired": "unpaired_distance", "gap": "distance_gap", "spread": "spread",
        "top1": "top1",
    }  # fmt: skip
    for row in frame.iter_rows(named=True):
        for column, metric in metrics.items():
            change = deltas(database.made, row["setting"], metric, row["layer"]).values()
            assert row[column] == pytest.approx(fmean(change))


def test_which_pairs_gain(database):
    frame = ask(database, "target_side")
    sides = {"query": lambda q, c: q == "fra_Latn", "candidate": lambda q, c: c == "fra_Latn"}
    sides["neither"] = lambda q, c: "fra_Latn" not in (q, c)
    assert frame.height == 2 * 3
    for row in frame.iter_rows(named=True):
        all_pairs = deltas(database.made, row["setting"], "top1", LAYER)
        change = [value for pair, value in all_pairs.items() if sides[row["target_side"]](*pair)]
        assert row["n_pairs"] == len(change)
        assert row["median_delta"] == pytest.approx(median(change))
        assert row["low_delta"] == pytest.approx(np.quantile(change, 0.1))
        assert row["n_gain"] == sum(value > 0 for value in change)
        assert row["n_lose"] == sum(value < 0 for value in change)
    pairs = ask(database, "best_pairs")
    every = [value for setting in (OTHER, STEERED) for value in deltas(database.made, setting, "top1", LAYER).values()]
    assert pairs["delta"].to_list() == pytest.approx(sorted(every, reverse=True)[:20])


def test_scripts_families_and_branches(database):
    """German and English are told from French by one branch, the others of their path hold one or all three."""
    frame = ask(database, "by_group")
    places = {
        ("script", "Jpan"): ["jpn_Jpan"],
        ("script", "Latn"): ["deu_Latn", "eng_Latn", "fra_Latn"],
        ("family", "Indo-European"): ["deu_Latn", "eng_Latn", "fra_Latn"],
        ("family", "Japonic"): ["jpn_Jpan"],
        ("branch", "Classical Indo-European (Indo-European)"): ["deu_Latn", "eng_Latn", "fra_Latn"],
        ("branch", "West Germanic (Indo-European)"): ["deu_Latn", "eng_Latn"],
    }
    assert frame.height == 3 * len(places)
    for row in frame.iter_rows(named=True):
        found = [language_gain(database.made, row["setting"], code, "either")
                 for code in places[row["kind"], row["place"]]]  # fmt: skip
        gains = [gain for gain, _, _ in found]
        assert row["n_languages"] == len(gains)
        assert (row["mean_gain"], row["least_gain"], row["greatest_gain"]) == pytest.approx(
            (fmean(gains), min(gains), max(gains))
        )
        assert row["n_certain"] == sum(low > 0 for _, low, _ in found)


def test_branches_are_those_of_the_table(database):
    frame = query.run(database.engine, "SELECT * FROM planned_branches ORDER BY language, depth")
    for code in LANGUAGES:
        known = languages.describe(code)
        rows = frame.filter(pl.col("language") == code)
        assert tuple(rows["branch"]) == known.branches
        assert rows["depth"].to_list() == list(range(1, rows.height + 1))
        assert set(rows["family"]) == {known.family}
    places = query.run(database.engine, "SELECT * FROM planned_languages ORDER BY language")
    assert places.select("language", "script", "latitude", "longitude").rows() == [
        (each.code, each.script, each.latitude, each.longitude) for each in map(languages.describe, LANGUAGES)
    ]


def test_within_a_script_and_across(database):
    frame = ask(database, "across_groups")
    assert frame.height == 3 * 2
    for row in frame.iter_rows(named=True):
        change = deltas(database.made, row["setting"], "top1", LAYER)
        within = [value for pair, value in change.items() if ("jpn_Jpan" not in pair) == bool(row["same_script"])]
        assert row["same_script"] == row["same_family"]
        assert (row["n_pairs"], row["mean_delta"]) == (len(within), pytest.approx(fmean(within)))


def test_gains_of_languages(database):
    frame = ask(database, "by_language")
    sides = ("candidate", "either", "query")
    assert frame.select("setting", "language", "language_side").rows() == list(
        itertools.product((OTHER, STEERED, "centring"), LANGUAGES, sides)
    )
    for row in frame.iter_rows(named=True):
        found = language_gain(database.made, row["setting"], row["language"], row["language_side"])
        assert (row["gain"], row["gain_low"], row["gain_high"]) == pytest.approx(found)
        before = database.made.pairs("test", "none", "top1", LAYER)
        own = {"query": [0], "candidate": [1], "either": [0, 1]}[row["language_side"]]
        beside = [value for pair, value in before.items() if any(pair[side] == row["language"] for side in own)]
        assert (row["n_partners"], row["baseline"]) == (3, pytest.approx(fmean(beside)))


def test_best_layer_against_best_layer(database):
    frame = ask(database, "best_layer")
    assert frame.select("setting", "against").rows() == [
        ("centring", "none"), (STEERED, "centring"), (STEERED, "none"),
    ]  # fmt: skip
    for row in frame.iter_rows(named=True):
        own, other = (database.made.macro("test", row[side], "top1", "final") for side in ("setting", "against"))
        assert (row["layer"], row["against_layer"]) == ("final", "final")
        assert (row["value"], row["delta"]) == pytest.approx((own, own - other))
        assert row["population_low"] < row["delta"] < row["population_high"]


@pytest.fixture
def asked(make: Callable[..., Database]) -> Database:
    """With settings that the spec compares, and what they cost."""
    return make(
        name="asked", compare=[(STEERED, "centring")], perplexity={"none": 10.0, OTHER: 11.0, STEERED: 14.0},
        roles=("test",), languages=("deu_Latn", "eng_Latn", "fra_Latn", "xyz"),
    )  # fmt: skip


def test_one_setting_against_another_and_at_equal_perplexity(asked):
    frame = ask(asked, "a_against_b")
    assert frame.select("setting", "against", "layer").rows() == [
        (STEERED, "centring", layer) for layer in ("0", "1", "10", "final")
    ]
    for row in frame.iter_rows(named=True):
        own, other = (asked.made.macro("test", row[side], "top1", row["layer"]) for side in ("setting", "against"))
        assert (row["value"], row["against_value"], row["delta"]) == pytest.approx((own, other, own - other))
    _check_unlisted(asked)
    before, small, large = (asked.made.macro("test", each, "top1", LAYER) for each in ("none", OTHER, STEERED))
    for ratio, neighbours in ((1.05, ("none", OTHER)), (1.1, ("none", OTHER)), (1.3, (OTHER, STEERED))):
        (row,) = ask(asked, "equal_perplexity", ratio=ratio).to_dicts()
        assert (row["setting_before"], row["setting"]) == neighbours
        expected = np.interp(ratio, [1.0, 1.1, 1.4], [0.0, small - before, large - before])
        assert row["delta_at_ratio"] == pytest.approx(float(expected))
    # Nothing is extrapolated.
    assert ask(asked, "equal_perplexity", ratio=1.5).height == ask(asked, "equal_perplexity", ratio=0.9).height == 0


def _check_unlisted(database: Database) -> None:
    """A language that the table lacks has a script at most, and stands in no group of Glottolog's."""
    places = query.run(database.engine, "SELECT * FROM planned_languages WHERE language = 'xyz'").row(0, named=True)
    assert {name for name, value in places.items() if value is not None} == {
        "experiment", "language", "name", "iso639_3",
    }  # fmt: skip
    assert query.run(database.engine, "SELECT * FROM planned_branches WHERE language = 'xyz'").is_empty()
    frame = ask(database, "by_group")
    assert frame.filter(pl.col("kind") != "branch", pl.col("place").is_null())["n_languages"].to_list() == [1] * 6


def test_over_models(copy):
    """The same settings of a second model, by giving half of a plan's settings to it."""
    made = copy.made
    with writing(copy.engine) as connection:
        rename = update(t.ExperimentSetting).where(t.ExperimentSetting.setting_id == made.ids[OTHER])
        connection.execute(rename.values(model="another", name=STEERED))
    frame = ask(copy, "over_models")
    of_both = frame.filter(pl.col("setting") == STEERED)
    gains = {"another": made.macro("test", OTHER, "top1", LAYER), "tiny": made.macro("test", STEERED, "top1", LAYER)}
    gains = {model: value - made.macro("test", "none", "top1", LAYER) for model, value in gains.items()}
    assert of_both["model"].to_list() == ["another", "tiny"]
    assert of_both["mean_gain"].to_list() == pytest.approx(list(gains.values()))
    assert of_both["mean_over_models"].to_list() == pytest.approx([fmean(gains.values())] * 2)
    assert of_both["n_models"].to_list() == [2, 2]
    assert of_both["n_certain"].to_list() == [int((of_both["population_low"] > 0).sum())] * 2
    assert frame.filter(pl.col("setting") == "centring")["n_models"].to_list() == [1]


def test_hardware_and_time(copy):
    """Two runners: their hours are those in which they were busy, however many jobs they had claimed at once."""
    with writing(copy.engine) as connection:
        jobs = list(connection.execute(select(t.ExperimentJob.job_id).order_by(t.ExperimentJob.job_id)).scalars())
        runner = insert(t.Runner).values(
            name="two", host="there", pid=1, capabilities={}, state="stopped", started_ms=0, seen_ms=0
        )
        two = connection.execute(runner.returning(t.Runner.id)).scalar_one()
        # All are claimed at once and end one by one; the other runner does the last two.
        ends = {job: 2000 + 1000 * number for number, job in enumerate(jobs[:-2])}
        ends |= {jobs[-2]: 2500, jobs[-1]: 3000}
        for job, end in ends.items():
            values = {"started_ms": 1000, "finished_ms": end, "environment": {"device": "cpu", "threads": 2}}
            elsewhere = {"runner_id": two} if job in jobs[-2:] else {}
            connection.execute(update(t.JobAttempt).where(t.JobAttempt.job_id == job).values(**values, **elsewhere))
        lost = {"job_id": jobs[0], "attempt": 2, "runner_id": two, "started_ms": 1, "finished_ms": 2600}
        connection.execute(insert(t.JobAttempt).values(**lost, outcome="lost"))
    frame = ask(copy, "hardware")
    hours = {host: part["hours"].sum() for (host,), part in frame.group_by("host")}
    assert hours == {"here": pytest.approx((len(jobs) - 2) / 3600), "there": pytest.approx(2 / 3600)}
    assert frame["n_attempts"].sum() == len(jobs) + 1
    assert frame.filter(pl.col("outcome") == "lost").select("hours", "device").rows() == [(None, None)]
    assert set(frame.filter(pl.col("outcome") == "done").select("device", "threads").rows()) == {("cpu", 2)}
    seconds = query.run(copy.engine, "SELECT job, seconds FROM attempts WHERE host = 'there' AND outcome = 'done'")
    assert sorted(seconds.rows()) == [(jobs[-2], 1.5), (jobs[-1], 0.5)]


def test_tokens(copy):
    """Snapshots are put beside the texts here: the made runner reads none."""
    n_tokens = dict(zip(LANGUAGES, (60, 30, 45, 90), strict=True))
    with writing(copy.engine) as connection:
        texts = connection.execute(select(t.CorpusText.id, t.CorpusText.language, t.CorpusText.key)).all()
        job, artifact = (connection.execute(select(each).order_by(each)).scalars().first()
                         for each in (t.ExperimentJob.job_id, t.Artifact.id))  # fmt: skip
        for number, language, key in texts:
            row = {
                "key": key, "setting_id": copy.made.ids["none"], "corpus_text_id": number, "pooling": "mean",
                "tokens": "content", "dtype": "float32", "n_items": N_ITEMS, "dimension": 8,
                "n_tokens": n_tokens[language],
            }  # fmt: skip
            snapshot = connection.execute(insert(t.Snapshot).values(**row).returning(t.Snapshot.id)).scalar_one()
            part = {"snapshot_id": snapshot, "layer": "1", "job_id": job, "artifact_id": artifact, "tensor": "1"}
            connection.execute(insert(t.SnapshotPart).values(**part))
        model = connection.execute(select(t.Model.id)).scalar_one()
        trained = {"model_id": model, "language": "deu_Latn", "family": "made", "share": 0.25}
        connection.execute(insert(t.ModelLanguage).values(**trained))
    frame = ask(copy, "tokens")
    assert Counter(frame["role"]) == {"fit": 4, "select": 4, "test": 4}
    for row in frame.filter(pl.col("role") == "select").iter_rows(named=True):
        code = row["language"]
        sentences = [f"made {'y' if number == 0 else f'select {number}'} in {code}" for number in range(N_ITEMS)]
        words = None if code == "jpn_Jpan" else sum(len(each.split()) for each in sentences)
        assert row["fertility"] == (None if words is None else pytest.approx(n_tokens[code] / words))
        assert row["tokens_per_byte"] == pytest.approx(n_tokens[code] / sum(len(each.encode()) for each in sentences))
        assert row["premium"] == pytest.approx(n_tokens[code] / 30)
        assert (row["trained"], row["share"]) == ((1, 0.25) if code == "deu_Latn" else (0, None))


def test_trust(database):
    row = ask(database, "trust").row(0, named=True)
    assert (row["expected_cells"], row["missing_cells"], row["overlap_texts"]) == (392, 0, 7)
    assert ask(database, "failures").height == 0


def test_trust_where_something_failed(make):
    broken = make(failed=[("test", "centring", ("deu_Latn", "eng_Latn"))])
    assert ask(broken, "trust").row(0, named=True)["missing_cells"] == 3 * 4
    failed = ask(broken, "failures").row(0, named=True)
    assert (failed["status"], failed["error"]) == ("failed", "it broke")
