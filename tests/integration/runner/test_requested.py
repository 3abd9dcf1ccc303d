"""Evaluations on request: geometry, ABX tasks, probes and pooled transforms, from a spec to rows and views."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file, save_file
from scipy import stats
from sqlalchemy import select

from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.errors import SpecError
from sprachbund.measures import geometry
from sprachbund.report import rendering
from sprachbund.workspace import Workspace
from sprachbund_runners.evaluation.abx import AbxTask, abx_groups, abx_vectors, score_group
from sprachbund_runners.jobs.compare.levels import draws_seed
from sprachbund_runners.statistics.bootstrap import bootstrap_draws

Make = Callable[..., dict[str, Any]]
LANGUAGES = ("eng_Latn", "deu_Latn", "fra_Latn")
TOPICS = ("sport", "law", "art")


@pytest.fixture(scope="module")
def topics(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A long CSV like SIB-200: 24 test and 30 fit items in three languages, each with a topic that words follow."""
    drawn = random.Random(2)
    lines = ["number,part,category,lang,text"]
    for item in range(54):
        topic = drawn.randrange(3)
        words = [10 * topic + drawn.randrange(10) for _ in range(drawn.randint(4, 8))]
        for language in LANGUAGES:
            text = " ".join(f"{language[:3]}{word}" for word in words)
            lines.append(f"{item},{'test' if item < 24 else 'fit'},{TOPICS[topic]},{language},{text}")
    path = tmp_path_factory.mktemp("topics") / "topics.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def labelled(experiment: Make, topics: Path) -> Make:
    def source(part: str) -> dict[str, Any]:
        columns = {"item": "number", "language": "lang", "split": "part", "labels": {"topic": "category"}}
        return {"name": "topics", "path": str(topics), "split": part, "columns": columns}

    def make(**fields: Any) -> dict[str, Any]:
        given = {
            "corpora": {role: source(role) for role in ("fit", "test")},
            "choose": None,
            "interventions": ["none", "whitening", {"transform": "top_pc_removal", "components": 2}],
            **fields,
        }
        return {name: value for name, value in experiment(**given).items() if value is not None}

    return make


def one(frame: pl.DataFrame, **wanted: Any) -> dict[str, Any]:
    for name, value in wanted.items():
        frame = frame.filter(pl.col(name).is_null() if value is None else pl.col(name) == value)
    assert frame.height == 1, frame
    return frame.row(0, named=True)


def snapshot(space: Workspace, layer: str) -> tuple[np.ndarray, dict[str, list[str]]]:
    """The test embeddings of the unsteered setting, stacked, and their labels, read back from the store."""
    rows, labels = [], {"item": [], "language": [], "topic": []}
    with reading(space.engine) as connection:
        statement = (
            select(t.CorpusText.language, t.SnapshotPart.tensor, t.Artifact.uri, t.Artifact.digest, t.CorpusText.id)
            .join(t.Snapshot, t.Snapshot.corpus_text_id == t.CorpusText.id)
            .join(t.SnapshotPart, t.SnapshotPart.snapshot_id == t.Snapshot.id)
            .join(t.Artifact, t.Artifact.id == t.SnapshotPart.artifact_id)
            .join(t.Corpus, t.Corpus.id == t.CorpusText.corpus_id)
            .where(t.Corpus.split == "test", t.SnapshotPart.layer == layer)
            .order_by(t.CorpusText.language)
        )
        for language, tensor, uri, digest, text_id in connection.execute(statement):
            rows.append(load_file(space.store.fetch(uri, digest))[tensor])
            text = connection.execute(
                select(t.Artifact.uri, t.Artifact.digest)
                .join(t.CorpusText, t.CorpusText.artifact_id == t.Artifact.id)
                .where(t.CorpusText.id == text_id)
            ).one()
            frame = pl.read_parquet(space.store.fetch(text.uri, text.digest))
            labels["item"] += frame["item"].to_list()
            labels["topic"] += frame["label:topic"].to_list()
            labels["language"] += [language] * frame.height
    return np.concatenate(rows), labels


