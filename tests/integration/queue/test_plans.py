"""The claim finds its jobs by index, however many there are: plans of both engines over some thousand jobs."""

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
            scans = [line for line in lines if line.startswith("SCAN")]
            # The partial index itself is walked in order, up to the first job that may run.
            tables = ("SCAN job", "SCAN need", "SCAN edge", "SCAN up")
            assert [line for line in scans if "USING INDEX" not in line and line.startswith(tables)] == []
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
    # It looked at the jobs that wait for others, not at those that are done.
    looked_at = sum(
        node["Actual Rows"] * node["Actual Loops"] + node.get("Rows Removed by Filter", 0)
        for node in nodes
        if node.get("Index Name") == "ix_jobs_claim"
    )
    assert looked_at < N_JOBS / 2


def _nodes(plan: dict[str, Any]) -> Any:
    yield plan
    for child in plan.get("Plans", []):
        yield from _nodes(child)
