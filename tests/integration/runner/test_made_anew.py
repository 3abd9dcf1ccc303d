"""Comparisons whose evaluations, or which themselves, are made anew: nothing rests on a part, or on what was before."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import select, update

from sprachbund.db import tables as t
from sprachbund.db.engine import reading, writing
from sprachbund.errors import SpecError
from sprachbund.workspace import Workspace
from sprachbund_runners.jobs.compare import comparison, outcomes
from sprachbund_runners.jobs.registry import JOBS

Make = Callable[..., dict[str, Any]]


def spec_of(
    experiment: Make, *rows: dict[str, Any], layers: Sequence[Any] = ("final",), **statistics: Any
) -> dict[str, Any]:
    found = experiment(
        targets=["eng_Latn"], embeddings={"layers": list(layers)}, statistics={"resamples": 100, **statistics},
        interventions=["none", *rows], choose=None,
    )  # fmt: skip
    return {**found, "corpora": {role: found["corpora"][role] for role in ("fit", "test")}}


def queue_again(space: Workspace, module: Any, nth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another runner finds an evaluation's file lost, just before the module reads results for the nth time."""
    read, calls = module.needed_results, []

    def disturbed(connection: Any, job: int, *asked: Any) -> Any:
        calls.append(job)
        if len(calls) == nth:
            needs = select(t.JobEdge.needs_id).where(t.JobEdge.job_id == job).order_by(t.JobEdge.needs_id)
            with reading(space.engine) as other:
                lost = other.execute(needs.limit(1)).scalar_one()
            assert space.queue.reopen([lost]) == 1
        return read(connection, job, *asked)

    monkeypatch.setattr(module, "needed_results", disturbed)


def test_a_comparison_waits_for_what_is_queued_again_while_it_runs(
    space: Workspace, experiment: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the layers were read before."""
    space.submit(spec_of(experiment, {"method": "experts", "k": 4}, layers=(1, "final")))
    monkeypatch.setattr(comparison, "LAYERS", 1)
    queue_again(space, comparison, 2, monkeypatch)
    assert space.run(max_tokens=128).failed == 0
    assert set(space.queue.counts()) == {"done"}
    rows = space.query("SELECT DISTINCT n_pairs FROM setting_comparison WHERE metric = 'top1' AND scope = 'all'")
    assert rows["n_pairs"].to_list() == [6]
    assert space.compare("tiny").missing == []


def test_max_t_waits_for_what_is_queued_again_while_it_runs(
    space: Workspace, experiment: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads all outcomes again, after the comparisons are done."""
    space.submit(spec_of(experiment, {"method": "experts", "k": 4}, multiplicity="max_t"))
    queue_again(space, outcomes, 1, monkeypatch)
    assert space.run(max_tokens=128).failed == 0
    attempts = select(t.JobAttempt.outcome).join(t.Job, t.Job.id == t.JobAttempt.job_id)
    with reading(space.engine) as connection:
        of_it = attempts.where(t.Job.kind == "adjustment").order_by(t.JobAttempt.attempt)
        assert list(connection.execute(of_it).scalars()) == ["released", "done"]


def failing(kind: str, *words: str) -> Callable[..., Iterator[Any]]:
    """The kind's function, but for jobs whose labels have all of the words."""
    run = JOBS[kind]

    def runs(claims: Sequence[Any], context: Any) -> Iterator[Any]:
        for claim in claims:
            if all(word in claim.label for word in words):
                raise SpecError("it is broken")
        yield from run(claims, context)

    return runs


def test_what_fails_when_it_is_made_anew_is_in_no_family(
    space: Workspace, experiment: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A comparison went on without a control, and fails when that comes after all."""
    space.submit(spec_of(experiment, {"method": "experts", "k": [4, 12], "controls": ["uniform x1"]}))
    with monkeypatch.context() as patch:
        patch.setitem(JOBS, "pair_evaluation", failing("pair_evaluation", "uniform", "k=12"))
        space.run(max_tokens=128)
    sizes = "SELECT size FROM families WHERE metric = 'top1' AND scope = 'all'"
    assert space.query(sizes)["size"].to_list() == [2]
    monkeypatch.setitem(JOBS, "comparison", failing("comparison", "k=12"))
    assert space.queue.retry("tiny") == 2
    space.run(max_tokens=128)
    assert space.query(sizes)["size"].to_list() == [1]
    compared = space.query(
        "SELECT setting, family_size FROM setting_comparison WHERE metric = 'top1' AND scope = 'all' "
        "AND control IS NULL AND method <> 'none'"
    )
    assert compared.rows() == [("experts eng_Latn k=4", 1)]
    tested = space.query("SELECT DISTINCT setting FROM retrieval_results WHERE metric = 'top1' AND q IS NOT NULL")
    assert tested["setting"].to_list() == ["experts eng_Latn k=4"]
    assert any("left out" in line for line in space.compare("tiny").missing)


def test_what_fails_when_it_is_made_anew_is_not_chosen(
    space: Workspace, experiment: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its rows of before it would be the best."""
    rows = ["none", {"method": "experts", "k": [4, 12]}]
    space.submit(experiment(targets=["eng_Latn"], embeddings={"layers": ["final"]}, interventions=rows))
    assert space.run(max_tokens=128).failed == 0
    with writing(space.engine) as connection:
        wide = select(t.Setting.id).join(t.Intervention).where(t.Intervention.k == 12)
        better = update(t.Comparison).where(t.Comparison.setting_id.in_(wide)).values(value=2.0)
        made = connection.execute(better.returning(t.Comparison.job_id)).scalars()
        again = {*made, *connection.execute(select(t.Choice.job_id)).scalars()}
    monkeypatch.setitem(JOBS, "comparison", failing("comparison", "k=12"))
    space.queue.reopen(sorted(again))
    assert space.run(max_tokens=128).failed > 0
    chosen = select(t.Choice.value, t.Intervention.k).join(t.Setting, t.Setting.id == t.Choice.setting_id)
    with reading(space.engine) as connection:
        picked = connection.execute(chosen.join(t.Intervention)).all()
    assert picked and all(each.value <= 1 and each.k != 12 for each in picked)
