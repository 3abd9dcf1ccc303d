"""Free generation: one job per setting and seed, its samples stored as rows."""

from collections.abc import Iterator, Sequence

import numpy as np
from sqlalchemy import Connection

from sprachbund.errors import ModelError
from sprachbund.queue import Claim
from sprachbund.work.payloads.write import GenerationPayload
from sprachbund_runners.generation.decoding import decode, encode, generate, start_id
from sprachbund_runners.generation.sampling import uniforms
from sprachbund_runners.interventions.edit_files import ANY
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.fit.intervention import find_edits
from sprachbund_runners.jobs.serving import one_by_one
from sprachbund_runners.jobs.write.text_rows import Texts, write_texts

# Every token drawn is a pass of one token per row: rows are what fills it. A row's cache and its logits weigh
# more than a token's activations, so fewer rows than tokens of a batch.
TOKENS_PER_ROW = 8
MOST_ROWS = 1024


def rows_per_batch(context: Context) -> int:
    """Texts written side by side."""
    return max(1, min(MOST_ROWS, context.max_tokens // TOKENS_PER_ROW))


def run(claims: Sequence[Claim[GenerationPayload]], context: Context) -> Iterator[Outcome]:
    """Each claim is one seed of one setting; finished ones are stored before the next begins."""
    return one_by_one(claims, context, lambda claim: _generate(claim, context))


def _generate(claim: Claim[GenerationPayload], context: Context) -> Outcome:
    payload = claim.payload
    loaded = context.model(payload.numerics, head=True)
    edits = find_edits(context, payload.intervention)
    if set(edits) - {ANY}:
        raise ModelError(f"{claim.label}: its edits differ by input language, and free generation has none")
    samples = payload.samples
    prompt = payload.prompt
    ids = np.array([start_id(loaded)]) if prompt is None else encode(loaded, prompt)
    step = context.progress.start(f"writing {claim.label}", samples)

    def advance(count: int) -> None:
        context.check_stop()
        step(count)

    generated = generate(
        loaded,
        [ids] * samples,
        max_new_tokens=payload.max_new_tokens,
        temperature=payload.temperature,
        top_p=payload.top_p,
        uniform=uniforms(payload.seed, 0, samples, payload.max_new_tokens),
        edits=edits.get(ANY, ()),
        rows_per_batch=rows_per_batch(context),
        progress=advance,
    )
    texts = Texts(decode(loaded, generated.ids), generated)

    def write(connection: Connection) -> None:
        write_texts(connection, claim, texts, payload.parameters, seed=payload.seed)

    return Outcome(claim, write, generated.batch_plan)
