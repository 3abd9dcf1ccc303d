"""From a spec to rows: what is stored, and that nothing is computed twice."""

import shutil
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.stats import binomtest, false_discovery_control
from sqlalchemy import func, select

from sprachbund import workspace
from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.errors import SpecError
from sprachbund.workspace import Workspace
from sprachbund_runners.models import embed as embedding
from sprachbund_runners.models import respond as responding
from support.finished import pair_values

Make = Callable[..., dict[str, Any]]
# What the tests of reuse plan: candidates to choose from, controls, both kinds of centring, at one layer.
REUSED: dict[str, Any] = {
    "interventions": [
        "none",
        "centring",
        "centring_transductive",
        {"method": "experts", "k": [4, 12], "controls": ["profile x1", "wrong_language"]},
    ],
    "embeddings": {"layers": ["final"]},
}


def count(space: Workspace, table: Any) -> int:
    with reading(space.engine) as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def states(space: Workspace) -> Counter[str]:
    with reading(space.engine) as connection:
        return Counter(connection.execute(select(t.Job.state)).scalars())


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts sentences that go through a model."""
    counted: Counter[str] = Counter()
    from sprachbund_runners.jobs.embed import snapshot
    from sprachbund_runners.jobs.fit import unit_statistics

    def counting(name: str, function: Any) -> Any:
        def wrapped(loaded: Any, texts: Any, *arguments: Any, **options: Any) -> Any:
            counted[name] += len(texts)
            return function(loaded, texts, *arguments, **options)

        return wrapped

    def embed_variants(loaded: Any, texts: Any, layers: Any, variants: Any, *arguments: Any, **options: Any) -> Any:
        counted["embed"] += sum(len(variant.rows) for variant in variants)
        return embedding.embed_variants(loaded, texts, layers, variants, *arguments, **options)

    monkeypatch.setattr(snapshot, "embed_variants", embed_variants)
    monkeypatch.setattr(unit_statistics, "respond", counting("respond", responding.respond))
    return counted


def test_one_spec_fills_every_table_and_view(space: Workspace, experiment: Make, passes: Counter[str]) -> None:
    submitted = space.submit(experiment())
    assert submitted.n_new > 0
    tally = space.run()
    assert tally.failed == 0, tally.errors
    assert tally.done == submitted.n_new
    assert states(space) == {"done": submitted.n_new}
    # Four fit languages, 30 sentences each, read once for all targets, sites and scorers.
    assert passes["respond"] == 4 * 30
    for table in (t.UnitStatistics, t.ExpertSet, t.ExpertUnit, t.Snapshot, t.SnapshotPart, t.PairResult, t.Evaluation,
                  t.Metric, t.Comparison, t.ControlComparison, t.Choice, t.ExpertOverlap):  # fmt: skip
        assert count(space, table) > 0, table
    frame = space.results(submitted)
    # Every ordered pair of three languages at four layers, under every setting, for every retrieval metric.
    top1 = frame.filter((frame["metric"] == "top1") & (frame["role"] == "test"))
    assert top1.height == 6 * 4 * len(submitted.settings)
    assert top1["value"].is_between(0, 1).all()
    alignment = space.results(submitted, "alignment")
    assert {"paired_distance", "distance_gap", "spread", "to_target", "all_pairs_distance"} <= set(alignment["metric"])
    comparison = space.query("select * from setting_comparison where experiment = 'tiny' and metric = 'top1'")
    assert comparison.filter(comparison["q"].is_not_null()).height > 0
    audit = space.query("select * from experiment_audit where experiment = 'tiny'")
    assert audit.height > 0


def test_twice_is_once_and_one_more_language_is_one_more_language(
    space: Workspace, experiment: Make, passes: Counter[str]
) -> None:
    space.submit(experiment(**REUSED))
    space.run()
    passes.clear()
    again = space.submit(experiment(**REUSED))
    assert again.n_new == 0
    space.run()
    assert not passes
    more = space.submit(experiment(**REUSED, languages=["eng_Latn", "deu_Latn", "fra_Latn", "spa_Latn"]), replace=True)
    space.run()
    # Spanish only: once per untransformed setting and role, controls choose too; and once on the fit text for centring.
    assert passes == {"embed": 30 * (2 * (len({*more.settings}) - 2) + 1)}


def test_the_same_edits_run_once_whatever_they_are_called(
    space: Workspace, experiment: Make, passes: Counter[str]
) -> None:
    row = {"method": "experts", "k": 4, "controls": ["wrong_language"]}
    spec = experiment(targets=["eng_Latn", "deu_Latn"], interventions=["none", row], choose=None)
    del spec["corpora"]["select"]
    submitted = space.submit(spec)
    # Each target, and beside each the experts of the three others.
    assert len(submitted.settings) == 1 + 2 * (1 + 3)
    tally = space.run()
    assert tally.failed == 0, tally.errors
    # Four languages have experts: with the unsteered one, five passes over three languages of 30 sentences.
    assert passes["embed"] == 5 * 3 * 30


def test_one_more_layer_adds_parts_to_the_same_snapshots(
    space: Workspace, experiment: Make, passes: Counter[str]
) -> None:
    space.submit(experiment(**{**REUSED, "embeddings": {"layers": [1]}}))
    space.run()
    snapshots, parts = count(space, t.Snapshot), count(space, t.SnapshotPart)
    space.submit(experiment(**{**REUSED, "embeddings": {"layers": [1, "final"]}}), replace=True)
    tally = space.run()
    assert tally.failed == 0, tally.errors
    assert count(space, t.Snapshot) == snapshots
    assert count(space, t.SnapshotPart) == 2 * parts
    layers = set(space.results("tiny")["layer"])
    assert layers == {"1", "final"}
    # Asking for fewer layers shows fewer, and computes nothing but the families anew.
    fewer = space.submit(experiment(**{**REUSED, "embeddings": {"layers": ["final"]}}), replace=True)
    assert set(fewer.new) <= {"adjustment", "choice", "best"}
    space.run()
    assert set(space.results("tiny")["layer"]) == {"final"}


def test_bundling_and_batches_change_nothing_beyond_rounding(
    space: Workspace, experiment: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = experiment(interventions=["none", {"method": "experts", "k": 12}], choose=None)
    space.submit(spec)
    space.run(max_tokens=64, bundle=1)
    monkeypatch.setenv("SPRACHBUND_DATABASE_URL", "sqlite:///other.db")
    with workspace.init(tmp_path / "other") as other:
        other.submit(spec)
        other.run(max_tokens=2048)
        plans = {_plans(space), _plans(other)}
        assert len(plans) == 2, "both runs had the same batches: nothing was compared"
        first, second = _values(space, "paired_distance"), _values(other, "paired_distance")
    assert first.keys() == second.keys()
    assert first
    for key, value in first.items():
        assert value == pytest.approx(second[key], abs=1e-5), key


def _plans(space: Workspace) -> tuple[str, ...]:
    with reading(space.engine) as connection:
        plans = connection.execute(select(t.JobAttempt.batch_plan).where(t.JobAttempt.batch_plan.is_not(None)))
        return tuple(sorted(plans.scalars()))


def test_comparisons_equal_what_the_views_rows_give(space: Workspace, experiment: Make) -> None:
    space.submit(experiment(embeddings={"layers": [1, "final"]}))
    assert space.run().failed == 0
    pairs = space.results("tiny").filter((pl.col("metric") == "top1") & (pl.col("role") == "test"))
    compared = space.query("select * from setting_comparison where metric = 'top1' and role = 'test'")
    scopes = {
        "all": pl.lit(True),
        "target_query": pl.col("query_language") == "eng_Latn",
        "target_candidate": pl.col("candidate_language") == "eng_Latn",
        "without_target": (pl.col("query_language") != "eng_Latn") & (pl.col("candidate_language") != "eng_Latn"),
    }
    assert set(compared["scope"]) == set(scopes)
    for row in compared.iter_rows(named=True):
        inside = pairs.filter((pl.col("layer") == row["layer"]) & scopes[row["scope"]])
        own = inside.filter(pl.col("setting") == row["setting"])["value"]
        none = inside.filter(pl.col("setting") == "none")["value"]
        assert row["value"] == pytest.approx(own.mean())
        assert row["median"] == pytest.approx(own.median())
        assert row["delta"] == pytest.approx(own.mean() - none.mean())
        assert row["ci_low"] - 1e-9 <= row["value"] <= row["ci_high"] + 1e-9
        if row["setting"] == "none" or row["control"] is not None:
            assert row["q"] is None
        else:
            assert row["delta_ci_low"] - 1e-9 <= row["delta"] <= row["delta_ci_high"] + 1e-9
    tested = compared.filter(pl.col("q").is_not_null())
    for _, family in tested.group_by("scope", "family_kind"):
        assert set(family["family_size"]) == {family.height}
        assert family["q"].to_list() == pytest.approx(list(false_discovery_control(family["p"].to_numpy())))
    beside = space.query("select * from control_comparison where metric = 'top1' and scope = 'all' and role = 'test'")
    assert set(beside["control"]) == {"random:profile", "random:shift", "wrong_language", "random:uniform"}
    by_setting = pairs.group_by("control_of", "control", "setting", "layer").agg(pl.col("value").mean())
    for row in beside.iter_rows(named=True):
        members = by_setting.filter(
            (pl.col("control_of") == row["setting"])
            & (pl.col("control") == row["control"])
            & (pl.col("layer") == row["layer"])
        )["value"].to_numpy()
        assert row["n_controls"] == len(members)
        at_least = int((members >= row["value"] - 1e-12).sum())
        assert row["p"] == pytest.approx((1 + at_least) / (1 + len(members)))


def test_pairs_are_tested_by_mcnemar_within_one_family(space: Workspace, experiment: Make) -> None:
    space.submit(
        experiment(interventions=["none", "centring", {"method": "experts", "k": 12, "controls": ["profile x1"]}])
    )
    assert space.run().failed == 0
    frame = space.results("tiny").filter((pl.col("metric") == "top1") & (pl.col("role") == "test"))
    tested = frame.filter(pl.col("p").is_not_null())
    assert set(tested["setting"]) == {"centring", "experts eng_Latn k=12"}
    # Before the first edited block nothing can differ: such tests are in no family.
    alone = tested.filter(pl.col("q").is_null())
    assert set(alone.select("setting", "layer").iter_rows()) == {("experts eng_Latn k=12", "0")}
    for _, family in tested.filter(pl.col("q").is_not_null()).group_by("setting"):
        assert family["q"].to_list() == pytest.approx(list(false_discovery_control(family["p"].to_numpy())))
        assert set(family["family_size"]) == {family.height}
    counts = space.query("select * from pair_tests")
    assert counts.height > tested.height
    for row in counts.iter_rows(named=True):
        n = row["only_setting"] + row["only_baseline"]
        assert row["p"] == pytest.approx(binomtest(row["only_setting"], n).pvalue if n else 1.0)


def test_two_submissions_at_once_plan_nothing_twice(space: Workspace, experiment: Make) -> None:
    specs = [
        experiment(**{**REUSED, "embeddings": {"layers": layers}}, name=name)
        for name, layers in (("a", [1]), ("b", [1, "final"]))
    ]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(space.submit, specs))
    tally = space.run()
    assert tally.failed == 0, tally.errors
    assert set(states(space)) == {"done"}
    assert set(space.results("a")["layer"]) == {"1"}
    assert set(space.results("b")["layer"]) == {"1", "final"}


def test_two_texts_of_one_name_are_refused(
    space: Workspace, experiment: Make, word_corpus: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "dev"
    folder.mkdir()
    shutil.copy(word_corpus, folder / word_corpus.name)
    spec = experiment(choose=None, interventions=["none"])
    corpora = {
        "select": {"path": str(word_corpus), "layout": "wide", "filter": {"split": "select"}},
        "test": {"path": str(folder / word_corpus.name), "layout": "wide", "filter": {"split": "test"}},
    }
    space.submit({**spec, "corpora": corpora})
    space.run()
    frame = space.results("tiny")
    # Selected differently, they are different corpora: nothing of `select` shows as `test`.
    assert frame.group_by("role", "metric", "layer", "query_language", "candidate_language").len()["len"].max() == 1
    lines = word_corpus.read_text(encoding="utf-8").splitlines()
    (folder / word_corpus.name).write_text("\n".join([lines[0], *lines[61:]]) + "\n", encoding="utf-8")
    first = tmp_path / word_corpus.name
    first.write_text("\n".join([lines[0], *lines[31:61]]) + "\n", encoding="utf-8")
    alike = {
        role: {"path": str(path), "layout": "wide"}
        for role, path in (("select", first), ("test", folder / word_corpus.name))
    }
    with pytest.raises(SpecError, match="both are called 'words'; give one a 'name'"):
        space.submit({**spec, "corpora": alike})


def _values(space: Workspace, metric: str | None = None) -> dict[str, tuple[float, ...]]:
    found: dict[str, list[float]] = {}
    for (*place, name), value in sorted(pair_values(space).items()):
        if metric in (None, name):
            found.setdefault(" ".join(place), []).append(value)
    statement = select(t.Evaluation.key, t.Metric.name, t.Metric.value).join(t.Metric).order_by(t.Metric.name)
    with reading(space.engine) as connection:
        for key, name, value in connection.execute(statement):
            if metric in (None, name):
                found.setdefault(key, []).append(value)
    return {key: tuple(np.round(values, 12)) for key, values in found.items()}


def test_snapshots_below_the_first_edited_block_equal_the_unsteered(space: Workspace, experiment: Make) -> None:
    spec = experiment(interventions=["none", {"method": "experts", "k": 4, "blocks": [2]}], choose=None)
    space.submit(spec)
    tally = space.run()
    assert tally.failed == 0, tally.errors
    frame = space.results("tiny")
    for layer, same in (("0", True), ("1", True), ("2", False), ("final", False)):
        deltas = frame.filter((frame["layer"] == layer) & (frame["metric"] == "meaning_abx"))["delta"]
        assert (deltas.abs().max() == 0) is same, layer


def test_evicted_files_are_made_again_by_the_jobs_that_made_them(space: Workspace, experiment: Make) -> None:
    few = experiment(
        interventions=["none", {"method": "experts", "k": 4}], choose=None, languages=["eng_Latn", "deu_Latn"]
    )
    space.submit(few)
    space.run()
    before = _values(space)
    with reading(space.engine) as connection:
        texts = set(connection.execute(select(t.CorpusText.artifact_id)).scalars())
        files = [each for each in connection.execute(select(t.Artifact.id)).scalars() if each not in texts]
    assert space.store.evict(space.engine, files) > 0
    space.submit({**few, "languages": ["eng_Latn", "deu_Latn", "fra_Latn"]}, replace=True)
    tally = space.run()
    assert tally.failed == 0, tally.errors
    assert set(states(space)) == {"done"}
    after = _values(space)
    # The old pairs keep their numbers; the new ones were computed from snapshots that were made again.
    assert before.items() <= after.items()
    assert len(after) > len(before)


def test_half_precision_snapshots_and_groups_as_units(space: Workspace, experiment: Make) -> None:
    space.submit(
        experiment(
            interventions=["none", {"method": "experts", "k": 4}],
            choose=None,
            embeddings={"layers": ["final"], "dtype": "float16"},
            statistics={"resamples": 200, "unit": "group"},
        )
    )
    tally = space.run()
    assert tally.failed == 0, tally.errors
    assert space.query("select distinct dtype as d from snapshots")["d"].to_list() == ["float16"]
    counted = space.query("select distinct n_items, n_groups from setting_comparison where role = 'test'")
    # Thirty items in the ten groups of three that the corpus names.
    assert counted.rows() == [(30, 10)]


def test_a_bilingual_collection_is_evaluated_pair_by_pair(
    space: Workspace, experiment: Make, word_corpus: Path, tmp_path: Path
) -> None:
    wide = pl.read_csv(word_corpus).filter(pl.col("split") == "test")
    rows = [
        {"pair": f"{code}-{row['item']}", "lang": code, "text": row[code], "eng_text": row["eng_Latn"]}
        for code, n_items in (("deu_Latn", 30), ("fra_Latn", 20))
        for row in wide.head(n_items).iter_rows(named=True)
    ]
    pl.DataFrame(rows).write_csv(tmp_path / "pairs.csv")
    columns = {"item": "pair", "language": "lang", "pivot_text": "eng_text"}
    spec = experiment(choose=None, interventions=["none", {"method": "experts", "k": 4}])
    spec["corpora"] = {
        "fit": spec["corpora"]["fit"],
        "test": {"path": str(tmp_path / "pairs.csv"), "kind": "bilingual", "columns": columns},
    }
    space.submit(spec)
    tally = space.run()
    assert tally.failed == 0, tally.errors
    frame = space.results("tiny").filter((pl.col("metric") == "top1") & (pl.col("setting") == "none"))
    assert set(frame["collection"]) == {"pairs"}
    assert set(zip(frame["query_language"], frame["candidate_language"], strict=True)) == {
        ("deu_Latn", "eng_Latn"), ("eng_Latn", "deu_Latn"), ("fra_Latn", "eng_Latn"), ("eng_Latn", "fra_Latn"),
    }  # fmt: skip
    level = space.query(
        "select value, n_pairs, n_items from setting_comparison where setting = 'none' and metric = 'top1'"
        " and layer = 'final' and scope = 'all'"
    ).row(0, named=True)
    # Pairs count alike, whatever their number of items.
    assert level["value"] == pytest.approx(frame.filter(pl.col("layer") == "final")["value"].mean())
    assert (level["n_pairs"], level["n_items"]) == (4, 50)
