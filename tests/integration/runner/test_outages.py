"""Runners that are left without a database or a disk, or with a damaged one."""

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from sprachbund import workspace
from sprachbund.db import engine as databases
from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.errors import ArtifactError, DatabaseError
from sprachbund.files import artifacts
from sprachbund.workspace import Workspace
from sprachbund_runners.jobs import Context
from sprachbund_runners.jobs.registry import JOBS
from support.engines import sqlite_only
from support.finished import Undisturbed, check_finished, counts, outcomes, unfinished, values
from support.runners import LEASE_MS


def interfere(monkeypatch: pytest.MonkeyPatch, kind: str, nth: int, what: Callable[[], None]) -> None:
    """Do `what` when a job of this kind looks for the nth time whether to stop."""
    looks = 0
    plain, check = JOBS[kind], Context.check_stop
    inside: list[bool] = []

    def noting(claims: Any, context: Any) -> Iterator[Any]:
        inside.append(True)
        yield from plain(claims, context)
        inside.clear()

    def looking(context: Context) -> None:
        nonlocal looks
        looks += bool(inside)
        if inside and looks == nth:
            what()
        check(context)

    monkeypatch.setitem(JOBS, kind, noting)
    monkeypatch.setattr(Context, "check_stop", looking)


@sqlite_only
def test_database_is_locked(
    space: Workspace, small: Any, tmp_path: Path, undisturbed: Undisturbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    space.submit(small)
    monkeypatch.setattr(databases, "BUSY_MS", 1_000)
    with closing(sqlite3.connect(tmp_path / "sprachbund.db", isolation_level=None)) as other:
        with monkeypatch.context() as patch:
            interfere(patch, "pair_evaluation", 3, lambda: other.execute("BEGIN IMMEDIATE") and None)
            with workspace.open(tmp_path) as short, pytest.raises(DatabaseError, match="locked by another process"):
                short.run(lease_ms=LEASE_MS)
        other.execute("ROLLBACK")
    assert space.queue.counts().keys() == {"done", "running", "queued"}
    # The jobs at hand could not be given back: their leases run out.
    space.run(lease_ms=LEASE_MS)
    check_finished(space, undisturbed(small))


def test_database_goes_away(
    space: Workspace,
    small: Any,
    tmp_path: Path,
    engine_name: str,
    undisturbed: Undisturbed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    space.submit(small)
    path, aside = tmp_path / "sprachbund.db", tmp_path / "aside"

    def go_away() -> None:
        if engine_name == "sqlite":
            aside.mkdir()
            for each in tmp_path.glob("sprachbund.db*"):
                each.rename(aside / each.name)
            return
        with space.engine.connect() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )

    with monkeypatch.context() as patch:
        interfere(patch, "snapshot", 2, go_away)
        with workspace.open(tmp_path) as other, pytest.raises(DatabaseError, match="database") as raised:
            other.run(lease_ms=LEASE_MS)
    assert "\n" not in str(raised.value)
    if engine_name == "sqlite":
        assert not path.exists()
        for each in aside.iterdir():
            each.rename(tmp_path / each.name)
    assert space.queue.counts().keys() <= {"done", "running", "queued"}
    space.run(lease_ms=LEASE_MS)
    check_finished(space, undisturbed(small))


@pytest.mark.parametrize("kind", ["unit_statistics", "snapshot"])
@sqlite_only
def test_disk_is_full(
    kind: str, space: Workspace, small: Any, undisturbed: Undisturbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted = space.submit(small)
    full = [False]
    real = artifacts.flush

    def flush(descriptor: int) -> None:
        if full[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(artifacts, "flush", flush)
        interfere(patch, kind, 1, lambda: full.__setitem__(0, True))
        with pytest.raises(ArtifactError, match="the disk is full") as raised:
            space.run()
    assert "\n" not in str(raised.value)
    # Not one job after the other, and no job is to blame.
    assert space.queue.counts().keys() <= {"queued", "done"}
    assert outcomes(space).keys() <= {"released", "done"}
    assert unfinished(space) == []
    done = space.queue.counts().get("done", 0)
    assert space.run().done == submitted.n_new - done
    check_finished(space, undisturbed(small))


@pytest.mark.parametrize("damage", ["a bit", "deleted"])
@sqlite_only
def test_a_file_is_damaged(
    damage: str, space: Workspace, small: Any, undisturbed: Undisturbed, caplog: pytest.LogCaptureFixture
) -> None:
    """Found before it is used, named in one line, and made again by the same run."""
    space.submit(small)
    n_first = len(small["languages"]) + 1
    assert space.run(max_jobs=n_first).done == n_first
    with reading(space.engine) as connection:
        row = connection.execute(
            select(t.Artifact).join(t.UnitStatistics, t.UnitStatistics.responses_id == t.Artifact.id).limit(1)
        ).one()
    path = space.root / "artifacts" / row.uri
    content = path.read_bytes()
    if damage == "deleted":
        path.unlink()
    else:
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    # A process that has not seen the file yet, as the next `run` is.
    with workspace.open(space.root) as other:
        tally = other.run()
    assert tally.failed == 0, tally.errors
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert row.uri in line
    assert "\n" not in line
    assert path.read_bytes() == content
    assert set(space.queue.counts()) == {"done"}
    expected = undisturbed(small)
    assert counts(space) == expected[0]
    assert values(space) == pytest.approx(expected[1], abs=1e-5)


@sqlite_only
def test_a_lost_job_that_fails_is_nobodys_failure(
    space: Workspace, small: Any, undisturbed: Undisturbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stalled so long that another took its job over, a runner then finds an error: that is not recorded."""
    space.submit(small)
    plain = JOBS["comparison"]

    def stall_and_fail(claims: Any, context: Context) -> Iterator[Any]:
        monkeypatch.setitem(JOBS, "comparison", plain)
        # As if it had been stopped: its heart does not beat, and another runner takes over.
        with context.engine.begin() as connection:
            connection.execute(text("UPDATE jobs SET lease_expires_ms = 0 WHERE state = 'running'"))
        with workspace.open(space.root) as other:
            assert other.run().failed == 0
        raise RuntimeError("too late")
        yield

    monkeypatch.setitem(JOBS, "comparison", stall_and_fail)
    tally = space.run()
    # The settings of one role, which were claimed together.
    assert (tally.failed, tally.lost) == (0, 2)
    check_finished(space, undisturbed(small))
