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
from sprachbund.queue.needs import FREED, LOST, SHARE_TURN, ask, turning

# An experiment that is not cancelled planned the job, or a job that is due needs it. Not as EXISTS, which
# PostgreSQL may answer by reading whole tables into a hash: this is asked of few jobs, by index.
_WANTED = """(
        (SELECT 1 FROM experiment_jobs AS link JOIN experiments AS experiment ON experiment.id = link.experiment_id
        WHERE link.job_id = {job}.id AND NOT experiment.cancelled LIMIT 1) IS NOT NULL
        OR (SELECT 1 FROM job_edges AS edge JOIN jobs AS dependent ON dependent.id = edge.job_id
        WHERE edge.needs_id = {job}.id AND dependent.state IN ('queued', 'running') LIMIT 1) IS NOT NULL)"""

_JSON = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
_QUEUED = "job.state = 'queued' AND job.available_ms <= (SELECT ms FROM moment)"
_EXPIRED = "job.state = 'running' AND job.lease_expires_ms < (SELECT ms FROM moment)"
# A job whose runner vanished once too often, or that nobody wants any more, is not taken over.
_DOOMED = f"(job.losses + 1 >= :max_losses OR NOT {_WANTED.format(job='job')})"
_LOST = f"{_EXPIRED} AND NOT {_DOOMED}"


def _by(dialect: str, index: str) -> str:
    """SQLite would rather keep an order, or follow what ANALYZE once found. It fails where the index is of no use."""
    return f"INDEXED BY {index}" if dialect == "sqlite" else ""


# A claim is not waited for until it lies on the disk: fencing guards against one that a crash of the server undoes, and
# a finish, which is waited for, takes the claims before it along.
_UNHURRIED = "set_config('synchronous_commit', 'off', true)"
# Read under the lock: what another runner did in the meantime counts.
_HEAD = "job.id, job.priority, job.bundle, job.state"


@lru_cache(maxsize=64)
def claim(dialect: str, n_kinds: int, *, preferring: bool, bundled: bool, sharing: bool = False) -> TextualSelect:
    """One statement that finds the next job and its ready siblings and takes them.

    Bound: runner_id, lease_ms, max_losses, lost, kind_i and version_i for i < n_kinds;
    `limit` if bundled; `runners` and `least` if also sharing: then a runner takes one of `runners` parts of the
    siblings, but not fewer than `least` where there are so many; `model` if preferring. A lost job (its lease
    ran out) is taken over like a queued one and counted, unless it is doomed (`DOOMED`).

    PostgreSQL: runners skip the rows others hold, so none waits; a row that somebody took after this
    statement's snapshot is looked at again when it is locked, and fails the test on its state. The attempts
    are written by the same statement. SQLite runs it under the write lock, and NOTE_LOSSES and
    START_ATTEMPT after it.
    """
    lock = "FOR UPDATE OF job SKIP LOCKED" if dialect == "postgresql" else ""
    suitable = _suitable(n_kinds)
    # ix_jobs_claim yields queued jobs in this order, so the search ends at the first that may run.
    queued = f"""FROM jobs AS job {_by(dialect, "ix_jobs_claim")}
        WHERE {_QUEUED} AND job.open_needs = 0 AND {suitable}
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
        WHERE {_LOST} AND job.open_needs = 0 AND {suitable}
        ORDER BY job.priority, job.id LIMIT 1 {lock}
    ),
    head AS (
        SELECT * FROM (SELECT * FROM next_queued UNION ALL SELECT * FROM next_lost) AS candidate
        ORDER BY priority, id LIMIT 1
    )"""
    ready = f"(({_QUEUED}) OR ({_LOST})) AND job.open_needs = 0 AND {suitable}"
    limit = ":limit"
    if sharing:
        # No more are counted than matter. Integers: rounded up.
        limit = f"""(SELECT CASE
            WHEN (n + :runners - 1) / :runners < :least THEN CASE WHEN :least < :limit THEN :least ELSE :limit END
            ELSE (n + :runners - 1) / :runners END
        FROM (SELECT COUNT(*) AS n FROM (SELECT 1 FROM jobs AS job
            WHERE job.bundle = (SELECT bundle FROM head) AND {ready} LIMIT :limit * :runners) AS sibling) AS counted)"""
    taken = (
        f"""SELECT job.id, job.state FROM head CROSS JOIN jobs AS job
        WHERE job.bundle = head.bundle AND {ready}
        ORDER BY job.id <> head.id, job.id LIMIT {limit} {lock}"""
        if bundled
        else "SELECT id, state FROM head"
    )
    moment = f"moment AS (SELECT {NOW_MS[dialect]} AS ms)"
    if dialect == "postgresql":
        moment = f"moment AS MATERIALIZED (SELECT {NOW_MS[dialect]} AS ms, {_UNHURRIED})"
    search = f"""WITH {moment},
    {heads},
    taken AS ({taken})"""
    take = """UPDATE jobs SET
        state = 'running',
        attempt = attempt + 1,
        losses = losses + CASE WHEN taken.state = 'running' THEN 1 ELSE 0 END,
        error = CASE WHEN taken.state = 'running' THEN :lost ELSE error END,
        runner_id = :runner_id,
        lease_expires_ms = (SELECT ms FROM moment) + :lease_ms,
        finished_ms = NULL
    FROM taken WHERE jobs.id = taken.id
    RETURNING jobs.id, key, kind, version, attempt, model, payload, label, bundle, subject, losses"""
    if dialect == "postgresql":
        statement = f"""{search},
    claimed AS ({take}),
    ended AS (
        UPDATE job_attempts SET outcome = 'lost', finished_ms = (SELECT ms FROM moment)
        FROM claimed WHERE job_attempts.job_id = claimed.id AND outcome = 'running'
    ),
    started AS (
        INSERT INTO job_attempts (job_id, attempt, runner_id, started_ms, outcome)
        SELECT id, attempt, :runner_id, (SELECT ms FROM moment), 'running' FROM claimed
    )
    SELECT * FROM claimed"""
    else:
        statement = f"{search} {take}"
    columns: list[Any] = [Job.id, Job.key, Job.kind, Job.version, Job.attempt, Job.model, Job.payload, Job.label,
                          Job.bundle, Job.subject, Job.losses]  # fmt: skip
    return text(statement).columns(*columns)


