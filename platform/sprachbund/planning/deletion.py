"""An experiment taken out of the database: its plan, and what no other experiment's plan resolves to."""

import re
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Engine, MetaData, Table, Text, cast, delete, func, not_, select, text

from sprachbund import queue
from sprachbund.db import tables as t
from sprachbund.db.engine import writing
from sprachbund.db.names import find_experiment
from sprachbund.db.rows import chunks
from sprachbund.db.tables.base import BigId
from sprachbund.files.artifacts import ArtifactStore
from sprachbund.files.bulk import made_files
from sprachbund.files.garbage import Heap, Start, drop_unreferenced, sizes_unreferenced

_KEY = re.compile(r"[0-9a-f]{40}")
_GONE = Table("gone_jobs", MetaData(), Column("id", BigId, primary_key=True), prefixes=["TEMPORARY"])

# Jobs that only this experiment planned and that no job of another plan needs, near or far; and what was made of them
# by earlier plans, of which nothing would be right any more.
_FIND_GONE = text("""
    INSERT INTO gone_jobs (id)
    WITH RECURSIVE kept (id) AS (
        SELECT link.job_id FROM experiment_jobs AS link WHERE link.experiment_id <> :experiment
        UNION
        SELECT edge.needs_id FROM kept JOIN job_edges AS edge ON edge.job_id = kept.id
    ),
    gone (id) AS (
        SELECT link.job_id FROM experiment_jobs AS link
        WHERE link.experiment_id = :experiment AND link.job_id NOT IN (SELECT id FROM kept)
        UNION
        SELECT edge.job_id FROM gone JOIN job_edges AS edge ON edge.needs_id = gone.id
    )
    SELECT id FROM gone
""")


@dataclass(frozen=True, slots=True)
class Deletion:
    """What a deletion did, or with `dry_run` would do: jobs by kind, rows by table, files that go with them.

    kept: jobs of the plan that stay, since another experiment's plan has them or what they make.
    """

    experiment: str
    dry_run: bool
    jobs: dict[str, int]
    kept: int
    rows: dict[str, int]
    files: Heap


class _Undone(Exception):
    """Ends a dry run's transaction without a trace."""


def delete_experiment(engine: Engine, store: ArtifactStore, name: str, start: Start, *, dry_run: bool) -> Deletion:
    """Delete an experiment's plan, and the jobs, rows and files that no other experiment's plan resolves to.

    Rows go in one transaction, files afterwards; what an interruption leaves, `collect_garbage` finds. A runner that
    works on a deleted job loses its lease and goes on. With `dry_run` the same is done and taken back.

    Raises:
        QueryError: there is no such experiment.
    """
    with suppress(_Undone), writing(engine) as connection:
        # Nobody plans with what is about to go.
        queue.lock_turns(connection)
        removal = _Removal.of(connection, name)
        jobs, kept = removal.counted()
        rows = removal.remove(start)
        sizes = sizes_unreferenced(connection, removal.artifacts)
        _GONE.drop(connection, checkfirst=False)
        if dry_run:
            raise _Undone
    files = Heap(len(sizes), sum(sizes))
    if not dry_run:
        files = drop_unreferenced(engine, store, removal.artifacts, start("files", len(removal.artifacts)))
    return Deletion(name, dry_run, jobs, kept, rows, files)


