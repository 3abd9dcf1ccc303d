"""Where a number of a comparison comes from: definition, jobs, files, how many items, and how it was tested."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl
from sqlalchemy import Connection, Engine, select
from sqlalchemy.orm import aliased

from sprachbund.corpora.corpus import code_of
from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.db.rows import asked_for, chunks
from sprachbund.errors import QueryError, known
from sprachbund.measures import METRICS, OF_PAIRS, measure_of
from sprachbund.results.comparison import Comparison
from sprachbund.statistics import ENOUGH, FEW
from sprachbund.work.kinds import read_payload
from sprachbund.work.payloads.base import Payload
from sprachbund.work.payloads.compare import AdjustmentPayload, ComparisonPayload
from sprachbund.work.payloads.star import Starred
from sprachbund.work.payloads.stored import from_json


@dataclass(frozen=True, slots=True)
class Line:
    """What a line of the table is about: a setting, or (without a key of its own) one variant of its controls."""

    setting_key: str | None
    control_of_key: str | None
    control: str | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """One number: facts by heading, each a list of (name, value)."""

    title: str
    parts: Mapping[str, Sequence[tuple[str, Any]]] = field(default_factory=dict)


def lines_of(comparison: Comparison) -> dict[str, Line]:
    """The settings (and variants of controls) of the comparison's table by what they are called, in its order."""
    rows = comparison.rows.select("setting", "setting_key", "control_of_key", "control").unique(maintain_order=True)
    return {row[0]: Line(*row[1:]) for row in rows.iter_rows()}


def explain_number(engine: Engine, comparison: Comparison, row: str) -> Explanation:
    """The number of the comparison's metric in one row of its table, at the first layer looked at closely.

    row: the row's number from 1 (lines with lowest and highest controls do not count), or the setting's label.
    Raises QueryError for a row that does not exist, is left out or has no evaluations, or if the comparison is broken
    down by languages.
    """
    if set(comparison.by) - {"setting", "layer", "target"}:
        raise QueryError("a row is explained over all pairs: leave --by out")
    label = _label(comparison, row)
    line = lines_of(comparison)[label]
    layer = comparison.detail_layers[0]
    found = comparison.rows.filter(
        pl.col("setting_key").eq_missing(line.setting_key), pl.col("control_of_key").eq_missing(line.control_of_key),
        pl.col("control").eq_missing(line.control), pl.col("layer") == layer, pl.col("metric") == comparison.metric,
    )  # fmt: skip
    if not found.height:
        raise QueryError(f"{comparison.metric} of '{label}' at layer {layer} has no value yet")
    cell = found.row(0, named=True)
    with reading(engine) as connection:
        return _explain(connection, comparison, cell)


def _label(comparison: Comparison, row: str) -> str:
    """What the row that somebody typed is called."""
    labels = list(lines_of(comparison))
    if row.isdigit():
        if not 1 <= int(row) <= len(labels):
            raise QueryError(f"row {row} does not exist: the table has {len(labels)} rows")
        return labels[int(row) - 1]
    absent = next((each for each in comparison.left_out if each.label == row), None)
    if absent is not None:
        raise QueryError(absent.line)
    known("row", row, labels)
    return row


def _explain(connection: Connection, comparison: Comparison, cell: Mapping[str, Any]) -> Explanation:
    metric = METRICS[comparison.metric]
    measure = measure_of(metric.name)
    control = cell["kind"] == "control"
    members = _members(connection, comparison, cell)
    evaluations = _evaluations(connection, comparison, [each.id for each in members], measure.name, cell)
    if not evaluations:
        raise QueryError(
            f"{metric.name} of '{cell['setting']}' at layer {cell['layer']}: found 0 evaluations, expected one per pair"
        )
    versions = ", ".join(str(each) for each in sorted({row.version for row in evaluations}))
    parts: dict[str, list[tuple[str, Any]]] = {}
    parts["number"] = [
        ("value", cell["value"]),
        ("of", f"{metric.name} at layer {cell['layer']} on {cell['corpus']}, role {comparison.role}"),
        ("averaged over", f"{cell['n_pairs']} {'ordered ' if measure.directed else ''}pairs, scope {comparison.scope}"),
        ("setting", cell["setting"] + (f": mean over {cell['n_seeds']} controls" if control else "")),
        ("keys", [each.key for each in members]),
    ]
    parts["definition"] = [
        (metric.name, metric.description),
        ("unit", metric.unit),
        ("better", metric.better),
        ("source", metric.source),
        ("measure", f"{measure.name}, version {versions}: {measure.description}"),
    ]
    parts["computed from"] = _computed_from(connection, members, evaluations)
    if not control:
        parts["compared"] = _compared(connection, comparison, cell)
    return Explanation(f"{comparison.experiment}: {metric.name} of {cell['setting']}", parts)


