"""Texts → token ids → batches of similar length, and a loop over them that survives running out of memory."""

import gc
import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from sprachbund.errors import CorpusError, ModelError, nearest
from sprachbund.vocabulary import TOKENS
from sprachbund_runners.models.loading import LoadedModel

R = TypeVar("R")

MAX_PADDING = 0.04
"""Share of a batch's places that may be padding, unless the batch would have fewer than `fewest_tokens`."""
MIN_TOKENS = 1024
FILL = 4
"""Padding may end a batch from `MIN_TOKENS` on, of a small budget from so many parts of it."""


@dataclass(frozen=True, slots=True, eq=False)
class WordPieces:
    """Which tokens of one text its words consist of.

    piece: int64 [n], places of tokens, those of the first word, then those of the second …; a token may belong to
    two words. count: int64 [n_words], how many each word has, at least one.
    """

    piece: NDArray[np.int64]
    count: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.count)


@dataclass(frozen=True, slots=True, eq=False)
class TokenisedTexts:
    """Token ids (int64) and which of them are special tokens (bool), one array per text.

    `n_truncated` texts were longer than `max_length` tokens and lost their end. `words`: the words of each text,
    where they were given.
    """

    ids: tuple[NDArray[np.int64], ...]
    special: tuple[NDArray[np.bool_], ...]
    n_truncated: int
    max_length: int | None
    words: tuple[WordPieces, ...] | None = None

    @classmethod
    def joined(cls, parts: Sequence["TokenisedTexts"]) -> "TokenisedTexts":
        """The texts of all parts (at least one, all cut to the same length), one after the other, without words."""
        return cls(
            tuple(chain.from_iterable(part.ids for part in parts)),
            tuple(chain.from_iterable(part.special for part in parts)),
            sum(part.n_truncated for part in parts),
            parts[0].max_length,
        )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens per text, special ones included; int64 [n]."""
        return np.array([len(ids) for ids in self.ids], dtype=np.int64)

    def counts(self, tokens: str) -> NDArray[np.int64]:
        """How many tokens of each text are among `tokens`; int64 [n]."""
        if check_tokens(tokens) == "all":
            return self.lengths
        if tokens == "content":
            return np.array([int((~special).sum()) for special in self.special], dtype=np.int64)
        return np.ones(len(self.ids), dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Some texts padded on the right: rows (which texts), lengths and special tokens, int64 [B], are known here.

    The rest, [B, T], is on the model's device.
    """

    rows: NDArray[np.int64]
    lengths: NDArray[np.int64]
    n_special: NDArray[np.int64]
    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    special: torch.Tensor

    def mask(self, tokens: str) -> torch.Tensor:
        """Which places hold the chosen tokens; bool [B, T]."""
        present = self.attention_mask.bool()
        if check_tokens(tokens) == "all":
            return present
        if tokens == "content":
            return present & ~self.special
        place = torch.arange(present.shape[1], device=present.device).unsqueeze(0)
        if tokens == "first":
            return (place == 0).expand_as(present)
        return place == present.sum(dim=1, keepdim=True) - 1

    def is_full(self, tokens: str) -> bool:
        """Whether every place holds one of the tokens `all` or `content`; asks no device."""
        padded = (self.lengths < self.input_ids.shape[1]).any()
        return not padded and (tokens == "all" or not self.n_special.any())

    def take(self, positions: NDArray[np.int64]) -> "Batch":
        """The texts at `positions` (int64 [k], repetitions allowed), padded as they are here."""
        if np.array_equal(positions, np.arange(len(self.rows))):
            return self
        index = torch.from_numpy(positions).to(self.input_ids.device)
        return Batch(
            self.rows[positions],
            self.lengths[positions],
            self.n_special[positions],
            self.input_ids.index_select(0, index),
            self.attention_mask.index_select(0, index),
            self.special.index_select(0, index),
        )


class BatchMasks:
    """Token masks of the batch that is being run, each made once."""

    def __init__(self) -> None:
        self._batch: Batch | None = None
        self._masks: dict[str, torch.Tensor] = {}

    def enter(self, batch: Batch) -> None:
        self._batch, self._masks = batch, {}

    def __call__(self, tokens: str) -> torch.Tensor:
        if self._batch is None:
            raise ModelError(f"no batch is being run: '{tokens}' tokens are unknown")
        if tokens not in self._masks:
            self._masks[tokens] = self._batch.mask(tokens)
        return self._masks[tokens]