@dataclass(slots=True)
class _Removal:
    """One deletion inside its transaction. keys: of what only deleted jobs name. artifacts: files that may go."""

    connection: Connection
    experiment: int
    keys: set[str]
    models: set[str]
    artifacts: list[int]

    @classmethod
    def of(cls, connection: Connection, name: str) -> "_Removal":
        experiment = find_experiment(connection, name)
        _GONE.create(connection, checkfirst=False)
        connection.execute(_FIND_GONE, {"experiment": experiment})
        # In this order and first of all: a job that finishes just now is waited for, or finds its row gone.
        locked = select(t.Job.id, t.Job.model).where(_gone(t.Job.id)).order_by(t.Job.id).with_for_update()
        models = {model for _, model in connection.execute(locked) if model is not None}
        keys = _keys(connection, experiment)
        made = made_files(jobs=select(_GONE.c.id)).subquery()
        artifacts = set(connection.execute(select(made.c.artifact_id)).scalars())
        for chunk in chunks(sorted(keys)):
            artifacts.update(
                connection.execute(select(t.CorpusText.artifact_id).where(t.CorpusText.key.in_(chunk))).scalars()
            )
        return cls(connection, experiment, keys, models, sorted(artifacts))

    def counted(self) -> tuple[dict[str, int], int]:
        """Jobs that go, by kind, and how many of the plan stay."""
        kinds = select(t.Job.kind, func.count()).where(_gone(t.Job.id)).group_by(t.Job.kind).order_by(t.Job.kind)
        staying = select(func.count()).where(
            t.ExperimentJob.experiment_id == self.experiment, not_(_gone(t.ExperimentJob.job_id))
        )
        jobs = dict(self.connection.execute(kinds).all())
        return jobs, int(self.connection.execute(staying).scalar_one())

    def remove(self, start: Start) -> dict[str, int]:
        """Delete all rows, those that refer to others first; how many by table, without what goes by cascade."""
        of_jobs = [table for table in reversed(t.Base.metadata.sorted_tables) if _columns_to(table, "jobs")]
        named = (t.Snapshot, t.Setting, t.Intervention, t.CorpusText, t.Corpus)
        step = start("rows", len(of_jobs) + len(named) + 4)
        rows: dict[str, int] = {}

        def count(table: Any, *where: Any) -> None:
            n = self.connection.execute(delete(table).where(*where)).rowcount
            rows[table.name] = rows.get(table.name, 0) + n

        for table in of_jobs:
            for column in _columns_to(table, "jobs"):
                count(table, _gone(column))
            step(1)
        count(t.Experiment.__table__, t.Experiment.id == self.experiment)
        count(t.Job.__table__, _gone(t.Job.id))
        step(2)
        count(t.Evaluand.__table__, *_unreferenced(t.Evaluand.__table__))
        for entity in named:
            for chunk in chunks(sorted(self.keys)):
                count(entity.__table__, entity.key.in_(chunk), *_unreferenced(entity.__table__))
            step(1)
        still_run = select(t.Job.model).where(t.Job.model.in_(self.models))
        count(t.Model.__table__, t.Model.fingerprint.in_(self.models), t.Model.fingerprint.not_in(still_run),
              *_unreferenced(t.Model.__table__))  # fmt: skip
        asked = select(t.Evaluation.scope_digest).where(t.Evaluation.scope_digest.is_not(None))
        count(t.EvaluationTask.__table__, t.EvaluationTask.key.not_in(asked))
        step(2)
        return {table: n for table, n in rows.items() if n}


def _gone(column: Any) -> Any:
    return column.in_(select(_GONE.c.id))


def _keys(connection: Connection, experiment: int) -> set[str]:
    """Keys of settings, texts and the like that deleted jobs or the experiment name, and no job that stays."""
    found = _named(connection, select(t.Job.subject, cast(t.Job.payload, Text)).where(_gone(t.Job.id)), None)
    own = (
        select(t.Setting.key)
        .join(t.ExperimentSetting, t.ExperimentSetting.setting_id == t.Setting.id)
        .where(t.ExperimentSetting.experiment_id == experiment),
        select(t.Intervention.key)
        .join(t.Setting, t.Setting.intervention_id == t.Intervention.id)
        .join(t.ExperimentSetting, t.ExperimentSetting.setting_id == t.Setting.id)
        .where(t.ExperimentSetting.experiment_id == experiment),
        select(t.Corpus.key)
        .join(t.ExperimentCorpus, t.ExperimentCorpus.corpus_id == t.Corpus.id)
        .where(t.ExperimentCorpus.experiment_id == experiment),
        select(t.CorpusText.key)
        .join(t.ExperimentCorpus, t.ExperimentCorpus.corpus_id == t.CorpusText.corpus_id)
        .where(t.ExperimentCorpus.experiment_id == experiment),
    )
    for statement in own:
        found.update(connection.execute(statement).scalars())
    for chunk in chunks(sorted(found)):
        # Text that side effects alone are measured on plays no role of the experiment.
        texts = select(t.Corpus.key).join(t.CorpusText, t.CorpusText.corpus_id == t.Corpus.id)
        found.update(connection.execute(texts.where(t.CorpusText.key.in_(chunk))).scalars())
    staying = select(t.Job.subject, cast(t.Job.payload, Text)).where(not_(_gone(t.Job.id)))
    return found - _named(connection, staying, found)


def _named(connection: Connection, jobs: Any, among: Collection[str] | None) -> set[str]:
    """The keys in subjects and payloads of jobs, or those of them that are among some."""
    found: set[str] = set()
    for subject, payload in connection.execute(jobs, execution_options={"yield_per": 1000}):
        keys = {subject, *_KEY.findall(payload)}
        found |= keys if among is None else keys.intersection(among)
    return found


def _columns_to(table: Table, target: str) -> list[Any]:
    """The columns of a table that refer to another's rows and do not go with them."""
    return [key.parent for key in table.foreign_keys if key.column.table.name == target and key.ondelete is None]


def _unreferenced(table: Any) -> list[Any]:
    """SQL: no row that would stay refers to the row."""
    columns = [column for other in t.Base.metadata.sorted_tables for column in _columns_to(other, table.name)]
    return [~select(1).where(column == table.c.id).exists() for column in columns]
