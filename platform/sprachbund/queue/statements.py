"""The SQL of claiming and of counting, the same text on both engines but for clock and row locks."""
# ruff: noqa: S608 - the texts are put together of fixed parts; every value is bound

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import JSON, Boolean, Connection, TextClause, bindparam, column, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.selectable import TextualSelect

from sprachbund.db.dead import dead_jobs
from sprachbund.db.engine import NOW_MS
from sprachbund.db.tables import Job

_STATE = "(SELECT state FROM jobs WHERE jobs.id = up.needs_id)"
# A need that will not come: it ended otherwise, or waits for one that did. Upwards from it, by index: few steps.
_LOST_NEED = f"""(need.state IN ('failed', 'cancelled') OR (need.state = 'queued' AND (
            WITH RECURSIVE above (id, state) AS (
                SELECT up.needs_id, {_STATE} FROM job_edges AS up WHERE up.job_id = need.id AND NOT up.soft
                UNION
                SELECT up.needs_id, {_STATE} FROM above JOIN job_edges AS up ON up.job_id = above.id
                WHERE above.state = 'queued' AND NOT up.soft)
            SELECT 1 FROM above WHERE state IN ('failed', 'cancelled') LIMIT 1) IS NOT NULL))"""

# Every need is done, or is soft and will not come. Derived each time: counters of open needs would have to be kept
# right by everyone. Not as NOT EXISTS, for which PostgreSQL may read whole tables (as below).
_READY = f"""(
        SELECT 1 FROM job_edges AS edge JOIN jobs AS need ON need.id = edge.needs_id
        WHERE edge.job_id = job.id AND need.state <> 'done' AND NOT (edge.soft AND {_LOST_NEED})
        LIMIT 1) IS NULL"""

# An experiment that is not cancelled planned the job, or a job that is due needs it. Not as EXISTS, which
# PostgreSQL may answer by reading whole tables into a hash: this is asked of few jobs, by index.
_WANTED = """(
        (SELECT 1 FROM experiment_jobs AS link JOIN experiments AS experiment ON experiment.id = link.experiment_id
        WHERE link.job_id = {job}.id AND NOT experiment.cancelled LIMIT 1) IS NOT NULL
        OR (SELECT 1 FROM job_edges AS edge JOIN jobs AS dependent ON dependent.id = edge.job_id
        WHERE edge.needs_id = {job}.id AND dependent.state IN ('queued', 'running') LIMIT 1) IS NOT NULL)"""

_JSON = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
_QUEUED = "job.state = 'queued' AND job.available_ms <= (SELECT ms FROM moment)"
_LOST = "job.state = 'running' AND job.lease_expires_ms < (SELECT ms FROM moment)"


# What a claim makes of a job that it took, and whether its runner vanished.
_FATE = f"""CASE
            WHEN taken.state = 'queued' THEN 'running'
            WHEN NOT {_WANTED.format(job="taken")} THEN 'cancelled'
            WHEN taken.losses + 1 >= :max_losses THEN 'failed'
            ELSE 'running' END AS fate,
        CASE WHEN taken.state = 'queued' THEN 0 ELSE 1 END AS lost"""


# Read under the lock: what another runner did in the meantime counts.
_HEAD = "job.id, job.priority, job.bundle, job.state, job.losses"


