"""Storing what a model writes: evaluation rows without layers, and the texts themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, insert, select

from sprachbund.db import tables as t
from sprachbund.keys import content_key
from sprachbund.metrics import MEASURES
from sprachbund.queue import Claim
from sprachbund_runners.evaluation import Level
from sprachbund_runners.generation.decoding import Generated
from sprachbund_runners.generation.repetition import distinct, repeated_share
from sprachbund_runners.jobs.pair_evaluation import metric_rows

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class OutputRow:
    """One evaluation of a setting's output. `language`: of the text, or translated from; `into`: translated into."""

    measure: str
    metrics: Mapping[str, Level]
    language: str | None = None
    into: str | None = None


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts of one run with what is kept of each; `items`: the corpus items they are of, if any."""

    texts: Sequence[str]
    generated: Generated
    items: Sequence[str] | None = None


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
    setting_id = _id(connection, t.Setting, payload["setting"])
    corpus_id = _id(connection, t.Corpus, payload["corpus"]) if "corpus" in payload else None
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
            query_setting_id=setting_id,
            candidate_setting_id=setting_id,
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


def write_texts(
    connection: Connection,
    claim: Claim,
    texts: Texts,
    parameters: Mapping[str, Any],
    *,
    seed: int | None = None,
    text_id: int | None = None,
    into: str | None = None,
) -> None:
    """Insert a run of texts, sample by sample; one that was there before is replaced."""
    connection.execute(delete(t.Generation).where(t.Generation.key == claim.subject))
    ids = texts.generated.ids
    statement = insert(t.Generation).values(
        key=claim.subject,
        job_id=claim.job_id,
        setting_id=_id(connection, t.Setting, claim.payload["setting"]),
        seed=seed,
        corpus_text_id=text_id,
        target_language=into,
        parameters=dict(parameters),
        distinct_1=_or_null(distinct(ids, 1)),
        distinct_2=_or_null(distinct(ids, 2)),
    )
    generation_id = connection.execute(statement.returning(t.Generation.id)).scalar_one()
    rows = [
        {
            "generation_id": generation_id,
            "sample": sample,
            "item": None if texts.items is None else texts.items[sample],
            "text": text,
            "n_tokens": len(ids[sample]),
            "ended": bool(texts.generated.ended[sample]),
            "repetition": _or_null(repeated_share(ids[sample])),
        }
        for sample, text in enumerate(texts.texts)
    ]
    connection.execute(insert(t.GeneratedText), rows)


def mean_level(values: NDArray[np.float64], low: float, high: float) -> Level:
    """A mean with its interval over these values; NaN of none."""
    value = float(values.mean()) if len(values) else NAN
    return Level(value, low, high, len(values), len(values))


def _id(connection: Connection, table: Any, key: str) -> int:
    return int(connection.execute(select(table.id).where(table.key == key)).scalar_one())


def _or_null(value: float) -> float | None:
    return None if np.isnan(value) else value