def test_a_spec_fills_the_views_with_abx_probes_and_geometry(space: Workspace, labelled: Make) -> None:
    asked = {
        "geometry": True,
        "abx": [
            {"on": "topic", "by": "language", "resamples": 50},
            {"on": "topic", "across": "language", "distance": "euclidean", "resamples": 0},
            {"on": "language", "resamples": 20},
            {"on": "item", "across": "language", "triples": 3000},
        ],
        "probes": ["topic", {"label": "language", "folds": 3, "seeds": 1}],
    }
    submitted = space.submit(labelled(evaluations=asked))
    assert {"geometry_evaluation": 24, "abx_evaluation": 12, "probe": 6}.items() <= submitted.new.items()
    tally = space.run()
    assert tally.failed == 0, tally.errors

    abx = space.query("select * from abx_results where experiment = 'tiny'")
    embeddings, labels = snapshot(space, "1")
    for task, name in (
        (AbxTask("topic", by=("language",)), "topic by language"),
        (AbxTask("language"), "language"),
    ):
        scores = [score_group(abx_vectors(embeddings, "angular"), group) for group in abx_groups(task, labels)]
        found = one(abx, setting="none", layer="1", metric="abx", task=name, query_language=None)
        assert found["value"] == pytest.approx(np.mean([score.value for score in scores]))
        assert found["ci_low"] <= found["value"] <= found["ci_high"]
        assert (found["n_items"], found["n_groups"]) == (24, 24)
        triples = one(abx, setting="none", layer="1", metric="abx_triples", task=name, query_language=None)
        assert triples["value"] == sum(score.triples for score in scores)
    here = abx.filter((pl.col("layer") == "1") & (pl.col("setting") == "none") & (pl.col("metric") == "abx"))
    by_task = dict(here.group_by("task").len().iter_rows())
    # All languages; each language; each ordered pair of languages.
    assert by_task == {
        "topic by language": 1 + 3,
        "topic across language, euclidean": 1 + 6,
        "language": 1 + 6,
        "item across language, 3000 triples": 1 + 6,
    }
    drawn = {"setting": "none", "layer": "1", "task": "item across language, 3000 triples", "query_language": None}
    sampled = one(abx, metric="abx_standard_error", **drawn)
    exact = np.mean(
        [score_group(abx_vectors(embeddings, "angular"), group).value
         for group in abx_groups(AbxTask("item", across=("language",)), labels)]
    )  # fmt: skip
    value = one(abx, metric="abx", **drawn)["value"]
    assert value == pytest.approx(exact, abs=4 * sampled["value"])
    assert abx.filter(pl.col("setting") == "whitening")["baseline"].is_not_null().all()

    probes = space.query("select * from probe_results where experiment = 'tiny'")
    topic = one(probes, setting="none", layer="1", metric="probe_accuracy", task="topic", query_language=None)
    majority = one(probes, setting="none", layer="1", metric="probe_majority", task="topic", query_language=None)
    assert topic["value"] > majority["value"]
    assert topic["ci_low"] <= topic["value"] <= topic["ci_high"]
    assert set(probes["query_language"].drop_nulls()) == set(LANGUAGES)
    compared = space.compare("tiny")
    beside = compared.probes.filter(pl.col("task") == "topic", pl.col("layer") == "1")
    assert beside.filter(pl.col("setting") == "none").select("accuracy", "chance").row(0) == (
        topic["value"],
        majority["value"],
    )
    assert compared.probes.height == 3 * 2 * len(compared.layers)
    shown = rendering.to_markdown(compared)
    assert "tiny: accuracy of a linear probe for language on topics (role test)" in shown
    assert "chance .333: the share of the most frequent label" in shown
    assert space.compare("tiny", layer="1").probes["layer"].unique().to_list() == ["1"]

    alignment = space.results(submitted, "alignment")
    for measure in geometry.MEASURES:
        rows = alignment.filter(pl.col("measure") == measure.name)
        assert set(rows["metric"]) == set(measure.metrics), measure.name
        assert set(rows["setting"]) == {"none", "whitening", "top_pc_removal r=2"}, measure.name
    assert not set(alignment["measure"]) & {"abx", "probe"}
    told = alignment.filter((pl.col("metric") == "language_probe") & pl.col("query_language").is_null())
    assert one(told, setting="none", layer="1")["value"] > 1 / 3

    points = space.query("select * from probe_abx_points where experiment = 'tiny'")
    # Settings × layers × probes × ABX tasks × two metrics of each.
    assert points.height == 3 * 4 * 2 * 4 * 2 * 2
    found = one(
        space.query("select * from probe_abx where experiment = 'tiny'"),
        over="layers", setting="none", probe="topic", probe_metric="probe_accuracy",
        abx_task="topic by language", abx_metric="abx",
    )  # fmt: skip
    chosen = points.filter(
        (pl.col("setting") == "none") & (pl.col("probe") == "topic") & (pl.col("abx_task") == "topic by language")
        & (pl.col("probe_metric") == "probe_accuracy") & (pl.col("abx_metric") == "abx")
    )  # fmt: skip
    assert found["n_points"] == found["n_layers"] == 4 and found["n_models"] == 1
    expected = np.corrcoef(chosen["probe_value"], chosen["abx_value"])[0, 1]
    assert found["correlation"] == pytest.approx(expected)


