"""Embeddings of texts: pooled layers, all of them from one pass, under one intervention or many."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sprachbund.errors import ModelError
from sprachbund.vocabulary import EMBEDDING_POOLINGS, FINAL
from sprachbund_runners.interventions.low_rank import Edit
from sprachbund_runners.models.batches import (
    FILL,
    Batch,
    BatchMasks,
    PassReport,
    TokenisedTexts,
    check_tokens,
    run_batches,
    tokenise,
)
from sprachbund_runners.models.hooks import Course, coursing, observing_layers, run_forward
from sprachbund_runners.models.host import to_host
from sprachbund_runners.models.loading import LoadedModel
from sprachbund_runners.models.pooling import TokenSelection, WordSelection, check_pooling
from sprachbund_runners.models.steering import RowVariants, effective, steering_variants

WORD = "word"
"""In place of which tokens of a text count: embeddings of its words, each from its own pieces."""


class Embeddings(dict[str, NDArray[np.float32]]):
    """Layer → float32 [n_texts, hidden_size], in the order of the texts; `report` says how the pass went.

    Of words: [n_words, hidden_size], word after word, text after text.
    """

    def __init__(self, vectors: dict[str, NDArray[np.float32]], report: PassReport, dtype: torch.dtype) -> None:
        super().__init__(vectors)
        self.report = report
        self.dtype = dtype

    def of(self, rows: slice) -> dict[str, NDArray[np.float32]]:
        """Layer → the embeddings of some texts; ModelError naming layer and item where they are not finite."""
        found = {}
        for layer, vectors in self.items():
            found[layer] = vectors[rows]
            wrong = np.flatnonzero(~np.isfinite(found[layer]).all(axis=1))
            if len(wrong):
                raise ModelError(
                    f"embedding of item {wrong[0]} at layer {layer} is not finite "
                    f"({self.dtype}; try float32 or bfloat16)"
                )
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Variant:
    """Edits, and the texts that go through the model with them: rows int64 [n] without repetitions, None for all."""

    edits: Sequence[Edit]
    rows: NDArray[np.int64] | None = None


def embed(
    loaded: LoadedModel,
    texts: Sequence[str] | TokenisedTexts,
    layers: Sequence[str],
    pooling: str = "mean",
    tokens: str = "content",
    intervention: Sequence[Edit] = (),
    max_tokens_per_batch: int = 4096,
    max_length: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Embeddings:
    """Pooled embeddings of every requested layer, with the intervention's edits applied.

    Pooling sums in float32 whatever the model's dtype. The pass ends at the deepest requested layer. Batches change
    float32 results by less than 1e-5; the same batches give the same bytes. `progress` gets the number of texts of
    every batch that is done.

    Raises ModelError for unknown layers, pooling, tokens or edits and for embeddings that are not finite (naming
    layer and item), CorpusError for texts without content tokens.

    tokens `word`: the mean (or maximum) over the pieces of every word of `texts` (from `words.align`), a row each.
    """
    (found,) = embed_variants(
        loaded, texts, layers, [Variant(intervention)], pooling, tokens, max_tokens_per_batch, max_length, progress
    )
    found.of(slice(None))
    return found


def embed_variants(
    loaded: LoadedModel,
    texts: Sequence[str] | TokenisedTexts,
    layers: Sequence[str],
    variants: Sequence[Variant],
    pooling: str = "mean",
    tokens: str = "content",
    max_tokens_per_batch: int = 4096,
    max_length: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Embeddings]:
    """As `embed`, for many lists of edits in one pass: of each variant the embeddings [its rows] of its texts.

    Batches are planned over the texts as for one variant. What lies below the block that a variant edits first is
    computed once per batch for all variants; from there on small batches are joined, up to a quarter of
    `max_tokens_per_batch`, with rows of several variants. Where all variants have the same texts, batches that one
    variant fills to a quarter give the bytes that `embed` gives; elsewhere rounding differs (`report.digest` tells).
    Texts of no variant are not run.
    `progress` gets numbers of (variant, text) rows, or 0 where only time passed.

    Embeddings that are not finite spoil only themselves: `Embeddings.of` refuses them. Otherwise raises what `embed`
    raises, and ModelError for rows that are repeated or not there.
    """
    wanted = loaded.architecture.check_layers(layers)
    check_pooling(pooling, EMBEDDING_POOLINGS)
    tokenised = texts if isinstance(texts, TokenisedTexts) else tokenise(loaded, texts, max_length)
    if tokens != WORD:
        check_tokens(tokens)
    elif tokenised.words is None:
        raise ModelError("embeddings of words: expected texts with their words, as words.align gives them")
    else:
        check_pooling(pooling)
    masks, rows = BatchMasks(), RowVariants(loaded.device)
    # Edits first: hooks run in the order they were registered, and block outputs are read after they were edited.
    with (
        coursing(loaded.model, loaded.architecture) as course,
        steering_variants(loaded, [variant.edits for variant in variants], rows, masks),
    ):
        work = _Work(loaded, tokenised, wanted, variants, pooling, tokens, course, rows, masks, progress)
        work.max_tokens = max_tokens_per_batch
        with observing_layers(loaded.model, loaded.architecture, wanted, work.read):
            report = run_batches(loaded, tokenised, work.forward, work.commit, max_tokens_per_batch)
    return work.results(report)


@dataclass(slots=True, eq=False)
class _Share:
    """One variant's part of a pass: where its embeddings go and what its report will say.

    place: number of every text among its own, −1 for texts it does not have. start: int64 [n], the row in its
    embeddings where each of its own texts begins. first: the first block that its edits
    touch, None where no requested layer is touched.
    """

    place: NDArray[np.int64]
    start: NDArray[np.int64]
    lengths: NDArray[np.int64]
    first: int | None
    vectors: dict[str, NDArray[np.float32]]
    n_padded: int = 0
    n_batches: int = 0


class _Kept:
    """What enters a block, for the texts of a batch of `size`."""

    def __init__(self, size: int) -> None:
        self._row = np.full(size, -1, dtype=np.int64)
        self._parts: list[torch.Tensor] = []
        self._n = 0

    def add(self, positions: NDArray[np.int64], hidden: torch.Tensor) -> None:
        self._row[positions] = np.arange(self._n, self._n + len(positions))
        self._parts.append(hidden)
        self._n += len(positions)

    def at(self, positions: NDArray[np.int64]) -> torch.Tensor:
        """A copy for the texts at `positions`; [k, tokens, hidden_size]."""
        if len(self._parts) > 1:
            self._parts = [torch.cat(self._parts)]
        (hidden,) = self._parts
        return hidden.index_select(0, torch.from_numpy(self._row[positions]).to(hidden.device))


@dataclass(frozen=True, slots=True)
class _Note:
    """Rows of one variant in a batch that was run: `positions` of `n_rows` rows padded to `length`."""

    variant: int
    length: int
    n_rows: int
    positions: NDArray[np.int64]
    rows: NDArray[np.int64]
    counted: bool

    def encode(self) -> bytes:
        """What decides over the variant's bytes, apart from texts and edits."""
        alone = len(self.positions) == self.n_rows
        parts = [self.length, *self.rows] if alone else [self.length, -self.n_rows, *self.positions, *self.rows]
        return np.array(parts, dtype="<i8").tobytes()


