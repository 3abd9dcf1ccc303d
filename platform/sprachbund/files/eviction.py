"""Which files are given up: those that a pass makes again once all that need them is done, and those a person names."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Connection, Engine, select
from sqlalchemy.orm import aliased

from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.db.rows import chunks
from sprachbund.files.artifacts import ArtifactStore
from sprachbund.files.bulk import BULK, made_files
from sprachbund.vocabulary import Keep

FROM_TEXT = tuple(each.name for each in BULK.values() if each.from_text)
Left = Literal["shared", "needed"]


def pending() -> Any:
    """SQL: jobs that finished ones may still have to serve. One that failed is tried again by `retry`."""
    need = aliased(t.Job)
    return (
        select(t.JobEdge.needs_id)
        .join(need, need.id == t.JobEdge.job_id)
        .where(need.state.in_(("queued", "running", "failed")))
    )


def give_up(engine: Engine, store: ArtifactStore, keep: Keep) -> int:
    """Evict what one pass of a text makes again, where everything that needs it is done; returns the bytes freed.

    keep: what experiments keep that do not say so themselves. A file stays as long as one experiment that planned it
    keeps `all`. Jobs that need it later have it made again.
    """
    with reading(engine) as connection:
        keeping = _keeping_all(connection, keep)
        made = made_files(FROM_TEXT).subquery()
        staying = made.c.job_id.in_(pending()) | made.c.job_id.in_(_planned_by(keeping)) | ~_done(made.c.job_id)
        if keep == "all":
            # So does what no plan has any more.
            staying |= made.c.job_id.not_in(select(t.ExperimentJob.job_id))
        stays = select(made.c.artifact_id).where(staying)
        chosen = (
            select(t.Artifact.id)
            .join(made, made.c.artifact_id == t.Artifact.id)
            .where(t.Artifact.state == "present", t.Artifact.store == store.name, t.Artifact.id.not_in(stays))
            .distinct()
        )
        artifacts = list(connection.execute(chosen).scalars())
    return store.evict(engine, artifacts)


def _done(job: Any) -> Any:
    return job.in_(select(t.Job.id).where(t.Job.state == "done"))


def _planned_by(experiments: Sequence[int]) -> Any:
    return select(t.ExperimentJob.job_id).where(t.ExperimentJob.experiment_id.in_(experiments))


def _keeping_all(connection: Connection, keep: Keep) -> list[int]:
    rows = connection.execute(select(t.Experiment.id, t.Experiment.spec["keep"].label("keep")))
    return [experiment for experiment, said in rows if (said or keep) == "all"]


@dataclass(frozen=True, slots=True)
class File:
    """A file of an experiment: its row, kind and size, and the other experiments whose plans have its job."""

    artifact: int
    kind: str
    n_bytes: int
    shared_with: tuple[str, ...]
    needed: bool


@dataclass(frozen=True, slots=True)
class Evictable:
    """What `evict` would do with an experiment's files of some kinds: what goes, what stays and why."""

    going: tuple[File, ...]
    left: dict[Left, tuple[File, ...]] = field(default_factory=dict)


def evictable(engine: Engine, experiment: int, kinds: Iterable[str], *, shared: bool) -> Evictable:
    """The files of these kinds that jobs of an experiment made and that are there.

    Those that other experiments' plans have as well go only if `shared`; those that jobs wait for never.
    """
    with reading(engine) as connection:
        files = _files_of(connection, experiment, kinds)
    needed = tuple(each for each in files if each.needed)
    others = tuple(each for each in files if not each.needed and each.shared_with and not shared)
    going = tuple(each for each in files if each not in {*needed, *others})
    return Evictable(going, {"shared": others, "needed": needed})


def _files_of(connection: Connection, experiment: int, kinds: Iterable[str]) -> list[File]:
    kinds = list(kinds)
    own = made_files(kinds, _planned_by([experiment])).subquery()
    rows = connection.execute(
        select(t.Artifact.id, own.c.kind, t.Artifact.n_bytes)
        .join(own, own.c.artifact_id == t.Artifact.id)
        .where(t.Artifact.state == "present")
        .order_by(t.Artifact.id)
        .distinct()
    ).all()
    # The same bytes may be another job's too.
    everyone = made_files().subquery()
    others = _by_artifact(
        connection,
        select(everyone.c.artifact_id, t.Experiment.name)
        .join(t.ExperimentJob, t.ExperimentJob.job_id == everyone.c.job_id)
        .join(t.Experiment, t.Experiment.id == t.ExperimentJob.experiment_id)
        .where(t.Experiment.id != experiment)
        .distinct(),
        everyone.c.artifact_id,
        [row.id for row in rows],
    )
    waited_for = _by_artifact(
        connection,
        select(everyone.c.artifact_id, everyone.c.job_id).where(everyone.c.job_id.in_(pending())),
        everyone.c.artifact_id,
        [row.id for row in rows],
    )
    return [
        File(row.id, row.kind, row.n_bytes, tuple(sorted(others.get(row.id, ()))), row.id in waited_for) for row in rows
    ]


def _by_artifact(connection: Connection, statement: Any, column: Any, artifacts: Sequence[int]) -> dict[int, set[Any]]:
    found: dict[int, set[Any]] = {}
    for chunk in chunks(artifacts):
        for artifact, value in connection.execute(statement.where(column.in_(chunk))):
            found.setdefault(artifact, set()).add(value)
    return found


def evict(engine: Engine, store: ArtifactStore, files: Sequence[File], step: Callable[[int], None]) -> int:
    """Evict these files, reporting each; returns the bytes freed."""
    freed = 0
    for chunk in chunks(files):
        freed += store.evict(engine, [each.artifact for each in chunk])
        step(len(chunk))
    return freed
