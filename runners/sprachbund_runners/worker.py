"""The claim loop: take a bundle, serve it in one pass, finish each job in its own fenced transaction."""

import errno
import logging
import os
import platform
import random
import signal
import socket
import threading
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from types import FrameType
from typing import Any

import torch
from sqlalchemy import Engine

from sprachbund.errors import DatabaseError, LeaseLost, SprachbundError
from sprachbund.files.artifacts import ArtifactStore
from sprachbund.files.eviction import give_up
from sprachbund.files.missing import missing
from sprachbund.queue import Claim, Queue
from sprachbund.vocabulary import Keep
from sprachbund.work.kinds import KINDS
from sprachbund_runners.jobs import Context, Evicted, NotReady, Progress
from sprachbund_runners.jobs.registry import JOBS

log = logging.getLogger("sprachbund.runner")

LEASE_MS = 120_000
BUNDLE = 256
SAME_MODEL_IN_A_ROW = 16
POLL_S = (0.5, 5.0)
# How long a busy runner lets files lie that nothing needs any more.
GIVE_UP_S = 600.0
# Activations of a small model's widest site then fit a core's cache; more tokens only wait for memory.
CPU_TOKENS = 1024
GPU_TOKENS = 32_768


@dataclass(frozen=True, slots=True)
class Options:
    """How a runner works. `max_jobs` ends it after that many; `watch` keeps it waiting for new work.

    `keep`: which files stay once all that needs them is done, of experiments that do not say so themselves.
    `max_tokens`: padded tokens per batch; by default what keeps a CPU's cache or a GPU's cores busy.
    """

    device: str = "cpu"
    max_tokens: int | None = None
    watch: bool = False
    max_jobs: int | None = None
    lease_ms: int = LEASE_MS
    bundle: int = BUNDLE
    keep: Keep = "results"
    name: str | None = None


@dataclass(slots=True)
class Tally:
    """What a runner did."""

    done: int = 0
    failed: int = 0
    lost: int = 0
    # Bytes of files given up.
    freed: int = 0
    errors: list[str] = field(default_factory=list)


