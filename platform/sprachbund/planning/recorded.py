"""A drawn plan written into the database: what is new is inserted, what exists is linked."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, delete, update

from sprachbund import queue
from sprachbund.catalogue import plugins
from sprachbund.corpora.text import fingerprint, gold_groups, sizes
from sprachbund.db import tables as t
from sprachbund.db.engine import now_ms
from sprachbund.db.rows import id_of, ids_of, insert_many, insert_missing, insert_new, one_of, upsert
from sprachbund.files.artifacts import ArtifactStore, Stored
from sprachbund.languages import table as languages
from sprachbund.languages.trained import trained_on
from sprachbund.measures import random_levels
from sprachbund.planning.blueprint import Blueprint
from sprachbund.planning.resolve import Resolved, ResolvedModel
from sprachbund.planning.revisions import Asked, Revision, change, record_revision
from sprachbund.vocabulary import ROLES
from sprachbund.work.payloads.compare import ForeignPair
from sprachbund.work.payloads.stored import to_json
from sprachbund.work.plan import JobPlan, PlannedIntervention, PlannedSetting


@dataclass(frozen=True, slots=True)
class Drawing:
    """A spec on its way into the database. `asked`: what is kept of it; `before`: the revision there is."""

    asked: Asked
    before: Revision | None
    resolved: Resolved
    blueprint: Blueprint
    jobs: JobPlan


def record(
    connection: Connection, store: ArtifactStore, drawing: Drawing, stored: Mapping[str, Stored]
) -> tuple[int, int]:
    """All rows of a submission; (revision, jobs reopened)."""
    resolved, blueprint = drawing.resolved, drawing.blueprint
    corpora = _record_corpora(connection, store, resolved, stored)
    models = {model.plan.fingerprint: _record_model(connection, model) for model in resolved.models}
    _record_trained(connection, resolved.models, models)
    settings = _record_settings(connection, (*blueprint.underlying, *blueprint.settings), models)
    for measure in resolved.spec.evaluations.measures:
        upsert(connection, t.MetricName, plugins.find("measure", measure).metric_row(), ["name"], [])
    jobs = queue.insert_jobs(connection, _job_rows(drawing), _edges(drawing, False), _edges(drawing, True))
    experiment_id, revision = _record_experiment(connection, drawing)
    existing = ids_of(connection, t.Job, drawing.jobs.existing)
    used = dict.fromkeys((*jobs.values(), *existing.values()))
    links = ({"experiment_id": experiment_id, "job_id": each} for each in used)
    insert_many(connection, t.ExperimentJob, links)
    # Once it is known who wants what: what nobody wants is not queued again with it.
    reopened = queue.reopen_wanted(connection, list(drawing.jobs.existing))
    insert_many(connection, t.ForeignPair, _foreign_rows(connection, experiment_id, drawing.jobs.foreign))
    insert_many(
        connection,
        t.ExperimentSetting,
        [
            {
                "experiment_id": experiment_id,
                "setting_id": settings[setting.key],
                "ordinal": ordinal,
                "label": setting.label,
                "name": setting.name,
                "model": setting.model.name,
                "control_of_id": settings[setting.control_of] if setting.control_of else None,
                "baseline_id": settings[setting.baseline] if setting.baseline else None,
                "choice_key": setting.choice.key if setting.choice else None,
            }
            for ordinal, setting in enumerate(blueprint.settings)
        ],
    )
    insert_many(
        connection,
        t.ExperimentLayer,
        [
            {"experiment_id": experiment_id, "layer": layer, "ordinal": ordinal}
            for ordinal, layer in enumerate(blueprint.layers)
        ],
    )
    insert_many(
        connection,
        t.ExperimentCorpus,
        [
            {"experiment_id": experiment_id, "corpus_id": corpora[each.plan.key], "role": each.role}
            for each in resolved.corpora
            if each.role in ROLES
        ],
    )
    planned = [settings[setting.key] for setting in blueprint.settings]
    runs = ({"experiment_id": experiment_id, "setting_id": each, "dirty": True, "logged": {}} for each in planned)
    insert_new(connection, t.MlflowRun, runs)
    mirrored = t.MlflowRun.experiment_id == experiment_id, one_of(connection, t.MlflowRun.setting_id, planned)
    connection.execute(update(t.MlflowRun).where(*mirrored).values(dirty=True))
    queue.cancel_unwanted(connection)
    return revision, reopened


def _record_corpora(
    connection: Connection, store: ArtifactStore, resolved: Resolved, stored: Mapping[str, Stored]
) -> dict[str, int]:
    """Languages, corpora and texts; corpus ids by key."""
    ids: dict[str, int] = {}
    for each in resolved.corpora:
        plan = each.plan
        for code in each.corpus.languages:
            _record_language(connection, code)
        row: dict[str, Any] = {
            "key": plan.key,
            "name": plan.name,
            "collection": each.corpus.collection,
            "split": plan.split,
            "kind": plan.kind,
            "source": dict(each.source),
        }
        upsert(connection, t.Corpus, row, ["key"], ["source"])
        ids[plan.key] = id_of(connection, t.Corpus, plan.key)
        for side, text in plan.texts.items():
            groups = {group for group in each.corpus.texts[side].groups if group is not None}
            row = {
                "key": text.key,
                "corpus_id": ids[plan.key],
                "language": text.language,
                "fingerprint": fingerprint(each.corpus.texts[side]),
                "n_items": text.n_items,
                "n_groups": len(groups) or None,
                **sizes(each.corpus.texts[side]),
                "chance": random_levels(np.bincount(gold_groups(each.corpus.texts[side].texts)).tolist()),
                "artifact_id": store.record(connection, stored[text.key]),
            }
            upsert(connection, t.CorpusText, row, ["key"], ["artifact_id"])
    return ids


def _record_model(connection: Connection, model: ResolvedModel) -> int:
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
    return id_of(connection, t.Model, model.plan.fingerprint, "fingerprint")


def _record_trained(connection: Connection, models: Iterable[ResolvedModel], ids: Mapping[str, int]) -> None:
    """The languages models were trained on, in place of what an earlier submission said of them."""
    connection.execute(delete(t.ModelLanguage).where(t.ModelLanguage.model_id.in_(ids.values())))
    for model in models:
        family = trained_on(model.spec.path, model.spec.family)
        if family is None:
            continue
        for code in family.languages:
            _record_language(connection, code)
            row = {
                "model_id": ids[model.plan.fingerprint],
                "language": code,
                "family": family.name,
                "share": family.shares.get(code),
            }
            upsert(connection, t.ModelLanguage, row, ["model_id", "language"], ["family", "share"])


def _record_language(connection: Connection, code: str) -> None:
    upsert(connection, t.Language, asdict(languages.describe(code)), ["code"], [])


def _record_interventions(connection: Connection, planned: Sequence[PlannedIntervention]) -> dict[str, int]:
    """Interventions with their inputs; ids by key."""
    ids = insert_missing(connection, t.Intervention, [_intervention_row(each) for each in planned])
    inputs = (
        {"intervention_id": ids[each.key], "role": role, "input_key": key, "input_kind": kind}
        for each in planned
        for role, key, kind in each.inputs
    )
    insert_new(connection, t.InterventionInput, inputs)
    return ids


def _intervention_row(planned: PlannedIntervention) -> dict[str, Any]:
    row = asdict(planned)
    del row["inputs"]
    return row


def _record_settings(
    connection: Connection, planned: Sequence[PlannedSetting], models: Mapping[str, int]
) -> dict[str, int]:
    """Settings with their interventions; ids by key."""
    # Controls, transforms and sides share interventions.
    interventions = _record_interventions(
        connection, list({each.intervention.key: each.intervention for each in planned}.values())
    )
    rows = [
        {
            "key": setting.key,
            "label": setting.label,
            "model_id": models[setting.model.fingerprint],
            "intervention_id": interventions[setting.intervention.key],
            "transform": setting.transform,
            "transform_parameters": dict(setting.transform_parameters),
            "side": setting.side,
            "dtype": setting.model.dtype,
            "attention": setting.model.attention,
        }
        for setting in planned
    ]
    return insert_missing(connection, t.Setting, rows)


def _record_experiment(connection: Connection, drawing: Drawing) -> tuple[int, int]:
    """The experiment without what an earlier plan of it resolved to, and its revision; (id, revision)."""
    before, asked = drawing.before, drawing.asked
    new = before is None or change(before, asked) is not None
    revision = (before.number if before else 0) + new
    values = {
        "revision": revision,
        "spec": asked.spec,
        "submitted_ms": now_ms(connection),
        "cancelled": False,
        "audit": {**drawing.resolved.audit, "drawn": dict(drawing.blueprint.drawn)},
    }
    name = drawing.resolved.spec.name
    upsert(connection, t.Experiment, {"name": name, **values}, ["name"], list(values))
    found = id_of(connection, t.Experiment, name, "name")
    for table in (t.ExperimentJob, t.ForeignPair, t.ExperimentSetting, t.ExperimentLayer, t.ExperimentCorpus):
        connection.execute(delete(table).where(table.experiment_id == found))
    if new:
        record_revision(connection, found, revision, asked)
    return found, revision


def _job_rows(drawing: Drawing) -> Iterator[dict[str, Any]]:
    """Made as they are inserted: payloads as JSON take more room than anything else of a plan."""
    for job in drawing.jobs.new:
        yield {
            "key": job.key,
            "kind": job.kind.name,
            "version": job.kind.version,
            "subject": job.subject,
            "bundle": job.bundle,
            "model": job.model,
            "payload": to_json(job.payload),
            "label": job.label,
            "priority": job.kind.priority,
        }


def _foreign_rows(connection: Connection, experiment_id: int, foreign: Sequence[ForeignPair]) -> list[dict[str, Any]]:
    ids = ids_of(connection, t.Job, sorted({pair.job for pair in foreign}))
    return [
        {"experiment_id": experiment_id, "job_id": ids[pair.job], "query_language": query, "candidate_language": other}
        for pair in foreign
        for query, other in ((pair.first, pair.second), (pair.second, pair.first))
    ]


def _edges(drawing: Drawing, lenient: bool) -> Iterator[tuple[str, str]]:
    jobs = (job for job in drawing.jobs.new if job.kind.lenient is lenient)
    return ((job.key, needed) for job in jobs for needed in job.needs)
