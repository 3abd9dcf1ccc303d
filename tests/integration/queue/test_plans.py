"""The claim finds its jobs by index, however many there are: plans of both engines over some thousand jobs."""

import itertools
import json
from typing import Any

import pytest
from sqlalchemy import Engine, text, update

from sprachbund.db.engine import reading, writing
from sprachbund.db.tables import Job
from sprachbund.queue import statements

N_JOBS = 4_000
VALUES = {
    **statements.kind_parameters({"count": 1, "other": 1}), "runner_id": 1, "lease_ms": 1, "max_losses": 3,
    "lost": "", "limit": 16, "runners": 3, "least": 4,
    "model": "m",
}  # fmt: skip


@pytest.fixture
def full(desk: Any) -> Engine:
    """Most jobs are done, hundreds wait for needs, hundreds may run, some run."""
    keys = [f"k{i}" for i in range(N_JOBS)]
    edges = [(keys[i], keys[i - 1]) for i in range(3_000, 3_500)]
    jobs = [desk.job(key, bundle=f"b{i // 20}", model=f"m{i // 500}") for i, key in enumerate(keys)]
    soft = [(keys[i], keys[i - 1]) for i in range(3_500, 3_600)]
    desk.add(*jobs, edges=edges, soft=soft)
    with writing(desk.engine) as connection:
        ids = [desk.ids[key] for key in keys]
        finished = update(Job).where(Job.id <= ids[2_900])
        connection.execute(finished.values(state="done", lease_expires_ms=None))
        running = update(Job).where(Job.id > ids[2_900], Job.id <= ids[2_910])
        connection.execute(running.values(state="running", runner_id=desk.runner, lease_expires_ms=2**50))
        connection.execute(text("ANALYZE"))
    engine: Engine = desk.engine
    return engine


@pytest.mark.parametrize(("bundled", "sharing"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("preferring", [False, True])
def test_claim_scans_no_table(full: Engine, preferring: bool, bundled: bool, sharing: bool) -> None:
    sql = str(statements.claim(full.dialect.name, 2, preferring=preferring, bundled=bundled, sharing=sharing))
    with reading(full) as connection:
        if full.dialect.name == "sqlite":
            lines = [row.detail for row in connection.execute(text(f"EXPLAIN QUERY PLAN {sql}"), VALUES)]
            tables = ("SCAN job", "SCAN edge", "SCAN dependent", "SCAN link")
            # The partial index itself is walked in order, up to the first job that may run.
            walked = {line for line in lines if line.startswith(tables)}
            assert walked <= {"SCAN job USING INDEX ix_jobs_claim"}
            assert any("ix_jobs_claim" in line for line in lines), lines
            return
    with writing(full) as connection:
        plan = connection.scalar(text(f"EXPLAIN (FORMAT JSON, ANALYZE, TIMING OFF) {sql}"), VALUES)
        connection.rollback()
    nodes = list(_nodes((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]))
    tables = ("jobs", "job_edges")
    scanned = [node for node in nodes if node["Node Type"] == "Seq Scan" and node.get("Relation Name") in tables]
    assert scanned == []
    assert any(node.get("Index Name") == "ix_jobs_claim" for node in nodes)
    assert _looked_at(nodes) < N_JOBS / 2


def _looked_at(nodes: list[dict[str, Any]]) -> float:
    """Rows that index scans and their filters saw."""
    seen = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in nodes if "Index Name" in node)
    loops = (node["Actual Loops"] for node in nodes if "Index Name" in node)
    return sum(rows * n for rows, n in zip(seen, loops, strict=True))


@pytest.mark.parametrize("preferring", [False, True])
def test_an_idle_claim_looks_at_no_job_that_waits(desk: Any, preferring: bool) -> None:
    """As many steps behind one running job whether hundreds or thousands wait for it."""
    steps = []
    for n in (400, 3_600):
        first = len(desk.ids)
        keys = [f"k{first + i}" for i in range(n)]
        jobs = [desk.job(key, bundle=f"b{i // 20}", model="m") for i, key in enumerate(keys)]
        head = [desk.job("running", priority=1)] if not first else []
        edges = [(key, "running") for key in keys]
        desk.add(*head, *jobs, edges=[*edges, *zip(keys[1:], keys, strict=False)])
        if head:
            desk.take()
        with writing(desk.engine) as connection:
            connection.execute(text("ANALYZE"))
        # Once before: SQLite reads what ANALYZE found.
        assert desk.take(16, prefer_model="m" if preferring else None) == []
        steps.append(_steps(desk.engine, preferring))
        assert desk.queue.has_work_for(desk.runner)
    # The running job's former entry in the index, perhaps.
    few = {"sqlite": 10, "postgresql": 5}[desk.engine.dialect.name]
    assert abs(steps[1] - steps[0]) < few
    assert max(steps) < 100 * few


def _steps(engine: Engine, preferring: bool) -> float:
    """Of all that an idle runner asks: instructions of SQLite's machine, or rows that PostgreSQL's scans saw."""
    name = engine.dialect.name
    asked = (
        str(statements.claim(name, 2, preferring=preferring, bundled=True, sharing=True)),
        str(statements.DOOMED[name]),
        str(statements.in_sight(name, 2)),
    )
    with writing(engine) as connection:
        if name == "postgresql":
            explained = (f"EXPLAIN (FORMAT JSON, ANALYZE, TIMING OFF) {sql}" for sql in asked)
            plans = [connection.scalar(text(sql), VALUES)[0]["Plan"] for sql in explained]
            return _looked_at([node for plan in plans for node in _nodes(plan)])
        raw = connection.connection.driver_connection
        count = itertools.count()
        raw.set_progress_handler(lambda: next(count) and 0, 1)  # type: ignore[union-attr]
        for sql in asked:
            connection.execute(text(sql), VALUES).all()
        raw.set_progress_handler(None, 1)  # type: ignore[union-attr]
        return next(count)


def _nodes(plan: dict[str, Any]) -> Any:
    yield plan
    for child in plan.get("Plans", []):
        yield from _nodes(child)
