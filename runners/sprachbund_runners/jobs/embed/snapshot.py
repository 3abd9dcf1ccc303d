"""Snapshots: many settings and languages in one pass, all requested layers, one file per setting and language."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sprachbund.errors import ModelError
from sprachbund.queue import Claim
from sprachbund.work.payloads.embed import SnapshotPayload
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.embed.imported import imported_snapshots
from sprachbund_runners.jobs.embed.snapshot_pass import PASS_BYTES, PASS_TOKENS, SnapshotProgress, variants_of
from sprachbund_runners.jobs.embed.stored_snapshot import store_snapshot
from sprachbund_runners.jobs.embed.word_snapshot import word_snapshots
from sprachbund_runners.jobs.serving import together
from sprachbund_runners.models.batches import TokenisedTexts, tokenise
from sprachbund_runners.models.embed import WORD, embed_variants

# Texts that fill so many batches gain nothing from more texts, and leave the pass to more settings.
TEXT_BATCHES = 16
# So many settings of the texts of one pass should fit into PASS_BYTES.
SETTINGS = 8


def run(claims: Sequence[Claim[SnapshotPayload]], context: Context) -> Iterator[Outcome]:
    """Claims that share layers and pooling go through the model together, whatever their settings.

    Those whose embeddings are not finite, or overflow the type they are stored in, fail after all others are done.
    """
    if claims[0].payload.imported:
        yield from imported_snapshots(claims, context)
        return
    groups = together(
        claims, lambda asked: (asked.numerics, asked.layers, asked.pooling, asked.tokens, asked.stored_dtype)
    )
    progress = SnapshotProgress(context, claims)
    problems: list[ModelError] = []
    for group in groups:
        if group[0].payload.tokens == WORD:
            yield from word_snapshots(group, context, progress, problems)
            continue
        for part in passes(group, context):
            yield from part.run(context, progress, problems)
    if problems:
        raise problems[0]


@dataclass(frozen=True, slots=True)
class Pass:
    """Claims that go through the model together, and the texts they ask for, by key."""

    claims: list[Claim[SnapshotPayload]]
    texts: dict[str, TokenisedTexts]

    def run(self, context: Context, progress: SnapshotProgress, problems: list[ModelError]) -> Iterator[Outcome]:
        """The outcome of every claim, or a problem."""
        payload = self.claims[0].payload
        loaded = context.model(payload.numerics)
        ends = np.cumsum([len(text) for text in self.texts.values()])
        starts = {key: int(end) - len(text) for end, (key, text) in zip(ends, self.texts.items(), strict=True)}
        n_texts = {key: len(text) for key, text in self.texts.items()}
        variants, places = variants_of(self.claims, n_texts, starts, context)
        found = embed_variants(
            loaded,
            TokenisedTexts.joined(list(self.texts.values())),
            payload.layers,
            variants,
            payload.pooling,
            payload.tokens,
            max_tokens_per_batch=context.max_tokens,
            progress=progress,
        )
        # Claims with the same edits share rows.
        progress(sum(len(self.texts[claim.payload.text.key]) for claim in self.claims))
        progress(-sum(each.report.n_texts for each in found))
        for claim in self.claims:
            variant, start = places[claim.job_id]
            text = self.texts[claim.payload.text.key]
            try:
                layers = found[variant].of(slice(start, start + len(text)))
                yield store_snapshot(claim, context, layers, found[variant].report.digest, text)
            except ModelError as error:
                problems.append(error)


def passes(claims: Sequence[Claim[SnapshotPayload]], context: Context) -> Iterator[Pass]:
    """Claims in passes that stay within the memory set aside for embeddings and within what a kill may cost.

    All settings of some texts come before those of the next: texts fill batches, settings share what lies below
    their first edits.
    """
    payload = claims[0].payload
    loaded = context.model(payload.numerics)
    bytes_per_text = 4 * loaded.architecture.hidden_size * len(payload.layers)

    def of_settings(texts: dict[str, TokenisedTexts]) -> Iterator[Pass]:
        part, n_bytes, n_tokens = Pass([], {}), 0, 0
        for claim in claims:
            key = claim.payload.text.key
            if key not in texts:
                continue
            more_bytes, more_tokens = bytes_per_text * len(texts[key]), int(texts[key].lengths.sum())
            if part.claims and (n_bytes + more_bytes > PASS_BYTES or n_tokens + more_tokens > PASS_TOKENS):
                yield part
                part, n_bytes, n_tokens = Pass([], {}), 0, 0
            part.claims.append(claim)
            part.texts[key] = texts[key]
            n_bytes, n_tokens = n_bytes + more_bytes, n_tokens + more_tokens
        if part.claims:
            yield part

    texts: dict[str, TokenisedTexts] = {}
    for key in dict.fromkeys(claim.payload.text.key for claim in claims):
        texts[key] = tokenise(loaded, context.text(key).sentences.texts)
        n_tokens = sum(int(text.lengths.sum()) for text in texts.values())
        n_texts = sum(len(text) for text in texts.values())
        if n_tokens >= TEXT_BATCHES * context.max_tokens or n_texts * bytes_per_text * SETTINGS >= PASS_BYTES:
            yield from of_settings(texts)
            texts = {}
    yield from of_settings(texts)
