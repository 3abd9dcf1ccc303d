"""Rows of evaluations and their metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, insert, select

from sprachbund.db import tables as t
from sprachbund.db.rows import id_of
from sprachbund.measures import MEASURES
from sprachbund.queue import Claim
from sprachbund.work.keys import content_key
from sprachbund_runners.evaluation.retrieval_scores import RANK_METRICS
from sprachbund_runners.evaluation.scores import Level, PairScores

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class OutputRow:
    """One evaluation of a setting's output. `language`: of the text, or translated from; `into`: translated into."""

    measure: str
    metrics: Mapping[str, Level]
    language: str | None = None
    into: str | None = None


def write_outputs(
    connection: Connection,
    claim: Claim,
    rows: Sequence[OutputRow],
    outcomes_id: int | None = None,
    outcomes_tensor: str | None = None,
) -> None:
    """Insert evaluations of the claim's setting and their metrics; a metric that is undefined (NaN) has no row."""
    payload = claim.payload
    # A job that was reopened because a file was evicted writes its rows anew.
    connection.execute(delete(t.Evaluation).where(t.Evaluation.job_id == claim.job_id))
    setting_id = id_of(connection, t.Setting, payload["setting"])
    corpus_id = id_of(connection, t.Corpus, payload["corpus"]) if "corpus" in payload else None
    metrics: list[dict[str, Any]] = []
    for row in rows:
        version = MEASURES[row.measure].version
        key = content_key(
            "evaluation", version, subject=claim.subject, measure=row.measure, query=row.language, candidate=row.into
        )
        statement = insert(t.Evaluation).values(
            key=key,
            job_id=claim.job_id,
            measure=row.measure,
            version=version,
            setting_id=setting_id,
            corpus_id=corpus_id,
            query_language=row.language,
            candidate_language=row.into,
            outcomes_id=outcomes_id,
            outcomes_tensor=outcomes_tensor,
        )
        evaluation_id = connection.execute(statement.returning(t.Evaluation.id)).scalar_one()
        metrics += metric_rows(evaluation_id, row.metrics)
    if metrics:
        connection.execute(insert(t.Metric), metrics)


def mean_level(values: NDArray[np.float64], low: float, high: float) -> Level:
    """A mean with its interval over these values; NaN of none."""
    value = float(values.mean()) if len(values) else NAN
    return Level(value, low, high, len(values), len(values))


# Intervals of single pairs are for reading; comparisons have their own, by the experiment's statistics.
RESAMPLES = 500
SEED = 0


@dataclass(frozen=True, slots=True)
class Row:
    """One evaluation row to be, with its metrics; `notes` has what must be known of single ones."""

    measure: str
    query: str | None
    candidate: str | None
    layer: str
    metrics: Mapping[str, Level]
    tensor: str | None = None
    scope: str | None = None
    notes: Mapping[str, str] = field(default_factory=dict)


def kept_outcomes(prefix: str, scores: PairScores) -> dict[str, NDArray[Any]]:
    """Per-item outcomes by tensor name; metrics that follow from stored counts are not stored beside them."""
    found = {f"{prefix}/{name.replace('_', '/', 1)}": values for name, values in scores.arrays.items()}
    for side, items in (("forward", scores.forward), ("backward", scores.backward), ("both", scores.both)):
        for name, values in items.items():
            if not (f"{side}_greater" in scores.arrays and name in RANK_METRICS):
                found[f"{prefix}/{side}/{name}"] = compact(values)
    return found


def compact(values: NDArray[np.float64]) -> NDArray[Any]:
    """Hits and misses as uint8, anything else as float32."""
    return values.astype(np.uint8 if np.isin(values, (0.0, 1.0)).all() else np.float32)


def write_evaluations(connection: Connection, claim: Claim, rows: Sequence[Row], outcomes_id: int | None) -> None:
    """Insert evaluation rows and their metrics; a metric that is undefined (NaN) has no row."""
    payload = claim.payload
    # A job that was reopened because its file was evicted writes its rows anew.
    connection.execute(delete(t.Evaluation).where(t.Evaluation.job_id == claim.job_id))
    setting_id = id_of(connection, t.Setting, str(payload.get("query_setting") or payload["setting"]))
    corpus_id = connection.execute(select(t.Corpus.id).where(t.Corpus.key == payload["corpus"])).scalar_one()
    if not rows:
        return
    # One statement for all: ids come back in the order of the rows.
    statement = insert(t.Evaluation).returning(t.Evaluation.id, sort_by_parameter_order=True)
    values = [
        {
            "key": content_key(
                "evaluation",
                MEASURES[row.measure].version,
                subject=claim.subject,
                measure=row.measure,
                query=row.query,
                candidate=row.candidate,
                layer=row.layer,
            ),
            "job_id": claim.job_id,
            "measure": row.measure,
            "version": MEASURES[row.measure].version,
            "setting_id": setting_id,
            "corpus_id": corpus_id,
            "query_language": row.query,
            "candidate_language": row.candidate,
            "layer": row.layer,
            "pooling": payload["pooling"],
            "tokens": payload["tokens"],
            "scope_digest": row.scope,
            "outcomes_id": outcomes_id if row.tensor else None,
            "outcomes_tensor": row.tensor,
        }
        for row in rows
    ]
    ids = connection.execute(statement, values).scalars().all()
    metrics: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    for row, evaluation_id in zip(rows, ids, strict=True):
        metrics += metric_rows(evaluation_id, row.metrics)
        notes += [{"evaluation_id": evaluation_id, "metric": name, "note": note} for name, note in row.notes.items()]
    if metrics:
        connection.execute(insert(t.Metric), metrics)
    if notes:
        connection.execute(insert(t.EvaluationNote), notes)


def metric_rows(evaluation_id: int, metrics: Mapping[str, Level]) -> list[dict[str, Any]]:
    """Rows of `metrics`; a metric that is undefined (NaN) has none, an interval that is has NULL ends."""
    return [
        {
            "evaluation_id": evaluation_id,
            "name": name,
            "value": level.value,
            "ci_low": None if np.isnan(level.low) else level.low,
            "ci_high": None if np.isnan(level.high) else level.high,
            "n_items": level.n_items,
            "n_groups": level.n_groups,
        }
        for name, level in metrics.items()
        if not np.isnan(level.value)
    ]
