"""Rows of what every evaluated pair is measured by: one per ordered pair and layer, a column per metric."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy import Connection, delete, insert, select

from sprachbund.db import tables as t
from sprachbund.db.rows import id_of, upsert
from sprachbund.db.tables.pairs import DRAWN_METRICS
from sprachbund.measures import OF_PAIRS
from sprachbund.queue import Claim
from sprachbund.work.payloads.pairs import PairEvaluationPayload
from sprachbund_runners.jobs.evaluation_rows import EvaluationRow

_METRICS = tuple(metric for measure in OF_PAIRS.values() for metric in measure.metrics)
_COLUMNS = (*_METRICS, *(f"{metric}_{end}" for metric in DRAWN_METRICS for end in ("low", "high")))


@dataclass(slots=True)
class _PairRow:
    """What the measures of an ordered pair say together."""

    columns: dict[str, Any]
    notes: dict[str, str] = field(default_factory=dict)

    def add(self, row: EvaluationRow) -> None:
        for metric, level in row.metrics.items():
            self.columns["n_items"] = level.n_items
            self.columns[metric] = _number(level.value)
            if metric in DRAWN_METRICS:
                self.columns |= {f"{metric}_low": _number(level.low), f"{metric}_high": _number(level.high)}
        self.notes |= row.notes


def write_pair_results(
    connection: Connection,
    claim: Claim[PairEvaluationPayload],
    rows: Sequence[EvaluationRow],
    outcomes_id: int | None = None,
) -> None:
    """Insert a job's results; `outcomes_id`: the file with all their outcomes. What is undefined (NaN) is NULL."""
    # A job that was reopened because its file was evicted writes its rows anew.
    connection.execute(delete(t.PairResult).where(t.PairResult.job_id == claim.job_id))
    connection.execute(delete(t.PairEvaluation).where(t.PairEvaluation.job_id == claim.job_id))
    evaluand_id = _evaluand(connection, claim.payload)
    job = {"job_id": claim.job_id, "evaluand_id": evaluand_id}
    connection.execute(insert(t.PairEvaluation), {**job, "outcomes_id": outcomes_id})
    found = _merged(rows)
    if not found:
        return
    values = [{**dict.fromkeys(_COLUMNS), **job, **row.columns} for row in found]
    # One statement for all: ids come back in the order of the rows.
    wanted = insert(t.PairResult).returning(t.PairResult.id, sort_by_parameter_order=True)
    ids = connection.execute(wanted, values).scalars()
    notes = [
        {"result_id": result_id, "metric": metric, "note": note}
        for result_id, row in zip(ids, found, strict=True)
        for metric, note in row.notes.items()
    ]
    if notes:
        connection.execute(insert(t.PairNote), notes)


def _evaluand(connection: Connection, payload: PairEvaluationPayload) -> int:
    row = {
        "setting_id": id_of(connection, t.Setting, payload.setting),
        "corpus_id": id_of(connection, t.Corpus, payload.corpus),
        "pooling": payload.pooling,
        "tokens": payload.tokens,
    }
    upsert(connection, t.Evaluand, row, list(row), [])
    found = select(t.Evaluand.id).where(*(getattr(t.Evaluand, name) == value for name, value in row.items()))
    return int(connection.execute(found).scalar_one())


def _merged(rows: Sequence[EvaluationRow]) -> list[_PairRow]:
    """By ordered pair and layer."""
    found: dict[tuple[Any, ...], _PairRow] = {}
    for row in rows:
        place = {"layer": row.layer, "query_language": row.query, "candidate_language": row.candidate}
        found.setdefault(tuple(place.values()), _PairRow(place)).add(row)
    return list(found.values())


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
