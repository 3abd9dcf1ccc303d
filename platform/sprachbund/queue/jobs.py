"""Claiming, renewing, finishing, failing and giving back jobs; cancelling, retrying and counting them."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import Connection, Engine, insert, not_, select, update

from sprachbund.db.engine import now_ms, reading, single, writing
from sprachbund.db.names import find_experiment
from sprachbund.db.rows import one_of
from sprachbund.db.tables import Experiment, ExperimentJob, Job, Runner
from sprachbund.errors import LeaseLost
from sprachbund.queue import statements
from sprachbund.queue.enqueue import cancel_unwanted, reopen, reopen_ended
from sprachbund.queue.needs import FREE, turn, turning
from sprachbund.work.kinds import read_payload
from sprachbund.work.payloads.base import Payload

P = TypeVar("P", bound=Payload)

LOST = "its runner vanished: the lease ran out without a heartbeat"
# Retries wait twice as long each time, up to this.
BACKOFF_MAX_MS = 300_000
# A runner that was not seen for so many of its leases has stopped.
STALE_LEASES = 3
# A runner that was not heard of for so long is taken for dead where nobody cleaned up after it.
SILENT_MS = 360_000
# Where runners share a bundle, none takes fewer jobs than this at once: siblings are cheaper together.
LEAST_SHARE = 4


@dataclass(frozen=True)
class Claim(Generic[P]):
    """A job that a runner holds. Claims are equal if job, attempt and runner are."""

    job_id: int
    attempt: int
    runner_id: int
    lease_ms: int = field(compare=False)
    key: str = field(compare=False)
    kind: str = field(compare=False)
    version: int = field(compare=False)
    model: str | None = field(compare=False)
    stored: Mapping[str, Any] = field(compare=False, repr=False)
    label: str = field(compare=False)
    bundle: str = field(compare=False)
    subject: str = field(compare=False)

    @cached_property
    def payload(self) -> P:
        """What the job is asked; DatabaseError where another version planned it."""
        return cast(P, read_payload(self.kind, self.stored, f"'{self.label}'"))


class Queue:
    """The jobs of one database, seen by runners and by the people who wait for them.

    max_losses: how often a job's runner may vanish before the job is given up (it may be what kills them).
    max_failures: how often a job that raised is run in all. backoff_ms: how long the first retry waits.
    Every method is one transaction and raises DatabaseError if the database is gone or locked.
    """

    def __init__(self, engine: Engine, *, max_losses: int = 3, max_failures: int = 3, backoff_ms: int = 5_000) -> None:
        self._engine = engine
        self._max_losses = max_losses
        self._max_failures = max_failures
        self._backoff_ms = backoff_ms
        self._touched: dict[int, float] = {}

    def register_runner(self, name: str, host: str, pid: int, capabilities: Mapping[str, Any]) -> int:
        """Make a runner known; returns its id. capabilities: `kinds` (name to version), `device` and others."""
        with writing(self._engine) as connection:
            now = now_ms(connection)
            row = {"name": name, "host": host, "pid": pid, "capabilities": dict(capabilities)}
            added = insert(Runner).values(**row, state="alive", started_ms=now, seen_ms=now).returning(Runner.id)
            return int(connection.execute(added).scalar_one())

    def stop_runner(self, runner_id: int) -> None:
        """Say that a runner has ended. Jobs it still holds are taken over when their leases run out."""
        with writing(self._engine) as connection:
            connection.execute(
                update(Runner).where(Runner.id == runner_id).values(state="stopped", seen_ms=now_ms(connection))
            )

    def claim(
        self,
        runner_id: int,
        kinds: Mapping[str, int],
        *,
        limit: int = 1,
        runners: int = 1,
        prefer_model: str | None = None,
        lease_ms: int = 120_000,
    ) -> list[Claim[Any]]:
        """Take the next job and up to `limit` - 1 of its ready siblings (same bundle); [] if there is none.

        With several `runners` at work a claim is one of so many parts of what is left of the bundle (but
        LEAST_SHARE jobs, where there are): parts shrink towards the end, so that all end at about the same time.

        Next is the smallest priority, then a job of `prefer_model` (callers bound how often in a row they
        ask for it), then the oldest. kinds: name to version of what the runner implements.
        """
        if not kinds or limit < 1:
            return []
        values = statements.kind_parameters(kinds) | {
            "runner_id": runner_id,
            "lease_ms": lease_ms,
            "max_losses": self._max_losses,
            "lost": LOST,
        }
        if limit > 1:
            values["limit"] = limit
            if runners > 1:
                values |= {"runners": runners, "least": LEAST_SHARE}
        self._touch(runner_id, lease_ms)
        while True:
            with single(self._engine) as connection:
                found = self._take(connection, values | {"model": prefer_model}, len(kinds)) if prefer_model else []
                found = found or self._take(connection, values, len(kinds))
                doomed = [] if found else self._doomed(connection)
            if not doomed:
                return found
            # Others may go on without them.
            with turn(self._engine) as connection:
                statements.bury(connection, doomed, LOST, self._max_losses)

    def alive(self) -> list[dict[str, Any]]:
        """Name, host and process id of the runners at work, in the order in which they began."""
        with reading(self._engine) as connection:
            rows = connection.execute(
                select(Runner.name, Runner.host, Runner.pid).where(_alive(connection)).order_by(Runner.id)
            )
            return [dict(row._mapping) for row in rows]

    def runners_like(self, runner_id: int) -> int:
        """How many runners are alive that may claim what this one may, itself included."""
        with reading(self._engine) as connection:
            rows = connection.execute(
                select(Runner.id, Runner.capabilities).where(_alive(connection) | (Runner.id == runner_id))
            ).all()
        can = {row.id: row.capabilities.get("kinds") for row in rows}
        return sum(each == can[runner_id] for each in can.values())

    def heartbeat(self, claims: Sequence[Claim[Any]]) -> set[int]:
        """Renew the leases of one runner's claims; returns the ids of the jobs it still holds."""
        if not claims:
            return set()
        first = claims[0]
        attempts = {claim.job_id: claim.attempt for claim in claims}
        self._touch(first.runner_id, first.lease_ms)
        with writing(self._engine) as connection:
            now = now_ms(connection)
            held_by = select(Job.id).where(
                Job.id.in_(attempts), Job.runner_id == first.runner_id, Job.state == "running"
            )
            # In the order in which finishes and turns lock rows.
            ordered = held_by.order_by(Job.id).with_for_update(key_share=True)
            held = connection.execute(
                update(Job)
                .where(Job.id.in_(ordered))
                .values(lease_expires_ms=now + first.lease_ms)
                .returning(Job.id, Job.attempt)
            ).all()
        return {job_id for job_id, attempt in held if attempts[job_id] == attempt}

    @contextmanager
    def finishing(
        self, claim: Claim[Any], *, environment: Mapping[str, Any] | None = None, batch_plan: str | None = None
    ) -> Iterator[Connection]:
        """The one transaction that stores a job's results and marks it done.

        Yields the connection to insert the rows with; an exception inside undoes everything and leaves the
        job running. environment: library versions, device, machine; batch_plan: a digest of the batches.

        Raises:
            LeaseLost: somebody else took the job over; nothing is written.
        """
        with writing(self._engine) as connection:
            # First, so that this row is locked against a takeover for the rest of the transaction.
            self._end(
                connection, claim, "done", environment=None if environment is None else dict(environment),
                batch_plan=batch_plan,
            )  # fmt: skip
            yield connection
            _tell(connection, claim.job_id)

    def fail(self, claim: Claim[Any], error: str, *, retry: bool) -> bool:
        """Record a failure; returns whether the job will be tried again.

        With `retry` it is queued again after a pause, unless it failed `max_failures` times or nobody wants
        it any more.

        Raises:
            LeaseLost: somebody else took the job over; nothing is written.
        """
        with turn(self._engine) as connection, turning(connection, [claim.job_id]):
            failed = connection.execute(select(Job.failures).where(Job.id == claim.job_id)).scalar_one()
            pause = min(self._backoff_ms * 2**failed, BACKOFF_MAX_MS)
            again = retry and failed + 1 < self._max_failures
            return self._end(connection, claim, "failed", error=error, again=again, pause_ms=pause) == "queued"

    def release(self, claim: Claim[Any]) -> bool:
        """Give a job back unfinished, counting no failure; False if the lease was lost before."""
        try:
            with turn(self._engine) as connection, turning(connection, [claim.job_id]):
                self._end(connection, claim, "released")
        except LeaseLost:
            return False
        return True

    def cancel_experiment(self, name: str) -> int:
        """Detach an experiment; returns how many queued jobs nobody else wants and so are cancelled.

        Running jobs finish; results stay.

        Raises:
            QueryError: there is no such experiment.
        """
        with turn(self._engine) as connection:
            self._set_cancelled(connection, name, True)
            return cancel_unwanted(connection)

    def retry(self, name: str | None = None) -> int:
        """Queue failed and cancelled jobs again, and what went on without them; returns how many the former are.

        Of one experiment, which is wanted again if it was cancelled; or of all that are not cancelled.

        Raises:
            QueryError: there is no such experiment.
        """
        with turn(self._engine) as connection:
            if name is not None:
                self._set_cancelled(connection, name, False)
            planned = select(ExperimentJob.job_id).join(Experiment, Experiment.id == ExperimentJob.experiment_id)
            chosen = planned.where(not_(Experiment.cancelled) if name is None else Experiment.name == name)
            return reopen_ended(connection, Job.id.in_(chosen))

    def reopen(self, job_ids: Sequence[int]) -> int:
        """Queue finished jobs again, because a file they made was evicted; returns how many."""
        with turn(self._engine) as connection:
            done = select(Job.id).where(one_of(connection, Job.id, job_ids), Job.state == "done")
            ids = list(connection.execute(done).scalars())
            reopen(connection, ids)
        return len(ids)

    def status(self, experiment: str | None = None) -> dict[str, dict[str, int]]:
        """How many jobs of each kind are in each state, of one experiment or of all.

        Beside the states of jobs there is `blocked`: queued, but a need that it cannot do without, near or far,
        failed or was cancelled. `queued` counts the others.
        """
        table: dict[str, dict[str, int]] = {}
        values = {"everything": experiment is None, "experiment": experiment}
        with reading(self._engine) as connection:
            for kind, state, n in connection.execute(statements.STATUS, values):
                table.setdefault(kind, {})[state] = n
        return {kind: dict(sorted(table[kind].items())) for kind in sorted(table)}

    def counts(self, experiment: str | None = None) -> dict[str, int]:
        """As `status`, over all kinds."""
        total: Counter[str] = Counter()
        for states in self.status(experiment).values():
            total.update(states)
        return dict(total)

    def _doomed(self, connection: Connection) -> list[int]:
        statement = statements.DOOMED[connection.dialect.name]
        return list(connection.execute(statement, {"max_losses": self._max_losses}).scalars())

    def has_work_for(self, runner_id: int) -> bool:
        """Whether jobs for this runner may still come: worth waiting for, although `claim` found none.

        By the capabilities it registered. True while others run what suits it (they may vanish), and while
        queued jobs wait for a pause to end or for needs that can still be met.
        """
        with reading(self._engine) as connection:
            row = connection.execute(select(Runner.capabilities).where(Runner.id == runner_id)).scalar_one()
            kinds: dict[str, int] = dict(row.get("kinds", {}))
            if not kinds:
                return False
            values = statements.kind_parameters(kinds)
            if connection.execute(statements.in_sight(connection.dialect.name, len(kinds)), values).scalar_one():
                return True
            # What waits comes when others run what it waits for. Where there are none, nothing moves any more.
            others = select(Runner.id).where(Runner.state == "alive", Runner.id != runner_id).limit(1)
            if connection.execute(others).first() is None:
                return False
            return bool(connection.execute(statements.in_prospect(len(kinds)), values).scalar_one())

    def _take(self, connection: Connection, values: dict[str, Any], n_kinds: int) -> list[Claim[Any]]:
        statement = statements.claim(
            connection.dialect.name,
            n_kinds,
            preferring="model" in values,
            bundled="limit" in values,
            sharing="runners" in values,
        )
        rows = connection.execute(statement, values).all()
        claims: list[Claim[Any]] = [
            Claim(
                job_id=row.id, attempt=row.attempt, runner_id=values["runner_id"], lease_ms=values["lease_ms"],
                key=row.key, kind=row.kind, version=row.version, model=row.model, stored=row.payload,
                label=row.label, bundle=row.bundle, subject=row.subject,
            )
            for row in sorted(rows, key=lambda row: row.id)
        ]  # fmt: skip
        if claims and connection.dialect.name == "sqlite":
            lost = [{"job_id": row.id} for row in rows if row.losses]
            if lost:
                connection.execute(statements.NOTE_LOSSES, lost)
            connection.execute(statements.START_ATTEMPT, [_attempt_of(claim) for claim in claims])
        return claims

    @staticmethod
    def _end(
        connection: Connection,
        claim: Claim[Any],
        outcome: str,
        *,
        error: str | None = None,
        environment: dict[str, Any] | None = None,
        batch_plan: str | None = None,
        **values: Any,
    ) -> str:
        """End an attempt, if it is still this runner's; returns the job's new state."""
        dialect = connection.dialect.name
        record = {"outcome": outcome, "message": error, "environment": environment, "batch_plan": batch_plan}
        values |= _attempt_of(claim)
        if outcome == "failed":
            values["error"] = error
        if dialect == "postgresql":
            values |= record
        state = connection.execute(statements.end(dialect, outcome), values).scalar_one_or_none()
        if state is None:
            raise LeaseLost(f"job {claim.job_id} ({claim.label}): the lease of attempt {claim.attempt} was lost")
        if dialect == "sqlite":
            connection.execute(statements.end_attempt(dialect), _attempt_of(claim) | record)
        return str(state)

    def _touch(self, runner_id: int, lease_ms: int) -> None:
        """Now and then note that a runner lives, and that others have not been seen for long."""
        if time.monotonic() - self._touched.get(runner_id, float("-inf")) < lease_ms / 4000:
            return
        with writing(self._engine) as connection:
            now = now_ms(connection)
            connection.execute(update(Runner).where(Runner.id == runner_id).values(seen_ms=now, state="alive"))
            connection.execute(
                update(Runner)
                .where(Runner.state == "alive", Runner.seen_ms < now - STALE_LEASES * lease_ms)
                .values(state="stopped")
            )
        self._touched[runner_id] = time.monotonic()

    @staticmethod
    def _set_cancelled(connection: Connection, name: str, cancelled: bool) -> None:
        experiment_id = find_experiment(connection, name)
        connection.execute(update(Experiment).where(Experiment.id == experiment_id).values(cancelled=cancelled))


def _alive(connection: Connection) -> Any:
    return (Runner.state == "alive") & (Runner.seen_ms >= now_ms(connection) - SILENT_MS)


def _attempt_of(claim: Claim[Any]) -> dict[str, int]:
    return {"job_id": claim.job_id, "attempt": claim.attempt, "runner_id": claim.runner_id}


def _tell(connection: Connection, job_id: int) -> None:
    """What needs this job has one open need less, and the MLflow runs of every experiment that planned it are behind.

    Whoever clears `dirty` locks the experiment's row FOR UPDATE first (finishing jobs share it on PostgreSQL),
    commits, and reads what to mirror afterwards.
    """
    dialect = connection.dialect.name
    if dialect == "sqlite":
        connection.execute(FREE, {"job_id": job_id})
    rows = connection.execute(statements.CLEAN_RUNS[dialect], {"job_id": job_id}).mappings().all()
    if rows:
        connection.execute(statements.MARK_RUN, [dict(row) for row in rows])
