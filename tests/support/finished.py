"""What runs left in a workspace, whatever stopped them on the way."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.measures import OF_PAIRS
from sprachbund.workspace import Workspace

RESULTS = (
    t.UnitStatistics, t.ExpertSet, t.ExpertUnit, t.Snapshot, t.SnapshotPart, t.PairResult, t.Evaluation, t.Metric,
    t.Comparison, t.ControlComparison,
)  # fmt: skip
Undisturbed = Callable[[dict[str, Any]], tuple[dict[str, int], dict[str, float]]]


def values(space: Workspace) -> dict[str, float]:
    """Every number that was stored, by a name that does not depend on the order of work."""
    with reading(space.engine) as connection:
        metrics = connection.execute(
            select(t.Evaluation.key, t.Metric.name, t.Metric.value).join(
                t.Metric, t.Metric.evaluation_id == t.Evaluation.id
            )
        ).all()
        comparisons = connection.execute(select(t.Comparison.key, t.Comparison.delta, t.Comparison.p)).all()
    found = {f"{key} {name}": value for key, name, value in metrics}
    found |= {f"{place} {name}": value for (*place, name), value in pair_values(space).items()}
    for key, delta, p in comparisons:
        found[f"{key} delta"] = delta
        # Of a difference that is nothing but rounding, p may be anything.
        if p is not None and abs(delta) > 1e-5:
            found[f"{key} p"] = p
    return found


def pair_values(space: Workspace) -> dict[tuple[str, ...], float]:
    """Metrics of pairs by keys of setting and corpus, layer, languages and name."""
    metrics = [name for measure in OF_PAIRS.values() for name in measure.metrics]
    statement = (
        select(
            t.Setting.key, t.Corpus.key, t.PairResult.layer, t.PairResult.query_language,
            t.PairResult.candidate_language, *(getattr(t.PairResult, name) for name in metrics),
        )
        .join(t.Evaluand, t.Evaluand.id == t.PairResult.evaluand_id)
        .join(t.Setting, t.Setting.id == t.Evaluand.setting_id)
        .join(t.Corpus, t.Corpus.id == t.Evaluand.corpus_id)
    )  # fmt: skip
    with reading(space.engine) as connection:
        rows = connection.execute(statement).all()
    return {
        (*row[:5], name): value
        for row in rows
        for name, value in zip(metrics, row[5:], strict=True)
        if value is not None
    }


def counts(space: Workspace) -> dict[str, int]:
    with reading(space.engine) as connection:
        return {
            table.__tablename__: int(connection.execute(select(func.count()).select_from(table)).scalar_one())
            for table in RESULTS
        }


def check_finished(space: Workspace, expected: tuple[dict[str, int], dict[str, float]]) -> None:
    """All jobs are done, no failure was counted, and what is stored equals an undisturbed run."""
    assert set(space.queue.counts()) == {"done"}
    with reading(space.engine) as connection:
        assert connection.execute(select(func.sum(t.Job.failures))).scalar_one() == 0
        done = select(t.JobAttempt.job_id).where(t.JobAttempt.outcome == "done")
        finished = Counter(connection.execute(done).scalars())
    assert set(finished.values()) == {1}
    assert counts(space) == expected[0]
    # A bundle that was taken over has other batches, and so other rounding.
    assert values(space) == pytest.approx(expected[1], abs=1e-5)


def outcomes(space: Workspace) -> Counter[str]:
    with reading(space.engine) as connection:
        return Counter(connection.execute(select(t.JobAttempt.outcome)).scalars())


def running(space: Workspace) -> int:
    return space.queue.counts().get("running", 0)


def unfinished(space: Workspace) -> list[Path]:
    return list(space.store.scratch.iterdir())


def one_line(said: str) -> str:
    """The only line of standard error."""
    assert said.startswith("sprachbund: ")
    assert said.count("\n") == 1, said
    return said
