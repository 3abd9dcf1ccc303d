"""Pair evaluations: retrieval both ways, language ABX and distances of one language pair, layer by layer.

A setting may steer one side of a pair only: `query` or `candidate` (`side`, with the unsteered snapshots in `plain`).
Language ABX is left out then, since the two sides differ by more than their language.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from numpy.typing import NDArray
from sqlalchemy import Connection

from sprachbund.corpora.corpus import code_of
from sprachbund.measures import MEASURES
from sprachbund.queue import Claim
from sprachbund.work.payloads.measure import PairEvaluationPayload
from sprachbund_runners.evaluation.distances import LanguageVectors
from sprachbund_runners.evaluation.pair import PAIR_MEASURES, one_sided
from sprachbund_runners.evaluation.retrieval_scores import listed_retrieval_scores
from sprachbund_runners.evaluation.scores import Items, Level, PairScores, levels
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.embed.embedded import Embedded
from sprachbund_runners.jobs.evaluation_rows import RESAMPLES, SEED, EvaluationRow, kept_outcomes, write_evaluations
from sprachbund_runners.jobs.serving import one_by_one


def run(claims: Sequence[Claim[PairEvaluationPayload]], context: Context) -> Iterator[Outcome]:
    """Claims of one setting share the vectors of its languages."""
    embedded = Embedded(context)
    what = f"evaluating {claims[0].label.split(' on ')[0]}"
    return one_by_one(claims, context, lambda claim: _pair(claim, context, embedded), what)


def _pair(claim: Claim[PairEvaluationPayload], context: Context, embedded: Embedded) -> Outcome:
    payload = claim.payload
    query, candidate = map(code_of, payload.languages)
    rows: list[EvaluationRow] = []
    tensors: dict[str, NDArray[Any]] = {}
    for layer in payload.layers:
        for measure, scores in _scores(payload, embedded, layer):
            prefix, n_items = f"{layer}/{measure}", _n_items(scores)
            if MEASURES[measure].directed:
                sides = ((query, candidate, "forward", scores.forward), (candidate, query, "backward", scores.backward))
                # Of paraphrases only sentences ask: both directions would be of one and the same language pair.
                rows += [
                    EvaluationRow(
                        measure, asking, answering, layer, _levels(items), f"{prefix}/{side}", notes=scores.notes
                    )
                    for asking, answering, side, items in (sides if query != candidate else sides[:1])
                ]
            else:
                values = {
                    name: Level(value, float("nan"), float("nan"), n_items, n_items)
                    for name, value in scores.values.items()
                }
                rows.append(
                    EvaluationRow(
                        measure, query, candidate, layer, {**_levels(scores.both), **values}, f"{prefix}/both"
                    )
                )
            tensors.update(kept_outcomes(prefix, scores))
    stored = context.save(tensors, {"key": claim.subject})

    def write(connection: Connection) -> None:
        write_evaluations(connection, claim, rows, context.store.record(connection, stored))

    return Outcome(claim, write)


def _scores(payload: PairEvaluationPayload, embedded: Embedded, layer: str) -> Iterator[tuple[str, PairScores]]:
    """Every measure of the pair at a layer."""
    side = payload.side

    def vectors(plain: bool) -> tuple[LanguageVectors, LanguageVectors]:
        x, y = (embedded.vectors(payload, each, layer, payload.texts[each].key, plain) for each in payload.languages)
        return x, y

    steered = vectors(plain=False)
    paraphrases = len(set(map(code_of, payload.languages))) == 1
    # Of a large pool only what does not need every pair of its items.
    large = steered[0].unit.n > (payload.approximate_above or steered[0].unit.n)
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