def _suitable(n_kinds: int) -> str:
    kinds = " OR ".join(f"(job.kind = :kind_{i} AND job.version = :version_{i})" for i in range(n_kinds))
    return f"({kinds})"


def kind_parameters(kinds: Mapping[str, int]) -> dict[str, Any]:
    """The bound values of `claim`, `in_sight` and `in_prospect` for the kinds and versions a runner has."""
    names = {f"kind_{i}": kind for i, kind in enumerate(kinds)}
    return names | {f"version_{i}": version for i, version in enumerate(kinds.values())}


# Jobs whose leases ran out and that nobody takes over. Bound: max_losses.
DOOMED = {
    dialect: text(f"""
    WITH moment AS (SELECT {now} AS ms)
    SELECT job.id FROM jobs AS job {_by(dialect, "ix_jobs_lease")} WHERE {_EXPIRED} AND {_DOOMED}
    """)
    for dialect, now in NOW_MS.items()
}
_BURY = f"""UPDATE jobs AS job SET
        state = CASE WHEN {_WANTED.format(job="job")} THEN 'failed' ELSE 'cancelled' END,
        losses = losses + 1, error = :lost, finished_ms = {{now}}, runner_id = NULL, lease_expires_ms = NULL
    WHERE id IN {{ids}} AND {_EXPIRED.replace("(SELECT ms FROM moment)", "{now}")} AND {_DOOMED}
    RETURNING id"""
_END_ATTEMPTS = """UPDATE job_attempts SET outcome = :outcome, finished_ms = {now}
    WHERE outcome = 'running' AND job_id IN {ids}"""


def bury(connection: Connection, ids: Sequence[int], lost: str, max_losses: int) -> int:
    """End doomed jobs; returns how many. One that was heard of, or is wanted again, meanwhile goes on."""
    with turning(connection, ids):
        ended = list(ask(connection, _BURY, ids, lost=lost, max_losses=max_losses).scalars())
    ask(connection, _END_ATTEMPTS, ended, outcome="lost")
    return len(ended)


@lru_cache(maxsize=64)
def in_sight(dialect: str, n_kinds: int) -> TextClause:
    """Whether a job that suits this runner is running somewhere, or queued and not waiting for any need. By index.

    Bound as in `claim`.
    """
    suitable = _suitable(n_kinds)
    return text(f"""
    SELECT EXISTS (
            SELECT 1 FROM jobs AS job {_by(dialect, "ix_jobs_claim")}
            WHERE job.state = 'queued' AND job.open_needs = 0 AND {suitable})
        OR EXISTS (SELECT 1 FROM jobs AS job WHERE job.state = 'running' AND {suitable})
    """)


@lru_cache(maxsize=64)
def in_prospect(n_kinds: int) -> TextClause:
    """Whether any job may move, and one is queued that suits this runner and is not dead. Bound as in `claim`."""
    return text(f"""
    WITH RECURSIVE {dead_jobs()}
    SELECT EXISTS (
            SELECT 1 FROM jobs AS job WHERE job.state = 'running' OR (job.state = 'queued' AND job.open_needs = 0))
        AND EXISTS (
            SELECT 1 FROM jobs AS job
            WHERE job.state = 'queued' AND {_suitable(n_kinds)} AND job.id NOT IN (SELECT id FROM dead))
    """)


# How an attempt ends: what becomes of its job.
_ENDS = {
    "done": "state = 'done', finished_ms = {now}, error = NULL",
    "failed": """
        state = CASE WHEN NOT :again THEN 'failed' WHEN {wanted} THEN 'queued' ELSE 'cancelled' END,
        failures = failures + 1, error = :error, available_ms = {now} + :pause_ms, finished_ms = {now}""",
    "released": "state = CASE WHEN {wanted} THEN 'queued' ELSE 'cancelled' END, available_ms = {now}",
}