def test_tasks_and_probes_are_compared_with_the_baseline_by_the_same_draws(space: Workspace, labelled: Make) -> None:
    asked = {
        "abx": [
            {"on": "topic", "by": "language", "resamples": 50},
            {"on": "item", "across": "language", "triples": 99},
        ],
        "probes": [{"label": "topic", "folds": 3, "seeds": 2}],
    }
    statistics = {"resamples": 100, "confidence": 0.9}
    space.submit(labelled(interventions=["none", "whitening"], evaluations=asked, statistics=statistics))
    tally = space.run()
    assert tally.failed == 0, tally.errors

    abx = space.query("select * from abx_results where setting = 'whitening' and layer = '1'")
    # Drawn triples have a standard error, and no item to draw.
    assert (
        abx.filter(pl.col("task") != "topic by language")["delta_ci_low"].null_count()
        == abx.filter(pl.col("task") != "topic by language").height
    )
    kept = {setting: tensors_of(space, setting, "abx") for setting in ("none", "whitening")}
    for metric in ("abx", "abx_weighted"):
        found = one(abx, task="topic by language", metric=metric, query_language=None)
        assert found["delta"] == pytest.approx(found["value"] - found["baseline"])
        draws = kept["whitening"][f"1/>/{metric}"] - kept["none"][f"1/>/{metric}"]
        assert (found["delta_ci_low"], found["delta_ci_high"]) == pytest.approx(interval(found["delta"], draws))
        assert 2 / 51 <= found["p"] <= 1

    probes = space.query("select * from probe_results where setting = 'whitening' and layer = '1'")
    assert set(probes.filter(pl.col("p").is_not_null())["metric"]) == {"probe_accuracy", "probe_macro_f1"}
    _, labels = snapshot(space, "1")
    items, language = np.array(labels["item"]), np.array(labels["language"])
    counts = np.concatenate(list(bootstrap_draws(24, 100, draws_seed(0, f"probe {corpus_of_test(space)}"))))
    correct = {setting: tensors_of(space, setting, "probe")["1/correct"] for setting in kept}
    for code in (None, "deu_Latn"):
        found = one(probes, metric="probe_accuracy", query_language=code)
        rows = np.arange(72) if code is None else np.flatnonzero(language == code)
        weights = counts[:, np.unique(items[rows], return_inverse=True)[1]]
        changes = weights @ (correct["whitening"] - correct["none"])[rows] / weights.sum(axis=1)
        assert (found["delta_ci_low"], found["delta_ci_high"]) == pytest.approx(
            interval(found["delta"], changes), abs=1e-7
        )
        assert found["delta"] == pytest.approx(found["value"] - found["baseline"])
    f1 = one(probes, metric="probe_macro_f1", query_language=None)
    assert f1["delta_ci_low"] <= f1["delta"] <= f1["delta_ci_high"]
    together = space.query("select distinct measure, n_items, n_groups from paired_differences where language is null")
    assert set(together.iter_rows()) == {("abx", 24, 24), ("probe", 72, 24)}


