"""Pair evaluations: retrieval both ways, language ABX and distances of one language pair, layer by layer.

A setting may steer one side of a pair only: `query` or `candidate` (payload `side`, with the unsteered snapshots in
`plain_snapshots`). Language ABX is left out then, since the two sides differ by more than their language.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, insert, select

from sprachbund.corpora.corpus import code_of
from sprachbund.db import tables as t
from sprachbund.keys import content_key
from sprachbund.metrics import MEASURES
from sprachbund.queue import Claim
from sprachbund_runners.evaluation import (
    PAIR_MEASURES,
    RANK_METRICS,
    Items,
    Level,
    PairScores,
    levels,
    listed_retrieval_scores,
    one_sided,
)
from sprachbund_runners.evaluation.distances import LanguageVectors
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.embedded import Embedded

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


def run(claims: Sequence[Claim], context: Context) -> Iterator[Outcome]:
    """Claims of one setting share the vectors of its languages."""
    embedded = Embedded(context)
    step = context.progress.start(f"evaluating {claims[0].label.split(' on ')[0]}", len(claims))
    for claim in claims:
        context.check_stop()
        yield _pair(claim, context, embedded)
        step(1)


def _pair(claim: Claim, context: Context, embedded: Embedded) -> Outcome:
    payload = claim.payload
    query, candidate = map(code_of, payload["languages"])
    rows: list[Row] = []
    tensors: dict[str, NDArray[Any]] = {}
    for layer in payload["layers"]:
        for measure, scores in _scores(claim, embedded, layer):
            prefix, n_items = f"{layer}/{measure}", _n_items(scores)
            if MEASURES[measure].directed:
                sides = ((query, candidate, "forward", scores.forward), (candidate, query, "backward", scores.backward))
                # Of paraphrases only sentences ask: both directions would be of one and the same language pair.
                rows += [
                    Row(measure, asking, answering, layer, _levels(items), f"{prefix}/{side}", notes=scores.notes)
                    for asking, answering, side, items in (sides if query != candidate else sides[:1])
                ]
            else:
                values = {
                    name: Level(value, float("nan"), float("nan"), n_items, n_items)
                    for name, value in scores.values.items()
                }
                rows.append(Row(measure, query, candidate, layer, {**_levels(scores.both), **values}, f"{prefix}/both"))
            tensors.update(kept_outcomes(prefix, scores))
    stored = context.save(tensors, {"key": claim.subject})

    def write(connection: Connection) -> None:
        write_evaluations(connection, claim, rows, context.store.record(connection, stored))

    return Outcome(claim, write)


def _scores(claim: Claim, embedded: Embedded, layer: str) -> Iterator[tuple[str, PairScores]]:
    """Every measure of the pair at a layer."""
    payload = claim.payload
    side = payload.get("side", "both")

    def vectors(plain: bool) -> tuple[LanguageVectors, LanguageVectors]:
        x, y = (embedded.vectors(claim, each, layer, payload["texts"][each], plain) for each in payload["languages"])
        return x, y

    steered = vectors(plain=False)
    paraphrases = len(set(map(code_of, payload["languages"]))) == 1
    # Of a large pool only what does not need every pair of its items.
    large = steered[0].unit.n > (payload.get("approximate_above") or steered[0].unit.n)
    measures = {**PAIR_MEASURES, "retrieval": listed_retrieval_scores} if large else PAIR_MEASURES
    for measure, function in measures.items():
        if measure == "language_abx" and (large or paraphrases):
            continue
        if side == "both":
            yield measure, function(*steered)
        elif measure != "language_abx":
            yield measure, one_sided(function, steered, vectors(plain=True), side)


def _n_items(scores: PairScores) -> int:
    """Items of the pair."""
    return len(next(iter((scores.forward or scores.both).values())))


def _levels(items: Items) -> dict[str, Level]:
    return levels(items, resamples=RESAMPLES, seed=SEED)


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
    sides = [str(payload.get(side) or payload["setting"]) for side in ("query_setting", "candidate_setting")]
    found = connection.execute(select(t.Setting.key, t.Setting.id).where(t.Setting.key.in_(sides)))
    settings = {row.key: row.id for row in found}
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
            "query_setting_id": settings[sides[0]],
            "candidate_setting_id": settings[sides[1]],
            "corpus_id": corpus_id,
            "query_language": row.query,
            "candidate_language": row.candidate,
            "query_layer": row.layer,
            "candidate_layer": row.layer,
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
