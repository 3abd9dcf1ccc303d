"""Writing a plan into the database: what is new is inserted, what exists is linked."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from sprachbund import languages, plugins, queue
from sprachbund.artifacts import ArtifactStore, Stored
from sprachbund.comparison_wants import language_pairs
from sprachbund.corpora.text import fingerprint, to_parquet
from sprachbund.db import tables as t
from sprachbund.db.engine import now_ms, reading, writing
from sprachbund.db.work import ROLES
from sprachbund.keys import content_key
from sprachbund.kinds import KINDS, UNIT_STATISTICS
from sprachbund.plan import JobPlan, KnownJob, PlannedIntervention, PlannedSetting, jobs_for
from sprachbund.resolve import Resolved, ResolvedModel, resolve
from sprachbund.spec import Spec
from sprachbund.trained_languages import trained_on
from sprachbund.wants import Blueprint, draw_up

CHUNK = 400


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
    # Of the test role: items of all its corpora, and ordered pairs that share a corpus's items.
    n_items: int
    n_pairs: int

    @property
    def n_new(self) -> int:
        return sum(self.new.values())


@dataclass(frozen=True, slots=True)
class Drawing:
    """A spec on its way into the database."""

    resolved: Resolved
    blueprint: Blueprint
    jobs: JobPlan


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
            queue.lock_submissions(connection)
            drawing, kinds_of = _draw(connection, resolved, blueprint)
            revision, reopened = _write(connection, store, drawing, stored)
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
    return {
        "n_items": sum(sizes),
        "n_pairs": 2 * max((len(language_pairs(resolved.spec, each)) for each in corpora), default=0),
    }


def _draw(connection: Connection, resolved: Resolved, blueprint: Blueprint) -> tuple[Drawing, dict[str, str]]:
    """The jobs that are new, given what exists; and the kinds of those that exist."""
    known = _known(connection, [want.subject for want in blueprint.wants])
    kinds_of = _kinds(connection, [job.key for jobs in known.values() for job in jobs])
    return Drawing(resolved, blueprint, jobs_for(blueprint.wants, known)), kinds_of


def _sentences(drawing: Drawing) -> int:
    sizes = {text.key: text.n_items for each in drawing.resolved.corpora for text in each.plan.texts.values()}
    # Unit statistics of one text that share a bundle, at other sites or pooled otherwise, come from one pass.
    passes: dict[Any, int] = {}
    for job in drawing.jobs.new:
        if job.kind.needs_model:
            payload = job.payload
            key = (job.bundle, payload["text"]) if job.kind is UNIT_STATISTICS else job.key
            passes[key] = payload["sentences"] if "sentences" in payload else sizes[payload["text"]]
    return sum(passes.values())


def _chunks(values: Sequence[str]) -> Iterable[Sequence[str]]:
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]


def _known(connection: Connection, subjects: Sequence[str]) -> dict[str, list[KnownJob]]:
    found: dict[str, list[KnownJob]] = {}
    columns = select(t.Job.subject, t.Job.key, t.Job.kind, t.Job.payload)
    for chunk in _chunks(subjects):
        for subject, key, kind, payload in connection.execute(
            columns.where(t.Job.subject.in_(chunk)).order_by(t.Job.id)
        ):
            layers = tuple(payload["layers"]) if KINDS[kind].layered else None
            found.setdefault(subject, []).append(KnownJob(key, layers))
    return found


def _kinds(connection: Connection, keys: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for chunk in _chunks(keys):
        rows = connection.execute(select(t.Job.key, t.Job.kind).where(t.Job.key.in_(chunk)))
        found.update((key, kind) for key, kind in rows)
    return found


def _write(
    connection: Connection, store: ArtifactStore, drawing: Drawing, stored: Mapping[str, Stored]
) -> tuple[int, int]:
    """All rows of a submission; (revision, jobs reopened)."""
    resolved, blueprint = drawing.resolved, drawing.blueprint
    corpora = _write_corpora(connection, store, resolved, stored)
    models = {model.plan.fingerprint: _write_model(connection, model) for model in resolved.models}
    _write_trained(connection, resolved.models, models)
    settings = {
        setting.key: _write_setting(connection, setting, models[setting.model.fingerprint])
        for setting in (*blueprint.underlying, *blueprint.settings)
    }
    for measure in resolved.spec.evaluations.measures:
        upsert(connection, t.MetricName, plugins.find("measure", measure).metric_row(), ["name"], [])
    jobs = queue.insert_jobs(connection, _job_rows(drawing), _edges(drawing))
    reopened = queue.reopen_wanted(connection, list(drawing.jobs.existing))
    experiment_id, revision = _write_experiment(connection, resolved)
    ids = _job_ids(connection, drawing.jobs.keys)
    assert len(ids) == len(drawing.jobs.keys), jobs
    _insert_many(connection, t.ExperimentJob, [{"experiment_id": experiment_id, "job_id": each} for each in ids])
    _insert_many(
        connection,
        t.ExperimentSetting,
        [
            {
                "experiment_id": experiment_id,
                "setting_id": settings[setting.key],
                "ordinal": ordinal,
                "label": setting.label,
                "control_of_id": settings[setting.control_of] if setting.control_of else None,
                "baseline_id": settings[setting.baseline] if setting.baseline else None,
                "choice_group": setting.choice_group,
            }
            for ordinal, setting in enumerate(blueprint.settings)
        ],
    )
    _insert_many(
        connection,
        t.ExperimentLayer,
        [
            {"experiment_id": experiment_id, "layer": layer, "ordinal": ordinal}
            for ordinal, layer in enumerate(blueprint.layers)
        ],
    )
    _insert_many(
        connection,
        t.ExperimentCorpus,
        [
            {"experiment_id": experiment_id, "corpus_id": corpora[each.plan.key], "role": each.role}
            for each in resolved.corpora
            if each.role in ROLES
        ],
    )
    for setting in blueprint.settings:
        row = {"experiment_id": experiment_id, "setting_id": settings[setting.key]}
        upsert(connection, t.MlflowRun, {**row, "dirty": True, "logged": {}}, list(row), ["dirty"])
    queue.cancel_unwanted(connection)
    return revision, reopened


def upsert(
    connection: Connection, table: type[t.Base], row: Mapping[str, Any], unique: list[str], refresh: list[str]
) -> None:
    """Insert a row, or where `unique` exists already set the columns `refresh` anew."""
    build = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = build(table).values(**row)
    if refresh:
        changes = {name: row[name] for name in refresh}
        connection.execute(statement.on_conflict_do_update(index_elements=unique, set_=changes))
    else:
        connection.execute(statement.on_conflict_do_nothing(index_elements=unique))


def _id(connection: Connection, table: Any, key: str, column: str = "key") -> int:
    return int(connection.execute(select(table.id).where(getattr(table, column) == key)).scalar_one())


def _insert_many(connection: Connection, table: type[t.Base], rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), rows)


def _write_corpora(
    connection: Connection, store: ArtifactStore, resolved: Resolved, stored: Mapping[str, Stored]
) -> dict[str, int]:
    """Languages, corpora and texts; corpus ids by key."""
    ids: dict[str, int] = {}
    for each in resolved.corpora:
        plan = each.plan
        for code in each.corpus.languages:
            _write_language(connection, code)
        row: dict[str, Any] = {
            "key": plan.key,
            "name": plan.name,
            "collection": each.corpus.collection,
            "split": plan.split,
            "kind": plan.kind,
            "source": dict(each.source),
        }
        upsert(connection, t.Corpus, row, ["key"], ["source"])
        ids[plan.key] = _id(connection, t.Corpus, plan.key)
        for side, text in plan.texts.items():
            groups = {group for group in each.corpus.texts[side].groups if group is not None}
            row = {
                "key": text.key,
                "corpus_id": ids[plan.key],
                "language": text.language,
                "fingerprint": fingerprint(each.corpus.texts[side]),
                "n_items": text.n_items,
                "n_groups": len(groups) or None,
                "artifact_id": store.record(connection, stored[text.key]),
            }
            upsert(connection, t.CorpusText, row, ["key"], ["artifact_id"])
    return ids


def _write_model(connection: Connection, model: ResolvedModel) -> int:
    row = {
        "fingerprint": model.plan.fingerprint,
        "name": model.plan.name,
        "path": str(model.folder) if model.folder.exists() else model.spec.path,
        "revision": model.spec.revision,
        "family": model.spec.family,
        "step": model.spec.step,
        "architecture": model.architecture.family,
        "n_blocks": model.architecture.n_blocks,
        "hidden_size": model.architecture.hidden_size,
        "config": {
            "config": dict(model.config),
            "declared": model.spec.architecture,
            "trust_remote_code": model.spec.trust_remote_code,
        },
    }
    upsert(connection, t.Model, row, ["fingerprint"], ["path", "revision", "family", "step", "config"])
    return _id(connection, t.Model, model.plan.fingerprint, "fingerprint")


def _write_trained(connection: Connection, models: Iterable[ResolvedModel], ids: Mapping[str, int]) -> None:
    """The languages models were trained on, in place of what an earlier submission said of them."""
    connection.execute(delete(t.ModelLanguage).where(t.ModelLanguage.model_id.in_(ids.values())))
    for model in models:
        family = trained_on(model.spec.path, model.spec.family)
        if family is None:
            continue
        for code in family.languages:
            _write_language(connection, code)
            row = {"model_id": ids[model.plan.fingerprint], "language": code, "family": family.name}
            upsert(connection, t.ModelLanguage, row, ["model_id", "language"], ["family"])


def _write_language(connection: Connection, code: str) -> None:
    known = languages.describe(code)
    row = {name: getattr(known, name) for name in ("code", "iso639_3", "script", "name", "glottocode", "family")}
    upsert(connection, t.Language, row, ["code"], [])


def _write_intervention(connection: Connection, planned: PlannedIntervention) -> int:
    row = asdict(planned)
    inputs = row.pop("inputs")
    upsert(connection, t.Intervention, row, ["key"], [])
    intervention_id = _id(connection, t.Intervention, planned.key)
    for role, input_key, kind in inputs:
        row = {"intervention_id": intervention_id, "role": role, "input_key": input_key, "input_kind": kind}
        upsert(connection, t.InterventionInput, row, ["intervention_id", "role", "input_key"], [])
    return intervention_id


def _write_setting(connection: Connection, setting: PlannedSetting, model_id: int) -> int:
    row = {
        "key": setting.key,
        "label": setting.label,
        "model_id": model_id,
        "intervention_id": _write_intervention(connection, setting.intervention),
        "transform": setting.transform,
        "transform_parameters": dict(setting.transform_parameters),
        "side": setting.side,
        "dtype": setting.model.dtype,
        "attention": setting.model.attention,
    }
    upsert(connection, t.Setting, row, ["key"], [])
    return _id(connection, t.Setting, setting.key)


def _write_experiment(connection: Connection, resolved: Resolved) -> tuple[int, int]:
    spec = resolved.spec
    content = spec.expanded()
    digest = content_key("spec", 1, spec=content)
    found = connection.execute(
        select(t.Experiment.id, t.Experiment.revision, t.Experiment.spec_digest).where(t.Experiment.name == spec.name)
    ).one_or_none()
    values = {
        "spec": content,
        "spec_digest": digest,
        "submitted_ms": now_ms(connection),
        "cancelled": False,
        "audit": dict(resolved.audit),
    }
    if found is None:
        statement = insert(t.Experiment).values(name=spec.name, revision=1, **values).returning(t.Experiment.id)
        return int(connection.execute(statement).scalar_one()), 1
    revision = found.revision + (found.spec_digest != digest)
    connection.execute(update(t.Experiment).where(t.Experiment.id == found.id).values(revision=revision, **values))
    for table in (t.ExperimentJob, t.ExperimentSetting, t.ExperimentLayer, t.ExperimentCorpus):
        connection.execute(delete(table).where(table.experiment_id == found.id))
    return int(found.id), int(revision)


def _job_rows(drawing: Drawing) -> list[dict[str, Any]]:
    return [
        {
            "key": job.key,
            "kind": job.kind.name,
            "version": job.kind.version,
            "subject": job.subject,
            "bundle": job.bundle,
            "model": job.model,
            "payload": dict(job.payload),
            "label": job.label,
            "priority": job.kind.priority,
        }
        for job in drawing.jobs.new
    ]


def _edges(drawing: Drawing) -> list[tuple[str, str]]:
    return [(job.key, needed) for job in drawing.jobs.new for needed in job.needs]


def _job_ids(connection: Connection, keys: Sequence[str]) -> list[int]:
    found: list[int] = []
    for chunk in _chunks(keys):
        found += connection.execute(select(t.Job.id).where(t.Job.key.in_(chunk))).scalars()
    return found
