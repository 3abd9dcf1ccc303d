"""Differences: a setting's evaluation less its baseline's, on the items that both read, resampled together.

What is drawn is what the evaluation is a mean over: `written_differences`, `requested_differences`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection, delete, insert

from sprachbund.db import tables as t
from sprachbund.db.rows import id_of
from sprachbund.queue import Claim
from sprachbund.work.payloads.difference import DifferencePayload
from sprachbund.work.payloads.measure import ABX_EVALUATION, PROBE
from sprachbund.work.payloads.pairs import OWN_MEASURES
from sprachbund.work.payloads.write import GENERATION_EVALUATION, PERPLEXITY, TRANSLATION
from sprachbund_runners.jobs.compare.evaluated import Found, Sides
from sprachbund_runners.jobs.compare.requested_differences import abx, own_measure, probe
from sprachbund_runners.jobs.compare.written_differences import generation, perplexity, translation
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.serving import one_by_one

READERS: Mapping[str, Callable[[Sides], Iterator[Found]]] = {
    PERPLEXITY.name: perplexity,
    GENERATION_EVALUATION.name: generation,
    TRANSLATION.name: translation,
    ABX_EVALUATION.name: abx,
    PROBE.name: probe,
    OWN_MEASURES.name: own_measure,
}


def run(claims: Sequence[Claim[DifferencePayload]], context: Context) -> Iterator[Outcome]:
    """Claims against one baseline; finished ones are stored before the next begins."""
    return one_by_one(claims, context, lambda claim: _difference(claim, context), "comparing with the baseline")


def _difference(claim: Claim[DifferencePayload], context: Context) -> Outcome:
    sides = Sides.read(claim, context)
    found = list(READERS[claim.payload.evaluation](sides))
    # Of what has no layer the draws are kept: costs that lie between two settings are interpolated in each.
    kept = {
        _tensor(each): each.paired.replicates.astype(np.float32)
        for each in found
        if each.place.layer is None and each.paired.replicates is not None
    }
    stored = context.save(kept, {"key": claim.subject}) if kept else None
    of = next((each.payload.evaluand for each in sides.own.values()), None)
    corpus = None if of is None else of.corpus

    def write(connection: Connection) -> None:
        connection.execute(delete(t.EvaluationDifference).where(t.EvaluationDifference.job_id == claim.job_id))
        if not found:
            return
        shared = {
            "job_id": claim.job_id,
            "setting_id": id_of(connection, t.Setting, claim.payload.setting),
            "baseline_id": id_of(connection, t.Setting, claim.payload.baseline),
            "corpus_id": None if corpus is None else id_of(connection, t.Corpus, corpus),
        }
        replicates = context.store.record(connection, stored) if stored else None
        rows = [{**shared, **_row(each), **_draws(each, kept, replicates)} for each in found]
        connection.execute(insert(t.EvaluationDifference), rows)

    return Outcome(claim, write)


def _row(found: Found) -> dict[str, Any]:
    place, paired = found.place, found.paired
    return {
        "evaluation_key": found.key,
        "measure": place.measure,
        "query_language": place.query,
        "candidate_language": place.candidate,
        "layer": place.layer,
        "metric": found.metric,
        "value": paired.value,
        "baseline": paired.baseline,
        "delta_ci_low": _number(paired.low),
        "delta_ci_high": _number(paired.high),
        "p": _number(paired.p),
        "n_items": paired.n_items,
        "n_groups": paired.n_groups,
    }


def _draws(found: Found, kept: Mapping[str, Any], file: int | None) -> dict[str, Any]:
    name = _tensor(found)
    there = name in kept
    return {"replicates_id": file if there else None, "replicates_tensor": name if there else None}


def _tensor(found: Found) -> str:
    return "/".join([found.metric, found.place.query or "", found.place.candidate or ""])


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value
