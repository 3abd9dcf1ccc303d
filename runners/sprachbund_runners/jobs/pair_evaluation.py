"""Pair evaluations: retrieval both ways, language ABX and distances of one language pair, layer by layer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, insert, select

from sprachbund.db import tables as t
from sprachbund.keys import content_key
from sprachbund.metrics import MEASURES
from sprachbund.queue import Claim
from sprachbund_runners.evaluation import PAIR_MEASURES, Items, Level, levels
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.embedded import Embedded

# Intervals of single pairs are for reading; comparisons have their own, by the experiment's statistics.
RESAMPLES = 500
SEED = 0


@dataclass(frozen=True, slots=True)
class Row:
    """One evaluation row to be, with its metrics."""

    measure: str
    query: str | None
    candidate: str | None
    layer: str
    metrics: Mapping[str, Level]
    tensor: str | None = None
    scope: str | None = None


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
    query, candidate = payload["languages"]
    rows: list[Row] = []
    tensors: dict[str, NDArray[Any]] = {}
    for layer in payload["layers"]:
        x, y = (embedded.vectors(claim, each, layer, payload["texts"][each]) for each in (query, candidate))
        for measure, function in PAIR_MEASURES.items():
            scores = function(x, y)
            prefix = f"{layer}/{measure}"
            if MEASURES[measure].directed:
                rows.append(Row(measure, query, candidate, layer, _levels(scores.forward), f"{prefix}/forward"))
                rows.append(Row(measure, candidate, query, layer, _levels(scores.backward), f"{prefix}/backward"))
            else:
                values = {
                    name: Level(value, float("nan"), float("nan"), x.unit.n, x.unit.n)
                    for name, value in scores.values.items()
                }
                rows.append(Row(measure, query, candidate, layer, {**_levels(scores.both), **values}, f"{prefix}/both"))
            tensors.update(kept_outcomes(prefix, scores.forward, scores.backward, scores.both, scores.arrays))
    stored = context.save(tensors, {"key": claim.subject})

    def write(connection: Connection) -> None:
        write_evaluations(connection, claim, rows, context.store.record(connection, stored))

    return Outcome(claim, write)


def _levels(items: Items) -> dict[str, Level]:
    return levels(items, resamples=RESAMPLES, seed=SEED)


def kept_outcomes(
    prefix: str, forward: Items, backward: Items, both: Items, arrays: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Per-item outcomes by tensor name: rank counts where there are any, else the items' values as float32."""
    if arrays:
        return {f"{prefix}/{name.replace('_', '/', 1)}": values for name, values in arrays.items()}
    found: dict[str, NDArray[Any]] = {}
    for side, items in (("forward", forward), ("backward", backward), ("both", both)):
        for name, values in items.items():
            found[f"{prefix}/{side}/{name}"] = values.astype(np.float32)
    return found


def write_evaluations(connection: Connection, claim: Claim, rows: Sequence[Row], outcomes_id: int | None) -> None:
    """Insert evaluation rows and their metrics; a metric that is undefined (NaN) has no row."""
    payload = claim.payload
    # A job that was reopened because its file was evicted writes its rows anew.
    connection.execute(delete(t.Evaluation).where(t.Evaluation.job_id == claim.job_id))
    sides = [str(payload.get(side) or payload["setting"]) for side in ("query_setting", "candidate_setting")]
    found = connection.execute(select(t.Setting.key, t.Setting.id).where(t.Setting.key.in_(sides)))
    settings = {row.key: row.id for row in found}
    corpus_id = connection.execute(select(t.Corpus.id).where(t.Corpus.key == payload["corpus"])).scalar_one()
    metrics: list[dict[str, Any]] = []
    for row in rows:
        version = MEASURES[row.measure].version
        evaluation_id = connection.execute(
            insert(t.Evaluation)
            .values(
                key=content_key(
                    "evaluation",
                    version,
                    subject=claim.subject,
                    measure=row.measure,
                    query=row.query,
                    candidate=row.candidate,
                    layer=row.layer,
                ),
                job_id=claim.job_id,
                measure=row.measure,
                version=version,
                query_setting_id=settings[sides[0]],
                candidate_setting_id=settings[sides[1]],
                corpus_id=corpus_id,
                query_language=row.query,
                candidate_language=row.candidate,
                query_layer=row.layer,
                candidate_layer=row.layer,
                pooling=payload["pooling"],
                tokens=payload["tokens"],
                scope_digest=row.scope,
                outcomes_id=outcomes_id if row.tensor else None,
                outcomes_tensor=row.tensor,
            )
            .returning(t.Evaluation.id)
        ).scalar_one()
        metrics += [
            {
                "evaluation_id": evaluation_id,
                "name": name,
                "value": level.value,
                "ci_low": None if np.isnan(level.low) else level.low,
                "ci_high": None if np.isnan(level.high) else level.high,
                "n_items": level.n_items,
                "n_groups": level.n_groups,
            }
            for name, level in row.metrics.items()
            if not np.isnan(level.value)
        ]
    if metrics:
        connection.execute(insert(t.Metric), metrics)
