"""Runners that are killed or stalled in the middle of their work, and those that take it over or share it."""

import os
import signal
import time
from collections import Counter
from typing import Any

from sqlalchemy import func, select

from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.queue.jobs import LEAST_SHARE
from sprachbund.work.kinds import KINDS
from sprachbund.workspace import Workspace
from sprachbund_runners.jobs.registry import JOBS
from support.engines import sqlite_only
from support.finished import Undisturbed, check_finished, outcomes, running, unfinished
from support.runners import LEASE_MS, Start


def test_a_killed_runner_is_replaced(space: Workspace, start: Start, small: Any, undisturbed: Undisturbed) -> None:
    space.submit(small)
    # The third look is the second pair's: one of the bundle is done, the others are claimed.
    victim = start("--lease-ms", str(LEASE_MS), pause="pair_evaluation", nth=3)
    victim.wait_until_paused()
    held = running(space)
    assert held > 1
    victim.kill(signal.SIGKILL)
    assert victim.end() == -signal.SIGKILL
    assert running(space) == held
    tally = space.run(lease_ms=LEASE_MS)
    assert (tally.failed, tally.lost) == (0, 0)
    check_finished(space, undisturbed(small))
    assert outcomes(space)["lost"] == held


@sqlite_only
def test_killed_while_writing_a_file(space: Workspace, start: Start, small: Any, undisturbed: Undisturbed) -> None:
    space.submit(small)
    victim = start("--lease-ms", str(LEASE_MS), pause="snapshot", point="flush", nth=3)
    victim.wait_until_paused()
    victim.kill(signal.SIGKILL)
    victim.end()
    (left,) = unfinished(space)
    space.run(lease_ms=LEASE_MS)
    check_finished(space, undisturbed(small))
    # What a kill leaves lies where only unfinished files lie, and goes when nobody can be writing to it any more.
    assert unfinished(space) == [left]
    os.utime(left, (time.time() - 100_000,) * 2)
    space.run()
    assert unfinished(space) == []


def test_a_stalled_runner_writes_nothing_late(
    space: Workspace, start: Start, small: Any, undisturbed: Undisturbed
) -> None:
    space.submit(small)
    stalled = start("--lease-ms", str(LEASE_MS), pause="snapshot", nth=2)
    stalled.wait_until_paused()
    held = running(space)
    stalled.kill(signal.SIGSTOP)
    tally = space.run(lease_ms=LEASE_MS)
    assert tally.failed == 0
    expected = undisturbed(small)
    check_finished(space, expected)
    stalled.go()
    stalled.kill(signal.SIGCONT)
    assert stalled.end() == 0
    assert f"{held} leases lost" in stalled.said("out")
    check_finished(space, expected)
    assert outcomes(space)["lost"] == held


def test_two_runners_share_the_work(space: Workspace, start: Start, small: Any, undisturbed: Undisturbed) -> None:
    submitted = space.submit(small)
    both = [start(nap=0.02), start(nap=0.02)]
    assert [runner.end() for runner in both] == [0, 0], [runner.said("err") for runner in both]
    check_finished(space, undisturbed(small))
    with reading(space.engine) as connection:
        shares = Counter(connection.execute(select(t.JobAttempt.runner_id)).scalars())
    assert len(shares) == 2
    assert sum(shares.values()) == submitted.n_new
    for runner in both:
        assert runner.said("err") == ""


def test_two_runners_share_one_bundle(space: Workspace, start: Start, small: Any, undisturbed: Undisturbed) -> None:
    """Each holds a part of the snapshots of all settings when both have come to them."""
    space.submit(small)
    before = sum(sum(space.queue.status()[kind].values()) for kind in ("unit_statistics", "expert_set", "intervention"))
    assert space.run(max_tokens=128, max_jobs=before).done == before
    capabilities = {"device": "cpu", "kinds": {name: KINDS[name].version for name in JOBS}}
    # As alive as the others, so that the first to come does not think itself alone.
    third = space.queue.register_runner("third", "host", 1, capabilities)
    both = [start(pause="snapshot") for _ in range(2)]
    for runner in both:
        runner.wait_until_paused()
    with reading(space.engine) as connection:
        running = (t.Job.kind == "snapshot") & (t.Job.state == "running")
        held = connection.execute(select(t.Job.runner_id, func.count()).where(running).group_by(t.Job.runner_id)).all()
        bundle = connection.execute(select(t.Job.bundle).where(running).distinct()).scalar_one()
        total = connection.execute(select(func.count()).where(t.Job.bundle == bundle)).scalar_one()
    first = max(LEAST_SHARE, -(-total // 3))
    second = min(total - first, max(LEAST_SHARE, -(-(total - first) // 3)))
    assert third not in {row.runner_id for row in held}
    assert sorted(n for _, n in held) == sorted([first, second])
    for runner in both:
        runner.go()
    assert [runner.end() for runner in both] == [0, 0], [runner.said("err") for runner in both]
    check_finished(space, undisturbed(small))
