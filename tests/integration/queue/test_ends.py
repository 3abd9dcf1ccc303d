"""How jobs end, and what people do to them: finish, fail, cancel, retry, count; on both engines."""

from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, text, update

from sprachbund.db.engine import now_ms, reading, writing
from sprachbund.db.tables import Experiment, JobAttempt, Language, MlflowRun, Runner
from sprachbund.errors import LeaseLost, QueryError
from sprachbund.queue import cancel_unwanted, insert_jobs


class TestFinishing:
    def test_results_and_state_are_one_transaction(self, desk: Any) -> None:
        desk.add(desk.job("a"))
        (claim,) = desk.take()
        language = insert(Language).values(code="xxx", iso639_3="xxx", name="x")

        def broken() -> None:
            with desk.queue.finishing(claim) as connection:
                connection.execute(language)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            broken()
        assert desk.states() == {"a": "running"}
        with desk.queue.finishing(claim, environment={"torch": "2"}, batch_plan="abc") as connection:
            connection.execute(language)
        row = desk.row("a")
        assert (row.state, row.runner_id, row.lease_expires_ms) == ("done", desk.runner, None)
        assert row.finished_ms is not None
        (attempt,) = desk.attempts("a")
        assert (attempt.outcome, attempt.environment, attempt.batch_plan) == ("done", {"torch": "2"}, "abc")
        assert attempt.finished_ms >= attempt.started_ms
        with reading(desk.engine) as connection:
            assert connection.scalars(select(Language.code)).all() == ["xxx"]

    def test_marks_the_mirror_of_every_experiment_that_planned_the_job(self, desk: Any) -> None:
        desk.add(desk.job("a"), experiment="one")
        desk.add(desk.job("a"), desk.job("b"), experiment="two")
        desk.add(desk.job("b"), experiment="three")
        names = ("one", "two", "three")
        with writing(desk.engine) as connection:
            setting = _setting(connection)
            for name in names:
                experiment = connection.scalar(select(Experiment.id).where(Experiment.name == name))
                row = {"experiment_id": experiment, "setting_id": setting, "dirty": False, "logged": {}}
                connection.execute(insert(MlflowRun).values(**row))
        (claim,) = desk.take()
        assert claim.key == "a"
        desk.finish(claim)
        with reading(desk.engine) as connection:
            joined = select(Experiment.name).join(MlflowRun, MlflowRun.experiment_id == Experiment.id)
            assert set(connection.scalars(joined.where(MlflowRun.dirty))) == {"one", "two"}


def _setting(connection: Any) -> int:
    connection.execute(
        text(
            "INSERT INTO models (fingerprint, name, path, architecture, n_blocks, hidden_size, config)"
            " VALUES ('f', 'm', 'p', 'bloom', 1, 1, '{}')"
        )
    )
    connection.execute(
        text("INSERT INTO interventions (key, method, per_language, parameters) VALUES ('i', 'none', FALSE, '{}')")
    )
    connection.execute(
        text(
            "INSERT INTO settings (key, label, model_id, intervention_id, transform, transform_parameters, side, dtype,"
            " attention) SELECT 's', 's', models.id, interventions.id, 'none', '{}', 'both', 'float32', 'eager'"
            " FROM models CROSS JOIN interventions"
        )
    )
    return int(connection.scalar(text("SELECT id FROM settings")))


