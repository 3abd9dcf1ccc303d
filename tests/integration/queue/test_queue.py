"""What the queue promises of inserting, claiming and leases, on both engines."""

import itertools
import threading
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import insert, select

from sprachbund.db.engine import now_ms, reading, writing
from sprachbund.db.tables import Language
from sprachbund.errors import LeaseLost
from sprachbund.queue import Queue, enqueue, insert_jobs, reopen_wanted, statements
from sprachbund.queue.needs import turn


class TestInserting:
    def test_twice_is_once(self, desk: Any) -> None:
        first = desk.add(desk.job("a"), desk.job("b"), edges=[("b", "a")])
        with writing(desk.engine) as connection:
            again = insert_jobs(connection, [desk.job("b"), desk.job("a"), desk.job("c")], [("b", "a"), ("c", "b")])
        assert {key: again[key] for key in first} == first
        assert desk.states() == {"a": "queued", "b": "queued", "c": "queued"}

    def test_needs_may_be_older_jobs(self, desk: Any) -> None:
        desk.add(desk.job("a"))
        desk.add(desk.job("b"), edges=[("b", "a")])
        assert desk.claim(9) == ["a"]

    def test_unknown_need_is_an_error(self, desk: Any) -> None:
        with pytest.raises(ValueError, match="job z, which does not exist"):
            desk.add(desk.job("a"), edges=[("a", "z")])
        assert desk.states() == {}

    def test_needs_must_come_before(self, desk: Any) -> None:
        with pytest.raises(ValueError, match="job a needs job b, which does not exist or does not come before it"):
            desk.add(desk.job("a"), desk.job("b"), edges=[("a", "b")])
        with pytest.raises(ValueError, match="of job z, which is not inserted"):
            desk.add(desk.job("a"), edges=[("z", "a")])
        assert desk.states() == {}

    def test_many(self, desk: Any) -> None:
        keys = [f"k{i}" for i in range(1203)]
        ids = desk.add(*(desk.job(key) for key in keys), edges=list(zip(keys[1:], keys, strict=False)))
        assert [key for key, _ in sorted(ids.items(), key=lambda item: item[1])] == keys

    def test_reopens_failed_and_cancelled_ones(self, desk: Any) -> None:
        desk.add(*(desk.job(key) for key in "abcd"))
        for claim in [*desk.take(), *desk.take()]:
            desk.queue.fail(claim, "broken", retry=False)
        desk.finish(desk.take()[0])
        desk.queue.cancel_experiment("study")
        assert desk.states() == {"a": "failed", "b": "failed", "c": "done", "d": "cancelled"}
        with writing(desk.engine) as connection:
            insert_jobs(connection, [desk.job("a"), desk.job("c")], [])
            assert reopen_wanted(connection, ["b", "c", "d", "none"]) == 2
        assert desk.states() == {"a": "queued", "b": "queued", "c": "done", "d": "queued"}
        assert desk.row("a").failures == 0
        assert desk.row("a").error is None

    @pytest.mark.parametrize("at_once", [1, 2, 100])
    def test_new_jobs_over_a_failed_one_are_lost_until_it_is_tried_again(
        self, desk: Any, at_once: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(enqueue, "AT_ONCE", at_once)
        desk.add(desk.job("edit"), desk.job("other"))
        desk.queue.fail(desk.take()[0], "broken", retry=False)
        jobs = (*(desk.job(key) for key in ("row", "side")), desk.job("comparison", priority=20))
        soft = [("comparison", "side"), ("comparison", "other")]
        desk.add(*jobs, edges=[("row", "edit"), ("side", "row")], soft=soft, experiment="two")
        assert desk.row("comparison").open_needs == 1
        assert desk.queue.retry("study") == 1
        assert desk.row("comparison").open_needs == 2
        for key in ("edit", "other", "row", "side", "comparison"):
            (claim,) = desk.take()
            assert claim.key == key
            desk.finish(claim)

    def test_a_lost_job_comes_back_with_what_comes_after_it(self, desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """`edit` is needed through `fit`, and is tried again by a later row of the same submission."""
        monkeypatch.setattr(enqueue, "AT_ONCE", 1)
        desk.add(desk.job("edit"), desk.job("fit"), edges=[("fit", "edit")])
        desk.queue.fail(desk.take()[0], "broken", retry=False)
        jobs = (desk.job("row"), desk.job("edit"), desk.job("comparison"))
        desk.add(*jobs, edges=[("row", "fit")], soft=[("comparison", "row")], experiment="two")
        assert desk.row("comparison").open_needs == 1


class TestClaiming:
    def test_what_a_claim_holds(self, desk: Any) -> None:
        ids = desk.add(desk.job("a", model="m" * 64))
        (claim,) = desk.take(lease_ms=60_000)
        assert (claim.job_id, claim.key, claim.kind, claim.version) == (ids["a"], "a", "count", 1)
        assert (claim.attempt, claim.runner_id, claim.lease_ms) == (1, desk.runner, 60_000)
        assert claim.stored == {"key": "a", "layers": ["0", "final"]}
        assert (claim.model, claim.label, claim.bundle, claim.subject) == (
            "m" * 64, "job a", "bundle of a", "of a",
        )  # fmt: skip
        row = desk.row("a")
        assert (row.state, row.runner_id) == ("running", desk.runner)
        with reading(desk.engine) as connection:
            now = connection.scalar(select(now_ms(connection)))
        assert 50_000 < row.lease_expires_ms - now <= 60_000
        (attempt,) = desk.attempts("a")
        assert (attempt.attempt, attempt.outcome, attempt.runner_id) == (1, "running", desk.runner)

    def test_nothing_to_claim(self, desk: Any) -> None:
        assert desk.take() == []
        desk.add(desk.job("a"))
        assert desk.take(kinds={}) == []
        assert desk.take(limit=0) == []
        assert desk.claim() == ["a"]
        assert desk.take() == []

    def test_order_is_priority_then_age(self, desk: Any) -> None:
        desk.add(desk.job("a"), desk.job("b", priority=5), desk.job("c"), desk.job("d", priority=5))
        assert [desk.claim() for _ in range(5)] == [["b"], ["d"], ["a"], ["c"], []]

    def test_preferred_model_goes_first_within_a_priority(self, desk: Any) -> None:
        desk.add(
            desk.job("a", model="x"),
            desk.job("b", model="y"),
            desk.job("c", model="y", priority=5),
            desk.job("d", model="x"),
        )
        assert desk.claim(prefer_model="x") == ["c"]
        assert desk.claim(prefer_model="y") == ["b"]
        assert desk.claim(prefer_model="z") == ["a"]
        assert desk.claim(prefer_model="z") == ["d"]

    def test_kind_and_version_must_match(self, desk: Any) -> None:
        desk.add(desk.job("a", kind="other"), desk.job("b", version=2), desk.job("c"))
        assert desk.claim(9) == ["c"]
        assert desk.take() == []
        assert desk.claim(kinds={"count": 2}) == ["b"]
        assert desk.claim(kinds={"count": 2, "other": 1, "third": 1}) == ["a"]

    def test_bundle_comes_together(self, desk: Any) -> None:
        desk.add(*(desk.job(key, bundle="x" if key in "acde" else "y") for key in "abcdef"))
        assert desk.claim(3) == ["a", "c", "d"]
        assert desk.claim(3) == ["b", "f"]
        assert desk.claim(3) == ["e"]

    def test_siblings_that_are_not_ready_or_not_suited_stay(self, desk: Any) -> None:
        desk.add(
            desk.job("e", priority=11),
            *(desk.job(key, bundle="x") for key in "abc"),
            desk.job("d", bundle="x", version=2),
            edges=[("b", "e")],
        )
        assert desk.claim(9) == ["a", "c"]

    def test_head_is_taken_even_behind_older_siblings(self, desk: Any) -> None:
        desk.add(desk.job("a", bundle="x"), desk.job("b", bundle="x", priority=5), desk.job("c", bundle="x"))
        assert desk.claim(2) == ["a", "b"]
        assert desk.claim(2) == ["c"]

    def test_several_runners_share_a_bundle(self, desk: Any) -> None:
        desk.add(*(desk.job(f"{i:02}", bundle="x") for i in range(40)), desk.job("other"))
        others = [desk.another() for _ in range(2)]
        desk.another(kinds={"other": 1})
        gone = desk.another()
        desk.queue.stop_runner(gone)
        n = desk.queue.runners_like(desk.runner)
        assert n == 3
        # A third of what is left each time, rounded up, but not fewer than four.
        sizes = [len(desk.claim(256, runner, runners=n)) for runner in [desk.runner, *others, *others, desk.runner] * 2]
        assert sizes == [14, 9, 6, 4, 4, 3, 1, 0, 0, 0, 0, 0]

    def test_shares_stay_within_the_limit(self, desk: Any) -> None:
        desk.add(*(desk.job(f"{i:02}", bundle="x") for i in range(40)))
        assert [len(desk.claim(limit, runners=2)) for limit in (3, 1, 10, 256, 256)] == [3, 1, 10, 13, 7]
        assert desk.claim(256) == [f"{i:02}" for i in range(34, 40)]

    def test_needs_come_first(self, desk: Any) -> None:
        desk.add(*(desk.job(key) for key in "abc"), edges=[("b", "a"), ("c", "b")])
        for key in "abc":
            (claim,) = desk.take(9)
            assert claim.key == key
            assert desk.take(9) == []
            desk.finish(claim)
        assert desk.states() == {"a": "done", "b": "done", "c": "done"}

    def test_all_needs_must_be_done(self, desk: Any) -> None:
        desk.add(*(desk.job(key) for key in "abc"), edges=[("c", "a"), ("c", "b")])
        first, second = desk.take()[0], desk.take()[0]
        desk.finish(second)
        assert desk.take() == []
        desk.finish(first)
        assert desk.claim() == ["c"]

    def test_runners_at_once_never_get_the_same_job(self, desk: Any) -> None:
        desk.add(*(desk.job(str(i), bundle=f"b{i // 5}") for i in range(60)))
        got: list[list[str]] = [[] for _ in range(4)]

        def work(number: int, runner: int) -> None:
            while keys := desk.claim(2 + number, runner):
                got[number] += keys

        threads = [threading.Thread(target=work, args=(i, desk.another())) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(itertools.chain(*got), key=int) == [str(i) for i in range(60)]


class TestLeases:
    def test_lost_job_is_taken_over_and_its_runner_fenced_off(self, desk: Any) -> None:
        desk.add(desk.job("a"))
        (late,) = desk.take()
        assert desk.claim(runner=desk.another()) == []
        desk.expire()
        (claim,) = desk.take(runner=desk.another())
        assert (claim.job_id, claim.attempt) == (late.job_id, 2)
        assert desk.row("a").losses == 1
        assert [attempt.outcome for attempt in desk.attempts("a")] == ["lost", "running"]
        language = insert(Language).values(code="xxx", iso639_3="xxx", name="x")
        with pytest.raises(LeaseLost, match="attempt 1 was lost"), desk.queue.finishing(late) as connection:
            connection.execute(language)
        with pytest.raises(LeaseLost):
            desk.queue.fail(late, "broken", retry=True)
        assert desk.queue.release(late) is False
        assert desk.queue.heartbeat([late]) == set()
        with reading(desk.engine) as connection:
            assert connection.execute(select(Language)).all() == []
        with desk.queue.finishing(claim) as connection:
            connection.execute(language)
        assert [attempt.outcome for attempt in desk.attempts("a")] == ["lost", "done"]

    def test_same_runner_with_an_older_attempt_is_fenced_off(self, desk: Any) -> None:
        desk.add(desk.job("a"))
        (late,) = desk.take()
        desk.expire()
        (claim,) = desk.take()
        assert desk.queue.heartbeat([late]) == set()
        with pytest.raises(LeaseLost), desk.queue.finishing(late):
            pass
        desk.finish(claim)

    def test_finishing_twice_is_refused(self, desk: Any) -> None:
        desk.add(desk.job("a"))
        (claim,) = desk.take()
        desk.finish(claim)
        with pytest.raises(LeaseLost):
            desk.finish(claim)

    def test_wrong_runner_is_refused(self, desk: Any) -> None:
        desk.add(desk.job("a"))
        (claim,) = desk.take()
        with pytest.raises(LeaseLost):
            desk.finish(replace(claim, runner_id=desk.another()))

    def test_late_finish_counts_while_nobody_took_over(self, desk: Any) -> None:
        desk.add(desk.job("a"))
        (claim,) = desk.take()
        desk.expire()
        desk.finish(claim)
        assert desk.states() == {"a": "done"}

    def test_heartbeat_renews(self, desk: Any) -> None:
        desk.add(desk.job("a"), desk.job("b"))
        first, second = desk.take()[0], desk.take()[0]
        desk.expire()
        assert desk.queue.heartbeat([first]) == {first.job_id}
        assert desk.claim(runner=desk.another()) == ["b"]
        assert desk.queue.heartbeat([first, second]) == {first.job_id}
        assert desk.queue.heartbeat([]) == set()

    def test_lost_ones_come_with_their_bundle_and_in_order(self, desk: Any) -> None:
        desk.add(*(desk.job(key, bundle="x") for key in "abc"), desk.job("d", priority=11))
        desk.take(2)
        desk.expire()
        assert desk.claim(9, desk.another()) == ["a", "b", "c"]
        desk.expire()
        assert desk.claim() == ["a"]
        assert desk.claim() == ["b"]
        assert desk.claim() == ["c"]
        assert desk.claim() == ["d"]

    def test_lost_ones_wait_behind_more_urgent_ones(self, desk: Any) -> None:
        desk.add(desk.job("a"), desk.job("b"))
        desk.take()
        desk.add(desk.job("c", priority=5))
        desk.expire()
        assert [desk.claim() for _ in "abc"] == [["c"], ["a"], ["b"]]

    def test_job_that_loses_its_runner_too_often_fails(self, desk: Any) -> None:
        desk.queue = Queue(desk.engine, max_losses=2)
        desk.add(desk.job("a"), desk.job("b"), edges=[("b", "a")])
        desk.take()
        desk.expire()
        assert desk.claim() == ["a"]
        desk.expire()
        assert desk.take() == []
        row = desk.row("a")
        assert (row.state, row.losses, row.failures, row.attempt) == ("failed", 2, 0, 2)
        assert (row.runner_id, row.lease_expires_ms) == (None, None)
        assert "its runner vanished" in row.error
        assert row.finished_ms is not None
        assert [attempt.outcome for attempt in desk.attempts("a")] == ["lost", "lost"]
        assert desk.queue.status() == {"count": {"blocked": 1, "failed": 1}}
        assert desk.queue.retry() == 1
        row = desk.row("a")
        assert (row.state, row.losses, row.error, row.finished_ms) == ("queued", 0, None, None)

    def test_claim_looks_past_given_up_jobs(self, desk: Any) -> None:
        desk.queue = Queue(desk.engine, max_losses=1)
        desk.add(*(desk.job(key) for key in "abc"))
        desk.take()
        desk.take()
        desk.expire()
        assert desk.claim() == ["c"]
        # They are ended where there is nothing else to do.
        assert desk.states() == {"a": "running", "b": "running", "c": "running"}
        assert desk.claim() == []
        assert desk.states() == {"a": "failed", "b": "failed", "c": "running"}

    def test_lost_job_that_nobody_wants_is_cancelled(self, desk: Any) -> None:
        desk.add(desk.job("a"))
        desk.take()
        desk.queue.cancel_experiment("study")
        assert desk.states() == {"a": "running"}
        desk.expire()
        assert desk.take() == []
        assert desk.states() == {"a": "cancelled"}
        assert [attempt.outcome for attempt in desk.attempts("a")] == ["lost"]

    @pytest.mark.parametrize("again", ["retry", "submit"])
    def test_lost_job_that_is_wanted_again_before_it_is_given_up_goes_on(self, desk: Any, again: str) -> None:
        desk.add(desk.job("a"))
        desk.take()
        desk.queue.cancel_experiment("study")
        desk.expire()
        with reading(desk.engine) as connection:
            dialect = connection.dialect.name
            doomed = list(connection.execute(statements.DOOMED[dialect], {"max_losses": 3}).scalars())
        assert doomed == [desk.ids["a"]]
        if again == "retry":
            desk.queue.retry("study")
        else:
            desk.add(desk.job("a"), experiment="another")
        with turn(desk.engine) as connection:
            assert statements.bury(connection, doomed, "lost", 3) == 0
        assert desk.states() == {"a": "running"}
        assert desk.claim() == ["a"]
        assert (desk.row("a").losses, [each.outcome for each in desk.attempts("a")]) == (1, ["lost", "running"])