def environment(device: str) -> dict[str, Any]:
    """What a result may depend on beside its key: library versions, device, machine. Kept with every attempt."""
    packages = ("sprachbund", "torch", "transformers", "tokenizers", "numpy")
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "device": device if device == "cpu" else torch.cuda.get_device_name(device),
        "threads": torch.get_num_threads(),
        **{name: version(name) for name in packages},
    }


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold the first SIGINT or SIGTERM back until the end; a second one comes through at once.

    For transactions of the queue: an exception in the middle of one would leave it open, and one between a
    claim and the line that notes it would leave the job without anybody to give it back. Does nothing
    outside the main thread, where no signal arrives.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    late: list[tuple[int, FrameType | None]] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, frame: FrameType | None) -> None:
        handler = handlers[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    def note(number: int, frame: FrameType | None) -> None:
        if late:
            handle(number, frame)
        late.append((number, frame))

    # A signal that is ignored or kills (no Python handler) stays as it is.
    caught = [number for number, handler in handlers.items() if callable(handler)]
    for number in caught:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number in caught:
            signal.signal(number, handlers[number])
    if late:
        handle(*late[0])


def hits_every_job(error: BaseException) -> bool:
    """Whether the next job would fail of this as well: the database is gone or locked, or the disk is full."""
    if isinstance(error, DatabaseError):
        return True
    reason = error if isinstance(error, OSError) else error.__context__
    return isinstance(reason, OSError) and reason.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class _Heart(threading.Thread):
    """Renews the leases of the jobs at hand from its own thread, at a quarter of the lease."""

    def __init__(self, queue: Queue, lease_ms: int) -> None:
        super().__init__(name="sprachbund-heartbeat", daemon=True)
        self._queue = queue
        self._interval = lease_ms / 4000
        self._lock = threading.Lock()
        self._held: dict[int, Claim] = {}
        self._over = threading.Event()

    def hold(self, claims: Sequence[Claim]) -> None:
        with self._lock:
            self._held.update({claim.job_id: claim for claim in claims})

    def drop(self, claim: Claim) -> None:
        with self._lock:
            self._held.pop(claim.job_id, None)

    def stop(self) -> None:
        self._over.set()
        self.join(timeout=5)

    def run(self) -> None:
        while not self._over.wait(self._interval):
            with self._lock:
                claims = list(self._held.values())
            if not claims:
                continue
            try:
                alive = self._queue.heartbeat(claims)
            except SprachbundError as error:
                # Unreachable for a while: the next beat may get through, and fencing guards the results.
                log.info("heartbeat failed: %s", error)
                continue
            for claim in claims:
                if claim.job_id not in alive:
                    log.info("lost the lease of job %s (%s)", claim.job_id, claim.label)
                    self.drop(claim)


class Worker:
    """One runner process on one device."""

    def __init__(self, engine: Engine, store: ArtifactStore, progress: Progress, options: Options) -> None:
        self.queue = Queue(engine)
        self.options = options
        max_tokens = options.max_tokens or (CPU_TOKENS if options.device == "cpu" else GPU_TOKENS)
        self.context = Context(engine, store, progress, options.device, max_tokens)
        self.tally = Tally()
        self._open: dict[int, Claim] = {}
        self._environment = environment(options.device)
        self._in_a_row = 0
        self._gave_up = time.monotonic()

    def run(self) -> Tally:
        """Serve bundles until the queue has none for this runner (or for ever, with `watch`).

        What ends it early (Ctrl-C, SIGTERM, a full disk) gives the jobs at hand back, uncounted, and goes on.

        Raises:
            DatabaseError: the database is gone or locked.
            ArtifactError: the disk is full. Other errors are recorded with their jobs.
        """
        self.context.store.sweep()
        runner_id = self.queue.register_runner(
            self.options.name or f"{socket.gethostname()}-{os.getpid()}",
            socket.gethostname(),
            os.getpid(),
            {"device": self.options.device, "kinds": {name: KINDS[name].version for name in JOBS}},
        )
        heart = _Heart(self.queue, self.options.lease_ms)
        heart.start()
        idle = POLL_S[0]
        try:
            while not self.context.stop.is_set() and not self._enough():
                with uninterrupted():
                    claims = self._claim(runner_id)
                    self._open = {claim.job_id: claim for claim in claims}
                    heart.hold(claims)
                if claims:
                    idle = POLL_S[0]
                    self._serve(claims, heart)
                    if time.monotonic() - self._gave_up >= GIVE_UP_S:
                        self._give_up()
                    continue
                if idle == POLL_S[0]:
                    self._give_up()
                if self.options.watch or self.queue.has_work_for(runner_id):
                    # Somebody else is working on what comes before, or new work may come: look again, jittered.
                    time.sleep(idle * random.uniform(0.5, 1.0))
                    idle = min(idle * 1.5, POLL_S[1])
                else:
                    break
        finally:
            with uninterrupted():
                heart.stop()
                self._leave(runner_id)
        return self.tally

    def _give_up(self) -> None:
        """Make room: files that nothing needs any more and that a pass makes again."""
        with uninterrupted():
            self.tally.freed += give_up(self.context.engine, self.context.store, self.options.keep)
        self._gave_up = time.monotonic()

    def _leave(self, runner_id: int) -> None:
        """Give back what is open, counting no failure, and sign off."""
        try:
            for claim in self._open.values():
                self.queue.release(claim)
            self.queue.stop_runner(runner_id)
        except DatabaseError as error:
            # Leases run out and silence is noticed by themselves; what stopped this runner matters more.
            log.info("could not sign off: %s", error)
        self._open = {}

    def _enough(self) -> bool:
        limit = self.options.max_jobs
        return limit is not None and self.tally.done + self.tally.failed >= limit

    def _claim(self, runner_id: int) -> list[Claim]:
        loaded = self.context.loaded_model
        limit = self.options.bundle
        if self.options.max_jobs is not None:
            limit = min(limit, self.options.max_jobs - self.tally.done - self.tally.failed)
        claims = self.queue.claim(
            runner_id,
            {name: KINDS[name].version for name in JOBS},
            limit=limit,
            runners=self.queue.runners_like(runner_id) if limit > 1 else 1,
            prefer_model=loaded if self._in_a_row < SAME_MODEL_IN_A_ROW else None,
            lease_ms=self.options.lease_ms,
        )
        if claims and claims[0].model is not None:
            self._in_a_row = self._in_a_row + 1 if claims[0].model == loaded else 0
        return claims

    def _serve(self, claims: Sequence[Claim], heart: _Heart) -> None:
        """Run a bundle. If one job spoils it, the rest run one by one: only what failed alone is to blame."""

        def settle(claim: Claim) -> None:
            del self._open[claim.job_id]
            heart.drop(claim)

        def give_back(jobs: Collection[int]) -> None:
            for claim in [claim for claim in self._open.values() if claim.job_id in jobs]:
                self.tally.lost += not self.queue.release(claim)
                settle(claim)

        batch = list(claims)

        def wait_for_files(made_by: int) -> None:
            """Give back those that lack a file, once all that lacks is queued; all, where that cannot be told."""
            held = list(self._open)
            found = missing(self.context.engine, self.context.store, held)
            self.queue.reopen(sorted({made_by, *found.makers}))
            give_back(found.jobs or held)

        while batch:
            self.context.progress.clear()
            rest = 1
            try:
                self._run(batch, settle)
                leftover = [claim for claim in batch if claim.job_id in self._open]
                if leftover:
                    raise RuntimeError(f"job kind {leftover[0].kind} gave no outcome for job {leftover[0].job_id}")
            except Evicted as error:
                wait_for_files(error.made_by)
                rest = len(self._open)
            except (LeaseLost, NotReady) as error:
                log.warning("%s", error)
                give_back(list(self._open))
            except Exception as error:
                if hits_every_job(error):
                    raise
                self._blame(batch, error, settle)
            batch = list(self._open.values())[:rest]

    def _run(self, claims: Sequence[Claim], settle: Callable[[Claim], None]) -> None:
        for outcome in JOBS[claims[0].kind](claims, self.context):
            self.context.check_stop()
            environment = self._environment
            if outcome.n_truncated:
                log.warning("%s: %d texts were cut to the model's limit", outcome.claim.label, outcome.n_truncated)
                environment = {**environment, "truncated_texts": outcome.n_truncated}
            with uninterrupted():
                with self.queue.finishing(
                    outcome.claim, environment=environment, batch_plan=outcome.batch_plan
                ) as connection:
                    outcome.write(connection)
                self.tally.done += 1
                settle(outcome.claim)

    def _blame(self, batch: Sequence[Claim], error: Exception, settle: Callable[[Claim], None]) -> None:
        """Charge a job that ran alone. Of several, even the last one left may suffer from the others."""
        left = [claim for claim in batch if claim.job_id in self._open]
        if len(batch) == 1 and left:
            self._fail(left[0], error, settle)
            return
        told = log.warning if not left else log.info
        told("%s and %d more: %s: %s", batch[0].label, len(batch) - 1, type(error).__name__, error)
        log.debug("%d jobs are left\n%s", len(left), traceback.format_exc())

    def _fail(self, claim: Claim, error: Exception, settle: Callable[[Claim], None]) -> None:
        expected = isinstance(error, SprachbundError)
        message = " ".join((str(error) if expected else f"{type(error).__name__}: {error}").split())
        if not expected:
            log.debug("job %s failed\n%s", claim.job_id, traceback.format_exc())
        with uninterrupted():
            try:
                # What a user has to mend fails at once; a crash may have been the machine's and is tried again.
                again = self.queue.fail(claim, message, retry=not expected)
            except LeaseLost as lost:
                log.warning("%s", lost)
                self.tally.lost += 1
            else:
                self._tell(claim, message, again)
            settle(claim)

    def _tell(self, claim: Claim, message: str, again: bool) -> None:
        told = f"job {claim.job_id} ({claim.label})"
        if again:
            log.warning("%s will be tried again: %s", told, message)
            return
        self.tally.failed += 1
        self.tally.errors.append(f"{told}: {message}")
        # One that watches never comes to the end where failures are summed up.
        log.log(logging.WARNING if self.options.watch else logging.INFO, "%s failed: %s", told, message)
