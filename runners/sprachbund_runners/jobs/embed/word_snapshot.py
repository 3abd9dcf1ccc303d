"""Snapshots with a row per word: written to their files sentence by sentence, whatever the number of words."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sprachbund.errors import CorpusError, ModelError
from sprachbund.files.tensors import TensorSpool
from sprachbund.queue import Claim
from sprachbund.work.payloads.embed import SnapshotPayload
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.embed.snapshot_pass import PASS_BYTES, PASS_TOKENS, SnapshotProgress, variants_of
from sprachbund_runners.jobs.embed.stored_snapshot import snapshot_outcome, tensor_name
from sprachbund_runners.jobs.serving import together
from sprachbund_runners.models.batches import TokenisedTexts
from sprachbund_runners.models.embed import WORD, Embeddings, Variant, embed_variants
from sprachbund_runners.models.words import align


def word_snapshots(
    claims: Sequence[Claim[SnapshotPayload]], context: Context, progress: SnapshotProgress, problems: list[ModelError]
) -> Iterator[Outcome]:
    """Outcomes of claims that share layers and model: text by text, the settings of a text together.

    Memory holds the embeddings of as many sentences as fit into PASS_BYTES for all settings of a pass; the rest is
    in files. Claims whose embeddings are not finite, or overflow the type they are stored in, become problems.
    """
    payload = claims[0].payload
    loaded = context.model(payload.numerics)
    for asked in together(claims, lambda payload: payload.text.key):
        key = asked[0].payload.text.key
        sentences = context.text(key).sentences
        try:
            tokenised = align(loaded, sentences.texts, sentences.words)
        except CorpusError as error:
            raise CorpusError(f"{asked[0].label}: {error}") from None
        at_once = max(1, PASS_TOKENS // int(tokenised.lengths.sum()))
        for start in range(0, len(asked), at_once):
            yield from _pass(asked[start : start + at_once], key, tokenised, context, progress, problems)


def _pass(
    claims: Sequence[Claim[SnapshotPayload]],
    key: str,
    texts: TokenisedTexts,
    context: Context,
    progress: SnapshotProgress,
    problems: list[ModelError],
) -> Iterator[Outcome]:
    """Claims of one text, all of its settings together."""
    payload = claims[0].payload
    loaded = context.model(payload.numerics)
    variants, places = variants_of(claims, {key: len(texts)}, {key: 0}, context)
    n_words = np.array([len(each) for each in texts.words or ()], dtype=np.int64)
    shape = int(n_words.sum()), loaded.architecture.hidden_size
    shapes = {tensor_name(layer): shape for layer in payload.layers}
    row_bytes = 4 * shape[1] * len(shapes) * len(variants)
    digest = hashlib.sha256()
    failed: set[int] = set()
    with ExitStack() as stack:
        spools = {
            claim.job_id: stack.enter_context(
                TensorSpool(context.store, shapes, np.dtype(payload.stored_dtype), {"key": claim.subject})
            )
            for claim in claims
        }
        first_row = 0
        for start, end in chunks(n_words, max(1, PASS_BYTES // row_bytes)):
            found = embed_variants(
                loaded,
                _part(texts, start, end),
                payload.layers,
                [Variant(variant.edits) for variant in variants],
                "mean",
                WORD,
                max_tokens_per_batch=context.max_tokens,
                progress=progress,
            )
            digest.update("".join(each.report.digest for each in found).encode())
            for claim in claims:
                if claim.job_id not in failed:
                    embeddings = found[places[claim.job_id][0]]
                    problem = _write(spools[claim.job_id], embeddings, first_row, claim.label)
                    if problem is not None:
                        problems.append(problem)
                        failed.add(claim.job_id)
            first_row += int(n_words[start:end].sum())
        # Claims with the same edits share rows.
        progress((len(claims) - len(variants)) * len(texts))
        for claim in claims:
            if claim.job_id not in failed:
                stored = spools[claim.job_id].store()
                yield snapshot_outcome(claim, context, stored, shape, digest.hexdigest()[:40], texts)


def chunks(n_words: NDArray[np.int64], most: int) -> list[tuple[int, int]]:
    """Sentences [start, end) that together have at most so many words, or that are one sentence with more."""
    found, start, total = [], 0, 0
    for number, count in enumerate(n_words.tolist()):
        if total and total + count > most:
            found.append((start, number))
            start, total = number, 0
        total += count
    return [*found, (start, len(n_words))]


def _part(texts: TokenisedTexts, start: int, end: int) -> TokenisedTexts:
    words = (texts.words or ())[start:end]
    return replace(texts, ids=texts.ids[start:end], special=texts.special[start:end], words=words)


def _write(spool: TensorSpool, embeddings: Embeddings, first_row: int, label: str) -> ModelError | None:
    """Put all layers into the file, from `first_row` on; a problem where a value is not finite as it is stored."""
    for layer, values in embeddings.items():
        name = tensor_name(layer)
        rows = spool[name][first_row : first_row + len(values)]
        with np.errstate(over="ignore"):  # told below
            rows[:] = values
        wrong = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        if len(wrong):
            return ModelError(
                f"{label}: the embedding of word {first_row + int(wrong[0]) + 1} at layer {layer} is not finite "
                f"(model in {embeddings.dtype}, stored as {rows.dtype}; try float32)"
            )
    return None
