"""Runners as real processes: at once, killed, and stalled in the middle of a job; on both engines."""

import multiprocessing
import os
import signal
import time
from collections import Counter
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from sqlalchemy import insert, select, text

from sprachbund.db.engine import connect, reading, writing
from sprachbund.db.tables import JobAttempt, Language
from sprachbund.errors import LeaseLost
from sprachbund.queue import Queue

LEASE_MS = 1_000
SPAWN = multiprocessing.get_context("spawn")


def work_off(url: str, name: str, limit: int) -> None:
    """Claim and finish until nothing is left; each finished job inserts a row that can be inserted once."""
    engine = connect(url)
    queue = Queue(engine)
    runner = queue.register_runner(name, "host", os.getpid(), {"kinds": {"count": 1}})
    while claims := queue.claim(runner, {"count": 1}, limit=limit, lease_ms=60_000):
        for claim in claims:
            with queue.finishing(claim) as connection:
                connection.execute(insert(Language).values(code=claim.key, iso639_3="xxx", name=name))
    engine.dispose()


def hold(url: str, pipe: Connection) -> None:
    """Claim one job, say so, and finish it when told to; report what came of it."""
    engine = connect(url)
    queue = Queue(engine)
    runner = queue.register_runner("holder", "host", os.getpid(), {"kinds": {"count": 1}})
    (claim,) = queue.claim(runner, {"count": 1}, lease_ms=LEASE_MS)
    pipe.send("claimed")
    pipe.recv()
    try:
        with queue.finishing(claim) as connection:
            connection.execute(insert(Language).values(code="late", iso639_3="xxx", name="x"))
        pipe.send("finished")
    except LeaseLost:
        pipe.send("lost")
    engine.dispose()


def _start(target: Any, *arguments: Any) -> SpawnProcess:
    process = SPAWN.Process(target=target, args=arguments)
    process.start()
    return process


def _holder(desk: Any, url: str) -> tuple[SpawnProcess, Connection]:
    here, there = SPAWN.Pipe()
    process = _start(hold, url, there)
    assert here.poll(60)
    assert here.recv() == "claimed"
    return process, here


def _take_over(desk: Any) -> Any:
    """Claim as soon as the lease has run out; before, there is nothing."""
    assert desk.take() == []
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if claims := desk.take():
            return claims[0]
        time.sleep(0.05)
    raise AssertionError("nobody could take the job over")


def test_several_processes_lose_and_double_nothing(desk: Any, database_url: str) -> None:
    n_jobs = 300
    desk.add(*(desk.job(f"job{i}", bundle=f"b{i // 7}") for i in range(n_jobs)))
    processes = [_start(work_off, database_url, f"p{i}", 1 + 4 * i) for i in range(3)]
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    assert Counter(desk.states().values()) == {"done": n_jobs}
    with reading(desk.engine) as connection:
        by = Counter(connection.scalars(select(Language.name)))
        attempts = connection.execute(select(JobAttempt.attempt, JobAttempt.outcome)).all()
    assert sum(by.values()) == n_jobs
    assert attempts == [(1, "done")] * n_jobs


def test_job_of_a_killed_process_is_taken_over(desk: Any, database_url: str) -> None:
    desk.add(desk.job("a"))
    process, _ = _holder(desk, database_url)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    claim = _take_over(desk)
    assert (claim.key, claim.attempt) == ("a", 2)
    desk.finish(claim)
    assert [attempt.outcome for attempt in desk.attempts("a")] == ["lost", "done"]


def test_late_finish_of_a_stalled_process_writes_nothing(desk: Any, database_url: str) -> None:
    desk.add(desk.job("a"))
    process, pipe = _holder(desk, database_url)
    os.kill(process.pid or 0, signal.SIGSTOP)
    try:
        claim = _take_over(desk)
        pipe.send("go on")
        desk.finish(claim)
    finally:
        os.kill(process.pid or 0, signal.SIGCONT)
    assert pipe.poll(60)
    assert pipe.recv() == "lost"
    process.join()
    assert process.exitcode == 0
    with reading(desk.engine) as connection:
        assert connection.scalars(select(Language.code)).all() == []
    assert [attempt.outcome for attempt in desk.attempts("a")] == ["lost", "done"]


def test_process_killed_inside_a_transaction_leaves_no_lock(desk: Any, database_url: str) -> None:
    desk.add(desk.job("a"))
    here, there = SPAWN.Pipe()
    process = _start(stop_inside, database_url, there)
    assert here.poll(60)
    assert here.recv() == "inside"
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    with writing(desk.engine) as connection:
        assert connection.scalar(text("SELECT COUNT(*) FROM languages")) == 0
    desk.expire()
    assert [claim.attempt for claim in desk.take()] == [2]


def stop_inside(url: str, pipe: Connection) -> None:
    """Write a result, say so, and never commit."""
    engine = connect(url)
    queue = Queue(engine)
    runner = queue.register_runner("holder", "host", os.getpid(), {"kinds": {"count": 1}})
    (claim,) = queue.claim(runner, {"count": 1}, lease_ms=60_000)
    with queue.finishing(claim) as connection:
        connection.execute(insert(Language).values(code="late", iso639_3="xxx", name="x"))
        pipe.send("inside")
        pipe.recv()
