"""What a submission does to the queue, inside its own transaction: insert, reopen, cancel."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select, text, update

from sprachbund.db.engine import now_ms
from sprachbund.db.rows import chunks, insert_many, one_of
from sprachbund.db.tables import Job, JobEdge
from sprachbund.queue import statements
from sprachbund.queue.needs import lock_turns, open_among, turning

# Rows at a time: payloads as JSON take more room than anything else of a plan.
AT_ONCE = 4_000


def insert_jobs(
    connection: Connection,
    rows: Iterable[Mapping[str, Any]],
    edges: Iterable[tuple[str, str]],
    soft: Iterable[tuple[str, str]] = (),
) -> dict[str, int]:
    """Queue jobs and what they need; returns the id of every key in `rows`.

    rows: columns key, kind, version, subject, bundle, model, payload, label and priority; needs come first. edges:
    (key of a job, key of one it needs); a needed job may be an older one. soft: edges of jobs that wait for a need,
    but go on without it where it failed. A key that exists already keeps its row and its needs, and is reopened if it
    failed or was cancelled.

    Raises:
        ValueError: an edge is of no job in `rows`, or of one that does not come after its need.
    """
    lock_turns(connection)
    needs: dict[str, dict[str, bool]] = {}
    for lenient, (job, needed) in chain(((False, edge) for edge in edges), ((True, edge) for edge in soft)):
        needs.setdefault(job, {}).setdefault(needed, lenient)
    insertion = _Insertion(connection, needs)
    for chunk in chunks(rows, AT_ONCE):
        insertion.add({row["key"]: row for row in chunk})
    if needs:
        raise ValueError(f"an edge is of job {next(iter(needs))}, which is not inserted")
    return insertion.ids


@dataclass(slots=True)
class _Insertion:
    """Jobs on their way in. needs: of those that did not come yet; softly or not. new: ids of those that were added.

    lost: new jobs that needed a lost one when they came. A later job may bring it back, so they are looked up again.
    """

    connection: Connection
    needs: dict[str, dict[str, bool]]
    ids: dict[str, int] = field(default_factory=dict)
    new: dict[str, int] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)

    def add(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Rows by key, with their edges."""
        reopen_wanted(self.connection, list(rows))
        needs = {key: self.needs.pop(key, {}) for key in rows}
        named = {*rows, *chain.from_iterable(needs.values())}
        older = open_among(self.connection, sorted(named - (self.new.keys() - self.lost)))
        added = [key for key in rows if key not in older]
        self.new.update(zip(added, _next_ids(self.connection, len(added)), strict=True))
        self.ids.update((key, self.new[key] if key in self.new else older[key][0]) for key in rows)
        edges = [edge for key in added for edge in self._edges(key, needs[key], older)]
        n_open = Counter(job for job, _, _, is_open in edges if is_open)
        now = self.connection.scalar(select(now_ms(self.connection)))
        fresh = {
            "state": "queued", "available_ms": now, "created_ms": now, "attempt": 0, "failures": 0, "losses": 0,
        }  # fmt: skip
        of = self.new
        jobs = ({**fresh, **rows[key], "id": of[key], "open_needs": n_open[of[key]]} for key in added)
        insert_many(self.connection, Job, jobs)
        values = ({"job_id": job, "needs_id": needed, "soft": lenient} for job, needed, lenient, _ in edges)
        insert_many(self.connection, JobEdge, values)

    def _edges(
        self, job: str, needs: Mapping[str, bool], older: Mapping[str, tuple[int, bool, bool]]
    ) -> Iterator[tuple[int, int, bool, bool]]:
        """Ids of job and need, whether the edge is soft, and whether it is open."""
        number = self.new[job]
        for needed, lenient in needs.items():
            other, hard, soft = older.get(needed) or (self.new.get(needed, number), True, needed not in self.lost)
            if other >= number:
                raise ValueError(f"job {job} needs job {needed}, which does not exist or does not come before it")
            if hard and not lenient and not soft:
                self.lost.add(job)
            yield number, other, lenient, soft if lenient else hard


def _next_ids(connection: Connection, n: int) -> list[int]:
    """Of jobs to be inserted in this order. Nobody else inserts any until this transaction ends."""
    if connection.dialect.name == "postgresql":
        drawn = text("SELECT nextval(pg_get_serial_sequence('jobs', 'id')) FROM generate_series(1, :n)")
        return sorted(connection.execute(drawn, {"n": n}).scalars())
    last = connection.scalar(select(func.coalesce(func.max(Job.id), 0)))
    return [int(last or 0) + 1 + i for i in range(n)]


def reopen_wanted(connection: Connection, keys: Sequence[str]) -> int:
    """Queue those of `keys` again that failed or were cancelled, as if never tried; returns how many."""
    return reopen_ended(connection, one_of(connection, Job.key, keys))


def reopen_ended(connection: Connection, chosen: ColumnElement[bool]) -> int:
    """Queue the `chosen` jobs again that failed or were cancelled, and what went on without them; returns how many.

    What went on without them (a comparison) and what was made of that (a choice) is not counted.
    """
    lock_turns(connection)
    ended = select(Job.id).where(chosen, Job.state.in_(("failed", "cancelled")))
    ids = list(connection.execute(ended).scalars())
    if ids:
        without = statements.gone_on_without(connection, ids)
        with turning(connection, {*ids, *without}):
            _queue_again(connection, ids)
            statements.redo(connection, without)
    return len(ids)


def reopen(connection: Connection, ids: Sequence[int]) -> None:
    """Queue jobs that ended again, with clean counters."""
    with turning(connection, ids):
        _queue_again(connection, ids)


def _queue_again(connection: Connection, ids: Sequence[int]) -> None:
    connection.execute(
        update(Job)
        .where(one_of(connection, Job.id, ids))
        .values(
            state="queued", available_ms=now_ms(connection), failures=0, losses=0, error=None, finished_ms=None,
            runner_id=None, lease_expires_ms=None,
        )
    )  # fmt: skip


def unfinished_needs(connection: Connection, keys: Sequence[str]) -> list[str]:
    """Keys of what these jobs, as far as they are not done, still need, near or far."""
    found: dict[str, None] = {}
    for chunk in chunks(keys):
        found |= dict.fromkeys(connection.execute(statements.UNFINISHED_NEEDS, {"keys": chunk}).scalars())
    return list(found)


def cancel_unwanted(connection: Connection) -> int:
    """Cancel queued jobs that no experiment wants any more; returns how many. Running ones finish."""
    lock_turns(connection)
    total = 0
    # Cancelling a job frees those that only it needed: as many rounds as the graph is deep.
    while ids := list(connection.execute(statements.UNWANTED).scalars()):
        with turning(connection, ids):
            cancelled = update(Job).where(one_of(connection, Job.id, ids), Job.state == "queued")
            total += connection.execute(cancelled.values(state="cancelled")).rowcount
    return total
