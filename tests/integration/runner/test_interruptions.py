"""Runners that are killed, stalled, interrupted or left without a disk or database, in the middle of their work."""

import errno
import multiprocessing
import os
import runpy
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text
from support.engines import sqlite_only

from sprachbund import workspace
from sprachbund.db import engine as databases
from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.errors import ArtifactError, DatabaseError
from sprachbund.files import artifacts
from sprachbund.queue.jobs import LEAST_SHARE
from sprachbund.work.kinds import KINDS
from sprachbund.workspace import Workspace
from sprachbund_runners.jobs import JOBS, Context
from sprachbund_runners.worker import uninterrupted

Make = Callable[..., dict[str, Any]]

FORKING = multiprocessing.get_context("forkserver")
PROGRAM = Path(__file__).with_name("runner_process.py")
LEASE_MS = 700
RESULTS = (
    t.UnitStatistics, t.ExpertSet, t.ExpertUnit, t.Snapshot, t.SnapshotPart, t.Evaluation, t.Metric, t.Comparison,
    t.ControlComparison,
)  # fmt: skip


@pytest.fixture
def small(experiment: Make) -> dict[str, Any]:
    """A few jobs of each kind."""
    return experiment(
        interventions=["none", {"method": "experts", "k": 4, "controls": ["profile x2"]}],
        embeddings={"layers": [1, "final"]},
        choose=None,
        statistics={"resamples": 100},
    )


@dataclass
class Runner:
    """A runner process; `name` names its files in the workspace's folder."""

    process: ForkServerProcess
    folder: Path
    name: str
    started: float = field(default_factory=time.monotonic)

    def wait_until_paused(self) -> None:
        while not (self.folder / f"{self.name}.paused").exists():
            assert self.process.is_alive(), f"it never came to the pause: {self.said('err')}"
            assert time.monotonic() - self.started < 60
            time.sleep(0.01)

    def go(self) -> None:
        (self.folder / f"{self.name}.go").touch()

    def kill(self, number: signal.Signals) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def end(self) -> int:
        self.process.join(60)
        assert self.process.exitcode is not None, "it did not end"
        return self.process.exitcode

    def said(self, where: str) -> str:
        return (self.folder / f"{self.name}.{where}").read_text()


Start = Callable[..., Runner]


@pytest.fixture(scope="session", autouse=True)
def _preloaded() -> None:
    FORKING.set_forkserver_preload(
        ["sprachbund.cli.main", "sprachbund_runners.worker", "transformers.models.bloom.modeling_bloom"]
    )


@pytest.fixture
def start(space: Workspace, tmp_path: Path, database_url: str) -> Iterator[Start]:
    """Starts `sprachbund run` as a process of its own, to pause in a job kind."""
    runners: list[Runner] = []

    def started(
        *arguments: str, pause: str | None = None, point: str = "check", nth: int = 1, nap: float = 0
    ) -> Runner:
        name = f"runner{len(runners)}"
        given = {
            "folder": str(tmp_path),
            "name": name,
            "environment": {"SPRACHBUND_DATABASE_URL": database_url},
            "arguments": ["run", "--device", "cpu", "--threads", "1", "--max-tokens", "128", *arguments],
            "pause": pause,
            "point": point,
            "nth": nth,
            "nap": nap,
        }
        options = {"init_globals": {"GIVEN": given}}
        process = FORKING.Process(target=runpy.run_path, args=(str(PROGRAM),), kwargs=options)
        process.start()
        runners.append(Runner(process, tmp_path, name))
        return runners[-1]

    yield started
    for runner in runners:
        if runner.process.is_alive():
            runner.process.kill()
            runner.process.join(10)


def values(space: Workspace) -> dict[str, float]:
    """Every number that was stored, by a name that does not depend on the order of work."""
    with reading(space.engine) as connection:
        metrics = connection.execute(
            select(t.Evaluation.key, t.Metric.name, t.Metric.value).join(
                t.Metric, t.Metric.evaluation_id == t.Evaluation.id
            )
        ).all()
        comparisons = connection.execute(select(t.Comparison.key, t.Comparison.delta, t.Comparison.p)).all()
    found = {f"{key} {name}": value for key, name, value in metrics}
    for key, delta, p in comparisons:
        found[f"{key} delta"] = delta
        # Of a difference that is nothing but rounding, p may be anything.
        if p is not None and abs(delta) > 1e-5:
            found[f"{key} p"] = p
    return found


def counts(space: Workspace) -> dict[str, int]:
    with reading(space.engine) as connection:
        return {
            table.__tablename__: int(connection.execute(select(func.count()).select_from(table)).scalar_one())
            for table in RESULTS
        }


@pytest.fixture(scope="session")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, word_corpus: Path, _sqlite_template: Path
) -> Callable[[dict[str, Any]], tuple[dict[str, int], dict[str, float]]]:
    """Rows and values of a run that nothing happened to; made once."""
    made: list[tuple[dict[str, int], dict[str, float]]] = []

    def run(spec: dict[str, Any]) -> tuple[dict[str, int], dict[str, float]]:
        if not made:
            with pytest.MonkeyPatch.context() as patch:
                patch.delenv("SPRACHBUND_DATABASE_URL", raising=False)
                with workspace.init(tmp_path_factory.mktemp("undisturbed")) as quiet:
                    quiet.submit(spec)
                    tally = quiet.run(max_tokens=128)
                    assert tally.failed == 0, tally.errors
                    made.append((counts(quiet), values(quiet)))
        return made[0]

    return run


