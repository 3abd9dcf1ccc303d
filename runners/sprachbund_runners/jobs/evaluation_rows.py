"""Rows of evaluations and their metrics. What every pair is measured by has a table of its own: `pair_rows`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, insert

from sprachbund.db import tables as t
from sprachbund.db.rows import id_of
from sprachbund.measures import COMPARED, MEASURES
from sprachbund.queue import Claim
from sprachbund.work.keys import content_key
from sprachbund_runners.evaluation.retrieval_scores import COUNTS, RANK_METRICS
from sprachbund_runners.evaluation.scores import Level, PairScores

NAN = float("nan")
# Intervals of single pairs are for reading; comparisons have their own, by the experiment's statistics.
RESAMPLES = 500
SEED = 0


@dataclass(frozen=True, slots=True)
class EvaluationRow:
    """One evaluation row to be, with its metrics; `notes` has what must be known of single ones.

    query, candidate: languages; of what a model writes that of the text, or translated from, and translated into.
    layer: of embeddings. tensor: where its outcomes are in the job's file. scope: digest of what its numbers depend on
    beside these. of: key of the pair of languages, where the job has several; else the job's subject is meant.
    """

    measure: str
    query: str | None
    candidate: str | None
    layer: str | None
    metrics: Mapping[str, Level]
    tensor: str | None = None
    scope: str | None = None
    of: str | None = None
    notes: Mapping[str, str] = field(default_factory=dict)


def mean_level(values: NDArray[np.float64], low: float, high: float) -> Level:
    """A mean with its interval over these values; NaN of none."""
    value = float(values.mean()) if len(values) else NAN
    return Level(value, low, high, len(values), len(values))


def kept_outcomes(prefix: str, scores: PairScores) -> dict[str, NDArray[Any]]:
    """Per-item outcomes by tensor name: those that comparisons may ask for and that follow from no stored counts."""
    found = {}
    for name, values in scores.arrays.items():
        side, _, what = name.partition("_")
        found[f"{prefix}/{side}/{what}"] = compact(values) if what in COUNTS else values
    for side, items in (("forward", scores.forward), ("backward", scores.backward), ("both", scores.both)):
        for name, values in items.items():
            counted = f"{side}_greater" in scores.arrays and name in RANK_METRICS
            if name in COMPARED and not counted:
                found[f"{prefix}/{side}/{name}"] = compact(values)
    return found


def compact(values: NDArray[Any]) -> NDArray[Any]:
    """Counts in the smallest type that has them, anything else as float32; one item where all are alike."""
    if len(values) and np.array_equal(values, np.broadcast_to(values[:1], values.shape), equal_nan=True):
        values = values[:1]
    if np.isin(values, (0.0, 1.0)).all():
        return values.astype(np.uint8)
    if np.issubdtype(values.dtype, np.integer):
        return values.astype(np.min_scalar_type(values.max()))
    return values.astype(np.float32)


def whole(stored: NDArray[Any], n: int) -> NDArray[Any]:
    """What `compact` made one item of, again one per item."""
    return np.broadcast_to(stored, n) if len(stored) == 1 else stored


def write_evaluations(
    connection: Connection, claim: Claim[Any], rows: Sequence[EvaluationRow], outcomes_id: int | None = None
) -> None:
    """Insert evaluations of the payload's evaluand and their metrics; one that is undefined (NaN) has no row."""
    # A job that was reopened because its file was evicted writes its rows anew.
    connection.execute(delete(t.Evaluation).where(t.Evaluation.job_id == claim.job_id))
    if not rows:
        return
    # One statement for all: ids come back in the order of the rows.
    statement = insert(t.Evaluation).returning(t.Evaluation.id, sort_by_parameter_order=True)
    shared = _shared(connection, claim)
    values = [{**shared, **_own(claim.subject, row, outcomes_id)} for row in rows]
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


def _shared(connection: Connection, claim: Claim[Any]) -> dict[str, Any]:
    """The columns that all of a job's rows have alike."""
    of = claim.payload.evaluand
    return {
        "job_id": claim.job_id,
        "setting_id": id_of(connection, t.Setting, of.setting),
        "corpus_id": None if of.corpus is None else id_of(connection, t.Corpus, of.corpus),
        "pooling": of.pooling,
        "tokens": of.tokens,
    }


def _own(subject: str, row: EvaluationRow, outcomes_id: int | None) -> dict[str, Any]:
    """The columns of one row."""
    return {
        "key": evaluation_key(row.of or subject, row.measure, row.query, row.candidate, row.layer),
        "measure": row.measure,
        "version": MEASURES[row.measure].version,
        "query_language": row.query,
        "candidate_language": row.candidate,
        "layer": row.layer,
        "scope_digest": row.scope,
        "outcomes_id": outcomes_id if row.tensor else None,
        "outcomes_tensor": row.tensor,
    }


def evaluation_key(of: str, measure: str, query: str | None, candidate: str | None, layer: str | None) -> str:
    """The key of a measure's row, `of` the key of a pair or the subject of a job."""
    place = {"measure": measure, "query": query, "candidate": candidate}
    if layer is not None:
        place["layer"] = layer
    return content_key("evaluation", MEASURES[measure].version, subject=of, **place)


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
