"""Pair evaluations: retrieval both ways, language ABX and distances of one language pair, layer by layer.

A setting may steer one side of a pair only: `query` or `candidate` (payload `side`, with the unsteered snapshots in
`plain_snapshots`). Language ABX is left out then, since the two sides differ by more than their language.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from numpy.typing import NDArray
from sqlalchemy import Connection

from sprachbund.corpora.corpus import code_of
from sprachbund.measures import MEASURES
from sprachbund.queue import Claim
from sprachbund_runners.evaluation.distances import LanguageVectors
from sprachbund_runners.evaluation.pair import PAIR_MEASURES, one_sided
from sprachbund_runners.evaluation.retrieval_scores import listed_retrieval_scores
from sprachbund_runners.evaluation.scores import Items, Level, PairScores, levels
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.embed.embedded import Embedded
from sprachbund_runners.jobs.evaluation_rows import RESAMPLES, SEED, Row, kept_outcomes, write_evaluations


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
