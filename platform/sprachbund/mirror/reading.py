"""From the database to what each MLflow run of an experiment should hold."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from sqlalchemy import Connection, Row, func, select, text

from sprachbund.db import tables as t
from sprachbund.db.rows import asked_for, foreign_pairs
from sprachbund.measures import METRICS
from sprachbund.mirror.describe import Plan, record_of, status_of, status_text
from sprachbund.mirror.means import means
from sprachbund.mirror.records import (
    BEYOND,
    METRIC_ORDER,
    Group,
    Heatmap,
    LoggedValue,
    RunRecord,
    Value,
    headline_kinds,
    points_of,
)
from sprachbund.results.layers import layers_shown, levels_by_layer
from sprachbund.results.left_out import left_out
from sprachbund.vocabulary import layer_order
from sprachbund.work.kinds import read_payload
from sprachbund.work.payloads.compare import ADJUSTMENT, BEST, CHOICE, COMPARISON, ComparisonPayload
from sprachbund.work.payloads.measure import SPACE_EVALUATION, EmbeddingsPayload
from sprachbund.work.payloads.pairs import PAIR_EVALUATION
from sprachbund.work.payloads.star import Starred

HEATMAP_METRIC = "top1"


@dataclass(frozen=True, slots=True)
class BestLayer:
    """The layer that is best so far (the last before anything is compared); `at_ms`: when the last number was there."""

    layer: str
    at_ms: int


Values = dict[int, dict[Group, dict[str, dict[str, Value]]]]

_COMPARED = text(
    """
    SELECT v.setting_key, v.role, v.corpus, v.layer, v.metric, v.value, v.delta, v.p, v.q, v.control_p,
        j.finished_ms
    FROM setting_comparison v JOIN jobs j ON j.id = v.job
    WHERE v.experiment = :experiment AND v.scope = 'all'
    """
)
_POPULATION = text(
    """
    SELECT setting_key, role, corpus, layer, metric, population_low, population_high, population_p
    FROM gain_summary WHERE experiment = :experiment AND scope = 'all' AND population_p IS NOT NULL
    """
)
_BEST = text(
    """
    SELECT v.setting_key, v.role, v.corpus, v.layer, v.metric, v.delta AS best_delta, v.q AS best_q,
        v.population_p AS best_population_p, v.control_p
    FROM contrasts v JOIN planned_settings s ON s.experiment = v.experiment AND s.setting_key = v.setting_key
    WHERE v.experiment = :experiment AND v.scope = 'all' AND v.contrast = 'best' AND v.against_key = s.baseline_key
    """
)
_MISSING = text(
    "SELECT kind, setting_key, corpus_key, layer FROM planned_cells WHERE experiment = :experiment AND done = 0"
)


def read(connection: Connection, experiment_id: int, setting_ids: Sequence[int]) -> list[RunRecord]:
    """What the runs of these settings should hold, in the experiment's order; settings out of its plan are left out.

    A mean over pairs (or languages) is there once all of its planned jobs are done: a mean over those that happen
    to be done would be another number. Call it inside one transaction.
    """
    experiment = connection.execute(select(t.Experiment).where(t.Experiment.id == experiment_id)).one()
    wanted = set(setting_ids)
    settings = _settings(connection, experiment_id)
    groups = _groups(connection, experiment_id)
    plan = _plan(connection, experiment_id)
    for kind, setting, corpus, layer in connection.execute(_MISSING, {"experiment": experiment.name}):
        plan.pending.update((kind, setting, group, layer) for group in groups.get(corpus, ()))
    choices = _choices(connection, experiment_id)
    by_key = {row.key: row.setting_id for row in settings.values()}
    values = _compared(connection, experiment.name, by_key, wanted, chosen=bool(choices))
    kinds = headline_kinds(plan.compared, len({group for several in groups.values() for group in several}))
    # Comparisons are few rows, evaluations are many: what the former have is not averaged again.
    names = {metric for metric, kind in kinds if kind == "value"} - (plan.compared if plan.all_compared else set())
    _add_means(connection, experiment_id, values, sorted(wanted & settings.keys()), sorted(names), settings, plan)
    best = _best_layer(connection, experiment, by_key, settings)
    since_ms = max(experiment.submitted_ms, _settled_ms(connection, experiment_id), best.at_ms)
    planned = {setting_id: row for setting_id, row in settings.items() if setting_id in wanted}
    points: dict[int, tuple[LoggedValue, ...]] = {}
    layers: dict[int, str | None] = {}
    for setting_id, row in planned.items():
        own = values.get(setting_id, {})
        layers[setting_id] = layer = _headline_layer(row, settings, choices) or best.layer
        points[setting_id] = points_of(own, kinds, n_blocks=row.n_blocks, layer=layer, since_ms=since_ms)
    heatmaps = _heatmaps(connection, experiment_id, settings, layers, plan)
    return [
        record_of(
            experiment, row, settings, plan, choices, points[setting_id], layers[setting_id], heatmaps.get(setting_id)
        )
        for setting_id, row in planned.items()
    ]


def status(connection: Connection, experiment_id: int) -> str:
    """What the status of an experiment's runs should be, as `status_text` has it."""
    experiment = connection.execute(select(t.Experiment).where(t.Experiment.id == experiment_id)).one()
    return status_text(*status_of(experiment, *_states(connection, experiment_id)))


