"""Storing the texts that a model writes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, delete, insert

from sprachbund.db import tables as t
from sprachbund.db.rows import id_of
from sprachbund.queue import Claim
from sprachbund.work.payloads.write import GenerationPayload, TranslationPayload
from sprachbund_runners.generation.decoding import Generated
from sprachbund_runners.generation.repetition import distinct, repeated_share


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts of one run with what is kept of each; `items`: the corpus items they are of, if any."""

    texts: Sequence[str]
    generated: Generated
    items: Sequence[str] | None = None


def write_texts(
    connection: Connection,
    claim: Claim[GenerationPayload] | Claim[TranslationPayload],
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
        setting_id=id_of(connection, t.Setting, claim.payload.setting),
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


def _or_null(value: float) -> float | None:
    return None if np.isnan(value) else value
