"""What lies in files: the columns that name one, and the jobs that make them. Texts are made by submissions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CompoundSelect, Select, literal, select, union_all

from sprachbund.db import tables as t


@dataclass(frozen=True, slots=True)
class Bulk:
    """One kind of file. artifact, job: the columns that name it and the job that makes it.

    key: where rows tell no job, the column that is its subject. from_text: one pass of a text through a model makes it
    again; whatever is compared or chosen is made of other kinds, or kept in rows.
    """

    name: str
    artifact: Any
    job: Any = t.Job.id
    key: Any = None
    from_text: bool = False

    def rows(self, jobs: Any = None) -> Select[Any]:
        """SELECT kind, artifact_id, job_id of every file; of those that `jobs` (ids, or SQL for them) made."""
        found = select(
            literal(self.name).label("kind"), self.artifact.label("artifact_id"), self.job.label("job_id")
        ).where(self.artifact.is_not(None))
        if self.key is not None:
            found = found.join_from(self.artifact.class_, t.Job, t.Job.subject == self.key)
        return (found if jobs is None else found.where(self.job.in_(jobs))).distinct()


BULK: dict[str, Bulk] = {
    each.name: each
    for each in (
        Bulk("snapshot", t.SnapshotPart.artifact_id, t.SnapshotPart.job_id, from_text=True),
        Bulk("responses", t.UnitStatistics.responses_id, t.UnitStatistics.job_id, from_text=True),
        Bulk("moments", t.UnitStatistics.moments_id, t.UnitStatistics.job_id),
        Bulk("ranking", t.ExpertSet.artifact_id, t.ExpertSet.job_id),
        Bulk("direction", t.Direction.artifact_id, t.Direction.job_id),
        Bulk("edits", t.Intervention.artifact_id, key=t.Intervention.key),
        Bulk("outcomes", t.PairEvaluation.outcomes_id, t.PairEvaluation.job_id),
        Bulk("differences", t.EvaluationDifference.replicates_id, t.EvaluationDifference.job_id),
        Bulk("other_outcomes", t.Evaluation.outcomes_id, t.Evaluation.job_id),
    )
}
"""Every kind by its name."""


def made_files(kinds: Iterable[str] = BULK, jobs: Any = None) -> CompoundSelect[Any]:
    """The files of these kinds, as `Bulk.rows`."""
    return union_all(*(BULK[kind].rows(jobs) for kind in kinds))


def columns_of_files() -> Sequence[Any]:
    """Every column that names a file."""
    return [t.CorpusText.artifact_id, *(each.artifact for each in BULK.values())]