def _states(connection: Connection, experiment_id: int) -> tuple[Counter[str], int | None]:
    """Jobs of an experiment by state, and when the last one finished."""
    found: Counter[str] = Counter()
    last_ms: int | None = None
    rows = connection.execute(
        select(t.Job.state, func.count(), func.max(t.Job.finished_ms))
        .join(t.ExperimentJob, t.ExperimentJob.job_id == t.Job.id)
        .where(t.ExperimentJob.experiment_id == experiment_id)
        .group_by(t.Job.state)
    )
    for state, count, finished_ms in rows:
        found[state] = count
        if finished_ms is not None:
            last_ms = max(last_ms or 0, finished_ms)
    return found, last_ms


def _settings(connection: Connection, experiment_id: int) -> dict[int, Row[Any]]:
    columns: Any = select(
        t.ExperimentSetting.setting_id, t.ExperimentSetting.label, t.ExperimentSetting.control_of_id,
        t.ExperimentSetting.baseline_id, t.ExperimentSetting.choice_key,
        t.Setting.key, t.Setting.transform, t.Setting.side, t.Setting.dtype, t.Setting.attention, t.Setting.model_id,
        t.Model.name.label("model"), t.Model.fingerprint, t.Model.revision.label("model_revision"),
        t.Model.family.label("model_family"), t.Model.step.label("model_step"), t.Model.n_blocks,
        t.Intervention.method, t.Intervention.target, t.Intervention.k, t.Intervention.k_fraction,
        t.Intervention.selection, t.Intervention.direction, t.Intervention.edit,
        t.Intervention.strength, t.Intervention.control, t.Intervention.seed, t.Intervention.scorer,
        t.Intervention.score_site, t.Intervention.edit_site, t.Intervention.edit_tokens, t.Intervention.value,
        t.Intervention.value_from, t.Intervention.parameters,
    )  # fmt: skip
    rows = connection.execute(
        columns.join(t.Setting, t.Setting.id == t.ExperimentSetting.setting_id)
        .join(t.Model, t.Model.id == t.Setting.model_id)
        .join(t.Intervention, t.Intervention.id == t.Setting.intervention_id)
        .where(t.ExperimentSetting.experiment_id == experiment_id)
        .order_by(t.ExperimentSetting.ordinal)
    )
    return {row.setting_id: row for row in rows}


def _groups(connection: Connection, experiment_id: int) -> dict[str, list[Group]]:
    """(role, corpus or collection) by corpus key, of the roles that are evaluated."""
    found: dict[str, list[Group]] = {}
    rows = connection.execute(
        select(t.Corpus.key, t.ExperimentCorpus.role, func.coalesce(t.Corpus.collection, t.Corpus.name).label("name"))
        .join(t.Corpus, t.Corpus.id == t.ExperimentCorpus.corpus_id)
        .where(t.ExperimentCorpus.experiment_id == experiment_id, t.ExperimentCorpus.role != "fit")
    )
    for row in rows:
        found.setdefault(row.key, []).append((row.role, row.name))
    return found


