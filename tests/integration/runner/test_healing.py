"""Files that were lost or evicted are made again: all that is needed at once, and each job is claimed twice at most."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.files.missing import missing
from sprachbund.workspace import Workspace
from support.finished import values

Make = Callable[..., dict[str, Any]]
# Where two languages are evaluated, and everything that files hold is read by something.
FEW: dict[str, Any] = {
    "interventions": [
        "none",
        "centring",
        {"method": "experts", "k": [4, 8], "controls": ["profile x1"]},
        {"method": "experts", "k": 4, "edit": "linear_act"},
    ],
    "embeddings": {"layers": [1, "final"]},
    "statistics": {"resamples": 100},
}


def attempts(space: Workspace) -> dict[int, int]:
    """How often each job was claimed so far."""
    with reading(space.engine) as connection:
        counted = select(t.JobAttempt.job_id, func.count()).group_by(t.JobAttempt.job_id)
        return dict(connection.execute(counted).all())


def kinds_of(space: Workspace, jobs: Any) -> set[str]:
    with reading(space.engine) as connection:
        return set(connection.execute(select(t.Job.kind).where(t.Job.id.in_(list(jobs)))).scalars())


def run(space: Workspace) -> dict[int, int]:
    """How often each job was claimed in this run."""
    before = attempts(space)
    tally = space.run(max_tokens=128)
    assert tally.failed == 0, tally.errors
    assert set(space.queue.counts()) == {"done"}
    counted = {job: n - before.get(job, 0) for job, n in attempts(space).items()}
    return {job: n for job, n in counted.items() if n}


@pytest.mark.parametrize("bundle", [256, 3])
def test_a_wholly_lost_store_heals(space: Workspace, experiment: Make, tmp_path: Path, bundle: int) -> None:
    few = experiment(**FEW, languages=["eng_Latn", "deu_Latn"], choose=None)
    space.submit(few)
    run(space)
    before = values(space)
    shutil.rmtree(tmp_path / "artifacts")
    # A metric more: comparisons are new, and read what every evaluation left.
    wider = {**few, "statistics": {"resamples": 100, "metrics": ["top1", "mrr", "distance_gap", "csls_top1"]}}
    space.submit(wider, replace=True)
    before_run = attempts(space)
    tally = space.run(max_tokens=128, bundle=bundle)
    assert tally.failed == 0, tally.errors
    claimed = {job: n - before_run.get(job, 0) for job, n in attempts(space).items()}
    assert set(kinds_of(space, [job for job, n in claimed.items() if n])) == {
        "unit_statistics", "expert_set", "intervention", "snapshot", "pair_evaluation", "comparison", "adjustment",
    }  # fmt: skip
    assert max(claimed.values()) == 2
    # What makes lost files runs once: only what came upon the loss is claimed again.
    assert kinds_of(space, [job for job, n in claimed.items() if n == 2]) == {"comparison"}
    after = values(space)
    assert {name: after[name] for name in before} == pytest.approx(before, abs=1e-5)


def test_tests_outlive_the_outcomes_they_were_made_of(space: Workspace, experiment: Make) -> None:
    """A pair's row is written anew where its file is made again; McNemar's tests of it, and their q, are not."""
    few = experiment(**FEW, languages=["eng_Latn", "deu_Latn"], choose=None)
    space.submit(few)
    run(space)
    tested = "SELECT * FROM retrieval_results WHERE experiment = 'tiny' AND q IS NOT NULL ORDER BY setting, layer"
    before = space.query(tested)
    noted = space.query("SELECT count(*) AS n FROM metric_notes WHERE experiment = 'tiny'")
    assert before.height > 0
    with reading(space.engine) as connection:
        files = list(connection.execute(select(t.PairEvaluation.outcomes_id)).scalars())
    space.store.evict(space.engine, files)
    space.submit({**few, "name": "wider", "statistics": {"resamples": 100, "metrics": ["top1", "mrr"]}})
    assert "pair_evaluation" in kinds_of(space, run(space))
    assert space.query(tested).equals(before)
    assert space.query("SELECT count(*) AS n FROM metric_notes WHERE experiment = 'tiny'").equals(noted)


def test_what_is_lost_while_others_wait_is_claimed_twice_at_most(
    space: Workspace, experiment: Make, tmp_path: Path
) -> None:
    few = experiment(**FEW, languages=["eng_Latn", "deu_Latn"], choose=None)
    space.submit(few)
    run(space)
    before = values(space)
    shutil.rmtree(tmp_path / "artifacts")
    space.submit({**few, "languages": ["eng_Latn", "deu_Latn", "fra_Latn"]}, replace=True)
    assert max(run(space).values()) <= 2
    after = values(space)
    common = before.keys() & after.keys()
    assert len(common) > 100
    assert {name: after[name] for name in common} == pytest.approx({name: before[name] for name in common}, abs=1e-5)


def test_only_what_is_read_is_made_again(space: Workspace, experiment: Make) -> None:
    """Edits that set units to token means need no responses; those that set them to the median of sentences do."""
    means = {"method": "experts", "k": 4, "value": "mean", "value_from": "tokens"}
    few = experiment(interventions=["none", means], choose=None, languages=["eng_Latn", "deu_Latn"])
    space.submit(few)
    run(space)
    with reading(space.engine) as connection:
        responses = list(connection.execute(select(t.UnitStatistics.responses_id)).scalars())
    space.store.evict(space.engine, responses)
    space.submit({**few, "interventions": ["none", {**means, "k": [4, 9]}]}, replace=True)
    assert "unit_statistics" not in kinds_of(space, run(space))
    medians = {"method": "experts", "k": 4, "value": "median"}
    space.submit({**few, "interventions": ["none", means, medians]}, replace=True)
    claimed = run(space)
    assert "unit_statistics" in kinds_of(space, claimed)
    assert max(claimed.values()) == 2


def test_all_is_found_in_one_look(space: Workspace, experiment: Make, tmp_path: Path) -> None:
    space.submit(experiment(**FEW, languages=["eng_Latn", "deu_Latn"], choose=None))
    run(space)
    with reading(space.engine) as connection:
        # Of the setting that is steered; the first is of the baseline.
        comparison = connection.execute(select(func.max(t.Job.id)).where(t.Job.kind == "comparison")).scalar_one()
        everything = set(connection.execute(select(t.Job.id)).scalars())
    assert not missing(space.engine, space.store, everything).makers
    shutil.rmtree(tmp_path / "artifacts")
    found = missing(space.engine, space.store, [comparison])
    assert found.jobs == {comparison}
    assert kinds_of(space, found.makers) == {
        "unit_statistics", "expert_set", "intervention", "snapshot", "pair_evaluation",
    }  # fmt: skip
    with reading(space.engine) as connection:
        assert "evicted" in set(connection.execute(select(t.Artifact.state)).scalars())
    assert missing(space.engine, space.store, [comparison]) == found
