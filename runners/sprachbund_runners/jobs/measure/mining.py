"""Mining: F1 of the pairs mined on one corpus, above the threshold that was best on `select`, layer by layer."""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, select

from sprachbund.corpora.corpus import code_of
from sprachbund.db import tables as t
from sprachbund.files.tensors import load_tensors, shapes
from sprachbund.measures import MEASURES
from sprachbund.queue import Claim
from sprachbund.work.payloads.pairs import MinedPair, MiningPayload
from sprachbund_runners.evaluation.margins import Refused
from sprachbund_runners.evaluation.mining import Mined, score_at, tuned_threshold
from sprachbund_runners.evaluation.scores import Level
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.evaluation_rows import EvaluationRow, evaluation_key, write_evaluations
from sprachbund_runners.jobs.serving import one_by_one


def run(claims: Sequence[Claim[MiningPayload]], context: Context) -> Iterator[Outcome]:
    """Reads what pair evaluations stored: no embedding is looked at again."""
    return one_by_one(claims, context, lambda claim: _mine(claim, context))


def _mine(claim: Claim[MiningPayload], context: Context) -> Outcome:
    rows = []
    for layer in claim.payload.layers:
        for pair in claim.payload.pairs:
            context.check_stop()
            rows.append(_row(pair, layer, context))

    def write(connection: Connection) -> None:
        write_evaluations(connection, claim, rows)

    return Outcome(claim, write)


def _row(pair: MinedPair, layer: str, context: Context) -> EvaluationRow:
    query, candidate = map(code_of, pair.sides)
    pairs, tuned_on = (
        stored_pairs(context, evaluation_key(key, "retrieval", query, candidate, layer))
        for key in (pair.scored, pair.tuned_on)
    )
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


def stored_pairs(context: Context, evaluation: str) -> Mined | Refused:
    """The pairs of sentences that a pair evaluation mined, given the key of its forward row; or why there are none."""
    statement = select(
        t.Evaluation.id, t.Evaluation.outcomes_id, t.Evaluation.outcomes_tensor, t.Evaluation.job_id
    ).where(t.Evaluation.key == evaluation)
    with context.reading() as connection:
        row = connection.execute(statement).one()
        path = context.artifact(connection, row.outcomes_id, row.job_id)
        prefix = row.outcomes_tensor.removesuffix("/forward")
        names = {name: f"{prefix}/mined/{name}" for name in ("score", "correct", "n_gold")}
        if names["score"] not in shapes(path):
            note = select(t.EvaluationNote.note).where(
                t.EvaluationNote.evaluation_id == row.id, t.EvaluationNote.metric == "margin_ratio_top1"
            )
            return Refused(str(connection.execute(note).scalar_one()))
    tensors = load_tensors(path, names.values())
    return Mined(
        tensors[names["score"]].astype(float), tensors[names["correct"]].astype(bool), int(tensors[names["n_gold"]][0])
    )