Undisturbed = Callable[[dict[str, Any]], tuple[dict[str, int], dict[str, float]]]


def check_finished(space: Workspace, expected: tuple[dict[str, int], dict[str, float]]) -> None:
    """All jobs are done, no failure was counted, and what is stored equals an undisturbed run."""
    assert set(space.queue.counts()) == {"done"}
    with reading(space.engine) as connection:
        assert connection.execute(select(func.sum(t.Job.failures))).scalar_one() == 0
        done = select(t.JobAttempt.job_id).where(t.JobAttempt.outcome == "done")
        finished = Counter(connection.execute(done).scalars())
    assert set(finished.values()) == {1}
    assert counts(space) == expected[0]
    # A bundle that was taken over has other batches, and so other rounding.
    assert values(space) == pytest.approx(expected[1], abs=1e-5)


def outcomes(space: Workspace) -> Counter[str]:
    with reading(space.engine) as connection:
        return Counter(connection.execute(select(t.JobAttempt.outcome)).scalars())


def running(space: Workspace) -> int:
    return space.queue.counts().get("running", 0)


def unfinished(space: Workspace) -> list[Path]:
    return list(space.store.scratch.iterdir())


def one_line(said: str) -> str:
    """The only line of standard error."""
    assert said.startswith("sprachbund: ")
    assert said.count("\n") == 1, said
    return said


# ---- killed and stalled


def test_a_killed_runner_is_replaced(space: Workspace, start: Start, small: Any, undisturbed: Undisturbed) -> None:
    space.submit(small)
    # The third look is the second pair's: one of the bundle is done, the others are claimed.
    victim = start("--lease-ms", str(LEASE_MS), pause="pair_evaluation", nth=3)
    victim.wait_until_paused()
    held = running(space)
    assert held > 1
    victim.kill(signal.SIGKILL)
    assert victim.end() == -signal.SIGKILL
    assert running(space) == held
    tally = space.run(lease_ms=LEASE_MS)
    assert (tally.failed, tally.lost) == (0, 0)
    check_finished(space, undisturbed(small))
    assert outcomes(space)["lost"] == held


@sqlite_only
def test_killed_while_writing_a_file(space: Workspace, start: Start, small: Any, undisturbed: Undisturbed) -> None:
    space.submit(small)
    victim = start("--lease-ms", str(LEASE_MS), pause="snapshot", point="flush", nth=3)
    victim.wait_until_paused()
    victim.kill(signal.SIGKILL)
    victim.end()
    (left,) = unfinished(space)
    space.run(lease_ms=LEASE_MS)
    check_finished(space, undisturbed(small))
    # What a kill leaves lies where only unfinished files lie, and goes when nobody can be writing to it any more.
    assert unfinished(space) == [left]
    os.utime(left, (time.time() - 100_000,) * 2)
    space.run()
    assert unfinished(space) == []


def test_a_stalled_runner_writes_nothing_late(
    space: Workspace, start: Start, small: Any, undisturbed: Undisturbed
) -> None:
    space.submit(small)
    stalled = start("--lease-ms", str(LEASE_MS), pause="snapshot", nth=2)
    stalled.wait_until_paused()
    held = running(space)
    stalled.kill(signal.SIGSTOP)
    tally = space.run(lease_ms=LEASE_MS)
    assert tally.failed == 0
    expected = undisturbed(small)
    check_finished(space, expected)
    stalled.go()
    stalled.kill(signal.SIGCONT)
    assert stalled.end() == 0
    assert f"{held} leases lost" in stalled.said("out")
    check_finished(space, expected)
    assert outcomes(space)["lost"] == held


def test_two_runners_share_the_work(space: Workspace, start: Start, small: Any, undisturbed: Undisturbed) -> None:
    submitted = space.submit(small)
    both = [start(nap=0.02), start(nap=0.02)]
    assert [runner.end() for runner in both] == [0, 0], [runner.said("err") for runner in both]
    check_finished(space, undisturbed(small))
    with reading(space.engine) as connection:
        shares = Counter(connection.execute(select(t.JobAttempt.runner_id)).scalars())
    assert len(shares) == 2
    assert sum(shares.values()) == submitted.n_new
    for runner in both:
        assert runner.said("err") == ""