def _members(connection: Connection, comparison: Comparison, cell: Mapping[str, Any]) -> Sequence[Any]:
    """The setting itself, or the controls of one variant."""
    steered = aliased(t.Setting)
    statement = (
        select(t.Setting.id, t.Setting.key, t.Model.name.label("model"), t.Model.fingerprint,
               t.Intervention.artifact_id)
        .join(t.ExperimentSetting, t.ExperimentSetting.setting_id == t.Setting.id)
        .join(t.Experiment, t.Experiment.id == t.ExperimentSetting.experiment_id)
        .join(t.Model, t.Model.id == t.Setting.model_id)
        .join(t.Intervention, t.Intervention.id == t.Setting.intervention_id)
        .outerjoin(steered, steered.id == t.ExperimentSetting.control_of_id)
        .where(t.Experiment.name == comparison.experiment)
        .order_by(t.ExperimentSetting.ordinal)
    )  # fmt: skip
    if cell["kind"] != "control":
        return connection.execute(statement.where(t.Setting.key == cell["setting_key"])).all()
    controls = steered.key == cell["control_of_key"], t.Intervention.control == cell["control"]
    return connection.execute(statement.where(*controls)).all()


def _evaluations(
    connection: Connection, comparison: Comparison, settings: Sequence[int], measure: str, cell: Mapping[str, Any]
) -> list[Any]:
    statement = _of_pairs(comparison.metric) if measure in OF_PAIRS else _of_others(measure)
    planned = (
        statement.join(t.ExperimentJob, t.ExperimentJob.job_id == t.Job.id)
        .join(t.Experiment, t.Experiment.id == t.ExperimentJob.experiment_id)
        .join(t.ExperimentCorpus, (t.ExperimentCorpus.experiment_id == t.Experiment.id)
              & (t.ExperimentCorpus.corpus_id == t.Corpus.id))
        .where(
            t.Experiment.name == comparison.experiment,
            t.ExperimentCorpus.role == comparison.role,
            t.Setting.id.in_(settings),
            (t.Corpus.name == cell["corpus"]) | (t.Corpus.collection == cell["corpus"]),
        )
    )  # fmt: skip
    results = t.PairResult if measure in OF_PAIRS else t.Evaluation
    here = planned.where(results.layer == cell["layer"], asked_for(results)).order_by(results.id)
    return list(connection.execute(here).all())


def _of_pairs(metric: str) -> Any:
    """Results of pairs that have the metric: job, file, languages and version; job, setting and corpus are joined."""
    row, file = t.PairResult, t.Artifact.digest
    version = t.Job.payload["measures"][measure_of(metric).name].as_integer().label("version")
    return (
        select(row.job_id, file, row.query_language, row.candidate_language, version)
        .join(t.Job, t.Job.id == row.job_id)
        .join(t.PairEvaluation, t.PairEvaluation.job_id == row.job_id)
        .join(t.Artifact, t.Artifact.id == t.PairEvaluation.outcomes_id)
        .join(t.Evaluand, t.Evaluand.id == row.evaluand_id)
        .join(t.Setting, t.Setting.id == t.Evaluand.setting_id)
        .join(t.Corpus, t.Corpus.id == t.Evaluand.corpus_id)
        .where(getattr(row, metric).is_not(None))
    )


def _of_others(measure: str) -> Any:
    """As `_of_pairs`, evaluations by another measure."""
    row, file = t.Evaluation, t.Artifact.digest
    return (
        select(row.job_id, file, row.query_language, row.candidate_language, row.version)
        .join(t.Job, t.Job.id == row.job_id)
        .outerjoin(t.Artifact, t.Artifact.id == row.outcomes_id)
        .join(t.Setting, t.Setting.id == row.setting_id)
        .join(t.Corpus, t.Corpus.id == row.corpus_id)
        .where(row.measure == measure)
    )


