"""Writing a plan into the database: what is new is inserted, what exists is linked."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as replaced
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, case, select

from sprachbund import queue
from sprachbund.corpora.corpus import code_of
from sprachbund.corpora.text import to_parquet
from sprachbund.db import tables as t
from sprachbund.db.engine import reading, writing
from sprachbund.db.rows import chunks
from sprachbund.errors import SprachbundError
from sprachbund.files.artifacts import ArtifactStore
from sprachbund.planning.blueprint import Blueprint, draw_up
from sprachbund.planning.compared import language_pairs
from sprachbund.planning.recorded import Drawing, record
from sprachbund.planning.resolve import Resolved, resolve
from sprachbund.planning.revisions import Asked, Change, Revision, asked_for, change, last_revision
from sprachbund.spec.experiment import Spec
from sprachbund.work.jobs import jobs_for
from sprachbund.work.kinds import KINDS
from sprachbund.work.payloads.fit import UnitStatisticsPayload
from sprachbund.work.payloads.stored import layers_in
from sprachbund.work.plan import KnownJob


@dataclass(frozen=True, slots=True)
class Submission:
    """What a submission did, or with `dry_run` would do.

    revision: 0 where nothing was written. change: what is otherwise than in the revision before, if anything.
    unused: jobs of the plan before that this one does not use.
    """

    experiment: str
    revision: int
    dry_run: bool
    change: Change | None
    settings: tuple[str, ...]
    # How often one of them is fitted anew, on a half of the fit text.
    n_refits: int
    new: Mapping[str, int]
    existing: Mapping[str, int]
    unused: Mapping[str, int]
    reopened: int
    layers: tuple[str, ...]
    audit: Mapping[str, Any]
    # Forward passes of new work: sentences to run through a model.
    sentences: int
    # Of the test role: items and ordered pairs of all its corpora, as a comparison averages them; and how many of these
    # pairs an item is in, those of its corpus.
    n_items: int
    n_pairs: int
    pairs_per_item: int
    # What comparisons draw, and what they cannot find.
    drawn: Mapping[str, Any]
    warnings: tuple[str, ...]

    @property
    def n_new(self) -> int:
        return sum(self.new.values())


class PlanChanged(SprachbundError):
    """The name has another plan already. `submission`: what replacing it would do."""

    def __init__(self, submission: Submission) -> None:
        self.submission = submission
        assert submission.change is not None
        super().__init__(
            f"experiment '{submission.experiment}' has another plan, revision {submission.change.since}: say --replace"
            " (from Python: replace=True) to plan this one in its place, or give it another name; results stay"
        )


def submit(
    engine: Engine, store: ArtifactStore, spec: Spec, base: Path, *, dry_run: bool = False, replace: bool = False
) -> Submission:
    """Plan `spec` and queue what is new. With `replace` it takes the place of another plan of this name; results stay.

    All rows appear in one transaction. Raises PlanChanged, SpecError, CorpusError, ModelError.
    """
    resolved = resolve(spec, base)
    blueprint = draw_up(spec, [model.plan for model in resolved.models], resolved.plan_corpora())
    asked = asked_for(resolved, blueprint)
    with reading(engine) as connection:
        # Looked at before anything is written, and again under the lock: another submission may come in between.
        before = last_revision(connection, spec.name)
        if dry_run or _refused(before, asked, replace):
            found = _submission(connection, _draw(connection, asked, before, resolved, blueprint))
            if dry_run:
                return found
            raise PlanChanged(found)
    stored = {
        text.key: store.put_bytes(to_parquet(each.corpus.texts[language]), ".parquet")
        for each in resolved.corpora
        for language, text in each.plan.texts.items()
    }
    with writing(engine) as connection:
        # What exists is looked up under the lock under which the rest is inserted: two submissions at once
        # would both plan what neither sees yet.
        queue.lock_turns(connection)
        before = last_revision(connection, spec.name)
        drawing = _draw(connection, asked, before, resolved, blueprint)
        found = _submission(connection, drawing)
        if _refused(before, asked, replace):
            raise PlanChanged(found)
        revision, reopened = record(connection, store, drawing, stored)
    return replaced(found, dry_run=False, revision=revision, reopened=reopened)


def _refused(before: Revision | None, asked: Asked, replace: bool) -> bool:
    return not replace and before is not None and before.asked.plan_digest != asked.plan_digest


def _submission(connection: Connection, drawing: Drawing) -> Submission:
    """What recording a drawing would do."""
    resolved, blueprint, jobs, before = drawing.resolved, drawing.blueprint, drawing.jobs, drawing.before
    return Submission(
        experiment=resolved.spec.name,
        revision=0,
        dry_run=True,
        change=change(before, drawing.asked) if before else None,
        settings=tuple(setting.label for setting in blueprint.settings),
        n_refits=blueprint.n_refits,
        new=dict(Counter(job.kind.name for job in jobs.new)),
        existing=_kinds(connection, jobs.existing),
        unused=_unused(connection, resolved.spec.name, jobs.keys),
        reopened=0,
        layers=blueprint.layers,
        audit=resolved.audit,
        sentences=_sentences(drawing),
        **_tested(resolved),
        drawn=blueprint.drawn,
        warnings=blueprint.warnings,
    )


def _tested(resolved: Resolved) -> dict[str, int]:
    corpora = [each.plan for each in resolved.corpora if each.role == "test"]
    sizes = [min(text.n_items for text in each.texts.values()) for each in corpora]
    pairs = [_n_ordered(language_pairs(resolved.spec, each)) for each in corpora]
    return {"n_items": sum(sizes), "n_pairs": sum(pairs), "pairs_per_item": max(pairs, default=0)}


def _n_ordered(pairs: Sequence[tuple[str, str]]) -> int:
    """Of paraphrases only sentences ask: one direction."""
    return sum(1 if code_of(first) == code_of(second) else 2 for first, second in pairs)


def _draw(
    connection: Connection, asked: Asked, before: Revision | None, resolved: Resolved, blueprint: Blueprint
) -> Drawing:
    """The jobs that are new, given what exists."""
    known = _known(connection, [want.subject for want in blueprint.wants])
    jobs = jobs_for(blueprint.wants, known)
    shared = sorted({pair.job for pair in jobs.foreign})
    existing = dict.fromkeys((*jobs.existing, *queue.unfinished_needs(connection, shared)))
    return Drawing(asked, before, resolved, blueprint, replaced(jobs, existing=tuple(existing)))


def _sentences(drawing: Drawing) -> int:
    sizes = {text.key: text.n_items for each in drawing.resolved.corpora for text in each.plan.texts.values()}
    # Unit statistics of one text that share a bundle, at other sites or pooled otherwise, come from one pass.
    passes: dict[Any, int] = {}
    for job in drawing.jobs.new:
        if job.kind.needs_model:
            asked = job.payload
            key = (job.bundle, asked.text.key) if isinstance(asked, UnitStatisticsPayload) else job.key
            passes[key] = asked.sentences(sizes)
    return sum(passes.values())


def _known(connection: Connection, subjects: Sequence[str]) -> dict[str, list[KnownJob]]:
    found: dict[str, list[KnownJob]] = {}
    starred = [kind.name for kind in KINDS.values() if kind.starred]
    # Of other kinds `pairs` is none of the planner's business, and may be long.
    pairs = case((t.Job.kind.in_(starred), t.Job.payload["pairs"]))
    columns = select(t.Job.subject, t.Job.key, t.Job.kind, layers_in(t.Job.payload).label("layers"), pairs)
    for chunk in chunks(subjects):
        for subject, key, kind, layers, pairs_in in connection.execute(
            columns.where(t.Job.subject.in_(chunk)).order_by(t.Job.id)
        ):
            covered = {each["key"]: (each["first"], each["second"]) for each in pairs_in or ()}
            job = KnownJob(key, tuple(layers) if KINDS[kind].layered else None, covered or None)
            found.setdefault(subject, []).append(job)
    return found


def _kinds(connection: Connection, keys: Sequence[str]) -> dict[str, int]:
    """How many of these jobs there are of each kind."""
    found: Counter[str] = Counter()
    for chunk in chunks(keys):
        found.update(connection.execute(select(t.Job.kind).where(t.Job.key.in_(chunk)).order_by(t.Job.id)).scalars())
    return dict(found)


def _unused(connection: Connection, experiment: str, keys: Sequence[str]) -> dict[str, int]:
    """The jobs that the experiment's present plan uses and these do not contain, counted by kind."""
    linked = (
        select(t.Job.key, t.Job.kind)
        .join(t.ExperimentJob, t.ExperimentJob.job_id == t.Job.id)
        .join(t.Experiment, t.Experiment.id == t.ExperimentJob.experiment_id)
        .where(t.Experiment.name == experiment)
        .order_by(t.Job.id)
    )
    used = set(keys)
    return dict(Counter(kind for key, kind in connection.execute(linked) if key not in used))
