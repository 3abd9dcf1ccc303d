"""Writing a plan into the database: what is new is inserted, what exists is linked."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, case, select

from sprachbund import queue
from sprachbund.corpora.corpus import code_of
from sprachbund.corpora.text import to_parquet
from sprachbund.db import tables as t
from sprachbund.db.engine import reading, writing
from sprachbund.db.rows import chunks
from sprachbund.files.artifacts import ArtifactStore
from sprachbund.planning.blueprint import Blueprint, draw_up
from sprachbund.planning.compared import language_pairs
from sprachbund.planning.recorded import Drawing, record
from sprachbund.planning.resolve import Resolved, resolve
from sprachbund.spec.experiment import Spec
from sprachbund.work.jobs import jobs_for
from sprachbund.work.kinds import KINDS
from sprachbund.work.payloads.fit import UnitStatisticsPayload
from sprachbund.work.payloads.stored import layers_in
from sprachbund.work.plan import KnownJob


@dataclass(frozen=True, slots=True)
class Submission:
    """What a submission did, or with `dry_run` would do."""

    experiment: str
    revision: int
    dry_run: bool
    settings: tuple[str, ...]
    new: Mapping[str, int]
    existing: Mapping[str, int]
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

    @property
    def n_new(self) -> int:
        return sum(self.new.values())


def submit(engine: Engine, store: ArtifactStore, spec: Spec, base: Path, *, dry_run: bool = False) -> Submission:
    """Plan `spec` and queue what is new; the same name again replaces the plan, results stay.

    All rows appear in one transaction. Raises SpecError, CorpusError, ModelError.
    """
    resolved = resolve(spec, base)
    blueprint = draw_up(spec, [model.plan for model in resolved.models], resolved.plan_corpora())
    revision, reopened = 0, 0
    if dry_run:
        with reading(engine) as connection:
            drawing, kinds_of = _draw(connection, resolved, blueprint)
    else:
        stored = {
            text.key: store.put_bytes(to_parquet(each.corpus.texts[language]), ".parquet")
            for each in resolved.corpora
            for language, text in each.plan.texts.items()
        }
        with writing(engine) as connection:
            # What exists is looked up under the lock under which the rest is inserted: two submissions at once
            # would both plan what neither sees yet.
            queue.lock_turns(connection)
            drawing, kinds_of = _draw(connection, resolved, blueprint)
            revision, reopened = record(connection, store, drawing, stored)
    return Submission(
        experiment=spec.name,
        revision=revision,
        dry_run=dry_run,
        settings=tuple(setting.label for setting in blueprint.settings),
        new=dict(Counter(job.kind.name for job in drawing.jobs.new)),
        existing=dict(Counter(kinds_of[key] for key in drawing.jobs.existing)),
        reopened=reopened,
        layers=blueprint.layers,
        audit=resolved.audit,
        sentences=_sentences(drawing),
        **_tested(resolved),
    )


def _tested(resolved: Resolved) -> dict[str, int]:
    corpora = [each.plan for each in resolved.corpora if each.role == "test"]
    sizes = [min(text.n_items for text in each.texts.values()) for each in corpora]
    pairs = [_n_ordered(language_pairs(resolved.spec, each)) for each in corpora]
    return {"n_items": sum(sizes), "n_pairs": sum(pairs), "pairs_per_item": max(pairs, default=0)}


def _n_ordered(pairs: Sequence[tuple[str, str]]) -> int:
    """Of paraphrases only sentences ask: one direction."""
    return sum(1 if code_of(first) == code_of(second) else 2 for first, second in pairs)


def _draw(connection: Connection, resolved: Resolved, blueprint: Blueprint) -> tuple[Drawing, dict[str, str]]:
    """The jobs that are new, given what exists; and the kinds of those that exist."""
    known = _known(connection, [want.subject for want in blueprint.wants])
    jobs = jobs_for(blueprint.wants, known)
    shared = sorted({pair.job for pair in jobs.foreign})
    existing = dict.fromkeys((*jobs.existing, *queue.unfinished_needs(connection, shared)))
    return Drawing(resolved, blueprint, replace(jobs, existing=tuple(existing))), _kinds(connection, list(existing))


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


def _kinds(connection: Connection, keys: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for chunk in chunks(keys):
        rows = connection.execute(select(t.Job.key, t.Job.kind).where(t.Job.key.in_(chunk)))
        found.update((key, kind) for key, kind in rows)
    return found
