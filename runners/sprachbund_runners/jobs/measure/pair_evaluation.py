"""Pair evaluations: retrieval both ways, language ABX and distances of one language's pairs, layer by layer.

A setting may steer one side of a pair only: `query` or `candidate` (`side`, with the unsteered snapshots in `plain`).
Language ABX is left out then, since the two sides differ by more than their language.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray
from sqlalchemy import Connection

from sprachbund.corpora.corpus import code_of
from sprachbund.measures import MEASURES
from sprachbund.queue import Claim
from sprachbund.work.payloads.pairs import PairEvaluationPayload
from sprachbund.work.payloads.star import Pair
from sprachbund_runners.evaluation.distances import LanguageVectors
from sprachbund_runners.evaluation.pair import PAIR_MEASURES, one_sided
from sprachbund_runners.evaluation.retrieval_scores import listed_retrieval_scores
from sprachbund_runners.evaluation.scores import Items, Level, PairScores, levels
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.embed.embedded import Embedded
from sprachbund_runners.jobs.evaluation_rows import RESAMPLES, SEED, EvaluationRow, kept_outcomes
from sprachbund_runners.jobs.pair_rows import write_pair_results
from sprachbund_runners.jobs.serving import cells, named, tensor_prefix


def run(claims: Sequence[Claim[PairEvaluationPayload]], context: Context) -> Iterator[Outcome]:
    """Claims of one setting share the vectors of its languages."""
    embedded = Embedded(context)
    step = context.progress.start(f"evaluating {named(claims)}", sum(cells(claim.payload) for claim in claims))
    for claim in claims:
        yield _star(claim, context, embedded, step)


def _star(
    claim: Claim[PairEvaluationPayload], context: Context, embedded: Embedded, step: Callable[[int], None]
) -> Outcome:
    """Layer by layer, so that the vectors of a layer are read once for all pairs. One file has all outcomes."""
    payload = claim.payload
    found = _Found()
    for layer in payload.layers:
        for number, pair in enumerate(payload.pairs):
            context.check_stop()
            for measure, scores in _scores(payload, pair, embedded, layer):
                found.add(pair, layer, measure, scores, tensor_prefix(number, layer, measure))
            step(1)
    stored = context.save(found.tensors, {"key": claim.key})

    def write(connection: Connection) -> None:
        write_pair_results(connection, claim, found.rows, context.store.record(connection, stored))

    return Outcome(claim, write)


@dataclass(slots=True)
class _Found:
    """Rows, and the outcomes they rest on."""

    rows: list[EvaluationRow] = field(default_factory=list)
    tensors: dict[str, NDArray[Any]] = field(default_factory=dict)

    def add(self, pair: Pair, layer: str, measure: str, scores: PairScores, prefix: str) -> None:
        """What a measure of a pair came to."""
        query, candidate = map(code_of, pair.sides)
        if MEASURES[measure].directed:
            sides = ((query, candidate, scores.forward), (candidate, query, scores.backward))
            # Of paraphrases only sentences ask: both directions would be of one and the same language pair.
            self.rows += [
                EvaluationRow(measure, asking, answering, layer, _levels(items), notes=scores.notes)
                for asking, answering, items in (sides if query != candidate else sides[:1])
            ]
        else:
            n_items = _n_items(scores)
            values = {
                name: Level(value, float("nan"), float("nan"), n_items, n_items)
                for name, value in scores.values.items()
            }
            metrics = {**_levels(scores.both), **values}
            self.rows.append(EvaluationRow(measure, query, candidate, layer, metrics, notes=scores.notes))
        self.tensors.update(kept_outcomes(prefix, scores))


def _scores(
    payload: PairEvaluationPayload, pair: Pair, embedded: Embedded, layer: str
) -> Iterator[tuple[str, PairScores]]:
    """Every measure of a pair at a layer."""
    side = payload.side

    def vectors(plain: bool) -> tuple[LanguageVectors, LanguageVectors]:
        x, y = (embedded.vectors(payload, each, layer, payload.texts[each], plain) for each in pair.sides)
        return x, y

    steered = vectors(plain=False)
    paraphrases = len(set(map(code_of, pair.sides))) == 1
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
