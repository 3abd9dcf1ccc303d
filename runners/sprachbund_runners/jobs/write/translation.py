"""Translations of one pair by prompting under one setting, scored by chrF and BLEU."""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection

from sprachbund.queue import Claim
from sprachbund.work.payloads.write import TranslationPayload
from sprachbund_runners.evaluation.scores import Level
from sprachbund_runners.generation.decoding import decode, encode, generate, line_ends
from sprachbund_runners.generation.translation import first_line, prompts, scores
from sprachbund_runners.interventions.edit_files import edits_for
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.evaluation_rows import EvaluationRow, write_evaluations
from sprachbund_runners.jobs.fit.intervention import find_edits
from sprachbund_runners.jobs.serving import one_by_one
from sprachbund_runners.jobs.write.generation import rows_per_batch
from sprachbund_runners.jobs.write.text_rows import Texts, write_texts


def run(claims: Sequence[Claim[TranslationPayload]], context: Context) -> Iterator[Outcome]:
    """Each claim is one ordered pair; finished ones are stored before the next begins."""
    return one_by_one(claims, context, lambda claim: _translate(claim, context))


def _translate(claim: Claim[TranslationPayload], context: Context) -> Outcome:
    payload = claim.payload
    loaded = context.model(payload.numerics, head=True)
    source, target = payload.languages
    text, reference = (context.text(each.key) for each in payload.texts)
    # The first items are the examples, the same for every setting; none of them is translated.
    shots = payload.shots
    end = None if payload.limit is None else shots + payload.limit
    sources, references = text.sentences.texts, reference.sentences.texts
    asked = prompts(
        payload.template,
        source,
        target,
        list(zip(sources[:shots], references[:shots], strict=True)),
        sources[shots:end],
    )
    step = context.progress.start(f"translating {claim.label}", len(asked))

    def advance(count: int) -> None:
        context.check_stop()
        step(count)

    generated = generate(
        loaded,
        [encode(loaded, prompt) for prompt in asked],
        max_new_tokens=payload.max_new_tokens,
        temperature=0,
        edits=edits_for(find_edits(context, payload.intervention), source),
        stop=line_ends(loaded),
        rows_per_batch=rows_per_batch(context),
        progress=advance,
    )
    hypotheses = [first_line(each) for each in decode(loaded, generated.ids)]
    found = scores(hypotheses, references[shots:end], target, payload.confidence)
    n = len(hypotheses)
    metrics = {name: Level(each.value, each.low, each.high, n, n) for name, each in found.items()}
    rows = [EvaluationRow("translation", source, target, None, metrics)]
    parameters = {**payload.parameters, "signatures": {name: each.signature for name, each in found.items()}}
    texts = Texts(hypotheses, generated, text.sentences.items[shots:end])

    def write(connection: Connection) -> None:
        write_texts(connection, claim, texts, parameters, text_id=text.id, into=target)
        write_evaluations(connection, claim, rows)

    return Outcome(claim, write, generated.batch_plan)
