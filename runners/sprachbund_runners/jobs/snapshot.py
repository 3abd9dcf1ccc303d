"""Snapshots: many settings and languages in one pass, all requested layers, one file per setting and language."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sprachbund.errors import ModelError
from sprachbund.queue import Claim
from sprachbund_runners.interventions.edit_files import ANY
from sprachbund_runners.interventions.low_rank import Edit
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.imported import imported_snapshots
from sprachbund_runners.jobs.intervention import find_edits
from sprachbund_runners.jobs.stored_snapshot import store_snapshot
from sprachbund_runners.models.batches import TokenisedTexts, tokenise
from sprachbund_runners.models.embed import Variant, embed_variants

# Embeddings of one pass are held until its snapshots are written.
PASS_BYTES = 1 << 30
# A kill loses the pass at hand; settings beyond this many tokens share too little to wait for each other.
PASS_TOKENS = 1 << 19
# Texts that fill so many batches gain nothing from more texts, and leave the pass to more settings.
TEXT_BATCHES = 16
# So many settings of the texts of one pass should fit into PASS_BYTES.
SETTINGS = 8


def run(claims: Sequence[Claim], context: Context) -> Iterator[Outcome]:
    """Claims that share layers and pooling go through the model together, whatever their settings.

    Those whose embeddings are not finite, or overflow the type they are stored in, fail after all others are done.
    """
    if claims[0].payload["imported"]:
        yield from imported_snapshots(claims, context)
        return
    groups: dict[tuple[object, ...], list[Claim]] = {}
    for claim in claims:
        payload = claim.payload
        same = (payload["layers"], payload["pooling"], payload["tokens"], payload["dtype"])
        model = (payload["model"], payload["model_dtype"], payload["attention"])
        groups.setdefault((model, str(same)), []).append(claim)
    progress = _Progress(context, claims)
    problems: list[ModelError] = []
    for group in groups.values():
        for part in passes(group, context):
            yield from part.run(context, progress, problems)
    if problems:
        raise problems[0]


class _Progress:
    """One bar for all sentences of all claims."""

    def __init__(self, context: Context, claims: Sequence[Claim]) -> None:
        settings = dict.fromkeys(claim.payload["setting"] for claim in claims)
        what = claims[0].label.split(" on ")[0] if len(settings) == 1 else f"{len(settings)} settings"
        total = sum(len(context.text(claim.payload["text"]).sentences) for claim in claims)
        self._context, self._step = context, context.progress.start(f"embedding {what}", total)

    def __call__(self, count: int) -> None:
        self._context.check_stop()
        self._step(count)


@dataclass(frozen=True, slots=True)
class Pass:
    """Claims that go through the model together, and the texts they ask for, by key."""

    claims: list[Claim]
    texts: dict[str, TokenisedTexts]

    def run(self, context: Context, progress: _Progress, problems: list[ModelError]) -> Iterator[Outcome]:
        """The outcome of every claim, or a problem."""
        payload = self.claims[0].payload
        loaded = context.model(payload["model"], payload["model_dtype"], payload["attention"])
        ends = np.cumsum([len(text) for text in self.texts.values()])
        starts = {key: int(end) - len(text) for end, (key, text) in zip(ends, self.texts.items(), strict=True)}
        variants, places = self._variants(context, starts)
        found = embed_variants(
            loaded,
            TokenisedTexts.joined(list(self.texts.values())),
            payload["layers"],
            variants,
            payload["pooling"],
            payload["tokens"],
            max_tokens_per_batch=context.max_tokens,
            progress=progress,
        )
        # Claims with the same edits share rows.
        progress(sum(len(self.texts[claim.payload["text"]]) for claim in self.claims))
        progress(-sum(each.report.n_texts for each in found))
        for claim in self.claims:
            variant, start = places[claim.job_id]
            text = self.texts[claim.payload["text"]]
            try:
                layers = found[variant].of(slice(start, start + len(text)))
                yield store_snapshot(claim, context, layers, found[variant].report.digest, text.n_truncated)
            except ModelError as error:
                problems.append(error)

    def _variants(
        self, context: Context, starts: Mapping[str, int]
    ) -> tuple[list[Variant], dict[int, tuple[int, int]]]:
        """What to run, and of each job: which of the variants it is and where its embeddings start."""
        maps: dict[str, dict[str, list[Edit]]] = {}
        edits: dict[tuple[str, str], list[Edit]] = {}
        rows: dict[tuple[str, str], dict[str, int]] = {}
        chosen: dict[int, tuple[tuple[str, str], int]] = {}
        for claim in self.claims:
            key, language, text = (claim.payload[name] for name in ("intervention", "language", "text"))
            if key not in maps:
                maps[key] = find_edits(context, key)
            entry = language if language in maps[key] else ANY
            same = (key, entry) if maps[key].get(entry) else ("", ANY)
            edits[same] = maps[key].get(entry, [])
            texts = rows.setdefault(same, {})
            start = texts.setdefault(text, sum(len(self.texts[before]) for before in texts))
            chosen[claim.job_id] = same, start
        order = {same: number for number, same in enumerate(edits)}
        variants = [
            Variant(
                edits[same],
                np.concatenate([starts[text] + np.arange(len(self.texts[text])) for text in rows[same]]),
            )
            for same in order
        ]
        return variants, {job: (order[same], start) for job, (same, start) in chosen.items()}


def passes(claims: Sequence[Claim], context: Context) -> Iterator[Pass]:
    """Claims in passes that stay within the memory set aside for embeddings and within what a kill may cost.

    All settings of some texts come before those of the next: texts fill batches, settings share what lies below
    their first edits.
    """
    payload = claims[0].payload
    loaded = context.model(payload["model"], payload["model_dtype"], payload["attention"])
    bytes_per_text = 4 * loaded.architecture.hidden_size * len(payload["layers"])
    by_text: dict[str, list[Claim]] = {}
    for claim in claims:
        by_text.setdefault(claim.payload["text"], []).append(claim)

    def of_settings(texts: dict[str, TokenisedTexts]) -> Iterator[Pass]:
        part, n_bytes, n_tokens = Pass([], {}), 0, 0
        for claim in claims:
            key = claim.payload["text"]
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
    for key in by_text:
        texts[key] = tokenise(loaded, context.text(key).sentences.texts)
        n_tokens = sum(int(text.lengths.sum()) for text in texts.values())
        n_texts = sum(len(text) for text in texts.values())
        if n_tokens >= TEXT_BATCHES * context.max_tokens or n_texts * bytes_per_text * SETTINGS >= PASS_BYTES:
            yield from of_settings(texts)
            texts = {}
    yield from of_settings(texts)
