"""Rows of what every evaluated pair is measured by: one per ordered pair and layer, a column per metric."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy import Connection, bindparam, delete, insert, select, update

from sprachbund.db import tables as t
from sprachbund.db.rows import id_of, one_of, upsert
from sprachbund.db.tables.pairs import DRAWN_METRICS
from sprachbund.measures import METRICS_OF_PAIRS
from sprachbund.queue import Claim
from sprachbund.work.payloads.pairs import PairEvaluationPayload
from sprachbund_runners.jobs.evaluation_rows import EvaluationRow

Place = tuple[Any, ...]  # layer, query, candidate

_COLUMNS = (*METRICS_OF_PAIRS, *(f"{metric}_{end}" for metric in DRAWN_METRICS for end in ("low", "high")))


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
    outcomes_id: int,
) -> None:
    """Store a job's results; `outcomes_id`: the file with all their outcomes. What is undefined (NaN) is NULL."""
    job = {"job_id": claim.job_id, "evaluand_id": _evaluand(connection, claim.payload)}
    connection.execute(delete(t.PairEvaluation).where(t.PairEvaluation.job_id == claim.job_id))
    connection.execute(insert(t.PairEvaluation), {"job_id": claim.job_id, "outcomes_id": outcomes_id})
    found = _merged(rows)
    values = [{**dict.fromkeys(_COLUMNS), **job, **row.columns} for row in found.values()]
    ids = _stored(connection, claim.job_id, dict(zip(found, values, strict=True)))
    notes = [
        {"result_id": ids[place], "metric": metric, "note": note}
        for place, row in found.items()
        for metric, note in row.notes.items()
    ]
    if notes:
        connection.execute(insert(t.PairNote), notes)


def _stored(connection: Connection, job_id: int, values: Mapping[Place, Mapping[str, Any]]) -> dict[Place, int]:
    """Ids of the rows by place. Rows of a job that was reopened, because its file was lost, keep theirs: tests that
    nobody does again refer to them."""
    columns = (t.PairResult.layer, t.PairResult.query_language, t.PairResult.candidate_language)
    of_job = select(*columns, t.PairResult.id).where(t.PairResult.job_id == job_id)
    ids: dict[Place, int] = {tuple(place): number for *place, number in connection.execute(of_job)}
    if ids:
        connection.execute(delete(t.PairNote).where(one_of(connection, t.PairNote.result_id, ids.values())))
        numbers: dict[str, Any] = {name: bindparam(name) for name in ("n_items", *_COLUMNS)}
        again = update(t.PairResult).where(t.PairResult.id == bindparam("result")).values(numbers)
        connection.execute(again, [{**values[place], "result": number} for place, number in ids.items()])
    new = {place: row for place, row in values.items() if place not in ids}
    if new:
        # One statement for all: ids come back in the order of the rows.
        wanted = insert(t.PairResult).returning(t.PairResult.id, sort_by_parameter_order=True)
        ids |= zip(new, connection.execute(wanted, list(new.values())).scalars(), strict=True)
    return ids


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


def _merged(rows: Sequence[EvaluationRow]) -> dict[Place, _PairRow]:
    """By ordered pair and layer."""
    found: dict[Place, _PairRow] = {}
    for row in rows:
        place = {"layer": row.layer, "query_language": row.query, "candidate_language": row.candidate}
        found.setdefault(tuple(place.values()), _PairRow(place)).add(row)
    return found


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
