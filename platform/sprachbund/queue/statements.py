"""The SQL of claiming and of counting, the same text on both engines but for clock and row locks."""
# ruff: noqa: S608 - the texts are put together of fixed parts; every value is bound

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import JSON, TextClause, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.selectable import TextualSelect

from sprachbund.db.engine import NOW_MS
from sprachbund.db.tables import Job

# Every need is done. Derived each time: counters of open needs would have to be kept right by everyone.
_READY = """NOT EXISTS (
        SELECT 1 FROM job_edges AS edge JOIN jobs AS need ON need.id = edge.needs_id
        WHERE edge.job_id = job.id AND need.state <> 'done')"""

# Of the row `jobs`: an experiment that is not cancelled planned it, or a job that is due needs it.
_WANTED = """(
        EXISTS (
            SELECT 1 FROM experiment_jobs AS link JOIN experiments AS experiment
            ON experiment.id = link.experiment_id
            WHERE link.job_id = jobs.id AND NOT experiment.cancelled)
        OR EXISTS (
            SELECT 1 FROM job_edges AS edge JOIN jobs AS dependent ON dependent.id = edge.job_id
            WHERE edge.needs_id = jobs.id AND dependent.state IN ('queued', 'running')))"""

_QUEUED = "job.state = 'queued' AND job.available_ms <= (SELECT ms FROM moment)"
_LOST = "job.state = 'running' AND job.lease_expires_ms < (SELECT ms FROM moment)"


@lru_cache(maxsize=64)
def claim(dialect: str, n_kinds: int, *, preferring: bool, bundled: bool) -> TextualSelect:
    """One statement that finds the next job and its ready siblings and takes them.

    Bound: runner_id, lease_ms, max_losses, device, memory_mb, kind_i and version_i for i < n_kinds; `limit`
    if bundled; `model` if preferring. A lost job (its lease ran out) is taken over like a queued one and
    counted; at max_losses it becomes failed, and cancelled where nobody wants it: both come back too, with
    their state.

    PostgreSQL: runners skip the rows others hold, so none waits; a row that somebody took after this
    statement's snapshot is looked at again when it is locked, and fails the test on its state. SQLite runs
    it under the write lock.
    """
    lock = "FOR UPDATE OF job SKIP LOCKED" if dialect == "postgresql" else ""
    suitable = f"""({" OR ".join(f"(job.kind = :kind_{i} AND job.version = :version_{i})" for i in range(n_kinds))})
        AND (job.device IS NULL OR job.device = :device)
        AND (job.memory_mb IS NULL OR job.memory_mb <= :memory_mb)"""
    # ix_jobs_claim yields queued jobs in this order, so the search ends at the first that may run.
    first_queued = f"""FROM jobs AS job
        WHERE {_QUEUED} AND {suitable} AND {_READY}
        {{more}}
        ORDER BY job.priority, job.id LIMIT 1"""
    if preferring:
        heads = f"""most_urgent AS (SELECT job.priority {first_queued.format(more="")}),
    head AS (
        SELECT job.id, job.bundle
        {first_queued.format(more="AND job.model = :model AND job.priority = (SELECT priority FROM most_urgent)")}
        {lock}
    )"""
    else:
        heads = f"""next_queued AS (SELECT job.id, job.priority, job.bundle {first_queued.format(more="")} {lock}),
    next_lost AS (
        SELECT job.id, job.priority, job.bundle FROM jobs AS job
        WHERE {_LOST} AND {suitable} AND {_READY}
        ORDER BY job.priority, job.id LIMIT 1 {lock}
    ),
    head AS (
        SELECT id, bundle FROM (SELECT * FROM next_queued UNION ALL SELECT * FROM next_lost) AS candidate
        ORDER BY priority, id LIMIT 1
    )"""
    taken = (
        f"""SELECT job.id FROM jobs AS job CROSS JOIN head
        WHERE job.bundle = head.bundle AND (({_QUEUED}) OR ({_LOST})) AND {suitable} AND {_READY}
        ORDER BY job.id <> head.id, job.id LIMIT :limit {lock}"""
        if bundled
        else "SELECT id FROM head"
    )
    statement = f"""
    WITH moment AS (SELECT {NOW_MS[dialect]} AS ms),
    {heads},
    taken AS ({taken})
    UPDATE jobs SET
        state = CASE
            WHEN state = 'queued' THEN 'running'
            WHEN NOT {_WANTED} THEN 'cancelled'
            WHEN losses + 1 >= :max_losses THEN 'failed'
            ELSE 'running' END,
        attempt = attempt + CASE
            WHEN state = 'queued' OR (losses + 1 < :max_losses AND {_WANTED}) THEN 1 ELSE 0 END,
        losses = losses + CASE WHEN state = 'queued' THEN 0 ELSE 1 END,
        error = CASE WHEN state = 'queued' THEN error ELSE :lost END,
        runner_id = :runner_id,
        lease_expires_ms = (SELECT ms FROM moment) + :lease_ms
    WHERE id IN (SELECT id FROM taken)
    RETURNING id, key, kind, version, attempt, model, payload, label, bundle, subject, state, losses
    """
    columns: list[Any] = [Job.id, Job.key, Job.kind, Job.version, Job.attempt, Job.model, Job.payload, Job.label,
                          Job.bundle, Job.subject, Job.state, Job.losses]  # fmt: skip
    return text(statement).columns(*columns)


def kind_parameters(kinds: Mapping[str, int]) -> dict[str, Any]:
    """The bound values of `claim` and `has_work` for the kinds and versions a runner has."""
    names = {f"kind_{i}": kind for i, kind in enumerate(kinds)}
    return names | {f"version_{i}": version for i, version in enumerate(kinds.values())}