@dataclass(frozen=True, slots=True)
class PassReport:
    """What a pass over texts did. `digest` names the batches that were run: same digest, same bytes."""

    n_texts: int
    n_tokens: int
    n_padded_tokens: int
    n_batches: int
    n_halvings: int
    n_truncated: int
    max_tokens_per_batch: int
    digest: str


def check_tokens(tokens: str) -> str:
    """`tokens`; raises ModelError if it is not one of `TOKENS`."""
    if tokens not in TOKENS:
        raise ModelError(f"tokens '{tokens}' is not known; expected {', '.join(TOKENS)}{nearest(tokens, TOKENS)}")
    return tokens


def tokenise(loaded: LoadedModel, texts: Sequence[str], max_length: int | None = None) -> TokenisedTexts:
    """Token ids with the tokenizer's special tokens, cut to `max_length` (the model's limit if None or larger).

    Raises CorpusError naming the first text that is not a string or has no content token, ModelError for token ids
    that the model has no embedding for.
    """
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise CorpusError(f"item {row}: found {type(text).__name__}, expected a text")
    limits = [limit for limit in (max_length, loaded.max_length) if limit is not None]
    limit = min(limits) if limits else None
    ids, special = _encode(loaded, texts, None)
    too_long = [row for row, found in enumerate(ids) if limit is not None and len(found) > limit]
    if too_long:
        cut_ids, cut_special = _encode(loaded, [texts[row] for row in too_long], limit)
        for position, row in enumerate(too_long):
            ids[row], special[row] = cut_ids[position], cut_special[position]
    rows = loaded.model.get_input_embeddings().weight.shape[0]
    for row, (found, marks) in enumerate(zip(ids, special, strict=True)):
        if marks.all():  # also where there is no token at all
            raise CorpusError(f"item {row}: no content tokens in text {texts[row][:40]!r}")
        if found.max() >= rows:
            raise ModelError(
                f"item {row}: token id {found.max()}, but the model has {rows} embeddings (wrong tokenizer?)"
            )
    return TokenisedTexts(tuple(ids), tuple(special), len(too_long), limit)