def _plan(connection: Connection, experiment_id: int) -> Plan:
    plan = Plan()
    plan.states, plan.finished_ms = _states(connection, experiment_id)
    plan.left_out = {each.setting_key: each.reason for each in left_out(connection, experiment_id)}
    rows = connection.execute(
        select(t.Job.id, t.Job.key, t.Job.kind, t.Job.state, t.Job.payload)
        .join(t.ExperimentJob, t.ExperimentJob.job_id == t.Job.id)
        .where(
            t.ExperimentJob.experiment_id == experiment_id,
            t.Job.kind.in_([kind.name for kind in (PAIR_EVALUATION, SPACE_EVALUATION, COMPARISON)]),
        )
        .order_by(t.Job.key)
    )
    foreign = foreign_pairs(connection, experiment_id)
    for job_id, key, kind, state, stored in rows:
        payload = read_payload(kind, stored, f"job {key}")
        if isinstance(payload, Starred):
            payload = payload.without(foreign.get(job_id, ()))
        if isinstance(payload, ComparisonPayload):
            plan.compared.update(payload.metrics)
            plan.all_compared &= state == "done"
        elif isinstance(payload, EmbeddingsPayload):
            setting = payload.setting
            plan.snapshots.setdefault(setting, set()).update(payload.snapshot_keys)
            if state == "done":
                plan.done_jobs.setdefault(setting, []).append(key)
    return plan


def _choices(connection: Connection, experiment_id: int) -> Sequence[Row[Any]]:
    statement: Any = (
        select(t.Choice.setting_id, t.Choice.layer)
        .join(t.ExperimentJob, t.ExperimentJob.job_id == t.Choice.job_id)
        .where(t.ExperimentJob.experiment_id == experiment_id, t.Choice.control.is_(None))
    )
    return connection.execute(statement).all()


def _settled_ms(connection: Connection, experiment_id: int) -> int:
    """When layers were last chosen, compared, or q-values adjusted; 0 where they were not yet."""
    statement = (
        select(func.max(t.Job.finished_ms))
        .join(t.ExperimentJob, t.ExperimentJob.job_id == t.Job.id)
        .where(
            t.ExperimentJob.experiment_id == experiment_id, t.Job.kind.in_([ADJUSTMENT.name, CHOICE.name, BEST.name])
        )
    )
    return connection.execute(statement).scalar() or 0


def _compared(connection: Connection, name: str, ids: Mapping[str, int], wanted: set[int], *, chosen: bool) -> Values:
    """What comparisons say; p against controls, once something was chosen, is that of controls that chose too."""
    found: Values = {}
    beyond: dict[tuple[str, ...], dict[str, float | None]] = {}
    for statement in (_POPULATION, _BEST):
        for row in connection.execute(statement, {"experiment": name}):
            place = (row.setting_key, row.role, row.corpus, row.layer, row.metric)
            beyond.setdefault(place, {}).update(row._asdict())
    for row in connection.execute(_COMPARED, {"experiment": name}):
        setting_id = ids[row.setting_key]
        if setting_id not in wanted:
            continue
        # A baseline is compared with itself, without a test: its difference says nothing.
        tested = row.p is not None
        best = beyond.get((row.setting_key, row.role, row.corpus, row.layer, row.metric), {})
        metrics = found.setdefault(setting_id, {}).setdefault((row.role, row.corpus), {})
        metrics.setdefault(row.metric, {})[row.layer] = Value(
            row.value,
            row.finished_ms,
            row.delta if tested else None,
            row.q if tested else None,
            best.get("control_p") if chosen else row.control_p,
            **{name: best.get(name) for name in BEYOND},
        )
    return found


def _add_means(
    connection: Connection,
    experiment_id: int,
    values: Values,
    setting_ids: Sequence[int],
    names: Sequence[str],
    settings: Mapping[int, Row[Any]],
    plan: Plan,
) -> None:
    """Means of what no comparison has (other metrics, settings whose comparison is not done), added to `values`."""
    for mean in means(connection, experiment_id, setting_ids, names):
        if (mean.kind, settings[mean.setting_id].key, mean.group, mean.layer) in plan.pending:
            continue
        layers = values.setdefault(mean.setting_id, {}).setdefault(mean.group, {}).setdefault(mean.metric, {})
        layers.setdefault(mean.layer, Value(mean.value, mean.at_ms))