class TestFailing:
    def test_without_retry(self, desk: Any) -> None:
        desk.add(desk.job("a"))
        (claim,) = desk.take()
        assert desk.queue.fail(claim, "k is too large", retry=False) is False
        row = desk.row("a")
        assert (row.state, row.failures, row.losses, row.error) == ("failed", 1, 0, "k is too large")
        (attempt,) = desk.attempts("a")
        assert (attempt.outcome, attempt.error) == ("failed", "k is too large")
        assert desk.take() == []

    def test_retries_wait_longer_each_time_and_end(self, desk: Any) -> None:
        desk.add(desk.job("a"))
        pauses = []
        for attempt in (1, 2, 3):
            (claim,) = desk.take()
            assert claim.attempt == attempt
            assert desk.queue.fail(claim, "crash", retry=True) is (attempt < 3)
            with reading(desk.engine) as connection:
                pauses.append(desk.row("a").available_ms - connection.scalar(select(now_ms(connection))))
            assert desk.take() == []
            desk.end_pauses()
        assert 4_000 < pauses[0] <= 5_000 < 9_000 < pauses[1] <= 10_000
        assert desk.states() == {"a": "failed"}
        assert [attempt.outcome for attempt in desk.attempts("a")] == ["failed"] * 3

    def test_failure_of_an_unwanted_job_ends_it(self, desk: Any) -> None:
        desk.add(desk.job("a"))
        (claim,) = desk.take()
        desk.queue.cancel_experiment("study")
        assert desk.queue.fail(claim, "crash", retry=True) is False
        assert desk.states() == {"a": "cancelled"}

    def test_release_counts_nothing(self, desk: Any) -> None:
        desk.add(desk.job("a"))
        (claim,) = desk.take()
        assert desk.queue.release(claim) is True
        row = desk.row("a")
        assert (row.state, row.failures, row.losses, row.error) == ("queued", 0, 0, None)
        assert [attempt.outcome for attempt in desk.attempts("a")] == ["released"]
        (claim,) = desk.take()
        assert claim.attempt == 2
        desk.queue.cancel_experiment("study")
        assert desk.queue.release(claim) is True
        assert desk.states() == {"a": "cancelled"}

    def test_reopen_of_done_jobs(self, desk: Any) -> None:
        desk.add(desk.job("a"), desk.job("b"), edges=[("b", "a")])
        (claim,) = desk.take()
        desk.finish(claim)
        (dependent,) = desk.take()
        assert desk.queue.reopen([claim.job_id, dependent.job_id]) == 1
        assert desk.queue.release(dependent)
        (again,) = desk.take()
        assert (again.key, again.attempt) == ("a", 2)
        desk.finish(again)
        assert desk.claim() == ["b"]


class TestCancelling:
    def test_only_what_nobody_else_wants(self, desk: Any) -> None:
        desk.add(*(desk.job(key) for key in "abcd"), experiment="one")
        desk.add(desk.job("c"), experiment="two")
        desk.finish(desk.take()[0])
        desk.take()
        assert desk.queue.cancel_experiment("one") == 1
        assert desk.states() == {"a": "done", "b": "running", "c": "queued", "d": "cancelled"}
        assert desk.queue.cancel_experiment("two") == 1
        assert desk.states()["c"] == "cancelled"

    def test_needs_of_wanted_jobs_stay(self, desk: Any) -> None:
        desk.add(*(desk.job(key) for key in "abc"), edges=[("b", "a"), ("c", "b")], experiment="one")
        desk.add(desk.job("c"), experiment="two")
        assert desk.queue.cancel_experiment("one") == 0
        assert desk.queue.cancel_experiment("two") == 3

    def test_needs_of_running_jobs_stay(self, desk: Any) -> None:
        with writing(desk.engine) as connection:
            insert_jobs(connection, [desk.job("a")], [])
        desk.add(desk.job("b"), edges=[("b", "a")])
        needed = desk.take()[0]
        desk.finish(needed)
        assert desk.claim() == ["b"]
        desk.queue.reopen([needed.job_id])
        assert desk.queue.cancel_experiment("study") == 0
        assert desk.states() == {"a": "queued", "b": "running"}

    def test_jobs_of_no_experiment_are_unwanted(self, desk: Any) -> None:
        desk.add(desk.job("a"))
        with writing(desk.engine) as connection:
            insert_jobs(connection, [desk.job("b"), desk.job("c")], [("c", "b")])
            assert cancel_unwanted(connection) == 2
        assert desk.states() == {"a": "queued", "b": "cancelled", "c": "cancelled"}

    def test_retry_of_one_experiment_wants_it_again(self, desk: Any) -> None:
        desk.add(desk.job("a"), desk.job("b"), experiment="one")
        desk.add(desk.job("c"), experiment="two")
        desk.queue.fail(desk.take()[0], "broken", retry=False)
        desk.queue.cancel_experiment("one")
        desk.queue.cancel_experiment("two")
        assert desk.queue.retry("one") == 2
        assert desk.states() == {"a": "queued", "b": "queued", "c": "cancelled"}
        with writing(desk.engine) as connection:
            assert cancel_unwanted(connection) == 0
        assert desk.row("a").failures == 0

    def test_retry_of_all_leaves_cancelled_experiments_alone(self, desk: Any) -> None:
        desk.add(desk.job("a"), experiment="one")
        desk.add(desk.job("b"), experiment="two")
        desk.queue.fail(desk.take()[0], "broken", retry=False)
        desk.queue.cancel_experiment("two")
        assert desk.queue.retry() == 1
        assert desk.states() == {"a": "queued", "b": "cancelled"}

    def test_unknown_experiment(self, desk: Any) -> None:
        with pytest.raises(QueryError, match="unknown experiment 'none'"):
            desk.queue.cancel_experiment("none")
        with pytest.raises(QueryError, match="unknown experiment 'none'"):
            desk.queue.retry("none")