def _computed_from(connection: Connection, members: Sequence[Any], evaluations: Sequence[Any]) -> list[tuple[str, Any]]:
    payloads = _payloads(connection, evaluations)
    texts = {key for payload in payloads for key in payload.text_keys}
    snapshots = {key for payload in payloads for key in payload.snapshot_keys}
    fingerprints = _looked_up(connection, t.CorpusText.key, t.CorpusText.fingerprint, sorted(texts))
    parts = _looked_up(connection, t.Snapshot.key, t.Artifact.digest, sorted(snapshots))
    edits = [each.artifact_id for each in members if each.artifact_id is not None]
    digests = _looked_up(connection, t.Artifact.id, t.Artifact.digest, edits)
    return [
        ("model", sorted({f"{each.model} {each.fingerprint}" for each in members})),
        ("edits", sorted(digests)),
        ("texts", sorted(fingerprints)),
        ("embeddings", sorted(set(parts))),
        ("evaluations", len(evaluations)),
        ("jobs", sorted({row.job_id for row in evaluations})),
        ("per-item outcomes", sorted({row.digest for row in evaluations if row.digest})),
    ]


def _payloads(connection: Connection, evaluations: Sequence[Any]) -> list[Payload]:
    """What the evaluations' jobs were asked, as far as it is of their pairs."""
    pairs: dict[int, set[frozenset[str]]] = {}
    for row in evaluations:
        pairs.setdefault(row.job_id, set()).add(frozenset((row.query_language, row.candidate_language)))
    found = []
    for job_id, of_job in pairs.items():
        row = connection.execute(select(t.Job.kind, t.Job.payload).where(t.Job.id == job_id)).one()
        payload = read_payload(row.kind, row.payload, f"job {job_id}")
        if isinstance(payload, Starred):
            asked = [pair for pair in payload.pairs if frozenset(map(code_of, pair.sides)) in of_job]
            payload = payload.part(asked, payload.layers)
        found.append(payload)
    return found


def _looked_up(connection: Connection, column: Any, wanted: Any, keys: Sequence[Any]) -> list[Any]:
    found: list[Any] = []
    for chunk in chunks(keys):
        statement = select(wanted).where(column.in_(chunk))
        if wanted is t.Artifact.digest and column is t.Snapshot.key:
            statement = (
                statement.select_from(t.Snapshot)
                .join(t.SnapshotPart, t.SnapshotPart.snapshot_id == t.Snapshot.id)
                .join(t.Artifact, t.Artifact.id == t.SnapshotPart.artifact_id)
                .distinct()
            )
        found += connection.execute(statement).scalars()
    return found