@lru_cache(maxsize=64)
def claim(dialect: str, n_kinds: int, *, preferring: bool, bundled: bool, sharing: bool = False) -> TextualSelect:
    """One statement that finds the next job and its ready siblings and takes them.

    Bound: runner_id, lease_ms, max_losses, lost, kind_i and version_i for i < n_kinds;
    `limit` if bundled; `runners` and `least` if also sharing: then a runner takes one of `runners` parts of the
    siblings, but not fewer than `least` where there are so many; `model` if preferring. A lost job (its lease
    ran out) is taken over like a queued one and counted; at max_losses it becomes failed, and cancelled where
    nobody wants it: both come back too, with their state.

    PostgreSQL: runners skip the rows others hold, so none waits; a row that somebody took after this
    statement's snapshot is looked at again when it is locked, and fails the test on its state. The attempts
    are written by the same statement. SQLite runs it under the write lock, and NOTE_LOSSES and
    START_ATTEMPT after it.
    """
    lock = "FOR UPDATE OF job SKIP LOCKED" if dialect == "postgresql" else ""
    suitable = _suitable(n_kinds)
    # ix_jobs_claim yields queued jobs in this order, so the search ends at the first that may run.
    queued = f"""FROM jobs AS job
        WHERE {_QUEUED} AND {suitable} AND {_READY}
        {{more}}
        ORDER BY job.priority, job.id LIMIT 1"""
    if preferring:
        urgent = "AND job.model = :model AND job.priority = (SELECT priority FROM most_urgent)"
        heads = f"""most_urgent AS (SELECT job.priority {queued.format(more="")}),
    head AS (SELECT {_HEAD} {queued.format(more=urgent)} {lock})"""
    else:
        heads = f"""next_queued AS (
        SELECT {_HEAD} {queued.format(more="")} {lock}
    ),
    next_lost AS (
        SELECT {_HEAD} FROM jobs AS job
        WHERE {_LOST} AND {suitable} AND {_READY}
        ORDER BY job.priority, job.id LIMIT 1 {lock}
    ),
    head AS (
        SELECT * FROM (SELECT * FROM next_queued UNION ALL SELECT * FROM next_lost) AS candidate
        ORDER BY priority, id LIMIT 1
    )"""
    ready = f"(({_QUEUED}) OR ({_LOST})) AND {suitable} AND {_READY}"
    limit = ":limit"
    if sharing:
        # No more are counted than matter. Integers: rounded up.
        limit = f"""(SELECT CASE
            WHEN (n + :runners - 1) / :runners < :least THEN CASE WHEN :least < :limit THEN :least ELSE :limit END
            ELSE (n + :runners - 1) / :runners END
        FROM (SELECT COUNT(*) AS n FROM (SELECT 1 FROM jobs AS job
            WHERE job.bundle = (SELECT bundle FROM head) AND {ready} LIMIT :limit * :runners) AS sibling) AS counted)"""
    taken = (
        f"""SELECT job.id, job.state, job.losses FROM jobs AS job CROSS JOIN head
        WHERE job.bundle = head.bundle AND {ready}
        ORDER BY job.id <> head.id, job.id LIMIT {limit} {lock}"""
        if bundled
        else "SELECT id, state, losses FROM head"
    )
    search = f"""WITH moment AS (SELECT {NOW_MS[dialect]} AS ms),
    {heads},
    taken AS ({taken}),
    fated AS (SELECT taken.id, {_FATE} FROM taken)"""
    take = """UPDATE jobs SET
        state = fated.fate,
        attempt = attempt + CASE WHEN fated.fate = 'running' THEN 1 ELSE 0 END,
        losses = losses + fated.lost,
        error = CASE WHEN fated.lost = 1 THEN :lost ELSE error END,
        runner_id = CASE WHEN fated.fate = 'running' THEN CAST(:runner_id AS BIGINT) END,
        lease_expires_ms = CASE WHEN fated.fate = 'running' THEN (SELECT ms FROM moment) + :lease_ms END,
        finished_ms = CASE WHEN fated.fate <> 'running' THEN (SELECT ms FROM moment) END
    FROM fated WHERE jobs.id = fated.id
    RETURNING jobs.id, key, kind, version, attempt, model, payload, label, bundle, subject, state, losses"""
    if dialect == "postgresql":
        statement = f"""{search},
    claimed AS ({take}),
    ended AS (
        UPDATE job_attempts SET outcome = 'lost', finished_ms = (SELECT ms FROM moment)
        FROM claimed WHERE job_attempts.job_id = claimed.id AND outcome = 'running'
    ),
    started AS (
        INSERT INTO job_attempts (job_id, attempt, runner_id, started_ms, outcome)
        SELECT id, attempt, :runner_id, (SELECT ms FROM moment), 'running' FROM claimed WHERE state = 'running'
    )
    SELECT * FROM claimed"""
    else:
        statement = f"{search} {take}"
    columns: list[Any] = [Job.id, Job.key, Job.kind, Job.version, Job.attempt, Job.model, Job.payload, Job.label,
                          Job.bundle, Job.subject, Job.state, Job.losses]  # fmt: skip
    return text(statement).columns(*columns)


def _suitable(n_kinds: int) -> str:
    kinds = " OR ".join(f"(job.kind = :kind_{i} AND job.version = :version_{i})" for i in range(n_kinds))
    return f"({kinds})"


