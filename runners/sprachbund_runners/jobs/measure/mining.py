"""Mining: F1 of the pairs mined on one corpus, above the threshold that was best on `select`, layer by layer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from sqlalchemy import Connection, select

from sprachbund.corpora.corpus import code_of
from sprachbund.db import tables as t
from sprachbund.files.tensors import load_tensors, shapes
from sprachbund.measures import MEASURES
from sprachbund.queue import Claim
from sprachbund.work.payloads.pairs import MinedPair, MiningPayload, PairEvaluationPayload
from sprachbund.work.payloads.stored import from_json
from sprachbund_runners.evaluation.margins import Refused
from sprachbund_runners.evaluation.mining import Mined, score_at, tuned_threshold
from sprachbund_runners.evaluation.scores import Level
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.evaluation_rows import EvaluationRow, write_evaluations
from sprachbund_runners.jobs.serving import one_by_one, tensor_prefix


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pair's outcomes at a layer are: the file and what its tensors' names begin with."""

    path: Path
    prefix: str
    job_id: int
    query: str
    candidate: str


def run(claims: Sequence[Claim[MiningPayload]], context: Context) -> Iterator[Outcome]:
    """Reads what pair evaluations stored: no embedding is looked at again."""
    return one_by_one(claims, context, lambda claim: _mine(claim, context))


def _mine(claim: Claim[MiningPayload], context: Context) -> Outcome:
    rows = []
    places = _places(claim, context)
    for layer in claim.payload.layers:
        for pair in claim.payload.pairs:
            context.check_stop()
            rows.append(_row(pair, layer, places, context))

    def write(connection: Connection) -> None:
        write_evaluations(connection, claim, rows)

    return Outcome(claim, write)


def _places(claim: Claim[MiningPayload], context: Context) -> dict[tuple[str, str], Place]:
    """Where the evaluated pairs are that the job reads, by their keys and layer."""
    statement = (
        select(t.Job.id, t.Job.payload, t.PairEvaluation.outcomes_id)
        .join(t.JobEdge, t.JobEdge.needs_id == t.Job.id)
        .join(t.PairEvaluation, t.PairEvaluation.job_id == t.Job.id)
        .where(t.JobEdge.job_id == claim.job_id)
    )
    found = {}
    with context.reading() as connection:
        for job_id, stored, outcomes_id in connection.execute(statement):
            payload = from_json(PairEvaluationPayload, stored, f"job {job_id}")
            path = context.artifact(connection, outcomes_id, job_id)
            for (number, pair), layer in product(enumerate(payload.pairs), payload.layers):
                query, candidate = map(code_of, pair.sides)
                found[pair.key, layer] = Place(
                    path, tensor_prefix(number, layer, "retrieval"), job_id, query, candidate
                )
    return found


def _row(pair: MinedPair, layer: str, places: Mapping[tuple[str, str], Place], context: Context) -> EvaluationRow:
    query, candidate = map(code_of, pair.sides)
    pairs, tuned_on = (stored_pairs(context, places[key, layer], layer) for key in (pair.scored, pair.tuned_on))
    metrics, notes = {}, {}
    if isinstance(pairs, Refused):
        notes = dict.fromkeys(MEASURES["mining"].metrics, pairs.reason)
    elif isinstance(tuned_on, Refused):
        notes = dict.fromkeys(MEASURES["mining"].metrics, f"on select: {tuned_on.reason}")
    else:
        found = score_at(pairs, tuned_threshold(tuned_on))
        values = {"mining_f1": found.f1, "mining_precision": found.precision, "mining_recall": found.recall}
        if found.threshold < float("inf"):
            values["mining_threshold"] = found.threshold
        else:
            notes["mining_threshold"] = "no pair mined on select is a translation: nothing is taken"
        metrics = {
            name: Level(value, float("nan"), float("nan"), pairs.n_gold, pairs.n_gold) for name, value in values.items()
        }
    return EvaluationRow("mining", query, candidate, layer, metrics, of=pair.key, notes=notes)


def stored_pairs(context: Context, place: Place, layer: str) -> Mined | Refused:
    """The pairs of sentences that a pair evaluation mined; or why there are none."""
    names = {name: f"{place.prefix}/mined/{name}" for name in ("score", "correct", "n_gold")}
    if names["score"] not in shapes(place.path):
        with context.reading() as connection:
            return Refused(_note(connection, place, layer))
    tensors = load_tensors(place.path, names.values())
    return Mined(
        tensors[names["score"]].astype(float), tensors[names["correct"]].astype(bool), int(tensors[names["n_gold"]][0])
    )


def _note(connection: Connection, place: Place, layer: str) -> str:
    """What was noted where the margin is undefined."""
    statement = (
        select(t.PairNote.note)
        .join(t.PairResult, t.PairResult.id == t.PairNote.result_id)
        .where(
            t.PairResult.job_id == place.job_id,
            t.PairResult.layer == layer,
            t.PairResult.query_language == place.query,
            t.PairResult.candidate_language == place.candidate,
            t.PairNote.metric == "margin_ratio_top1",
        )
    )
    return str(connection.execute(statement).scalar_one())
