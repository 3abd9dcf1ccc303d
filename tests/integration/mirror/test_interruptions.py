"""The mirror when something stops it, or two of it run: nothing is lost, nothing is logged twice."""

import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text, update

from sprachbund.db import tables as t
from sprachbund.db.engine import now_ms, writing
from sprachbund.errors import LeaseLost, WorkspaceError
from sprachbund.mirror import Synced
from sprachbund.mirror.backend import Backend
from sprachbund.mirror.leases import Leases
from support.made import SEEDS, STEERED

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")

CURVE = "layers/test/book/top1"


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
    assert len(world.history(STEERED, CURVE)) == 2


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
    assert len(world.runs()) == 4 and len(world.history(SEEDS[1], CURVE)) == 2


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
    world.work(only=("test", "none"))
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
    assert CURVE not in world.runs()[STEERED].data.metrics
    assert world.sync().updated == 4
    assert CURVE in world.runs()[STEERED].data.metrics


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
        Leases(sqlite_world.engine).record(row.experiment_id, row.setting_id, "run", {})


def test_a_job_that_is_about_to_commit_is_waited_for(world: Any) -> None:
    if world.engine.dialect.name == "sqlite":
        pytest.skip("SQLite runs writing transactions one after the other")
    world.submit(layers=("0",))
    world.work(only=("test", "none"))
    world.sync()
    leases = Leases(world.engine)
    waiting = threading.Event()
    claimed: list[float] = []

    def claim() -> None:
        waiting.set()
        leases.claim(world.rows()[0].experiment_id)
        claimed.append(time.monotonic())

    with writing(world.engine) as connection:
        # What finishing a job does before it looks at `dirty`.
        connection.execute(text("SELECT id FROM experiments FOR SHARE"))
        thread = threading.Thread(target=claim)
        thread.start()
        waiting.wait(5)
        time.sleep(0.3)
        assert not claimed
    thread.join(5)
    assert claimed


def test_without_mlflow_installed(sqlite_world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sqlite_world.submit()
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(WorkspaceError, match=r"needs mlflow: install `sprachbund\[mlflow\]`"):
        sqlite_world.sync()
    assert all(row.dirty for row in sqlite_world.rows())