def test_two_runners_share_one_bundle(space: Workspace, start: Start, small: Any, undisturbed: Undisturbed) -> None:
    """Each holds a part of the snapshots of all settings when both have come to them."""
    space.submit(small)
    before = sum(sum(space.queue.status()[kind].values()) for kind in ("unit_statistics", "expert_set", "intervention"))
    assert space.run(max_tokens=128, max_jobs=before).done == before
    capabilities = {"device": "cpu", "kinds": {name: KINDS[name].version for name in JOBS}}
    # As alive as the others, so that the first to come does not think itself alone.
    third = space.queue.register_runner("third", "host", 1, capabilities)
    both = [start(pause="snapshot") for _ in range(2)]
    for runner in both:
        runner.wait_until_paused()
    with reading(space.engine) as connection:
        running = (t.Job.kind == "snapshot") & (t.Job.state == "running")
        held = connection.execute(select(t.Job.runner_id, func.count()).where(running).group_by(t.Job.runner_id)).all()
        bundle = connection.execute(select(t.Job.bundle).where(running).distinct()).scalar_one()
        total = connection.execute(select(func.count()).where(t.Job.bundle == bundle)).scalar_one()
    first = max(LEAST_SHARE, -(-total // 3))
    second = min(total - first, max(LEAST_SHARE, -(-(total - first) // 3)))
    assert third not in {row.runner_id for row in held}
    assert sorted(n for _, n in held) == sorted([first, second])
    for runner in both:
        runner.go()
    assert [runner.end() for runner in both] == [0, 0], [runner.said("err") for runner in both]
    check_finished(space, undisturbed(small))


# ---- Ctrl-C and SIGTERM

PHASES: tuple[dict[str, Any], ...] = (
    {"pause": "unit_statistics"},
    {"pause": "unit_statistics", "point": "flush"},
    {"pause": "expert_set"},
    {"pause": "intervention"},
    {"pause": "snapshot", "nth": 2},
    {"pause": "snapshot", "point": "flush", "nth": 2},
    {"pause": "pair_evaluation", "nth": 3},
    {"pause": "space_evaluation"},
    {"pause": "comparison", "nth": 2},
)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_interrupted_in_every_phase(
    number: signal.Signals, space: Workspace, start: Start, small: Any, undisturbed: Undisturbed
) -> None:
    """One run after the other is stopped, each in a later phase; the last one finishes."""
    submitted = space.submit(small)
    done = 0
    for phase in PHASES:
        runner = start(**phase)
        runner.wait_until_paused()
        assert running(space) > 0
        runner.kill(number)
        assert runner.end() == (130 if number == signal.SIGINT else 2), phase
        word = "interrupted" if number == signal.SIGINT else "terminated"
        assert one_line(runner.said("err")).startswith(f"sprachbund: {word}: nothing is lost")
        found = space.queue.counts()
        assert found.keys() <= {"queued", "done"}, (phase, found)
        assert found.get("done", 0) >= done
        done = found.get("done", 0)
        assert unfinished(space) == []
        with reading(space.engine) as connection:
            places = connection.execute(select(t.Artifact.uri, t.Artifact.digest)).all()
            alive = connection.execute(select(func.count()).where(t.Runner.state == "alive")).scalar_one()
        assert all(space.store.fetch(place.uri, place.digest) for place in places)
        assert alive == 0
    assert 0 < done < submitted.n_new
    last = start()
    assert last.end() == 0
    assert last.said("out") == f"{submitted.n_new - done} jobs done, 0 failed\n"
    check_finished(space, undisturbed(small))
    assert outcomes(space).keys() == {"done", "released"}


@sqlite_only
def test_ctrl_c_of_a_real_program(space: Workspace, small: Any, tmp_path: Path) -> None:
    """The installed script, from start to signal, while it waits for work."""
    script = Path(sys.executable).with_name("sprachbund")
    with subprocess.Popen(
        [script, "run", "--watch"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        end = time.monotonic() + 60
        alive = select(func.count()).where(t.Runner.state == "alive")
        while time.monotonic() < end and process.poll() is None:
            with reading(space.engine) as connection:
                if connection.execute(alive).scalar_one():
                    break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert "interrupted" in one_line(err)


def test_signals_wait_for_the_end_of_a_transaction() -> None:
    seen: list[str] = []

    def handle(number: int, frame: Any) -> None:
        seen.append("handled")

    before = signal.signal(signal.SIGTERM, handle)
    try:
        with uninterrupted():
            os.kill(os.getpid(), signal.SIGTERM)
            seen.append("after the first")
            os.kill(os.getpid(), signal.SIGTERM)
            seen.append("after the second")
        assert seen == ["after the first", "handled", "after the second", "handled"]
        assert signal.getsignal(signal.SIGTERM) is handle

        def interrupted(error: Exception | None) -> None:
            with uninterrupted():
                os.kill(os.getpid(), signal.SIGINT)
                seen.append("reached")
                if error is not None:
                    raise error

        with pytest.raises(KeyboardInterrupt):
            interrupted(None)
        assert seen[-1] == "reached"
        # An error inside is what comes out.
        with pytest.raises(ValueError, match="mine"):
            interrupted(ValueError("mine"))
        # Elsewhere than in the main thread there is nothing to hold back.
        thread = threading.Thread(target=lambda: uninterrupted().__enter__())
        thread.start()
        thread.join()
        assert signal.getsignal(signal.SIGTERM) is handle
    finally:
        signal.signal(signal.SIGTERM, before)


# ---- without a database


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


# ---- without a disk, with a damaged one


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
    assert (tally.failed, tally.lost) == (0, 1)
    check_finished(space, undisturbed(small))
