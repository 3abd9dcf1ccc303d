"""Jobs to test the queue with, and a look at their rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, update

from sprachbund.db.engine import now_ms, reading, writing
from sprachbund.db.tables import Experiment, ExperimentJob, Job, JobAttempt
from sprachbund.queue import Queue, insert_jobs

KINDS = {"count": 1}


@dataclass(slots=True)
class Desk:
    """A queue with one runner, and what is in its tables."""

    engine: Engine
    queue: Queue
    runner: int
    ids: dict[str, int] = field(default_factory=dict)

    @staticmethod
    def job(key: str, **values: Any) -> dict[str, Any]:
        """A row for `insert_jobs`; every job is a bundle of its own unless told."""
        row = {
            "key": key, "kind": "count", "version": 1, "subject": f"of {key}", "bundle": f"bundle of {key}",
            "model": None, "payload": {"key": key, "layers": ["0", "final"]}, "label": f"job {key}", "priority": 10,
        }  # fmt: skip
        return row | values

    def add(
        self,
        *jobs: dict[str, Any],
        edges: Sequence[tuple[str, str]] = (),
        soft: Sequence[tuple[str, str]] = (),
        experiment: str = "study",
    ) -> dict[str, int]:
        """Queue jobs and link them to an experiment, which is made if need be."""
        with writing(self.engine) as connection:
            found = connection.scalar(select(Experiment.id).where(Experiment.name == experiment))
            if found is None:
                row = {"revision": 1, "spec": {}, "cancelled": False, "audit": {}}
                added = insert(Experiment).values(name=experiment, submitted_ms=0, **row).returning(Experiment.id)
                found = connection.scalar(added)
            ids = insert_jobs(connection, jobs, edges, soft)
            for job_id in ids.values():
                connection.execute(insert(ExperimentJob).values(experiment_id=found, job_id=job_id))
        self.ids |= ids
        return ids

    def claim(self, limit: int = 1, runner: int | None = None, **options: Any) -> list[str]:
        """Claim, and give the keys alone."""
        return [claim.key for claim in self.take(limit, runner, **options)]

    def take(self, limit: int = 1, runner: int | None = None, **options: Any) -> list[Any]:
        """Claim."""
        kinds = options.pop("kinds", KINDS)
        return self.queue.claim(self.runner if runner is None else runner, kinds, limit=limit, **options)

    def another(self, **capabilities: Any) -> int:
        """One more runner."""
        return self.queue.register_runner("other", "host", 2, {"kinds": KINDS, **capabilities})

    def expire(self) -> None:
        """Let every lease run out."""
        with writing(self.engine) as connection:
            connection.execute(
                update(Job).where(Job.state == "running").values(lease_expires_ms=now_ms(connection) - 1)
            )

    def end_pauses(self) -> None:
        """Let every pause before a retry end."""
        with writing(self.engine) as connection:
            connection.execute(update(Job).values(available_ms=0))

    def states(self) -> dict[str, str]:
        """State by key."""
        with reading(self.engine) as connection:
            rows = connection.execute(select(Job.key, Job.state).order_by(Job.id))
            return {row.key: row.state for row in rows}

    def row(self, key: str) -> Any:
        """One job's row."""
        with reading(self.engine) as connection:
            return connection.execute(select(Job.__table__).where(Job.key == key)).one()

    def attempts(self, key: str) -> list[Any]:
        """One job's attempts, oldest first."""
        with reading(self.engine) as connection:
            chosen = select(JobAttempt.__table__).join(Job, Job.id == JobAttempt.job_id).where(Job.key == key)
            return list(connection.execute(chosen.order_by(JobAttempt.attempt)))

    def finish(self, claim: Any) -> None:
        """Finish a claim without results."""
        with self.queue.finishing(claim):
            pass


@pytest.fixture
def desk(engine: Engine) -> Desk:
    queue = Queue(engine)
    return Desk(engine, queue, queue.register_runner("first", "host", 1, {"kinds": KINDS}))
