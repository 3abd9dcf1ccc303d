"""The mirror: what it logs, that it logs it once, and that nothing that stops it matters."""

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, update

from sprachbund.db import tables as t
from sprachbund.db.engine import now_ms, writing
from sprachbund.errors import LeaseLost, SpecError, WorkspaceError
from sprachbund.mirror import Synced
from sprachbund.mirror.backend import Backend
from sprachbund.mirror.leases import Leases

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")

EXPERTS = "experts fra k=20"
CURVE = "layers/test/book/top1"
# Per setting on `test`: curves of top1, mrr, distance_gap, all_pairs_distance and spread at two layers.
N_CURVES = 5


def test_a_run_holds_what_the_database_does(world: Any) -> None:
    world.submit()
    world.work()
    tally = world.sync()
    assert (tally.created, tally.updated, tally.elsewhere) == (4, 0, 0)
    runs = world.runs()
    assert set(runs) == {"none", EXPERTS, "random seed=0", "random seed=1"}
    experts = runs[EXPERTS]
    assert experts.data.params == {
        "model": "tiny", "model_fingerprint": "f" * 40, "method": "experts", "target": "fra_Latn", "k": "20",
        "transform": "none", "dtype": "float32", "attention": "eager", "pooling": "mean", "tokens": "content",
    }  # fmt: skip
    assert runs["random seed=1"].data.params["control"] == "random:profile"
    assert runs["random seed=1"].data.params["seed"] == "1"
    assert runs["random seed=1"].data.tags["sprachbund.control_of"] == EXPERTS
    assert experts.data.tags["sprachbund.baseline"] == "none"
    assert experts.data.tags["sprachbund.revision"] == "1"
    assert len(experts.data.tags["sprachbund.snapshots"].split()) == 3
    assert experts.info.status == "FINISHED"
    metrics = experts.data.metrics
    for metric in ("top1", "mrr", "distance_gap"):
        assert metrics[f"test/book/{metric}"] == pytest.approx(world.mean(EXPERTS, metric, "12"), abs=1e-12)
        assert world.history(EXPERTS, f"layers/test/book/{metric}") == [
            (0, pytest.approx(world.mean(EXPERTS, metric, "0"), abs=1e-12)),
            (12, pytest.approx(world.mean(EXPERTS, metric, "12"), abs=1e-12)),
        ]
    delta = world.mean(EXPERTS, "top1", "12") - world.mean("none", "top1", "12")
    assert metrics["test/book/top1_delta"] == pytest.approx(delta, abs=1e-12)
    assert metrics["test/book/top1_q"] == 0.04
    assert metrics["test/book/top1_control_p"] == pytest.approx(1 / 3)
    # A baseline is not tested against itself, and only steered settings have controls.
    assert not {"test/book/top1_delta", "test/book/top1_control_p"} & runs["none"].data.metrics.keys()
    assert "test/book/top1_control_p" not in runs["random seed=0"].data.metrics
    assert not any("select" in name for name in runs["random seed=0"].data.metrics)
    assert "test/book/spread" in metrics and "select/book/all_pairs_distance" in metrics


def test_files_and_the_experiment(sqlite_world: Any, with_pictures: None, tmp_path: Path) -> None:
    sqlite_world.submit()
    sqlite_world.work()
    sqlite_world.sync()
    client = sqlite_world.client()
    experiment = client.get_experiment_by_name("study")
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    assert experiment.artifact_location == (tmp_path / "mlartifacts" / "study").as_uri()
    run_id = sqlite_world.runs()[EXPERTS].info.run_id
    assert sorted(each.path for each in client.list_artifacts(run_id)) == ["retrieval.png", "setting.json"]
    folder = tmp_path / "mlartifacts" / "study" / run_id / "artifacts"
    assert (folder / "retrieval.png").read_bytes().startswith(b"\x89PNG")
    document = json.loads((folder / "setting.json").read_text(encoding="utf-8"))
    assert document["label"] == EXPERTS and document["headline_layer"] == "12"
    # Both roles, two layers: three pairs and one space each.
    assert len(document["jobs_done"]) == 16


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
    assert len(world.history(EXPERTS, CURVE)) == 2
    assert not any(row.dirty or row.lease_owner for row in world.rows())


