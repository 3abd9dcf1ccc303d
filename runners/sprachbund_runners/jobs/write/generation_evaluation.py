"""What a setting's free generations are: their languages, repetition and variety, over all seeds."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, insert, select

from sprachbund.db import tables as t
from sprachbund.queue import Claim
from sprachbund.work.payloads.write import GenerationEvaluationPayload
from sprachbund_runners.evaluation.scores import Level
from sprachbund_runners.generation.identification import Identified, identify
from sprachbund_runners.generation.repetition import is_degenerate
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.evaluation_rows import NAN, EvaluationRow, mean_level, write_evaluations
from sprachbund_runners.jobs.serving import one_by_one
from sprachbund_runners.statistics.bootstrap import bootstrap_mean
from sprachbund_runners.statistics.intervals import wilson

RESAMPLES = 1000
# Fewer seeds give no interval worth the name.
FEWEST_SEEDS = 3


def run(claims: Sequence[Claim[GenerationEvaluationPayload]], context: Context) -> Iterator[Outcome]:
    """Claims need no model: only the texts, and the language identifier."""
    return one_by_one(claims, context, lambda claim: _evaluate(claim, context), "identifying languages")


def _evaluate(claim: Claim[GenerationEvaluationPayload], context: Context) -> Outcome:
    payload = claim.payload
    confidence = payload.confidence
    chosen = t.Generation.key.in_(payload.generations)
    with context.reading() as connection:
        runs = connection.execute(select(t.Generation).where(chosen).order_by(t.Generation.seed)).all()
        samples = connection.execute(
            select(t.GeneratedText)
            .join(t.Generation, t.Generation.id == t.GeneratedText.generation_id)
            .where(chosen)
            .order_by(t.Generation.seed, t.GeneratedText.sample)
        ).all()
    degenerate = np.array([is_degenerate(each.text, each.repetition, payload.repetition_limit) for each in samples])
    # What has no letters is in no language; the identifier would name one all the same.
    wordless = np.array([is_degenerate(each.text, None, 1.0) for each in samples])
    found: list[Identified | None] = [None] * len(samples)
    known = np.flatnonzero(~wordless)
    for place, each in zip(known, identify([samples[place].text for place in known], payload.among), strict=True):
        found[place] = each
    rows = [
        EvaluationRow("generated_language", language, None, None, shares(found, degenerate, labels, confidence))
        for language, labels in payload.languages.items()
    ]
    repetition = np.array([each.repetition for each in samples if each.repetition is not None], dtype=np.float64)
    lengths = np.array([each.n_tokens for each in samples], dtype=np.float64)
    rows.append(
        EvaluationRow(
            "generation",
            None,
            None,
            None,
            {
                "degenerate_share": share(degenerate, confidence),
                "repetition": _mean(repetition, confidence),
                "sample_tokens": _mean(lengths, confidence),
                "distinct_1": _of_seeds([each.distinct_1 for each in runs], confidence),
                "distinct_2": _of_seeds([each.distinct_2 for each in runs], confidence),
            },
        )
    )
    labels = [
        {
            "job_id": claim.job_id,
            "generation_id": sample.generation_id,
            "sample": sample.sample,
            "label": None if each is None else each.label,
            "probability": None if each is None else each.probability,
            "degenerate": bool(flag),
        }
        for sample, each, flag in zip(samples, found, degenerate, strict=True)
    ]

    def write(connection: Connection) -> None:
        connection.execute(delete(t.TextLabel).where(t.TextLabel.job_id == claim.job_id))
        connection.execute(insert(t.TextLabel), labels)
        write_evaluations(connection, claim, rows)

    return Outcome(claim, write)


def share(hits: NDArray[np.bool_], confidence: float = 0.95) -> Level:
    """A share with its Wilson interval; NaN of none."""
    if not len(hits):
        return Level(NAN, NAN, NAN, 0, 0)
    low, high = wilson(float(hits.sum()), len(hits), confidence)
    return Level(float(hits.mean()), float(low), float(high), len(hits), len(hits))


def shares(
    found: Sequence[Identified | None], degenerate: NDArray[np.bool_], labels: Sequence[str], confidence: float = 0.95
) -> dict[str, Level]:
    """Samples in one language, among all and among those that are not degenerate."""
    hits = np.array([each is not None and each.label in labels for each in found], dtype=np.bool_)
    return {
        "language_share": share(hits, confidence),
        "language_share_nondegenerate": share(hits[~degenerate], confidence),
    }


def _mean(values: NDArray[np.float64], confidence: float) -> Level:
    if len(values) < 2:
        return mean_level(values, NAN, NAN)
    found = bootstrap_mean(values, resamples=RESAMPLES, confidence=confidence)
    return mean_level(values, float(found.low), float(found.high))


def _of_seeds(values: Sequence[float | None], confidence: float) -> Level:
    known = np.array([each for each in values if each is not None], dtype=np.float64)
    return _mean(known, confidence) if len(known) >= FEWEST_SEEDS else mean_level(known, NAN, NAN)