def kind_parameters(kinds: Mapping[str, int]) -> dict[str, Any]:
    """The bound values of `claim` and `has_work` for the kinds and versions a runner has."""
    names = {f"kind_{i}": kind for i, kind in enumerate(kinds)}
    return names | {f"version_{i}": version for i, version in enumerate(kinds.values())}


@lru_cache(maxsize=64)
def has_work(n_kinds: int) -> TextClause:
    """Whether a job that suits this runner is running somewhere, or queued and not stuck.

    Stuck: a need of it, near or far, failed or was cancelled (and is not soft), or is queued and suits no runner;
    `alone` says that there is no other. Bound as in `claim`, and `alone`.
    """
    suitable = _suitable(n_kinds)
    return text(f"""
    WITH RECURSIVE {dead_jobs()},
    stuck (id) AS (
        SELECT job.id FROM jobs AS job
        WHERE job.state = 'queued' AND :alone AND NOT {suitable} AND job.id NOT IN (SELECT id FROM dead)
        UNION
        SELECT edge.job_id FROM stuck JOIN job_edges AS edge ON edge.needs_id = stuck.id
        WHERE edge.job_id NOT IN (SELECT id FROM dead)
    )
    SELECT EXISTS (
        SELECT 1 FROM jobs AS job
        WHERE job.state IN ('queued', 'running') AND {suitable}
            AND job.id NOT IN (SELECT id FROM dead) AND job.id NOT IN (SELECT id FROM stuck))
    """)


# How an attempt ends: what becomes of its job.
_ENDS = {
    "done": "state = 'done', finished_ms = {now}, error = NULL",
    "failed": """
        state = CASE WHEN NOT :again THEN 'failed' WHEN {wanted} THEN 'queued' ELSE 'cancelled' END,
        failures = failures + 1, error = :error, available_ms = {now} + :pause_ms, finished_ms = {now}""",
    "released": "state = CASE WHEN {wanted} THEN 'queued' ELSE 'cancelled' END, available_ms = {now}",
}


# PostgreSQL: what finishing jobs lock together, so that nobody clears `dirty` between their look and their commit.
_PLANNED_BY = """SELECT experiment.id FROM experiments AS experiment JOIN experiment_jobs AS link
        ON link.experiment_id = experiment.id WHERE link.job_id = :job_id
        ORDER BY experiment.id FOR SHARE OF experiment"""


@lru_cache(maxsize=16)
def end(dialect: str, outcome: str) -> TextClause:
    """End an attempt that this runner still holds; no row comes back if it does not.

    Bound: job_id, attempt, runner_id; for `failed` also again, error and pause_ms. On PostgreSQL it writes
    the attempt too, with what `end_attempt` has bound.
    """
    changes = _ENDS[outcome].format(now=NOW_MS[dialect], wanted=_WANTED.format(job="job"))
    job = f"""UPDATE jobs AS job SET lease_expires_ms = NULL, {changes}
    WHERE job.id = :job_id AND attempt = :attempt AND runner_id = :runner_id AND state = 'running'
    RETURNING state"""
    if dialect == "sqlite":
        return text(job)
    shared = f", shared AS ({_PLANNED_BY})" if outcome == "done" else ""
    wait = "WHERE (SELECT COUNT(*) FROM shared) >= 0" if outcome == "done" else ""
    return text(f"""
    WITH ended AS ({job}),
    written AS ({_attempt(dialect)} AND EXISTS (SELECT 1 FROM ended)){shared}
    SELECT state FROM ended {wait}
    """).bindparams(bindparam("environment", type_=_JSON))


def end_attempt(dialect: str) -> TextClause:
    """Write an attempt's outcome. Bound: job_id, attempt, outcome, message, environment, batch_plan."""
    return text(_attempt(dialect)).bindparams(bindparam("environment", type_=_JSON))


def _attempt(dialect: str) -> str:
    return f"""UPDATE job_attempts SET
        outcome = :outcome, finished_ms = {NOW_MS[dialect]}, error = :message, environment = :environment,
        batch_plan = :batch_plan
    WHERE job_id = :job_id AND attempt = :attempt"""