def test_a_mean_waits_for_all_of_its_pairs(sqlite_world: Any) -> None:
    sqlite_world.submit(layers=("0",))
    sqlite_world.work(2, only=f"test {EXPERTS} 0")
    sqlite_world.sync()
    run = sqlite_world.runs()[EXPERTS]
    assert run.data.metrics == {} and run.info.status == "RUNNING"
    # The third pair, and the space.
    assert sqlite_world.work(only=f"test {EXPERTS} 0") == 2
    assert sqlite_world.sync().created == 0
    metrics = sqlite_world.runs()[EXPERTS].data.metrics
    assert metrics["test/book/top1"] == pytest.approx(sqlite_world.mean(EXPERTS, "top1", "0"), abs=1e-12)
    assert "test/book/top1_delta" not in metrics and "select/book/top1" not in metrics
    before = sqlite_world.history(EXPERTS, CURVE)
    sqlite_world.work()
    sqlite_world.sync()
    run = sqlite_world.runs()[EXPERTS]
    assert {"test/book/top1_delta", "select/book/top1"} <= run.data.metrics.keys()
    assert run.info.status == "FINISHED"
    # The comparison's mean is the same number: no second point.
    assert sqlite_world.history(EXPERTS, CURVE) == before


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
    assert second[EXPERTS].data.metrics == first[EXPERTS].data.metrics
    assert second[EXPERTS].info.status == "FINISHED"
    assert second[EXPERTS].info.end_time >= second[EXPERTS].info.start_time


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
    before = {name: world.history(EXPERTS, name) for name in world.runs()[EXPERTS].data.metrics}
    world.submit(layers=("0", "12", "final"))
    # Per layer: 4 settings on test and 2 on select, 3 pairs and a space each; and the two comparisons.
    assert world.work() == (4 + 2) * 4 + 2
    tally = world.sync()
    assert (tally.created, tally.updated) == (0, 4)
    curves = 0
    for name, points in before.items():
        after = world.history(EXPERTS, name)
        if name.startswith("layers/"):
            curves += 1
            assert after[:-1] == points and after[-1][0] == 13
        else:
            assert set(points) <= set(after)
    assert curves == 2 * N_CURVES
    # The headline is the last layer known, and what is shown is the latest.
    shown = world.runs()[EXPERTS].data
    assert shown.metrics["test/book/top1"] == pytest.approx(world.mean(EXPERTS, "top1", "final"), abs=1e-12)
    assert shown.tags["sprachbund.layer"] == "final" and shown.tags["sprachbund.revision"] == "2"


def test_a_choice_moves_the_headlines(sqlite_world: Any) -> None:
    sqlite_world.submit()
    sqlite_world.work()
    sqlite_world.sync()
    sqlite_world.submit(choose=True)
    assert sqlite_world.work() == 1
    sqlite_world.sync()
    runs = sqlite_world.runs()
    assert {label: run.data.tags["sprachbund.chosen"] for label, run in runs.items() if label != "none"} == {
        EXPERTS: "yes", "random seed=0": "no", "random seed=1": "no",
    }  # fmt: skip
    for label, run in runs.items():
        assert run.data.tags["sprachbund.layer"] == "0"
        assert run.data.metrics["test/book/top1"] == pytest.approx(sqlite_world.mean(label, "top1", "0"), abs=1e-12)


def test_interrupted_between_making_a_run_and_recording_it(sqlite_world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world = sqlite_world
    world.submit()
    world.work()

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Leases, "record", interrupted)
        with pytest.raises(KeyboardInterrupt):
            world.sync()
    assert len(world.runs()) == 1
    assert all(row.dirty and row.lease_owner is None and row.run_id is None for row in world.rows())
    tally = world.sync()
    assert (tally.created, tally.updated) == (3, 1)
    assert len(world.runs()) == 4
    for label in world.runs():
        assert len(world.history(label, CURVE)) == 2
        assert len(world.history(label, "test/book/top1")) == 1