class _Work:
    """A pass: what is done with a batch of texts, for all variants."""

    max_tokens: int

    def __init__(
        self,
        loaded: LoadedModel,
        texts: TokenisedTexts,
        layers: Sequence[str],
        variants: Sequence[Variant],
        pooling: str,
        tokens: str,
        course: Course,
        rows: RowVariants,
        masks: BatchMasks,
        progress: Callable[[int], None] | None,
    ) -> None:
        self.loaded, self.texts, self.layers = loaded, texts, layers
        self.pooling, self.tokens = pooling, tokens
        self.course, self.rows, self.masks, self.progress = course, rows, masks, progress
        self.number = {layer: loaded.architecture.n_blocks + 1 if layer == FINAL else int(layer) for layer in layers}
        lengths = texts.lengths
        # One variant alone has nobody to share with; what blocks of a declared model hand on is not known.
        self.shares_blocks = len(variants) > 1 and loaded.architecture.family != "declared"
        self.digests = [hashlib.sha256() for _ in variants]
        self.pooled: dict[str, torch.Tensor] = {}
        self.selection: TokenSelection | WordSelection
        # Rows of embeddings that each text has.
        self.words = texts.words if tokens == WORD else None
        words = self.words
        self.n_rows = np.ones(len(texts), np.int64) if words is None else np.array([len(each) for each in words])
        self.shares = [self._share(variant, lengths) for variant in variants]
        self.from_layer = 0
        # After memory ran out, batches hold no more rows than the texts that were asked for.
        self.stacking, self.unfinished, self.n_told = True, False, 0

    def _share(self, variant: Variant, lengths: NDArray[np.int64]) -> _Share:
        n_texts = len(lengths)
        rows = np.arange(n_texts) if variant.rows is None else np.asarray(variant.rows, dtype=np.int64)
        if len(np.unique(rows)) < len(rows) or (len(rows) and not 0 <= rows.min() <= rows.max() < n_texts):
            raise ModelError(f"rows of a variant: expected numbers below {n_texts}, each once")
        place = np.full(n_texts, -1, dtype=np.int64)
        place[rows] = np.arange(len(rows))
        first = min((edit.block for edit in effective(variant.edits)), default=None)
        if first is not None and first > max(self.number.values()):
            first = None
        width = self.loaded.architecture.hidden_size
        ends = np.cumsum(self.n_rows[rows])
        n_rows = int(ends[-1]) if len(rows) else 0
        vectors = {layer: np.empty((n_rows, width), dtype=np.float32) for layer in self.layers}
        return _Share(place, ends - self.n_rows[rows], lengths[rows], first if self.shares_blocks else 1, vectors)

    def read(self, layer: str, activations: torch.Tensor) -> None:
        """Pool a layer, unless the present course does not compute it."""
        if self.number[layer] >= self.from_layer:
            self.pooled[layer] = self.selection.pool(activations, self.pooling)

    def forward(self, batch: Batch) -> list[_Note]:
        """All variants of a batch of texts. May be repeated: it then writes the same places again."""
        if self.unfinished:
            self.stacking = False
            self._tell(-self.n_told)
        self.unfinished, self.n_told = True, 0
        notes: list[_Note] = []
        place = np.stack([share.place[batch.rows] for share in self.shares])
        kept = self._below(batch, place, notes)
        for first in sorted({share.first for share in self.shares if share.first is not None}):
            here = np.array([variant for variant, share in enumerate(self.shares) if share.first == first])
            pairs = np.argwhere(place[here] >= 0)
            size = len(batch.rows)
            if self.stacking:
                size = max(size, self.max_tokens // FILL // batch.input_ids.shape[1])
            for start in range(0, len(pairs), size):
                chosen, positions = pairs[start : start + size].T
                self._above(batch, here[chosen], positions, first, kept, notes)
        return notes

    def _below(self, batch: Batch, place: NDArray[np.int64], notes: list[_Note]) -> "dict[int, _Kept]":
        """Run without edits what variants share: each text up to the last block at which one of its variants parts.

        Returns, for each block at which variants part, what enters it.
        """
        beyond = self.loaded.architecture.n_blocks + 1
        ends = np.zeros(len(batch.rows), dtype=np.int64)
        for variant, share in enumerate(self.shares):
            if share.first != 1:
                end = beyond if share.first is None else share.first
                ends[place[variant] >= 0] = np.maximum(ends[place[variant] >= 0], end)
        kept: dict[int, _Kept] = {}
        for end in np.unique(ends[ends > 0]).tolist():
            (positions,) = np.nonzero(ends == end)
            blocks = {share.first for share in self.shares if share.first is not None and 1 < share.first <= end}
            self.course.below(blocks, None if end == beyond else end)
            found = self._run(batch.take(positions), [], 0)
            for block, hidden in self.course.kept.items():
                kept.setdefault(block, _Kept(len(batch.rows))).add(positions, hidden)
            for variant, share in enumerate(self.shares):
                (at,) = np.nonzero(place[variant, positions] >= 0)
                if share.first == 1 or not len(at):
                    continue
                rows = positions[at]
                whole = share.first is None
                shared = {layer: found[layer] for layer in found if whole or self.number[layer] < (share.first or 0)}
                self._write(variant, shared, at, batch.rows[rows])
                if whole or len(at) < len(positions):
                    length = batch.input_ids.shape[1]
                    notes.append(_Note(variant, length, len(positions), at, batch.rows[rows], whole))
                self._tell(len(at) if whole else 0)
        return kept

    def _above(
        self, batch: Batch, variant_of: NDArray[np.int64], positions: NDArray[np.int64], first: int,
        kept: "dict[int, _Kept]", notes: list[_Note],
    ) -> None:  # fmt: skip
        """Run texts of a batch, each with its variant's edits, from the block on that all of them edit first."""
        if first > 1:
            self.course.from_block(first, kept[first].at(positions))
        else:
            self.course.whole()
        variants, starts, counts = np.unique(variant_of, return_index=True, return_counts=True)
        taken = list(zip(variants.tolist(), starts.tolist(), counts.tolist(), strict=True))
        found = self._run(batch.take(positions), [(variant, n) for variant, _, n in taken], first if first > 1 else 0)
        for variant, start, n in taken:
            at = np.arange(start, start + n)
            rows = batch.rows[positions[at]]
            self._write(variant, found, at, rows)
            notes.append(_Note(variant, batch.input_ids.shape[1], len(positions), at, rows, True))
        self._tell(len(positions))

    def _run(self, batch: Batch, counts: Sequence[tuple[int, int]], from_layer: int) -> dict[str, NDArray[np.float32]]:
        """One pass through the model; layer → embeddings [rows of the batch (of words: its words), hidden_size]."""
        self.pooled.clear()
        self.from_layer = from_layer
        self.masks.enter(batch)
        self.rows.enter(counts)
        words = self.words
        self.selection = TokenSelection.of(batch, self.tokens) if words is None else WordSelection.of(batch, words)
        final = run_forward(self.loaded.model, batch.input_ids, batch.attention_mask)
        if FINAL in self.number and final is not None:
            self.read(FINAL, final)
        layers = [layer for layer in self.layers if layer in self.pooled]
        return dict(zip(layers, to_host([self.pooled[layer] for layer in layers]), strict=True))

    def _write(
        self, variant: int, found: dict[str, NDArray[np.float32]], at: NDArray[np.int64], items: NDArray[np.int64]
    ) -> None:
        """Store the rows `at` of what was found, which are the texts `items`."""
        share = self.shares[variant]
        source, target = at, share.place[items]
        if isinstance(self.selection, WordSelection):
            source = _ranges(self.selection.first[at], self.n_rows[items])
            target = _ranges(share.start[target], self.n_rows[items])
        for layer, values in found.items():
            share.vectors[layer][target] = values[source]

    def _tell(self, count: int) -> None:
        self.n_told += count
        if self.progress is not None:
            self.progress(count)

    def commit(self, _: Batch, notes: list[_Note]) -> None:
        """Count a batch that fitted."""
        self.unfinished = False
        for note in notes:
            self.digests[note.variant].update(note.encode())
            if note.counted:
                share = self.shares[note.variant]
                share.n_padded += note.length * len(note.rows)
                share.n_batches += 1

    def results(self, report: PassReport) -> list[Embeddings]:
        """The embeddings of every variant, each with a report of its own."""
        return list(self._results(report))

    def _results(self, report: PassReport) -> Iterator[Embeddings]:
        for share, digest in zip(self.shares, self.digests, strict=True):
            own = PassReport(
                n_texts=len(share.lengths),
                n_tokens=int(share.lengths.sum()),
                n_padded_tokens=share.n_padded,
                n_batches=share.n_batches,
                n_halvings=report.n_halvings,
                n_truncated=report.n_truncated,
                max_tokens_per_batch=report.max_tokens_per_batch,
                digest=digest.hexdigest()[:40],
            )
            yield Embeddings(share.vectors, own, self.loaded.dtype)


def _ranges(starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """starts[0], starts[0] + 1, … counts[0] numbers, then those from starts[1] …; int64 [sum of counts]."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - counts), counts)