class TestCounting:
    def test_status(self, desk: Any) -> None:
        desk.add(
            *(desk.job(key) for key in "abcde"), desk.job("f", kind="other"), edges=[("c", "b"), ("d", "c"), ("f", "d")]
        )
        desk.add(desk.job("z", kind="other"), experiment="another")
        desk.finish(desk.take()[0])
        desk.queue.fail(desk.take()[0], "broken", retry=False)
        assert desk.claim() == ["e"]
        assert desk.queue.status("study") == {
            "count": {"blocked": 2, "done": 1, "failed": 1, "running": 1},
            "other": {"blocked": 1},
        }
        assert desk.queue.status()["other"] == {"blocked": 1, "queued": 1}
        assert desk.queue.counts() == {"blocked": 3, "done": 1, "failed": 1, "running": 1, "queued": 1}
        assert desk.queue.status("none") == {}

    def test_has_work(self, desk: Any) -> None:
        has_work = desk.queue.has_work_for
        assert not has_work(desk.runner)
        desk.add(desk.job("a"), desk.job("b"), desk.job("c", kind="other"), edges=[("b", "a")])
        (claim,) = desk.take()
        assert has_work(desk.runner)
        desk.queue.fail(claim, "crash", retry=True)
        assert desk.take() == []
        assert has_work(desk.runner)
        desk.end_pauses()
        (claim,) = desk.take()
        desk.queue.fail(claim, "broken", retry=False)
        assert not has_work(desk.runner)

    def test_has_work_only_if_somebody_meets_the_needs(self, desk: Any) -> None:
        desk.add(desk.job("a", kind="other"), desk.job("b"), edges=[("b", "a")])
        assert not desk.queue.has_work_for(desk.runner)
        other = desk.queue.register_runner("other", "host", 2, {"kinds": {"other": 1}})
        assert desk.queue.has_work_for(desk.runner)
        desk.queue.stop_runner(other)
        assert not desk.queue.has_work_for(desk.runner)

    def test_has_work_while_another_runs_it(self, desk: Any) -> None:
        desk.add(desk.job("a"))
        other = desk.another()
        desk.take(runner=other)
        desk.queue.stop_runner(other)
        assert desk.queue.has_work_for(desk.runner)

    def test_has_no_work_for_a_runner_without_kinds(self, desk: Any) -> None:
        desk.add(desk.job("a"))
        assert desk.queue.has_work_for(desk.another())
        assert not desk.queue.has_work_for(desk.another(kinds={"other": 1}))
        assert not desk.queue.has_work_for(desk.queue.register_runner("none", "host", 3, {}))


