"""Transactions that touch the same jobs at once leave the numbers of open needs right, and none waits for ever."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import select, update

from sprachbund.db.engine import writing
from sprachbund.db.tables import Job
from sprachbund.errors import LeaseLost
from sprachbund.queue import Queue, insert_jobs
from support.open_needs import open_needs


def check(desk: Any) -> None:
    stored, expected = open_needs(desk.engine)
    assert stored == expected


def at_once(*work: Callable[[], object]) -> None:
    """Run all in threads of their own; the first error is raised here."""
    errors: list[BaseException] = []

    def guarded(one: Callable[[], object]) -> None:
        try:
            one()
        except Exception as error:  # noqa: BLE001 - raised below
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(one,), daemon=True) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    for error in errors:
        raise error


@pytest.fixture
def several(desk: Any, engine_name: str) -> Any:
    """PostgreSQL, where several transactions write at once."""
    if engine_name != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    return desk


def test_two_needs_of_one_job_finish_at_once(several: Any) -> None:
    desk = several
    desk.add(*(desk.job(key) for key in "abc"), edges=[("c", "a"), ("c", "b")])
    both = threading.Barrier(2)

    def finish(claim: Any) -> None:
        with desk.queue.finishing(claim):
            # Each began before the other has ended.
            both.wait(30)

    at_once(*(lambda claim=claim: finish(claim) for claim in [*desk.take(), *desk.take()]))  # type: ignore[misc]
    check(desk)
    assert desk.claim() == ["c"]


def test_a_job_is_planned_while_its_need_finishes(several: Any) -> None:
    desk = several
    desk.add(desk.job("a"))
    (claim,) = desk.take()
    inside, go_on = threading.Event(), threading.Event()

    def finish() -> None:
        with desk.queue.finishing(claim):
            inside.set()
            assert go_on.wait(30)

    def plan() -> None:
        assert inside.wait(30)
        threading.Timer(0.3, go_on.set).start()
        desk.add(desk.job("b"), edges=[("b", "a")])

    at_once(finish, plan)
    check(desk)
    assert desk.claim() == ["b"]


def test_a_need_finishes_while_a_job_is_planned(several: Any) -> None:
    desk = several
    desk.add(desk.job("a"))
    (claim,) = desk.take()
    planned, finished = threading.Event(), threading.Event()

    def plan() -> None:
        with writing(desk.engine) as connection:
            insert_jobs(connection, [desk.job("b")], [("b", "a")])
            planned.set()
            # It waits for the plan.
            assert not finished.wait(0.3)

    def finish() -> None:
        assert planned.wait(30)
        desk.finish(claim)
        finished.set()

    at_once(plan, finish)
    check(desk)
    assert desk.claim() == ["b"]


@pytest.mark.parametrize("act", ["retry", "give up"])
def test_a_turn_and_a_heartbeat_lock_rows_in_one_order(several: Any, act: str) -> None:
    """Choices that one runner holds change together while their leases are renewed."""
    desk = several
    keys = "abcdefgh"
    choices = [desk.job(key, priority=9 - i) for i, key in enumerate(keys)]
    edges = [(key, "comparison") for key in keys]
    desk.add(desk.job("edit"), desk.job("comparison"), *choices, edges=edges, soft=[("comparison", "edit")])
    desk.queue.fail(desk.take()[0], "broken", retry=False)
    desk.finish(desk.take()[0])
    # The youngest first: rows lie in the file the other way round.
    claims = [claim for _ in keys for claim in desk.take()]
    assert [claim.key for claim in claims] == list(reversed(keys))
    if act == "give up":
        desk.queue.cancel_experiment("study")
        desk.expire()
    held = threading.Event()
    numbers = sorted(claim.job_id for claim in claims)

    def renew() -> None:
        """As a heartbeat that is slow after its first row."""
        with writing(desk.engine) as connection:
            locked = select(Job.id).order_by(Job.id).with_for_update(key_share=True)
            connection.execute(locked.where(Job.id == numbers[0]))
            held.set()
            time.sleep(0.5)
            connection.execute(locked.where(Job.id.in_(numbers)))

    def change() -> None:
        assert held.wait(30)
        if act == "retry":
            assert desk.queue.retry() == 1
        else:
            assert desk.claim() == []

    at_once(renew, change)
    check(desk)
    changed = {"retry": "queued", "give up": "cancelled"}[act]
    assert {desk.states()[key] for key in keys} == {changed}


@pytest.mark.parametrize("seed", range(3))
def test_many_runners_and_people_at_once(desk: Any, seed: int) -> None:
    """A graph with soft needs is worked off while people cancel, retry, reopen and plan: no deadlock, right numbers."""
    desk.queue = Queue(desk.engine, backoff_ms=0)
    drawn = random.Random(seed)
    keys = [f"k{i:02}" for i in range(40)]
    pairs = {(a, b): drawn.random() < 0.3 for i, a in enumerate(keys) for b in drawn.sample(keys[:i], min(i, 3))}
    hard, soft = ([pair for pair, lenient in pairs.items() if lenient is which] for which in (False, True))
    desk.add(*(desk.job(key, bundle=key[:2]) for key in keys), edges=hard, soft=soft)
    desk.add(*(desk.job(key) for key in keys[::2]), experiment="other")

    def run(runner: int, chance: random.Random) -> None:
        for _ in range(25):
            for claim in desk.take(chance.randint(1, 4), runner):
                end = chance.random()
                try:
                    if end < 0.7:
                        desk.finish(claim)
                    elif end < 0.85:
                        desk.queue.fail(claim, "broken", retry=chance.random() < 0.5)
                    else:
                        desk.queue.release(claim)
                except LeaseLost:
                    pass

    def meddle(chance: random.Random) -> None:
        numbers: Sequence[int] = list(desk.ids.values())
        for _ in range(15):
            act = chance.choice(("cancel", "retry", "reopen", "expire", "add"))
            if act == "cancel":
                desk.queue.cancel_experiment(chance.choice(("study", "other")))
            elif act == "retry":
                desk.queue.retry(chance.choice(("study", "other")))
            elif act == "reopen":
                desk.queue.reopen(chance.sample(numbers, 3))
            elif act == "expire":
                one = update(Job).where(Job.id == chance.choice(numbers), Job.state == "running")
                with writing(desk.engine) as connection:
                    connection.execute(one.values(lease_expires_ms=0))
            else:
                needed = chance.sample(keys, 3)
                new = f"new{chance.random()}"
                desk.add(desk.job(new), edges=[(new, needed[0])], soft=[(new, key) for key in needed[1:]])

    runners = [desk.another() for _ in range(3)]
    at_once(
        *(lambda runner=runner: run(runner, random.Random(runner + 10 * seed)) for runner in runners),  # type: ignore[misc]
        lambda: meddle(random.Random(seed)),
        lambda: meddle(random.Random(seed + 100)),
    )
    check(desk)