def test_killed_between_making_a_run_and_recording_it(sqlite_world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No code of ours runs after SIGKILL: the lease stays until it has run out."""
    world = sqlite_world
    world.submit()
    world.work()

    def killed(*_: Any) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(Leases, "record", killed)
        patch.setattr(Leases, "give_back", lambda *_: None)
        with pytest.raises(SystemExit):
            world.sync()
    assert world.sync() == Synced(experiments=1, elsewhere=4)
    with writing(world.engine) as connection:
        connection.execute(update(t.MlflowRun).values(lease_expires_ms=now_ms(connection) - 1))
    tally = world.sync()
    assert (tally.created, tally.updated, tally.elsewhere) == (3, 1, 0)
    assert len(world.history(EXPERTS, CURVE)) == 2


def test_mlflow_away_and_back(sqlite_world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = sqlite_world
    world.submit()
    world.work()
    config = world.config
    world.config = replace(config, mlflow_tracking_uri=f"sqlite:///{tmp_path}/unmounted/mlflow.db")
    with pytest.raises(WorkspaceError, match=r"unmounted does not exist; nothing is lost") as raised:
        world.sync()
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "unmounted").exists()
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    # Nothing listens on the discard port.
    world.config = replace(config, mlflow_tracking_uri="http://ann:s3cret@127.0.0.1:9")
    with pytest.raises(WorkspaceError, match=r"ann:\*\*\*@127.0.0.1:9") as raised:
        world.sync()
    assert "s3cret" not in str(raised.value) and "\n" not in str(raised.value)
    assert all(row.dirty and row.run_id is None for row in world.rows())
    world.config = config
    assert world.sync().created == 4


def test_mlflow_goes_away_midway(sqlite_world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world = sqlite_world
    world.submit()
    world.work()
    genuine, calls = Backend.log, []

    def failing(self: Backend, *arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 3:
            raise WorkspaceError("MLflow is away")
        genuine(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Backend, "log", failing)
        with pytest.raises(WorkspaceError, match="away"):
            world.sync()
    assert sorted(row.dirty for row in world.rows()) == [False, False, True, True]
    # The third run was made; it is found by its tag.
    tally = world.sync()
    assert (tally.created, tally.updated) == (1, 1)
    assert len(world.runs()) == 4 and len(world.history("random seed=1", CURVE)) == 2


def test_two_syncs_at_once(world: Any) -> None:
    world.submit()
    world.work()
    tallies: list[Synced] = []
    barrier = threading.Barrier(2)

    def work() -> None:
        barrier.wait()
        tallies.append(world.sync())

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(tally.created for tally in tallies) == 4
    assert len(world.runs()) == 4
    assert not any(row.dirty or row.lease_owner for row in world.rows())
    for label in world.runs():
        assert len(world.history(label, CURVE)) == 2


def test_what_finishes_during_a_sync_is_not_forgotten(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world.submit(layers=("0",))
    world.work(only="test none")
    genuine, worked = Backend.log, []

    def log(self: Backend, *arguments: Any) -> None:
        genuine(self, *arguments)
        if not worked:
            worked.append(world.work())

    with monkeypatch.context() as patch:
        patch.setattr(Backend, "log", log)
        world.sync()
    assert worked[0] > 0
    assert all(row.dirty and row.lease_owner is None for row in world.rows())
    assert CURVE not in world.runs()[EXPERTS].data.metrics
    assert world.sync().updated == 4
    assert CURVE in world.runs()[EXPERTS].data.metrics


def test_a_lost_lease_stops_this_sync_quietly(sqlite_world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world = sqlite_world
    world.submit()
    genuine = Backend.log

    def slow(self: Backend, *arguments: Any) -> None:
        genuine(self, *arguments)
        with writing(world.engine) as connection:
            connection.execute(
                update(t.MlflowRun).values(lease_owner="another", lease_expires_ms=now_ms(connection) + 60_000)
            )

    with monkeypatch.context() as patch:
        patch.setattr(Backend, "log", slow)
        tally = world.sync()
    assert (tally.created, tally.elsewhere) == (1, 4)
    assert all(row.lease_owner == "another" and row.run_id is None for row in world.rows())


def test_recording_without_a_lease_is_refused(sqlite_world: Any) -> None:
    sqlite_world.submit()
    row = sqlite_world.rows()[0]
    with pytest.raises(LeaseLost, match="another sync"):
        Leases(sqlite_world.engine).record(row.experiment_id, row.setting_id, "run", {}, 0)


def test_deleted_runs_and_experiments_come_back(sqlite_world: Any) -> None:
    world = sqlite_world
    world.submit()
    world.work()
    world.sync()
    client = world.client()
    deleted = world.runs()[EXPERTS].info.run_id
    client.delete_run(deleted)
    tally = world.sync()
    assert (tally.created, tally.updated) == (1, 0)
    assert world.runs()[EXPERTS].info.run_id != deleted
    assert len(world.history(EXPERTS, CURVE)) == 2
    client.delete_experiment(client.get_experiment_by_name("study").experiment_id)
    world.sync()
    assert set(world.runs()) == {"none", EXPERTS, "random seed=0", "random seed=1"}


def test_a_setting_leaves_the_plan_and_returns(sqlite_world: Any) -> None:
    world = sqlite_world
    world.submit()
    world.work()
    world.sync()
    before = world.runs()["random seed=1"].info.run_id
    world.submit(settings=("none", EXPERTS, "random seed=0"))
    world.work()
    assert world.sync().retired == 1
    assert "random seed=1" not in world.runs()
    assert len(world.rows()) == 3
    world.submit()
    world.work()
    assert world.sync().created == 0
    assert world.runs()["random seed=1"].info.run_id == before
    assert len(world.history("random seed=1", CURVE)) == 2


def test_other_parameters_are_another_run(sqlite_world: Any) -> None:
    world = sqlite_world
    world.submit()
    world.work()
    world.sync()
    before = world.runs()[EXPERTS].info.run_id
    world.submit(pooling="max")
    world.work()
    tally = world.sync()
    assert (tally.created, tally.retired) == (4, 4)
    after = world.runs()[EXPERTS]
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
    (claim,) = world.queue.claim(world.runner, {"pair_evaluation": 1})
    world.queue.fail(claim, "it broke", retry=False)
    world.sync()
    assert {run.info.status for run in world.runs().values()} == {"FAILED"}
    world.queue.retry("study")
    world.work()
    world.sync()
    assert {run.info.status for run in world.runs().values()} == {"FINISHED"}


def test_unknown_experiment(sqlite_world: Any) -> None:
    sqlite_world.submit()
    with pytest.raises(SpecError, match="did you mean 'study'"):
        sqlite_world.sync("studdy")


def test_nothing_to_mirror_needs_no_mlflow(sqlite_world: Any) -> None:
    sqlite_world.config = replace(sqlite_world.config, mlflow_tracking_uri="http://127.0.0.1:9")
    assert sqlite_world.sync() == Synced()