def fewest_tokens(max_tokens_per_batch: int) -> int:
    """Places below which a batch is not ended for its padding: a quarter of a small budget (a CPU's), where larger
    batches only press out of a core's cache; `MIN_TOKENS` of a large one: a GPU would wait for weights and kernels.
    """
    return min(MIN_TOKENS, max_tokens_per_batch // FILL)


def plan_batches(lengths: NDArray[np.int64], max_tokens_per_batch: int) -> list[NDArray[np.int64]]:
    """Rows of each batch: longest texts first, padded size within the budget (or a single text), every row once.

    A batch ends where another text would make more than `MAX_PADDING` of its places padding, once it has
    `fewest_tokens`. The plan depends on the arguments alone.
    """
    if max_tokens_per_batch < 1:
        raise ModelError(f"max_tokens_per_batch is {max_tokens_per_batch}, expected a positive number")
    order = np.argsort(-lengths, kind="stable")
    tokens = np.concatenate([[0], np.cumsum(lengths[order])])
    ends = [0]
    while ends[-1] < len(order):
        start = ends[-1]
        longest = int(lengths[order[start]])
        size = min(max(1, max_tokens_per_batch // longest), len(order) - start)
        places = longest * np.arange(1, size + 1)
        # Texts only get shorter, so the share of padding only grows: these are the first so many sizes.
        tight = places - (tokens[start + 1 : start + size + 1] - tokens[start]) <= MAX_PADDING * places
        enough = max(1, -(-fewest_tokens(max_tokens_per_batch) // longest))
        ends.append(start + min(size, max(int(tight.sum()), enough)))
    return [order[start:end] for start, end in pairwise(ends)]


def run_batches(
    loaded: LoadedModel,
    texts: TokenisedTexts,
    forward: Callable[[Batch], R],
    commit: Callable[[Batch, R], None],
    max_tokens_per_batch: int = 4096,
    progress: Callable[[int], None] | None = None,
) -> PassReport:
    """Run `forward` on every batch, hand its result to `commit`, and report.

    `forward` may be repeated and must keep nothing; `commit` is called once per batch that fitted. A batch that does
    not fit into memory is halved, and so is every later one as large as it. `progress` gets the number of texts of
    every batch that is done.

    Raises ModelError naming the sentence and its length where even one alone does not fit.
    """
    lengths = texts.lengths
    waiting = deque(plan_batches(lengths, max_tokens_per_batch))
    ceiling: int | None = None
    n_batches = n_padded = n_halvings = 0
    digest = hashlib.sha256()
    while waiting:
        rows = waiting.popleft()
        padded = int(lengths[rows].max()) * len(rows)
        if ceiling is not None and padded >= ceiling and len(rows) > 1:
            waiting.extendleft(reversed(_halves(rows)))
            continue
        done = _attempt(loaded, texts, rows, forward)
        if done is None:
            _release(loaded.device)
            if len(rows) == 1:
                raise ModelError(
                    f"item {rows[0]}: one sentence of {lengths[rows[0]]} tokens does not fit into the memory of "
                    f"'{loaded.device}'; set max_length, or use a smaller dtype or a larger device"
                )
            n_halvings += 1
            ceiling = padded
            waiting.appendleft(rows)
            continue
        commit(*done)
        n_batches += 1
        n_padded += padded
        digest.update(np.array([padded // len(rows), *rows], dtype="<i8").tobytes())
        if progress is not None:
            progress(len(rows))
    return PassReport(
        n_texts=len(texts),
        n_tokens=int(lengths.sum()),
        n_padded_tokens=n_padded,
        n_batches=n_batches,
        n_halvings=n_halvings,
        n_truncated=texts.n_truncated,
        max_tokens_per_batch=max_tokens_per_batch,
        digest=digest.hexdigest()[:40],
    )


def make_batch(loaded: LoadedModel, texts: TokenisedTexts, rows: NDArray[np.int64]) -> Batch:
    """The texts `rows`, padded on the right to the longest of them, on the model's device."""
    lengths = np.array([len(texts.ids[row]) for row in rows], dtype=np.int64)
    shape = (len(rows), int(lengths.max()))
    ids = np.full(shape, loaded.pad_id, dtype=np.int64)
    special = np.ones(shape, dtype=np.bool_)
    n_special = np.array([texts.special[row].sum() for row in rows], dtype=np.int64)
    for position, row in enumerate(rows):
        ids[position, : lengths[position]] = texts.ids[row]
        special[position, : lengths[position]] = texts.special[row]
    present = (np.arange(shape[1]) < lengths[:, None]).astype(np.int64)
    move = (torch.from_numpy(array).to(loaded.device) for array in (ids, present, special))
    return Batch(rows, lengths, n_special, *move)


def is_out_of_memory(error: BaseException) -> bool:
    """True for what torch raises when a device, or this machine, has no memory left."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError)
        and any(phrase in str(error).lower() for phrase in ("out of memory", "can't allocate memory"))
    )


def _attempt(
    loaded: LoadedModel, texts: TokenisedTexts, rows: NDArray[np.int64], forward: Callable[[Batch], R]
) -> tuple[Batch, R] | None:
    """The batch and its result, or None if memory ran out.

    The exception is dropped before the caller frees memory: its traceback holds the tensors.
    """
    try:
        batch = make_batch(loaded, texts, rows)
        with torch.inference_mode():
            return batch, forward(batch)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    return None


def _halves(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [rows[: (len(rows) + 1) // 2], rows[(len(rows) + 1) // 2 :]]


def _release(device: torch.device) -> None:
    """Hand cached memory back to the device; a CPU's is freed when the tensors go."""
    if device.type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()


def _encode(
    loaded: LoadedModel, texts: Sequence[str], limit: int | None
) -> tuple[list[NDArray[np.int64]], list[NDArray[np.bool_]]]:
    if not texts:
        return [], []
    encoded = loaded.tokenizer(
        list(texts),
        padding=False,
        truncation=limit is not None,
        max_length=limit,
        return_attention_mask=False,
        return_special_tokens_mask=True,
        verbose=False,
    )
    ids = [np.array(found, dtype=np.int64) for found in encoded["input_ids"]]
    return ids, [np.array(marks, dtype=np.bool_) for marks in encoded["special_tokens_mask"]]