def interval(delta: float, draws: np.ndarray) -> tuple[float, float]:
    """Of 24 items: Student's t of what the draws vary by."""
    half = stats.t.ppf(0.95, 23) * draws.std() * np.sqrt(24 / 23)
    return delta - half, delta + half


def tensors_of(space: Workspace, setting: str, measure: str) -> dict[str, np.ndarray]:
    """What one setting's jobs kept by a measure."""
    statement = (
        select(t.Artifact.uri, t.Artifact.digest)
        .join(t.Evaluation, t.Evaluation.outcomes_id == t.Artifact.id)
        .join(t.Setting, t.Setting.id == t.Evaluation.setting_id)
        .where(t.Setting.label == setting, t.Evaluation.measure == measure)
        .distinct()
    )
    with reading(space.engine) as connection:
        files = connection.execute(statement).all()
    return {name: values for file in files for name, values in load_file(space.store.fetch(*file)).items()}


def corpus_of_test(space: Workspace) -> str:
    with reading(space.engine) as connection:
        return connection.execute(select(t.Corpus.key).where(t.Corpus.split == "test")).scalar_one()


def test_asking_for_more_costs_only_that(space: Workspace, labelled: Make) -> None:
    space.submit(labelled(interventions=["none", "centring"]))
    space.run()
    more = space.submit(
        labelled(interventions=["none", "centring"], evaluations={"geometry": ["cka"], "abx": ["topic"]}), replace=True
    )
    assert more.new == {"geometry_evaluation": 2, "abx_evaluation": 2, "difference": 1}
    assert space.run().failed == 0
    again = space.submit(
        labelled(interventions=["none", "centring"], evaluations={"geometry": ["cka"], "abx": ["topic"]})
    )
    assert again.n_new == 0
    other = space.submit(
        labelled(interventions=["none", "centring"], evaluations={"abx": [{"on": "topic", "resamples": 10}]}),
        replace=True,
    )
    assert other.new == {"abx_evaluation": 2, "difference": 1}
    measures = space.submit(
        labelled(interventions=["none", "centring"], evaluations={"geometry": ["cka", "hubness"]}), replace=True
    )
    assert measures.new == {"geometry_evaluation": 2}
    alone = space.submit(
        labelled(interventions=["none", "centring"], evaluations={"geometry": ["hubness"]}), replace=True
    )
    assert alone.n_new == 0


def test_intervals_and_folds_of_requested_measures_go_by_document(space: Workspace, experiment: Make) -> None:
    """The word corpus has ten documents of three items."""
    base = experiment()
    spec = experiment(
        corpora={"test": base["corpora"]["test"]},
        interventions=["none"],
        targets=[],
        statistics={"unit": "group", "confidence": 0.8},
        evaluations={"geometry": ["mutual_knn", "language_probe"]},
    )
    del spec["choose"]
    space.submit(spec)
    tally = space.run()
    assert tally.failed == 0, tally.errors
    query = "select n_items, n_groups, ci_low, ci_high, value from alignment_results where metric = :name"
    for name, n_items in (("mutual_knn", 30), ("language_probe", 90)):
        found = space.query(query, params={"name": name})
        assert found.height
        together = found.filter(pl.col("n_items") == n_items)
        assert together.height and set(together["n_groups"]) == {10}
    # Ten documents cannot be cut into eleven: folds are of documents whatever intervals draw.
    spec |= {"statistics": {}, "evaluations": {"probes": [{"label": "language", "folds": 11}]}}
    space.submit(spec, replace=True)
    tally = space.run()
    assert tally.failed == 1
    assert "expected 2 to 10 folds of 10 items or documents, found 11" in tally.errors[0]