class TestSoftNeeds:
    """A job that waits for its soft needs, but goes on without what failed."""

    def add(self, desk: Any) -> None:
        jobs = [desk.job(key) for key in ("edit", "row", "other")]
        jobs += [desk.job("comparison", priority=70), desk.job("choice", priority=80)]
        soft = [("comparison", "row"), ("comparison", "other")]
        desk.add(*jobs, edges=[("row", "edit"), ("choice", "comparison")], soft=soft)

    def go_on_without_row(self, desk: Any) -> None:
        self.add(desk)
        (edit,) = desk.take()
        assert edit.key == "edit"
        desk.queue.fail(edit, "no unit is in both", retry=False)
        (other,) = desk.take()
        # One need is running: the comparison waits for it, though the other will not come.
        assert other.key == "other" and desk.claim() == [] and desk.queue.has_work_for(desk.runner)
        desk.finish(other)

    def test_a_failure_upstream_holds_up_nobody_else(self, desk: Any) -> None:
        self.go_on_without_row(desk)
        assert desk.queue.counts() == {"failed": 1, "blocked": 1, "done": 1, "queued": 2}
        for key in ("comparison", "choice"):
            (claim,) = desk.take()
            assert claim.key == key
            desk.finish(claim)
        assert not desk.queue.has_work_for(desk.runner)

    @pytest.mark.parametrize("again", ["retry", "submit"])
    def test_what_comes_after_all_is_taken_in(self, desk: Any, again: str) -> None:
        self.go_on_without_row(desk)
        for _ in ("comparison", "choice"):
            desk.finish(desk.take()[0])
        if again == "retry":
            assert desk.queue.retry("study") == 1
        else:
            desk.add(desk.job("edit"), experiment="another")
        assert desk.states() == {
            "edit": "queued", "row": "queued", "other": "done", "comparison": "queued", "choice": "queued",
        }  # fmt: skip
        for key in ("edit", "row", "comparison", "choice"):
            (claim,) = desk.take()
            assert claim.key == key
            desk.finish(claim)
        assert set(desk.states().values()) == {"done"}

    def test_a_runner_that_compares_without_it_meanwhile_writes_nothing(self, desk: Any) -> None:
        self.go_on_without_row(desk)
        (early,) = desk.take()
        assert early.key == "comparison"
        desk.queue.retry("study")
        with pytest.raises(LeaseLost):
            desk.finish(early)
        assert [each.outcome for each in desk.attempts("comparison")] == ["released"]
        assert desk.claim() == ["edit"]

    def test_of_a_cancelled_experiment_it_comes_back_with_the_experiment(self, desk: Any) -> None:
        self.go_on_without_row(desk)
        for _ in ("comparison", "choice"):
            desk.finish(desk.take()[0])
        desk.queue.cancel_experiment("study")
        desk.add(desk.job("edit"), experiment="another")
        # Its row was cancelled with it: nothing of it is done for another experiment's sake.
        assert desk.states()["row"] == "cancelled"
        assert {desk.states()[key] for key in ("comparison", "choice")} == {"done"}
        assert desk.queue.retry("study") == 1
        assert {desk.states()[key] for key in ("comparison", "choice")} == {"queued"}


class TestRunners:
    def test_states(self, desk: Any) -> None:
        other = desk.another()
        assert _runners(desk.engine) == {desk.runner: "alive", other: "alive"}
        desk.queue.stop_runner(other)
        assert _runners(desk.engine)[other] == "stopped"

    def test_silent_ones_have_stopped_and_revive(self, desk: Any) -> None:
        other = desk.another()
        with writing(desk.engine) as connection:
            old = now_ms(connection) - 3 * 1_000 - 1
            connection.execute(update(Runner).where(Runner.id == other).values(seen_ms=old))
        desk.take(lease_ms=1_000)
        assert _runners(desk.engine) == {desk.runner: "alive", other: "stopped"}
        desk.take(runner=other)
        assert _runners(desk.engine)[other] == "alive"


def _runners(engine: Engine) -> dict[int, str]:
    with reading(engine) as connection:
        return {row.id: row.state for row in connection.execute(select(Runner.id, Runner.state))}


def test_deleting_an_experiment_keeps_jobs_and_their_attempts(desk: Any) -> None:
    desk.add(desk.job("a"))
    desk.finish(desk.take()[0])
    with writing(desk.engine) as connection:
        connection.execute(Experiment.__table__.delete())
        assert connection.execute(select(JobAttempt.outcome)).scalars().all() == ["done"]
    assert desk.states() == {"a": "done"}