@lru_cache(maxsize=64)
def has_work(n_kinds: int) -> TextClause:
    """Whether a job that suits this runner is running somewhere, or queued and not stuck.

    Stuck: a need of it, near or far, failed, was cancelled, or is queued and suits no runner; `alone` says
    that there is no other. Bound as in `claim`, and `alone`.
    """
    suitable = f"""(({" OR ".join(f"(job.kind = :kind_{i} AND job.version = :version_{i})" for i in range(n_kinds))})
        AND (job.device IS NULL OR job.device = :device)
        AND (job.memory_mb IS NULL OR job.memory_mb <= :memory_mb))"""
    return text(f"""
    WITH RECURSIVE stuck (id) AS (
        SELECT job.id FROM jobs AS job
        WHERE job.state IN ('failed', 'cancelled') OR (job.state = 'queued' AND :alone AND NOT {suitable})
        UNION
        SELECT edge.job_id FROM stuck JOIN job_edges AS edge ON edge.needs_id = stuck.id
    )
    SELECT EXISTS (
        SELECT 1 FROM jobs AS job
        WHERE job.state IN ('queued', 'running') AND {suitable} AND job.id NOT IN (SELECT id FROM stuck))
    """)


# How an attempt ends: what becomes of its job.
_ENDS = {
    "done": "state = 'done', finished_ms = {now}, error = NULL",
    "failed": """
        state = CASE WHEN NOT :again THEN 'failed' WHEN {wanted} THEN 'queued' ELSE 'cancelled' END,
        failures = failures + 1, error = :error, available_ms = {now} + :pause_ms, finished_ms = {now}""",
    "released": "state = CASE WHEN {wanted} THEN 'queued' ELSE 'cancelled' END, available_ms = {now}",
}


@lru_cache(maxsize=16)
def end(dialect: str, outcome: str) -> TextClause:
    """End an attempt that this runner still holds; no row comes back if it does not.

    Bound: job_id, attempt, runner_id; for `failed` also again, error and pause_ms.
    """
    changes = _ENDS[outcome].format(now=NOW_MS[dialect], wanted=_WANTED)
    return text(f"""
    UPDATE jobs SET lease_expires_ms = NULL, {changes}
    WHERE id = :job_id AND attempt = :attempt AND runner_id = :runner_id AND state = 'running'
    RETURNING state
    """)


@lru_cache(maxsize=4)
def end_attempt(dialect: str) -> TextClause:
    """Write an attempt's outcome. Bound: job_id, attempt, outcome, error, environment, batch_plan."""
    json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
    return text(f"""
    UPDATE job_attempts SET
        outcome = :outcome, finished_ms = {NOW_MS[dialect]}, error = :error, environment = :environment,
        batch_plan = :batch_plan
    WHERE job_id = :job_id AND attempt = :attempt
    """).bindparams(bindparam("environment", type_=json))


@lru_cache(maxsize=4)
def start_attempt(dialect: str) -> TextClause:
    """Write a new attempt. Bound: job_id, attempt, runner_id."""
    return text(f"""
    INSERT INTO job_attempts (job_id, attempt, runner_id, started_ms, outcome)
    VALUES (:job_id, :attempt, :runner_id, {NOW_MS[dialect]}, 'running')
    """)


CANCEL_UNWANTED = text(f"UPDATE jobs SET state = 'cancelled' WHERE state = 'queued' AND NOT {_WANTED}")

# PostgreSQL: finishing jobs share this lock, so that nobody clears `dirty` between their look and their commit.
SHARE_EXPERIMENTS = text("""
    SELECT id FROM experiments WHERE id IN (SELECT experiment_id FROM experiment_jobs WHERE job_id = :job_id)
    ORDER BY id FOR SHARE
""")
# In this order, so that two that finish at once never wait in a circle.
CLEAN_RUNS = {
    dialect: text(f"""
    SELECT run.experiment_id, run.setting_id FROM experiment_jobs AS link JOIN mlflow_runs AS run
        ON run.experiment_id = link.experiment_id
    WHERE link.job_id = :job_id AND NOT run.dirty ORDER BY run.experiment_id, run.setting_id {lock}
    """)
    for dialect, lock in (("sqlite", ""), ("postgresql", "FOR UPDATE OF run"))
}
MARK_RUN = text("UPDATE mlflow_runs SET dirty = true WHERE experiment_id = :experiment_id AND setting_id = :setting_id")

# A queued job is blocked when something it needs, near or far, failed or was cancelled.
STATUS = text("""
    WITH RECURSIVE held_up (id) AS (
        SELECT edge.job_id FROM jobs AS need JOIN job_edges AS edge ON edge.needs_id = need.id
        WHERE need.state IN ('failed', 'cancelled')
        UNION
        SELECT edge.job_id FROM held_up JOIN job_edges AS edge ON edge.needs_id = held_up.id
    ),
    shown AS (
        SELECT job.kind, CASE
            WHEN job.state = 'queued' AND job.id IN (SELECT id FROM held_up) THEN 'blocked'
            ELSE job.state END AS state
        FROM jobs AS job
        WHERE :everything OR job.id IN (
            SELECT link.job_id FROM experiment_jobs AS link JOIN experiments AS experiment
            ON experiment.id = link.experiment_id
            WHERE experiment.name = :experiment)
    )
    SELECT kind, state, COUNT(*) AS n FROM shown GROUP BY kind, state
""")