def test_transforms_fitted_on_all_languages_help_retrieval_differently(space: Workspace, labelled: Make) -> None:
    submitted = space.submit(labelled(interventions=["none", "centring", "whitening", "top_pc_removal"]))
    assert set(submitted.settings) == {"none", "centring", "whitening", "top_pc_removal r=1"}
    assert space.run().failed == 0
    frame = space.results(submitted).filter((pl.col("metric") == "mrr") & (pl.col("layer") == "1"))
    means = dict(frame.group_by("setting").agg(pl.col("value").mean()).iter_rows())
    assert len({round(value, 6) for value in means.values()}) == 4


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"abx": ["topik"]}, "evaluations.abx.0.on: topics has no label 'topik', only item, language, topic.*'topic'"),
        ({"abx": [{"on": "topic", "by": "group"}]}, "evaluations.abx.0.by: topics has no label 'group'"),
        ({"probes": ["genre"]}, "evaluations.probes.0.label: topics has no label 'genre'"),
        ({"abx": [{"on": "topic", "across": ["topic"]}]}, "'topic' is named twice"),
        ({"abx": ["topic", {"on": "topic", "resamples": 9}]}, "'topic' is asked for twice"),
        ({"probes": ["topic", {"label": "topic", "folds": 3}]}, "'topic' is asked for twice"),
        ({"geometry": ["ckaa"]}, "did you mean 'cka'"),
    ],
)
def test_bad_requests_get_one_line(space: Workspace, labelled: Make, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        space.submit(labelled(evaluations=asked))


def test_checkpoints_of_one_family_are_correlated_over(
    space: Workspace, labelled: Make, tiny_model: Path, tmp_path: Path
) -> None:
    models = []
    for step in (1, 2, 3):
        folder = tmp_path / f"step-{step}"
        shutil.copytree(tiny_model, folder)
        weights = load_file(folder / "model.safetensors")
        drawn = np.random.default_rng(step)
        changed = {name: values + 0.3 * drawn.standard_normal(values.shape) for name, values in weights.items()}
        save_file({name: changed[name].astype(values.dtype) for name, values in weights.items()},
                  folder / "model.safetensors", {"format": "pt"})  # fmt: skip
        models.append({"path": str(folder), "name": f"step-{step}", "family": "run", "step": step})
    asked = {"abx": [{"on": "topic", "by": "language", "resamples": 0}], "probes": [{"label": "topic", "seeds": 1}]}
    made = labelled(models=models, interventions=["none"], evaluations=asked, embeddings={"layers": [1, "final"]})
    del made["corpora"]["fit"]
    space.submit(made)
    tally = space.run()
    assert tally.failed == 0, tally.errors
    points = space.query("select * from probe_abx_points where experiment = 'tiny' order by step")
    assert set(points["family"]) == {"run"} and sorted(set(points["step"])) == [1, 2, 3]
    found = space.query("select * from probe_abx where experiment = 'tiny'")
    wanted = {"probe_metric": "probe_accuracy", "abx_metric": "abx"}
    both = one(found, over="layers and checkpoints", family="run", **wanted)
    assert (both["n_points"], both["n_models"], both["n_layers"], both["layer"]) == (6, 3, 2, None)
    at_layer = one(found, over="checkpoints", family="run", layer="final", **wanted)
    assert (at_layer["n_points"], at_layer["model"]) == (3, None)
    here = points.filter(
        (pl.col("layer") == "final") & (pl.col("probe_metric") == "probe_accuracy") & (pl.col("abx_metric") == "abx")
    )
    expected = np.corrcoef(here["probe_value"], here["abx_value"])[0, 1]
    assert at_layer["correlation"] == pytest.approx(expected)
