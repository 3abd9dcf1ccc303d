"""Files that jobs need and that are not there any more, found in one look, with the jobs that make them again."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine, select

from sprachbund.catalogue.edits import EDITS, parse_value
from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.db.rows import chunks
from sprachbund.files.artifacts import ArtifactStore
from sprachbund.files.bulk import made_files
from sprachbund.work.kinds import read_payload
from sprachbund.work.payloads.base import Payload
from sprachbund.work.payloads.fit import EditedUnits, InterventionPayload


@dataclass(frozen=True, slots=True)
class Missing:
    """jobs: those asked about that lack a file. makers: the jobs that make what is lacking, near or far."""

    jobs: frozenset[int]
    makers: frozenset[int]


@dataclass(slots=True)
class _Search:
    """One look: no file is asked for twice."""

    store: ArtifactStore
    gone: dict[int, bool] = field(default_factory=dict)
    # Files that were there when they were last heard of.
    lost: set[int] = field(default_factory=set)

    def lacking(self, connection: Connection, jobs: Sequence[int]) -> set[tuple[int, int]]:
        """(job, job that makes a file it lacks)."""
        needs = _needs(connection, jobs)
        by_maker: dict[int, set[str]] = {}
        for kind, maker in self._gone_files(connection, {maker for _, maker in needs}):
            by_maker.setdefault(maker, set()).add(kind)
        found = {(job, maker) for job, maker in needs if maker in by_maker}
        only_responses = {job for job, maker in found if by_maker[maker] == {"responses"}}
        spare = _without_responses(connection, only_responses)
        return {(job, maker) for job, maker in found if by_maker[maker] != {"responses"} or job not in spare}

    def _gone_files(self, connection: Connection, makers: Collection[int]) -> Iterable[tuple[str, int]]:
        for chunk in chunks(sorted(makers)):
            made = made_files(jobs=chunk).subquery()
            statement = select(made.c.kind, made.c.job_id, t.Artifact.id, t.Artifact.uri, t.Artifact.state).join(
                t.Artifact, t.Artifact.id == made.c.artifact_id
            )
            for kind, maker, artifact, uri, state in connection.execute(statement).all():
                if artifact not in self.gone:
                    self.gone[artifact] = state == "evicted" or not self.store.exists(uri)
                    if self.gone[artifact] and state == "present":
                        self.lost.add(artifact)
                if self.gone[artifact]:
                    yield kind, maker


def missing(engine: Engine, store: ArtifactStore, jobs: Iterable[int]) -> Missing:
    """Which of these jobs lack a file that they read of their needs, and who makes it.

    A maker whose own needs are gone has them made too, and so on: all are found here, so that none is found out only
    when it runs. Files that are not where their rows say are marked evicted.
    """
    asked = set(jobs)
    search, makers, front, lacking = _Search(store), set[int](), set(asked), set[int]()
    with reading(engine) as connection:
        while front:
            found = search.lacking(connection, sorted(front))
            lacking |= {job for job, _ in found}
            front = {maker for _, maker in found} - makers
            makers |= front
    store.evict(engine, sorted(search.lost))
    return Missing(frozenset(lacking & asked), frozenset(makers))


def _needs(connection: Connection, jobs: Sequence[int]) -> list[tuple[int, int]]:
    """(job, finished job that it needs)."""
    found: list[tuple[int, int]] = []
    for chunk in chunks(jobs):
        statement = (
            select(t.JobEdge.job_id, t.JobEdge.needs_id)
            .join(t.Job, t.Job.id == t.JobEdge.needs_id)
            .where(t.JobEdge.job_id.in_(chunk), t.Job.state == "done")
        )
        found += [(job, maker) for job, maker in connection.execute(statement)]
    return found


def _without_responses(connection: Connection, jobs: Collection[int]) -> set[int]:
    """Those of the jobs that read no responses of the unit statistics that they need."""
    found: set[int] = set()
    for chunk in chunks(sorted(jobs)):
        statement = select(t.Job.id, t.Job.kind, t.Job.payload).where(t.Job.id.in_(chunk))
        for job, kind, payload in connection.execute(statement):
            if not _reads_responses(read_payload(kind, payload, f"job {job}")):
                found.add(job)
    return found


def _reads_responses(payload: Payload) -> bool:
    """All but edits that are computed from moments of tokens, from rankings, or from passes of their own.

    Should an edit read them after all, it says so when it comes upon the loss, and they are made again.
    """
    if not isinstance(payload, InterventionPayload) or not isinstance(payload.edited, EditedUnits):
        return True
    edited = payload.edited
    if edited.value is not None:
        return edited.value_from != "tokens" and parse_value(edited.value)[0] != "zero"
    return edited.incremental is None and EDITS[payload.edit].transport