NOTE_LOSSES = text(f"""
    UPDATE job_attempts SET outcome = 'lost', finished_ms = {NOW_MS["sqlite"]}
    WHERE job_id = :job_id AND outcome = 'running'
""")
START_ATTEMPT = text(f"""
    INSERT INTO job_attempts (job_id, attempt, runner_id, started_ms, outcome)
    VALUES (:job_id, :attempt, :runner_id, {NOW_MS["sqlite"]}, 'running')
""")
CANCEL_UNWANTED = text(
    f"UPDATE jobs AS job SET state = 'cancelled' WHERE state = 'queued' AND NOT {_WANTED.format(job='job')}"
)

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

# What went on without a job that is tried again, near or far, and what was made of that: it is queued once more, or
# cancelled where nobody wants it. So is what waits or runs, which looked at its needs before: a claim or a finish
# at the same moment then meets a changed row. Through hard edges only queued jobs pass the news on.
_REDO = f"""
    WITH RECURSIVE below (id, softly) AS (
        SELECT edge.job_id, edge.soft FROM job_edges AS edge JOIN jobs AS job ON job.id = edge.job_id
        WHERE edge.needs_id IN :ids AND (edge.soft OR job.state = 'queued')
        UNION
        SELECT edge.job_id, (edge.soft OR below.softly) FROM below JOIN job_edges AS edge ON edge.needs_id = below.id
            JOIN jobs AS job ON job.id = edge.job_id
        WHERE edge.soft OR below.softly OR job.state = 'queued'
    )
    UPDATE jobs AS job SET
        state = CASE WHEN {_WANTED.format(job="job")} THEN 'queued' ELSE 'cancelled' END,
        available_ms = CASE WHEN state = 'queued' AND available_ms > {{now}} THEN available_ms ELSE {{now}} END,
        finished_ms = NULL, runner_id = NULL, lease_expires_ms = NULL
    WHERE job.state IN ('queued', 'running', 'done') AND job.id IN (SELECT id FROM below WHERE softly)
    RETURNING id"""
_RELEASE_ATTEMPTS = """UPDATE job_attempts SET outcome = 'released', finished_ms = {now}
    WHERE outcome = 'running' AND job_id IN :ids"""


def redo(connection: Connection, ids: Sequence[int]) -> None:
    """Queue again whatever went on without the jobs `ids`, which are tried again. A runner of it loses its lease."""
    now = NOW_MS[connection.dialect.name]
    for statement in (_REDO, _RELEASE_ATTEMPTS):
        found = connection.execute(
            text(statement.format(now=now)).bindparams(bindparam("ids", expanding=True)), {"ids": list(ids)}
        )
        ids = list(found.scalars()) if found.returns_rows else []


# What a job needs and is not done, and whether it will not come. Bound: job.
OPEN_NEEDS = text(f"""
    SELECT need.id, need.kind, need.payload, {_LOST_NEED} AS lost
    FROM job_edges AS edge JOIN jobs AS need ON need.id = edge.needs_id
    WHERE edge.job_id = :job AND need.state <> 'done'
""").columns(Job.id, Job.kind, Job.payload, column("lost", Boolean()))


# A queued job is blocked when something it cannot do without, near or far, failed or was cancelled.
STATUS = text(f"""
    WITH RECURSIVE {dead_jobs()},
    shown AS (
        SELECT job.kind, CASE
            WHEN job.state = 'queued' AND job.id IN (SELECT id FROM dead) THEN 'blocked'
            ELSE job.state END AS state
        FROM jobs AS job
        WHERE :everything OR job.id IN (
            SELECT link.job_id FROM experiment_jobs AS link JOIN experiments AS experiment
            ON experiment.id = link.experiment_id
            WHERE experiment.name = :experiment)
    )
    SELECT kind, state, COUNT(*) AS n FROM shown GROUP BY kind, state
""")

# What these jobs, as far as they are not done, still need, near or far. Bound: keys.
UNFINISHED_NEEDS = text("""
    WITH RECURSIVE up (id) AS (
        SELECT edge.needs_id FROM jobs AS job JOIN job_edges AS edge ON edge.job_id = job.id
            JOIN jobs AS need ON need.id = edge.needs_id
        WHERE job.key IN :keys AND job.state <> 'done' AND need.state <> 'done'
        UNION
        SELECT edge.needs_id FROM up JOIN job_edges AS edge ON edge.job_id = up.id
            JOIN jobs AS need ON need.id = edge.needs_id
        WHERE need.state <> 'done'
    )
    SELECT job.key FROM up JOIN jobs AS job ON job.id = up.id ORDER BY job.id
""").bindparams(bindparam("keys", expanding=True))