def _compared(connection: Connection, comparison: Comparison, cell: Mapping[str, Any]) -> list[tuple[str, Any]]:
    if cell["ci_low"] is None:
        return [("tested", "no: this metric is described, not compared (statistics.metrics in the experiment file)")]
    planned = select(t.ExperimentJob.job_id).join(t.Experiment).where(t.Experiment.name == comparison.experiment)
    stored = connection.execute(
        select(t.Comparison.__table__, t.Job.payload, t.Job.id.label("job"))
        .join(t.Job, t.Job.id == t.Comparison.job_id)
        .join(t.Setting, t.Setting.id == t.Comparison.setting_id)
        .where(
            t.Job.id.in_(planned),
            t.Setting.key == cell["setting_key"],
            t.Comparison.layer == cell["layer"],
            t.Comparison.contrast.is_(None),
            t.Comparison.metric == cell["metric"],
            t.Comparison.scope == comparison.scope,
            t.Comparison.corpus == cell["corpus"],
            t.Comparison.role == comparison.role,
        )
        .order_by(t.Comparison.id)
        .limit(1)
    ).one()  # fmt: skip
    payload = from_json(ComparisonPayload, stored.payload, f"job {stored.job}")
    percent = f"{100 * payload.confidence:g} %"
    found = [
        ("job", stored.job),
        ("n", f"{stored.n_pairs} pairs, {stored.n_items} items, {stored.n_groups or 'no'} groups"),
        (
            "interval",
            f"{percent} {_how(cell)}, {payload.resamples} resamples of {payload.unit}s, seed "
            f"{payload.seed}, the same draws for every setting and pair: {_span(cell['ci_low'], cell['ci_high'])}",
        ),
    ]
    if cell["delta"] is None or cell["delta_ci_low"] is None:
        return found
    at_most = "≤ " if stored.p <= stored.p_floor else ""
    found += [
        ("baseline", f"{cell['baseline_setting']}: {cell['baseline']:.4f}"),
        ("Δ", f"{cell['delta']:+.4f}, {_span(cell['delta_ci_low'], cell['delta_ci_high'])}"),
        ("p", f"{at_most}{stored.p:.4g}: paired {_how(cell)}, two-sided, of no difference"),
        ("q", _adjusted(connection, planned, stored.id, cell)),
        ("detectable", _detectable(cell)),
    ]  # fmt: skip
    if stored.fit_error is not None:
        span = _span(cell["fit_low"], cell["fit_high"])
        halves = f"{stored.n_fit_resamples} random halves of the fit text"
        found.append(("with fit sample", f"{span}; standard error {stored.fit_error:.4f} over {halves}"))
    if cell["median_gain"] is not None:
        span = _span(cell["median_low"], cell["median_high"])
        found.append(("median Δ", f"{cell['median_gain']:+.4f} over pairs, languages resampled: {span}"))
    if cell["population_low"] is not None:
        span = _span(cell["population_low"], cell["population_high"])
        found.append(("languages and items", f"{cell['mean_gain']:+.4f}, {span}; p {cell['population_p']:.4g}"))
    controls = comparison.controls.filter(
        pl.col("setting_key") == cell["setting_key"],
        pl.col("layer") == cell["layer"],
        pl.col("metric") == cell["metric"],
        pl.col("corpus") == cell["corpus"],
    )
    found += [
        (
            f"control {each['control']}",
            f"mean {each['mean']:.4f} ({each['low']:.4f} to {each['high']:.4f}) of {each['n_seeds']}"
            + ("" if each["p"] is None else f"; p {each['p']:.3g} = (1 + as good) / (1 + {each['n_seeds']})"),
        )
        for each in controls.iter_rows(named=True)
    ]
    return found


def _how(cell: Mapping[str, Any]) -> str:
    few = cell["item_degrees"] is not None and cell["item_degrees"] < FEW - 1
    return (
        f"Student's t ({cell['item_degrees']} degrees of freedom, error by bootstrap)"
        if few
        else "percentile bootstrap"
    )


def _detectable(cell: Mapping[str, Any]) -> str:
    if cell["detectable"] is None:
        return "nothing: the setting cannot differ here, or draws are too few for its family"
    from_few = cell["n_differing"] < ENOUGH
    how = f"3 / n, as only {cell['n_differing']} {cell['unit']}s differ" if from_few else "from its standard error"
    at = f"where its family finds, p <= {cell['threshold']:.3g}"
    return f"{cell['detectable']:.4f}: found in 80 % of cases {at}; {how}"


def _adjusted(connection: Connection, planned: Any, comparison_id: int, cell: Mapping[str, Any]) -> str:
    """A comparison's q, and the family that the experiment has it in."""
    adjusted = connection.execute(
        select(t.AdjustedComparison.q, t.Family.size, t.Family.kind, t.Job.id, t.Job.payload)
        .join(t.Family, t.Family.id == t.AdjustedComparison.family_id)
        .join(t.Job, t.Job.id == t.Family.job_id)
        .where(t.AdjustedComparison.comparison_id == comparison_id, t.Job.id.in_(planned))
    ).one_or_none()
    if adjusted is None:
        return "none: a control, a layer before the first edited block, or not yet adjusted"
    payload = from_json(AdjustmentPayload, adjusted.payload, f"job {adjusted.id}")
    rule = {
        "bh": "Benjamini–Hochberg",
        "by": "Benjamini–Yekutieli",
        "max_t": f"max-T over {payload.resamples} item-level swaps",
    }[payload.multiplicity]
    family = f"{_FAMILIES[adjusted.kind]} of this metric and scope"
    at_most = "≤ " if cell["q_at_floor"] else ""
    return f"{at_most}{adjusted.q:.4g}: {rule}, a family of {adjusted.size}: {family}"


_FAMILIES = {
    "steered": "all compared settings that edit, layers from their first edited block on,",
    "transforms": "all compared settings and layers that only transform",
}


def _span(low: float | None, high: float | None) -> str:
    return "no interval" if low is None or high is None else f"{low:.4f} to {high:.4f}"
