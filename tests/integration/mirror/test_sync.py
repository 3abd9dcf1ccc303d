"""The mirror: what it logs, and that it logs it once."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select

from sprachbund.db import tables as t
from sprachbund.db.engine import reading, writing
from sprachbund.errors import QueryError
from sprachbund.mirror import Synced
from support.made import SEEDS, STEERED, VERSIONS

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")

CURVE = "layers/test/book/top1"
# Per role: top1, mrr, four distances of pairs, all_pairs_distance and spread.
N_CURVES = 8


def test_a_run_holds_what_the_database_does(world: Any) -> None:
    world.submit()
    world.work()
    tally = world.sync()
    assert (tally.created, tally.updated, tally.elsewhere) == (4, 0, 0)
    runs = world.runs()
    assert set(runs) == {"none", STEERED, SEEDS[0], SEEDS[1]}
    experts = runs[STEERED]
    with reading(world.engine) as connection:
        fingerprint = connection.execute(select(t.Model.fingerprint)).scalar_one()
    assert experts.data.params == {
        "model": "tiny", "model_fingerprint": fingerprint, "method": "experts", "target": "fra_Latn", "k": "20",
        "selection": "top", "edit": "set", "scorer": "auroc", "score_site": "mlp.up+mlp.down",
        "edit_site": "mlp.up+mlp.down", "edit_tokens": "all", "value": "mean", "value_from": "pooled",
        "values_language": "fra_Latn", "transform": "none", "side": "both", "dtype": "float32", "attention": "eager",
        "pooling": "mean", "tokens": "content",
    }  # fmt: skip
    assert runs[SEEDS[1]].data.params["control"] == "random:profile"
    assert runs[SEEDS[1]].data.params["seed"] == "1"
    assert runs[SEEDS[1]].data.tags["sprachbund.control_of"] == STEERED
    assert experts.data.tags["sprachbund.baseline"] == "none"
    assert experts.data.tags["sprachbund.revision"] == "1"
    # Three languages of two corpora.
    assert len(experts.data.tags["sprachbund.snapshots"].split()) == 6
    assert experts.info.status == "FINISHED"
    metrics = experts.data.metrics
    for metric in ("top1", "mrr", "distance_gap"):
        assert metrics[f"test/book/{metric}"] == pytest.approx(world.mean(STEERED, metric, "10"), abs=1e-12)
        assert world.history(STEERED, f"layers/test/book/{metric}") == [
            (0, pytest.approx(world.mean(STEERED, metric, "0"), abs=1e-12)),
            (10, pytest.approx(world.mean(STEERED, metric, "10"), abs=1e-12)),
        ]
    delta = world.mean(STEERED, "top1", "10") - world.mean("none", "top1", "10")
    assert metrics["test/book/top1_delta"] == pytest.approx(delta, abs=1e-12)
    with reading(world.engine) as connection:
        q = connection.execute(
            select(t.AdjustedComparison.q)
            .join(t.Comparison, t.Comparison.id == t.AdjustedComparison.comparison_id)
            .join(t.Setting, t.Setting.id == t.Comparison.setting_id)
            .join(t.Intervention, t.Intervention.id == t.Setting.intervention_id)
            .where(
                t.Intervention.method == "experts", t.Comparison.role == "test", t.Comparison.metric == "top1",
                t.Comparison.layer == "10", t.Comparison.scope == "all",
            )
        ).scalar_one()  # fmt: skip
    assert metrics["test/book/top1_q"] == pytest.approx(q, abs=1e-12)
    as_good = sum(world.mean(seed, "top1", "10") >= world.mean(STEERED, "top1", "10") for seed in SEEDS[:2])
    assert metrics["test/book/top1_control_p"] == pytest.approx((1 + as_good) / 3)
    # A baseline is not tested against itself, and only steered settings have controls.
    assert not {"test/book/top1_delta", "test/book/top1_control_p"} & runs["none"].data.metrics.keys()
    assert "test/book/top1_control_p" not in runs[SEEDS[0]].data.metrics
    assert not any("select" in name for name in runs[SEEDS[0]].data.metrics)
    assert "test/book/spread" in metrics and "select/book/all_pairs_distance" in metrics


def test_files_and_the_experiment(sqlite_world: Any, with_pictures: None, tmp_path: Path) -> None:
    sqlite_world.submit()
    sqlite_world.work()
    sqlite_world.sync()
    client = sqlite_world.client()
    experiment = client.get_experiment_by_name("study")
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    assert experiment.artifact_location == (tmp_path / "mlartifacts" / "study").as_uri()
    run_id = sqlite_world.runs()[STEERED].info.run_id
    assert sorted(each.path for each in client.list_artifacts(run_id)) == ["retrieval.png", "setting.json"]
    folder = tmp_path / "mlartifacts" / "study" / run_id / "artifacts"
    assert (folder / "retrieval.png").read_bytes().startswith(b"\x89PNG")
    document = json.loads((folder / "setting.json").read_text(encoding="utf-8"))
    assert document["label"] == STEERED and document["headline_layer"] == "10"
    # Both roles: two stars of three pairs and one space each, both layers in one job.
    assert len(document["jobs_done"]) == 6


def test_twice_is_once(world: Any) -> None:
    world.submit()
    world.work()
    first = world.sync()
    before = world.runs()
    second = world.sync()
    assert first.points > 0
    assert (second.created, second.updated, second.points) == (0, 0, 0)
    assert {label: run.info.run_id for label, run in world.runs().items()} == {
        label: run.info.run_id for label, run in before.items()
    }
    assert len(world.history(STEERED, CURVE)) == 2
    assert not any(row.dirty or row.lease_owner for row in world.rows())


def test_a_mean_waits_for_all_of_its_pairs(sqlite_world: Any) -> None:
    sqlite_world.submit(layers=("0",))
    # A star of two pairs.
    assert sqlite_world.work(1, only=("test", STEERED)) == 1
    sqlite_world.sync()
    run = sqlite_world.runs()[STEERED]
    assert run.data.metrics == {} and run.info.status == "RUNNING"
    # The star with the third pair, and the space.
    assert sqlite_world.work(only=("test", STEERED)) == 2
    assert sqlite_world.sync().created == 0
    metrics = sqlite_world.runs()[STEERED].data.metrics
    assert metrics["test/book/top1"] == pytest.approx(sqlite_world.mean(STEERED, "top1", "0"), abs=1e-12)
    assert "test/book/top1_delta" not in metrics and "select/book/top1" not in metrics
    before = sqlite_world.history(STEERED, CURVE)
    sqlite_world.work()
    sqlite_world.sync()
    run = sqlite_world.runs()[STEERED]
    assert {"test/book/top1_delta", "select/book/top1"} <= run.data.metrics.keys()
    assert run.info.status == "FINISHED"
    # The comparison's mean is the same number: no second point.
    assert sqlite_world.history(STEERED, CURVE) == before


def test_work_that_existed_already(sqlite_world: Any) -> None:
    world = sqlite_world
    world.submit()
    world.work()
    world.sync()
    world.submit("second")
    assert world.work() == 0
    tally = world.sync("second")
    assert (tally.experiments, tally.created) == (1, 4)
    first, second = world.runs(), world.runs("second")
    assert second[STEERED].data.metrics == first[STEERED].data.metrics
    assert second[STEERED].info.status == "FINISHED"
    assert second[STEERED].info.end_time >= second[STEERED].info.start_time


def test_an_experiment_without_rows_of_the_mirror(sqlite_world: Any) -> None:
    sqlite_world.submit()
    sqlite_world.work()
    with writing(sqlite_world.engine) as connection:
        connection.execute(delete(t.MlflowRun))
    assert sqlite_world.sync().created == 4


def test_a_new_layer_adds_its_points_only(sqlite_world: Any) -> None:
    world = sqlite_world
    world.submit()
    world.work()
    world.sync()
    before = {name: world.history(STEERED, name) for name in world.runs()[STEERED].data.metrics}
    world.submit(layers=("0", "10", "final"))
    # Per layer: 4 settings on test and 2 on select, 2 stars and a space each; per role two comparisons, and
    # their families.
    assert world.work() == (4 + 2) * 3 + 2 * 2 + 2
    tally = world.sync()
    assert (tally.created, tally.updated) == (0, 4)
    curves = 0
    for name, points in before.items():
        after = world.history(STEERED, name)
        if name.startswith("layers/"):
            curves += 1
            assert after[:-1] == points and after[-1][0] == 11
        else:
            assert set(points) <= set(after)
    assert curves == 2 * N_CURVES
    # The headline is the layer that is best for what is steered, and what is shown is the latest.
    shown = world.runs()[STEERED].data
    best = max(("0", "10", "final"), key=lambda layer: world.mean(STEERED, "top1", layer))
    assert shown.metrics["test/book/top1"] == pytest.approx(world.mean(STEERED, "top1", best), abs=1e-12)
    assert shown.tags["sprachbund.layer"] == best and shown.tags["sprachbund.revision"] == "2"


def test_a_choice_moves_the_headlines(sqlite_world: Any) -> None:
    sqlite_world.submit()
    sqlite_world.work()
    sqlite_world.sync()
    sqlite_world.submit(choose=True)
    # The choice, best against best; and two controls that choose too: snapshots, pairs and space on select.
    assert sqlite_world.work() > 2
    sqlite_world.sync()
    runs = sqlite_world.runs()
    assert {label: run.data.tags["sprachbund.chosen"] for label, run in runs.items() if label != "none"} == {
        STEERED: "yes", SEEDS[0]: "no", SEEDS[1]: "no",
    }  # fmt: skip
    for label, run in runs.items():
        assert run.data.tags["sprachbund.layer"] == "0"
        assert run.data.metrics["test/book/top1"] == pytest.approx(sqlite_world.mean(label, "top1", "0"), abs=1e-12)


def test_deleted_runs_and_experiments_come_back(sqlite_world: Any) -> None:
    world = sqlite_world
    world.submit()
    world.work()
    world.sync()
    client = world.client()
    deleted = world.runs()[STEERED].info.run_id
    client.delete_run(deleted)
    tally = world.sync()
    assert (tally.created, tally.updated) == (1, 0)
    assert world.runs()[STEERED].info.run_id != deleted
    assert len(world.history(STEERED, CURVE)) == 2
    client.delete_experiment(client.get_experiment_by_name("study").experiment_id)
    world.sync()
    assert set(world.runs()) == {"none", STEERED, SEEDS[0], SEEDS[1]}


def test_a_setting_leaves_the_plan_and_returns(sqlite_world: Any) -> None:
    world = sqlite_world
    world.submit()
    world.work()
    world.sync()
    before = world.runs()[SEEDS[1]].info.run_id
    world.submit(n_controls=1)
    world.work()
    assert world.sync().retired == 1
    assert SEEDS[1] not in world.runs()
    assert len(world.rows()) == 3
    world.submit()
    world.work()
    assert world.sync().created == 0
    assert world.runs()[SEEDS[1]].info.run_id == before
    assert len(world.history(SEEDS[1], CURVE)) == 2


def test_other_parameters_are_another_run(sqlite_world: Any) -> None:
    world = sqlite_world
    world.submit()
    world.work()
    world.sync()
    before = world.runs()[STEERED].info.run_id
    world.submit(pooling="max")
    world.work()
    tally = world.sync()
    assert (tally.created, tally.retired) == (4, 4)
    after = world.runs()[STEERED]
    assert after.info.run_id != before and after.data.params["pooling"] == "max"
    assert world.client().get_run(before).data.tags["sprachbund.planned"] == "no"
    assert world.sync().retired == 0


def test_cancelled_and_failed(world: Any) -> None:
    world.submit()
    world.sync()
    assert {run.info.status for run in world.runs().values()} == {"RUNNING"}
    world.queue.cancel_experiment("study")
    world.sync()
    assert {run.info.status for run in world.runs().values()} == {"KILLED"}
    world.queue.retry("study")
    (claim,) = world.queue.claim(world.maker.runner, VERSIONS)
    world.queue.fail(claim, "it broke", retry=False)
    world.sync()
    assert {run.info.status for run in world.runs().values()} == {"FAILED"}
    world.queue.retry("study")
    world.work()
    world.sync()
    assert {run.info.status for run in world.runs().values()} == {"FINISHED"}


def test_unknown_experiment(sqlite_world: Any) -> None:
    sqlite_world.submit()
    with pytest.raises(QueryError, match="did you mean 'study'"):
        sqlite_world.sync("studdy")


def test_nothing_to_mirror_needs_no_mlflow(sqlite_world: Any) -> None:
    sqlite_world.config = replace(sqlite_world.config, mlflow_tracking_uri="http://127.0.0.1:9")
    assert sqlite_world.sync() == Synced()
