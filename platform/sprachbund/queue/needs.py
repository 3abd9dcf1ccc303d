"""Open needs: of each job, how many of its needs are neither done nor, where they are soft, lost.

`jobs.open_needs` is that number, so that ready jobs are found by an index. A state changes in one of three ways:

- A job is *claimed*. It was ready, and so not lost; nobody's number changes.
- A job is *finished* (`finished`): it was running, so it was open to all that need it, and now to none.
- A *turn*: everything else, and inserting. Finishes share the lock that a turn holds alone (`lock_turns`), so that it
  sees each of them whole or not at all, and nobody else writes numbers meanwhile. SQLite's writers are alone anyway.
"""
# ruff: noqa: S608 - the texts are put together of fixed parts; every value is bound

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Engine, TextClause, text

from sprachbund.db.engine import NOW_MS, writing
from sprachbund.db.rows import LISTED, listed

_LOCK = 0x5B_10B  # advisory lock of PostgreSQL
# For a finish, before it locks any row. A CTE that is joined to what it must precede.
SHARE_TURN = f"turn AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared({_LOCK}))"

_STATE = "(SELECT state FROM jobs WHERE jobs.id = up.needs_id)"
# A need that will not come: it ended otherwise, or waits for one that did. Upwards from it, by index: few steps.
LOST = f"""(need.state IN ('failed', 'cancelled') OR (need.state = 'queued' AND (
            WITH RECURSIVE above (id, state) AS (
                SELECT up.needs_id, {_STATE} FROM job_edges AS up WHERE up.job_id = need.id AND NOT up.soft
                UNION
                SELECT up.needs_id, {_STATE} FROM above JOIN job_edges AS up ON up.job_id = above.id
                WHERE above.state = 'queued' AND NOT up.soft)
            SELECT 1 FROM above WHERE state IN ('failed', 'cancelled') LIMIT 1) IS NOT NULL))"""

# What may be lost or come back when the state of :ids changes, as far as anybody goes on without it. Only queued jobs
# pass it on, and none on the way can be claimed before: what it needs is not done.
_REGION = """
    WITH RECURSIVE below (id) AS (
        SELECT id FROM jobs WHERE id IN {ids}
        UNION
        SELECT edge.job_id FROM below JOIN job_edges AS edge ON edge.needs_id = below.id
            JOIN jobs AS job ON job.id = edge.job_id
        WHERE NOT edge.soft AND job.state = 'queued'
    )
    SELECT below.id FROM below
    WHERE (SELECT 1 FROM job_edges AS edge WHERE edge.needs_id = below.id AND edge.soft LIMIT 1) IS NOT NULL"""
# Whatever of :ids, and of what needs them, a heartbeat may lock meanwhile: what runs, or may be claimed just now.
_LOCK_ROWS = """
    SELECT id FROM jobs
    WHERE (state = 'running' OR (state = 'queued' AND open_needs = 0))
        AND id IN (SELECT * FROM {ids} AS chosen UNION SELECT job_id FROM job_edges WHERE needs_id IN {ids})
    ORDER BY id FOR NO KEY UPDATE"""
_LOST_TO = f"""
    WITH lost (id) AS (SELECT need.id FROM jobs AS need WHERE need.id IN {{ids}} AND {LOST})
    SELECT edge.job_id, COUNT(*) FROM lost JOIN job_edges AS edge ON edge.needs_id = lost.id
    WHERE edge.soft GROUP BY edge.job_id"""
_DONE = "SELECT id FROM jobs WHERE id IN {ids} AND state = 'done'"
_NEEDED_BY = "SELECT job_id, COUNT(*) FROM job_edges WHERE needs_id IN {ids} GROUP BY job_id"
_SHIFT = text("UPDATE jobs SET open_needs = open_needs + :n WHERE id = :id")

# In the order of ids, which is that of needs: no two finishes wait for each other in a circle.
FREED = """dependent AS (
        SELECT job.id FROM job_edges AS edge JOIN jobs AS job ON job.id = edge.job_id
        WHERE edge.needs_id = :job_id ORDER BY job.id FOR NO KEY UPDATE OF job
    ),
    freed AS (UPDATE jobs SET open_needs = open_needs - 1 FROM dependent WHERE jobs.id = dependent.id)"""
FREE = text("""
    UPDATE jobs SET open_needs = open_needs - 1
    WHERE id IN (SELECT job_id FROM job_edges WHERE needs_id = :job_id)
""")


def lock_turns(connection: Connection) -> None:
    """Let no other turn or finish in until this transaction ends; to be called before any row is locked.

    Two submissions would otherwise both plan what neither sees yet.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


@contextmanager
def turn(engine: Engine) -> Iterator[Connection]:
    """As `writing`: a transaction that is a turn."""
    with writing(engine) as connection:
        lock_turns(connection)
        yield connection


@contextmanager
def turning(connection: Connection, ids: Collection[int]) -> Iterator[None]:
    """A change of the states of jobs `ids` in a turn: numbers are right afterwards. None of them becomes done.

    What it changes is locked first, in the order of ids, which is that of heartbeats. What changes together in one
    transaction belongs into one `turning`.
    """
    region = list(ask(connection, _REGION, ids).scalars())
    if connection.dialect.name == "postgresql":
        ask(connection, _LOCK_ROWS, {*ids, *region})
    done = list(ask(connection, _DONE, ids).scalars())
    before = _counted(connection, _LOST_TO, region)
    yield
    # First: what needs them cannot be claimed any more when the lost are counted again.
    _shift(connection, _counted(connection, _NEEDED_BY, done))
    after = _counted(connection, _LOST_TO, region)
    before.subtract(after)
    _shift(connection, before)


def open_among(connection: Connection, keys: Sequence[str]) -> dict[str, tuple[int, bool, bool]]:
    """By key of the jobs there are: id, whether it is open to what needs it, and to what needs it softly."""
    rows = connection.execute(_open_among(connection.dialect.name), {"keys": listed(connection, keys)})
    return {key: (number, bool(hard), bool(soft)) for key, number, hard, soft in rows}


@lru_cache(maxsize=4)
def _open_among(dialect: str) -> TextClause:
    return text(f"""
        SELECT need.key, need.id, need.state <> 'done', NOT (need.state = 'done' OR {LOST})
        FROM jobs AS need WHERE need.key IN {LISTED[dialect].format(name="keys", type="TEXT")}""")


@lru_cache(maxsize=32)
def _of_ids(dialect: str, statement: str) -> TextClause:
    return text(statement.format(ids=LISTED[dialect].format(name="ids", type="BIGINT"), now=NOW_MS[dialect]))


def ask(connection: Connection, statement: str, ids: Collection[int], **values: Any) -> Any:
    """Execute a text in which `{ids}` stands for these and `{now}` for the clock."""
    return connection.execute(_of_ids(connection.dialect.name, statement), {"ids": listed(connection, ids), **values})


def _counted(connection: Connection, statement: str, ids: Collection[int]) -> Counter[int]:
    return Counter(dict(ask(connection, statement, ids).all())) if ids else Counter()


def _shift(connection: Connection, by: Counter[int]) -> None:
    changed = [{"id": number, "n": n} for number, n in sorted(by.items()) if n]
    if changed:
        connection.execute(_SHIFT, changed)
