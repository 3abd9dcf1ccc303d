"""Perplexity and bits per byte of one language's text under one setting."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from sprachbund.errors import CorpusError, ModelError
from sprachbund.measures.perplexity import DEFAULT_WINDOW
from sprachbund.queue import Claim
from sprachbund.work.payloads.write import PerplexityPayload
from sprachbund_runners.evaluation.scores import Level
from sprachbund_runners.generation.decoding import encode, special_ids
from sprachbund_runners.interventions.edit_files import edits_for
from sprachbund_runners.jobs.context import Context, Outcome, Text
from sprachbund_runners.jobs.evaluation_rows import NAN, EvaluationRow, write_evaluations
from sprachbund_runners.jobs.fit.intervention import find_edits
from sprachbund_runners.jobs.serving import one_by_one
from sprachbund_runners.language_modelling.estimates import Documents, Estimate, bits_per_byte, half_width, perplexity
from sprachbund_runners.language_modelling.scoring import likelihoods
from sprachbund_runners.language_modelling.stopping import read_until
from sprachbund_runners.models.loading import LoadedModel

# Order in which a sequential reading takes documents; the same for every setting.
SEED = 0


def run(claims: Sequence[Claim[PerplexityPayload]], context: Context) -> Iterator[Outcome]:
    """Each claim is one language; finished ones are stored before the next begins."""
    return one_by_one(claims, context, lambda claim: _perplexity(claim, context))


def _perplexity(claim: Claim[PerplexityPayload], context: Context) -> Outcome:
    payload = claim.payload
    loaded = context.model(payload.numerics, head=True)
    text = context.text(payload.text.key)
    edits = edits_for(find_edits(context, payload.intervention), payload.language)
    window = window_of(loaded, payload.window, payload.stride)
    documents = first_tokens([encode(loaded, each) for each in text.sentences.texts], payload.max_tokens)
    n_bytes = np.array([len(each.encode()) for each in text.sentences.texts[: len(documents)]], dtype=np.float64)
    tokens = np.array([len(ids) - 1 for ids in documents], dtype=np.float64)
    nats = np.zeros(len(documents))
    units = _units(text, len(documents))
    step = context.progress.start(f"reading {claim.label}", len(documents))
    plans: list[str] = []

    def read(new: NDArray[np.int64]) -> None:
        rows = np.flatnonzero(np.isin(units, new))
        scored = likelihoods(
            loaded,
            [documents[row] for row in rows],
            window=window,
            stride=payload.stride,
            special=special_ids(loaded),
            edits=edits,
            max_tokens_per_batch=context.max_tokens,
            progress=lambda _: context.check_stop(),
        )
        nats[rows] = scored.nats
        plans.append(scored.batch_plan)
        step(len(rows))

    n_units = int(units.max()) + 1

    def of(chosen: NDArray[np.int64]) -> Documents:
        return Documents(nats, tokens, n_bytes).summed(units, n_units).take(chosen)

    stop = payload.stop
    sequential = stop is not None
    confidence = payload.confidence
    if stop is None:
        n_looks, stopped = 1, False
        chosen = np.arange(n_units)
        read(chosen)
    else:
        wanted = stop.half_width
        reading = read_until(n_units, SEED, read, lambda done: half_width(of(done), confidence) <= wanted)
        chosen, n_looks, stopped = np.sort(reading.units), reading.n_looks, reading.stopped
    sums = of(chosen)
    if sums.tokens.sum() == 0:
        raise CorpusError(f"{claim.label}: the tokenizer finds no token in this text")
    scored = np.isin(units, chosen)
    rows = [
        EvaluationRow(
            "perplexity",
            payload.language,
            None,
            None,
            {
                "perplexity": _level(perplexity(sums, confidence, sequential=sequential), scored, sums),
                "bits_per_byte": _level(bits_per_byte(sums, confidence, sequential=sequential), scored, sums),
                "scored_share": _level(Estimate(float(sums.tokens.sum() / tokens.sum()), NAN, NAN), scored, sums),
                "looks": _level(Estimate(float(n_looks), NAN, NAN), scored, sums),
                "stopped_early": _level(Estimate(float(stopped), NAN, NAN), scored, sums),
            },
            "documents",
        )
    ]
    outcomes: dict[str, NDArray[Any]] = {
        "documents/nats": nats[scored],
        "documents/tokens": tokens[scored],
        "documents/bytes": n_bytes[scored],
        "documents/row": np.flatnonzero(scored).astype(np.int64),
    }
    stored = context.save(outcomes, {"key": claim.subject})

    def write(connection: Connection) -> None:
        write_evaluations(connection, claim, rows, context.store.record(connection, stored))

    return Outcome(claim, write, "+".join(plan[:12] for plan in plans)[:40])


def _level(found: Estimate, scored: NDArray[np.bool_], sums: Documents) -> Level:
    return Level(found.value, found.low, found.high, int(scored.sum()), len(sums))


def _units(text: Text, n: int) -> NDArray[np.int64]:
    """What is read and resampled as one: a document, or the documents of a group; numbers from 0, int64 [n]."""
    if text.groups is None:
        return np.arange(n, dtype=np.int64)
    number: dict[str, int] = {}
    return np.array([number.setdefault(group, len(number)) for group in text.groups[:n]], dtype=np.int64)


def window_of(loaded: LoadedModel, asked: int | None, stride: int) -> int:
    """Tokens per window: as asked, else as many as the model reads. Raises ModelError where it reads fewer."""
    limit = loaded.max_length
    window = asked or limit or DEFAULT_WINDOW
    if limit is not None and window > limit:
        raise ModelError(f"side_effects.perplexity.window: found {window}, but the model reads at most {limit} tokens")
    if stride >= window:
        raise ModelError(
            f"side_effects.perplexity.stride: found {stride}, expected less than the window of {window} tokens"
        )
    return window


def first_tokens(documents: Sequence[NDArray[np.int64]], limit: int | None) -> list[NDArray[np.int64]]:
    """The first documents, whole ones, until they hold `limit` tokens to score; at least one."""
    if limit is None:
        return list(documents)
    ends = np.cumsum([len(ids) - 1 for ids in documents])
    return list(documents[: max(1, int(np.searchsorted(ends, limit, side="right")))])