def _headline_layer(row: Row[Any], settings: Mapping[int, Row[Any]], choices: Sequence[Row[Any]]) -> str | None:
    """The first layer chosen for a setting, or for those it is compared with; None where none is."""
    near = (
        {row.setting_id},
        {row.control_of_id},
        {each.setting_id for each in settings.values() if row.choice_key and each.choice_key == row.choice_key},
        {each.setting_id for each in settings.values() if each.model_id == row.model_id},
    )
    for several in near:
        layers = {choice.layer for choice in choices if choice.setting_id in several}
        if layers:
            return min(layers, key=layer_order)
    return None


def _best_layer(
    connection: Connection, experiment: Row[Any], ids: Mapping[str, int], settings: Mapping[int, Row[Any]]
) -> BestLayer:
    """The layer of headlines where none is chosen, as `layers_shown` has it of what is compared on `test` so far."""
    planned = connection.execute(
        select(t.ExperimentLayer.layer).where(t.ExperimentLayer.experiment_id == experiment.id)
    ).scalars()
    layers = sorted(planned, key=layer_order)
    rows = [
        (row.metric, row.layer, settings[ids[row.setting_key]].method, row.value, row.finished_ms)
        for row in connection.execute(_COMPARED, {"experiment": experiment.name})
        if row.role == "test" and settings[ids[row.setting_key]].control is None
    ]
    compared = {row[0] for row in rows}
    metric = next((each for each in METRIC_ORDER if each in compared and METRICS[each].better != "none"), None)
    if metric is None:
        return BestLayer(layers_shown(None, (), {}, layers, METRIC_ORDER[0]).first, 0)
    names = ["layer", "method", "value", "at_ms"]
    found = pl.DataFrame([row[1:] for row in rows if row[0] == metric], schema=names, orient="row")
    shown = layers_shown(None, (), levels_by_layer(found), layers, metric)
    return BestLayer(shown.first, max(found["at_ms"].to_list()))


def _heatmaps(
    connection: Connection,
    experiment_id: int,
    settings: Mapping[int, Row[Any]],
    layers: Mapping[int, str | None],
    plan: Plan,
) -> dict[int, Heatmap]:
    """Retrieval per ordered language pair on `test`, at the headline layer, of settings whose pairs are all done."""
    unfinished = {
        (setting, layer)
        for kind, setting, (role, _), layer in plan.pending
        if kind == PAIR_EVALUATION.name and role == "test"
    }
    ready: dict[str, list[int]] = {}
    for setting_id, layer in layers.items():
        if layer is not None and (settings[setting_id].key, layer) not in unfinished:
            ready.setdefault(layer, []).append(setting_id)
    cells: dict[int, dict[tuple[str, str], float]] = {}
    for layer, setting_ids in ready.items():
        cell: Any = (
            select(
                t.Evaluand.setting_id, t.PairResult.query_language, t.PairResult.candidate_language,
                getattr(t.PairResult, HEATMAP_METRIC),
            )
            .join(t.PairResult, t.PairResult.evaluand_id == t.Evaluand.id)
            .join(t.ExperimentJob, t.ExperimentJob.job_id == t.PairResult.job_id)
            .join(t.ExperimentCorpus, t.ExperimentCorpus.corpus_id == t.Evaluand.corpus_id)
            .where(
                t.ExperimentJob.experiment_id == experiment_id,
                t.ExperimentCorpus.experiment_id == experiment_id,
                t.ExperimentCorpus.role == "test",
                t.Evaluand.setting_id.in_(setting_ids),
                t.PairResult.layer == layer,
                asked_for(),
            )
        )  # fmt: skip
        for setting_id, query, candidate, value in connection.execute(cell):
            cells.setdefault(setting_id, {})[query, candidate] = value
    found = {}
    for setting_id, pairs in cells.items():
        languages = tuple(sorted({language for pair in pairs for language in pair}))
        values = tuple(tuple(pairs.get((query, candidate)) for candidate in languages) for query in languages)
        layer = layers[setting_id]
        assert layer is not None
        found[setting_id] = Heatmap(settings[setting_id].label, layer, HEATMAP_METRIC, languages, values)
    return found