# PostgreSQL: what finishing jobs lock together, once no turn is on: nobody clears `dirty` between their look and their
# commit.
_PLANNED_BY = """SELECT experiment.id FROM turn CROSS JOIN experiments AS experiment
            JOIN experiment_jobs AS link ON link.experiment_id = experiment.id
        WHERE link.job_id = :job_id
        ORDER BY experiment.id FOR SHARE OF experiment"""


@lru_cache(maxsize=16)
def end(dialect: str, outcome: str) -> TextClause:
    """End an attempt that this runner still holds; no row comes back if it does not.

    Bound: job_id, attempt, runner_id; for `failed` also again, error and pause_ms. On PostgreSQL it writes
    the attempt too, with what `end_attempt` has bound.
    """
    changes = _ENDS[outcome].format(now=NOW_MS[dialect], wanted=_WANTED.format(job="job"))
    finishes = dialect == "postgresql" and outcome == "done"
    job = f"""UPDATE jobs AS job SET lease_expires_ms = NULL, {changes} {"FROM turn" if finishes else ""}
    WHERE job.id = :job_id AND attempt = :attempt AND runner_id = :runner_id AND state = 'running'
    RETURNING state"""
    if dialect == "sqlite":
        return text(job)
    turn = f"{SHARE_TURN}, shared AS ({_PLANNED_BY})," if finishes else ""
    wait = "WHERE (SELECT COUNT(*) FROM shared) >= 0" if finishes else ""
    return text(f"""
    WITH {turn} ended AS ({job}),
    written AS ({_attempt(dialect)} AND EXISTS (SELECT 1 FROM ended))
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
UNWANTED = text(f"SELECT id FROM jobs AS job WHERE state = 'queued' AND NOT {_WANTED.format(job='job')}")

# What a finish does last, since others wait from here on. PostgreSQL also frees the job's dependents.
# In this order, so that two that finish at once never wait in a circle.
CLEAN_RUNS = {
    dialect: text(f"""
    {before}
    SELECT run.experiment_id, run.setting_id FROM experiment_jobs AS link JOIN mlflow_runs AS run
        ON run.experiment_id = link.experiment_id
    WHERE link.job_id = :job_id AND NOT run.dirty ORDER BY run.experiment_id, run.setting_id {lock}
    """)
    for dialect, before, lock in (("sqlite", "", ""), ("postgresql", f"WITH {FREED}", "FOR UPDATE OF run"))
}
MARK_RUN = text("UPDATE mlflow_runs SET dirty = true WHERE experiment_id = :experiment_id AND setting_id = :setting_id")

# What goes on without a job that is tried again, near or far, and what is made of that. Through hard edges only queued
# jobs pass the news on.
_WITHOUT = """
    WITH RECURSIVE below (id, softly) AS (
        SELECT edge.job_id, edge.soft FROM job_edges AS edge JOIN jobs AS job ON job.id = edge.job_id
        WHERE edge.needs_id IN {ids} AND (edge.soft OR job.state = 'queued')
        UNION
        SELECT edge.job_id, (edge.soft OR below.softly) FROM below JOIN job_edges AS edge ON edge.needs_id = below.id
            JOIN jobs AS job ON job.id = edge.job_id
        WHERE edge.soft OR below.softly OR job.state = 'queued'
    )
    SELECT id FROM below WHERE softly"""
# Also what waits or runs, which looked at its needs before: a claim at the same moment then meets a changed row.
_REDONE = f"""
    SELECT job.id, {_WANTED.format(job="job")} AS wanted FROM jobs AS job
    WHERE job.state IN ('queued', 'running', 'done') AND job.id IN {{ids}}"""
_REDO = """
    UPDATE jobs SET
        available_ms = CASE WHEN state = 'queued' AND available_ms > {now} THEN available_ms ELSE {now} END,
        state = :state, finished_ms = NULL, runner_id = NULL, lease_expires_ms = NULL
    WHERE id IN {ids}"""


def gone_on_without(connection: Connection, ids: Sequence[int]) -> list[int]:
    """Jobs that went on without the jobs `ids`, or would, near or far, in whatever state."""
    return list(ask(connection, _WITHOUT, ids).scalars())


def redo(connection: Connection, ids: Sequence[int]) -> None:
    """Queue once more those of `ids` that did not fail, or cancel what nobody wants; to be called in `turning`.

    A runner of one loses its lease.
    """
    found: dict[bool, list[int]] = {True: [], False: []}
    for number, wanted in ask(connection, _REDONE, ids):
        found[bool(wanted)].append(number)
    ask(connection, _REDO, found[True], state="queued")
    ask(connection, _REDO, found[False], state="cancelled")
    ask(connection, _END_ATTEMPTS, [*found[True], *found[False]], outcome="released")


# What a job needs and is not done, and whether it will not come. Bound: job.
OPEN_NEEDS = text(f"""
    SELECT need.id, need.kind, need.payload, {LOST} AS lost
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
