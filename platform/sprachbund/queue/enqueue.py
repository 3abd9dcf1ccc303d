"""What a submission does to the queue, inside its own transaction: insert, reopen, cancel."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from sqlalchemy import ColumnElement, Connection, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from sprachbund.db.engine import now_ms
from sprachbund.db.rows import chunks
from sprachbund.db.tables import Job, JobEdge
from sprachbund.queue import statements

_LOCK = 0x5B_10B  # advisory lock of PostgreSQL


def lock_submissions(connection: Connection) -> None:
    """Let no other submission in until this transaction ends (on SQLite every writer is alone already).

    Two submissions that insert the same rows in different order would wait for each other.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def insert_jobs(
    connection: Connection,
    rows: Iterable[Mapping[str, Any]],
    edges: Iterable[tuple[str, str]],
    soft: Iterable[tuple[str, str]] = (),
) -> dict[str, int]:
    """Queue jobs and what they need; returns the id of every key in `rows`.

    rows: columns key, kind, version, subject, bundle, model, payload, label and priority. edges: (key of a job, key
    of one it needs); a needed job may be an older one. soft: edges of jobs that wait for a need, but go on without it
    where it failed. A key that exists already keeps its row, and is reopened if it failed or was cancelled.

    Raises:
        ValueError: an edge names a key that is neither in `rows` nor in the database.
    """
    lock_submissions(connection)
    build = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    now = connection.scalar(select(now_ms(connection)))
    fresh = {
        "state": "queued", "available_ms": now, "created_ms": now,
        "attempt": 0, "failures": 0, "losses": 0,
    }  # fmt: skip
    keys: list[str] = []
    for some in chunks(rows):
        keys += [row["key"] for row in some]
        values = [{**fresh, **row} for row in some]
        connection.execute(build(Job).on_conflict_do_nothing(index_elements=["key"]), values)
    reopen_wanted(connection, keys)
    ids = _ids(connection, keys)
    every = chain(((*edge, False) for edge in edges), ((*edge, True) for edge in soft))
    for links in chunks(every):
        older = sorted({key for *pair, _ in links for key in pair if key not in ids})
        ids |= _ids(connection, older)
        missing = [key for key in older if key not in ids]
        if missing:
            raise ValueError(f"an edge names job {missing[0]}, which does not exist")
        values = [{"job_id": ids[job], "needs_id": ids[needed], "soft": lenient} for job, needed, lenient in links]
        connection.execute(build(JobEdge).on_conflict_do_nothing(), values)
    return {key: ids[key] for key in keys}


def reopen_wanted(connection: Connection, keys: Sequence[str]) -> int:
    """Queue those of `keys` again that failed or were cancelled, as if never tried; returns how many."""
    return sum(reopen_ended(connection, Job.key.in_(chunk)) for chunk in chunks(keys))


def reopen_ended(connection: Connection, chosen: ColumnElement[bool]) -> int:
    """Queue the `chosen` jobs again that failed or were cancelled, and what went on without them; returns how many.

    What went on without them (a comparison) and what was made of that (a choice) is not counted.
    """
    again = reopened(connection).where(chosen, Job.state.in_(("failed", "cancelled"))).returning(Job.id)
    ids = list(connection.execute(again).scalars())
    for chunk in chunks(ids):
        statements.redo(connection, chunk)
    return len(ids)


def unfinished_needs(connection: Connection, keys: Sequence[str]) -> list[str]:
    """Keys of what these jobs, as far as they are not done, still need, near or far."""
    found: dict[str, None] = {}
    for chunk in chunks(keys):
        found |= dict.fromkeys(connection.execute(statements.UNFINISHED_NEEDS, {"keys": chunk}).scalars())
    return list(found)


def cancel_unwanted(connection: Connection) -> int:
    """Cancel queued jobs that no experiment wants any more; returns how many. Running ones finish."""
    total = 0
    # Cancelling a job frees those that only it needed: as many rounds as the graph is deep.
    while found := connection.execute(statements.CANCEL_UNWANTED).rowcount:
        total += found
    return total


def reopened(connection: Connection) -> Any:
    """UPDATE jobs to queued with clean counters; the caller says which."""
    return update(Job).values(
        state="queued", available_ms=now_ms(connection), failures=0, losses=0, error=None, finished_ms=None,
        runner_id=None, lease_expires_ms=None,
    )  # fmt: skip


def _ids(connection: Connection, keys: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for chunk in chunks(keys):
        rows = connection.execute(select(Job.key, Job.id).where(Job.key.in_(chunk)))
        found.update((key, job_id) for key, job_id in rows)
    return found
