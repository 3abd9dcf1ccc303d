"""The queue against a model of it in a few dictionaries, driven by hypothesis, on both engines."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, Engine, delete, insert, select, update

from sprachbund.db.engine import writing
from sprachbund.db.tables import Experiment, ExperimentJob, Job, JobAttempt, JobEdge, Runner
from sprachbund.errors import LeaseLost
from sprachbund.queue import Queue, insert_jobs, reopen_wanted

MAX_LOSSES, MAX_FAILURES = 2, 2
N_JOBS, MOST_JOBS, MOST_ADDED = 6, 9, 3
NAMES = ("one", "two")
indices = st.integers(0, MOST_JOBS + MOST_ADDED - 1)
early = st.integers(0, N_JOBS - 1)
# Priority, bundle, kind and needs of a job: so many places before it, softly or not.
additions = st.tuples(
    st.integers(0, 1), st.integers(0, 1), st.sampled_from("ab"),
    st.dictionaries(st.integers(1, 4), st.booleans(), max_size=3),
)  # fmt: skip


@dataclass(slots=True)
class Expected:
    """One job as the model sees it."""

    number: int
    priority: int
    bundle: int
    kind: str
    needs: frozenset[int]
    soft: frozenset[int]
    state: str = "queued"
    paused: bool = False
    expired: bool = False
    attempt: int = 0
    runner: int | None = None
    failures: int = 0
    losses: int = 0
    outcomes: list[str] = field(default_factory=list)


class Machine(RuleBasedStateMachine):
    """Rules do the same to the queue and to the model; the invariant compares every row."""

    engine: Engine

    def __init__(self) -> None:
        super().__init__()
        with writing(self.engine) as connection:
            for table in (JobAttempt, JobEdge, ExperimentJob, Experiment, Job, Runner):
                connection.execute(delete(table))
        self.queue = Queue(self.engine, max_losses=MAX_LOSSES, max_failures=MAX_FAILURES)
        self.jobs: dict[int, Expected] = {}
        self.claims: list[tuple[int, Any]] = []
        self.cancelled = {"one": False, "two": False}
        self.planned: dict[str, set[int]] = {"one": set(), "two": set()}
        self.experiments: dict[str, int] = {}
        self.ids: dict[str, int] = {}

    @initialize(
        priorities=st.lists(st.integers(0, 1), min_size=N_JOBS, max_size=N_JOBS),
        bundles=st.lists(st.integers(0, 1), min_size=N_JOBS, max_size=N_JOBS),
        kinds=st.lists(st.sampled_from("ab"), min_size=N_JOBS, max_size=N_JOBS),
        edges=st.dictionaries(
            st.tuples(early, early).filter(lambda edge: edge[0] > edge[1]), st.booleans(), max_size=7
        ),
        two=st.sets(early),
    )
    def submit(self, priorities: list[int], bundles: list[int], kinds: list[str], edges: Any, two: set[int]) -> None:
        self.runners = [self.queue.register_runner(f"r{i}", "h", i, {"kinds": {"a": 1, "b": 1}}) for i in range(2)]
        with writing(self.engine) as connection:
            for name in self.planned:
                row = {"revision": 1, "spec": {}, "submitted_ms": 0, "cancelled": False, "audit": {}}
                added = insert(Experiment).values(name=name, **row).returning(Experiment.id)
                self.experiments[name] = connection.scalar(added) or 0
            jobs = [Expected(i, priorities[i], bundles[i], kinds[i], *self.needs_of(i, edges)) for i in range(N_JOBS)]
            self.insert(connection, jobs, {"one": set(range(N_JOBS)), "two": two})

    @staticmethod
    def needs_of(i: int, edges: Mapping[tuple[int, int], bool]) -> tuple[frozenset[int], frozenset[int]]:
        hard, soft = (
            frozenset(needed for (job, needed), lenient in edges.items() if job == i and lenient is which)
            for which in (False, True)
        )
        return hard, soft

    def insert(self, connection: Connection, jobs: list[Expected], planned: Mapping[str, set[int]]) -> None:
        rows = [
            {
                "key": str(job.number), "kind": job.kind, "version": 1, "subject": "s",
                "bundle": f"{job.kind}{job.bundle}", "model": None, "payload": {}, "label": "",
                "priority": job.priority,
            }
            for job in jobs
        ]  # fmt: skip
        hard, soft = (
            [(str(job.number), str(needed)) for job in jobs for needed in sorted(of(job))]
            for of in (lambda job: job.needs, lambda job: job.soft)
        )
        self.ids |= insert_jobs(connection, rows, hard, soft)
        for name, numbers in planned.items():
            self.planned[name] |= numbers
            for i in numbers:
                link = {"experiment_id": self.experiments[name], "job_id": self.ids[str(i)]}
                connection.execute(insert(ExperimentJob).values(**link))
        self.jobs |= {job.number: job for job in jobs if job.number not in self.jobs}

    @precondition(lambda self: len(self.jobs) < MOST_JOBS)
    @rule(
        drawn=st.lists(additions, min_size=1, max_size=MOST_ADDED), name=st.sampled_from(NAMES),
        again=st.sets(indices, max_size=3),
    )  # fmt: skip
    def add(self, drawn: list[tuple[int, int, str, dict[int, bool]]], name: str, again: set[int]) -> None:
        """One submission: jobs that need each other and older ones, whatever has become of them; then some of those."""
        first = len(self.jobs)
        edges = {
            (i, i - back): lenient
            for i, (*_, needs) in enumerate(drawn, first)
            for back, lenient in needs.items()
            if back <= i
        }
        jobs = [Expected(i, *values, *self.needs_of(i, edges)) for i, (*values, _) in enumerate(drawn, first)]
        ended = {i for i in again & self.jobs.keys() if self.jobs[i].state in ("failed", "cancelled")}
        with writing(self.engine) as connection:
            self.insert(connection, jobs, {name: {job.number for job in jobs}})
            assert reopen_wanted(connection, [str(i) for i in again]) == len(ended)
        for i in ended:
            self.reopened(self.jobs[i])
        self.redo(ended)

    @rule(i=indices)
    def submit_again(self, i: int) -> None:
        if i not in self.jobs:
            return
        job = self.jobs[i]
        with writing(self.engine) as connection:
            self.insert(connection, [job], {})
        if job.state in ("failed", "cancelled"):
            self.reopened(job)
            self.redo({i})

    def open_needs(self, job: Expected) -> int:
        hard = [needed for needed in job.needs if self.jobs[needed].state != "done"]
        soft = [needed for needed in job.soft if self.jobs[needed].state != "done" and not self.dead(needed)]
        return len(hard) + len(soft)

    def doomed(self, job: Expected) -> bool:
        return job.state == "running" and job.expired and (job.losses + 1 >= MAX_LOSSES or not self.wanted(job))

    def ready(self, job: Expected) -> bool:
        due = (job.state == "queued" and not job.paused) or (job.state == "running" and job.expired)
        return due and not self.doomed(job) and self.open_needs(job) == 0

    def candidates(self, kinds: str) -> list[Expected]:
        ready = (job for job in self.jobs.values() if self.ready(job) and job.kind in kinds)
        return sorted(ready, key=lambda job: (job.priority, job.number))

    def dead(self, i: int) -> bool:
        """Whether a job will not be done unless somebody tries again."""
        job = self.jobs[i]
        return job.state in ("failed", "cancelled") or (
            job.state == "queued" and any(self.dead(needed) for needed in job.needs)
        )

    def wanted(self, job: Expected) -> bool:
        return any(job.number in planned and not self.cancelled[name] for name, planned in self.planned.items()) or any(
            job.number in other.needs | other.soft and other.state in ("queued", "running")
            for other in self.jobs.values()
        )

    @rule(runner=st.integers(0, 1), limit=st.integers(1, 3), kinds=st.sampled_from(["a", "b", "ab"]))
    def claim(self, runner: int, limit: int, kinds: str) -> None:
        found = self.queue.claim(self.runners[runner], dict.fromkeys(kinds, 1), limit=limit)
        # What nobody takes over is ended where there is nothing else to claim.
        while not (candidates := self.candidates(kinds)) and (doomed := [*filter(self.doomed, self.jobs.values())]):
            states = ["failed" if self.wanted(job) else "cancelled" for job in doomed]
            for job, state in zip(doomed, states, strict=True):
                job.state, job.expired, job.outcomes[-1] = state, False, "lost"
                job.losses += 1
        expected = []
        if candidates:
            head, *others = candidates
            siblings = [job for job in others if (job.kind, job.bundle) == (head.kind, head.bundle)]
            expected = [head, *sorted(siblings, key=lambda job: job.number)][:limit]
        for job in expected:
            if job.state == "running":
                job.losses += 1
                job.outcomes[-1] = "lost"
            job.state, job.expired, job.runner = "running", False, runner
            job.attempt += 1
            job.outcomes.append("running")
        assert [int(claim.key) for claim in found] == sorted(job.number for job in expected)
        assert [claim.attempt for claim in found] == [self.jobs[int(claim.key)].attempt for claim in found]
        self.claims += [(runner, claim) for claim in found]

    def holds(self, runner: int, claim: Any) -> bool:
        job = self.jobs[int(claim.key)]
        return job.state == "running" and job.attempt == claim.attempt and job.runner == runner

    def pick(self, data: st.DataObject) -> tuple[Expected, Any, bool]:
        runner, claim = data.draw(st.sampled_from(self.claims))
        return self.jobs[int(claim.key)], claim, self.holds(runner, claim)

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        job, claim, held = self.pick(data)
        if held:
            with self.queue.finishing(claim):
                pass
            job.state, job.expired, job.outcomes[-1] = "done", False, "done"
        else:
            with pytest.raises(LeaseLost), self.queue.finishing(claim):
                pass

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), retry=st.booleans())
    def fail(self, data: st.DataObject, retry: bool) -> None:
        job, claim, held = self.pick(data)
        if not held:
            with pytest.raises(LeaseLost):
                self.queue.fail(claim, "broken", retry=retry)
            return
        again = self.queue.fail(claim, "broken", retry=retry)
        job.failures += 1
        job.outcomes[-1], job.expired = "failed", False
        if retry and job.failures < MAX_FAILURES:
            job.state, job.paused = ("queued", True) if self.wanted(job) else ("cancelled", True)
        else:
            job.state = "failed"
        assert again is (job.state == "queued")

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        job, claim, held = self.pick(data)
        assert self.queue.release(claim) is held
        if held:
            job.outcomes[-1], job.expired, job.paused = "released", False, False
            job.state = "queued" if self.wanted(job) else "cancelled"

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def heartbeat(self, data: st.DataObject) -> None:
        job, claim, held = self.pick(data)
        assert self.queue.heartbeat([claim]) == ({claim.job_id} if held else set())
        # An older claim of the runner that holds the job now renews its lease too; fencing is unharmed.
        if job.state == "running" and self.runners[job.runner or 0] == claim.runner_id:
            job.expired = False

    @rule(i=indices)
    def expire(self, i: int) -> None:
        if i not in self.jobs:
            return
        with writing(self.engine) as connection:
            chosen = update(Job).where(Job.id == self.ids[str(i)], Job.state == "running")
            connection.execute(chosen.values(lease_expires_ms=0))
        self.jobs[i].expired = self.jobs[i].state == "running"

    @rule()
    def end_pauses(self) -> None:
        with writing(self.engine) as connection:
            connection.execute(update(Job).values(available_ms=0))
        for job in self.jobs.values():
            job.paused = False

    @rule(name=st.sampled_from(NAMES))
    def cancel(self, name: str) -> None:
        count = self.queue.cancel_experiment(name)
        self.cancelled[name] = True
        total = 0
        while unwanted := [job for job in self.jobs.values() if job.state == "queued" and not self.wanted(job)]:
            total += len(unwanted)
            for job in unwanted:
                job.state = "cancelled"
        assert count == total

    @rule(name=st.sampled_from(NAMES))
    def retry(self, name: str) -> None:
        count = self.queue.retry(name)
        self.cancelled[name] = False
        again = [self.jobs[i] for i in self.planned[name] if self.jobs[i].state in ("failed", "cancelled")]
        assert count == len(again)
        for job in again:
            self.reopened(job)
        self.redo({job.number for job in again})

    def redo(self, again: set[int]) -> None:
        """What went on, or would, without jobs that are tried again looks at its needs once more."""
        without: set[int] = set()
        waiting = set(again)
        for _ in self.jobs:
            for job in self.jobs.values():
                if job.soft & (waiting | without) or (job.needs | job.soft) & without:
                    without.add(job.number)
                elif job.needs & waiting and job.state == "queued":
                    waiting.add(job.number)
        redone = [self.jobs[i] for i in without if self.jobs[i].state in ("queued", "running", "done")]
        states = {job.number: "queued" if self.wanted(job) else "cancelled" for job in redone}
        for job in redone:
            if job.state == "running":
                job.outcomes[-1], job.expired = "released", False
            job.paused = job.paused and job.state == "queued"
            job.state = states[job.number]

    @rule(i=indices)
    def reopen(self, i: int) -> None:
        if i not in self.jobs:
            return
        done = self.jobs[i].state == "done"
        assert self.queue.reopen([self.ids[str(i)]]) == done
        if done:
            self.reopened(self.jobs[i])

    @staticmethod
    def reopened(job: Expected) -> None:
        job.state, job.paused, job.failures, job.losses = "queued", False, 0, 0

    @invariant()
    def rows_are_as_expected(self) -> None:
        if not self.jobs:
            return
        with writing(self.engine) as connection:
            rows = {int(row.key): row for row in connection.execute(select(Job.__table__))}
            outcomes: dict[int, list[str]] = {i: [] for i in self.jobs}
            keys = {job_id: int(key) for key, job_id in self.ids.items()}
            for row in connection.execute(select(JobAttempt.__table__).order_by(JobAttempt.attempt)):
                outcomes[keys[row.job_id]].append(row.outcome)
        for i, job in self.jobs.items():
            found = (rows[i].state, rows[i].attempt, rows[i].failures, rows[i].losses, rows[i].open_needs)
            expected = (job.state, job.attempt, job.failures, job.losses, self.open_needs(job))
            assert found == expected, f"job {i}"
            assert outcomes[i] == job.outcomes, f"job {i}"
            if job.state == "running":
                assert rows[i].runner_id == self.runners[job.runner or 0]
            else:
                assert rows[i].lease_expires_ms is None

    @invariant()
    def nothing_waits_for_what_will_not_come(self) -> None:
        """Whoever has work waits for a job that can still run: claims, or pauses that end, lead on."""
        if not self.jobs:
            return
        open_jobs = [job for i, job in self.jobs.items() if job.state in ("queued", "running") and not self.dead(i)]
        assert self.queue.has_work_for(self.runners[0]) is bool(open_jobs)
        ended = [job for job in open_jobs if job.state == "running" or self.ready(replace(job, paused=False))]
        assert bool(ended) is bool(open_jobs)

    @invariant()
    def status_adds_up(self) -> None:
        expected: dict[str, int] = {}
        for i, job in self.jobs.items():
            state = "blocked" if job.state == "queued" and self.dead(i) else job.state
            expected[state] = expected.get(state, 0) + 1
        assert self.queue.counts() == expected


@pytest.fixture
def machine(engine: Engine) -> Iterator[Callable[[], Machine]]:
    Machine.engine = engine
    yield Machine
    del Machine.engine


def test_queue_behaves_as_its_model(machine: Callable[[], Machine], engine_name: str) -> None:
    examples = 40 if engine_name == "sqlite" else 15
    relaxed = settings(max_examples=examples, stateful_step_count=25, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(machine, settings=relaxed)
