"""Negative log-likelihoods of documents: all windows of all documents in batches of like length."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from sprachbund.errors import ModelError
from sprachbund_runners.language_modelling.windows import Window, windows
from sprachbund_runners.models.batches import Batch, BatchMasks, TokenisedTexts, run_batches
from sprachbund_runners.models.host import to_host
from sprachbund_runners.models.loading import LoadedModel
from sprachbund_runners.models.steering import steering

# Float32 logits made at once while scoring, and logits of one batch: vocabularies are far wider than models.
CHUNK_VALUES = 1 << 25
_BATCH_VALUES = {"cpu": 1 << 28, "cuda": 1 << 31}


@dataclass(frozen=True, slots=True, eq=False)
class Likelihoods:
    """Summed negative log-likelihood in nats (float64 [n]) and scored tokens (int64 [n]) of each document."""

    nats: NDArray[np.float64]
    n_tokens: NDArray[np.int64]
    batch_plan: str


def likelihoods(
    loaded: LoadedModel,
    documents: Sequence[NDArray[np.int64]],
    *,
    window: int,
    stride: int,
    special: frozenset[int] = frozenset(),
    edits: Sequence[Any] = (),
    max_tokens_per_batch: int = 4096,
    progress: Callable[[int], None] | None = None,
) -> Likelihoods:
    """Score documents (token ids, int64, the start token first) by sliding windows.

    Every token but the start token is scored once (see `windows`). Sums are float64 over float32 log-probabilities.
    special: token ids that edits at `content` tokens leave alone. `progress` gets the number of windows done.

    Raises ModelError for a model without a head, for edits at the `last` token, from which nothing is predicted, and
    for likelihoods that are not finite (naming the document).
    """
    if any(each.tokens == "last" for each in edits):
        raise ModelError("an edit at tokens 'last' changes nothing that perplexity scores; use 'all' or 'content'")
    cut: list[tuple[int, Window]] = [
        (row, each) for row, ids in enumerate(documents) for each in windows(len(ids), window, stride)
    ]
    ids = tuple(documents[row][each.start : each.end] for row, each in cut)
    marks = np.array(sorted(special), dtype=np.int64)
    texts = TokenisedTexts(ids, tuple(np.isin(each, marks) for each in ids), 0, window)
    nats = np.zeros(len(documents))
    n_tokens = np.array([max(0, len(each) - 1) for each in documents], dtype=np.int64)
    owners = np.array([row for row, _ in cut], dtype=np.int64)
    first = np.array([each.scored - each.start for _, each in cut], dtype=np.int64)
    masks = BatchMasks()

    def forward(batch: Batch) -> torch.Tensor:
        masks.enter(batch)
        output = loaded.model(input_ids=batch.input_ids, attention_mask=batch.attention_mask)
        if not hasattr(output, "logits"):
            raise ModelError("the model was loaded without its head: it predicts no tokens")
        return row_sums(output.logits, batch.input_ids, first[batch.rows], batch.lengths)

    def commit(batch: Batch, found: torch.Tensor) -> None:
        (values,) = to_host([found])
        if not np.isfinite(values).all():
            row = owners[batch.rows[~np.isfinite(values)][0]]
            raise ModelError(
                f"the likelihood of document {row} is not finite ({loaded.dtype}; try float32 or bfloat16)"
            )
        np.add.at(nats, owners[batch.rows], values)

    vocabulary = int(loaded.model.get_input_embeddings().weight.shape[0])
    budget = min(max_tokens_per_batch, max(1, _BATCH_VALUES.get(loaded.device.type, 1 << 28) // vocabulary))
    with steering(loaded, edits, masks):
        report = run_batches(loaded, texts, forward, commit, budget, progress)
    return Likelihoods(nats, n_tokens, report.digest)


def row_sums(
    logits: torch.Tensor, ids: torch.Tensor, first: NDArray[np.int64], lengths: NDArray[np.int64]
) -> torch.Tensor:
    """Summed -log p of each row's tokens from `first` on, float64 [B]; logits [B, T, V], ids [B, T], the rest [B].

    Which tokens those are is worked out here, not on the device, which would have to be waited for.
    """
    counts = lengths - first
    rows = np.repeat(np.arange(len(counts)), counts)
    places = np.arange(len(rows)) + np.repeat(first - (np.cumsum(counts) - counts), counts)
    row, place, count = (torch.from_numpy(each).to(logits.device) for each in (rows, places, counts))
    step = max(1, CHUNK_VALUES // logits.shape[-1])
    losses = [
        cross_entropy(logits[r, p - 1].float(), ids[r, p], reduction="none")
        for r, p in zip(row.split(step), place.split(step), strict=True)
    ]
    # The same bytes every time on every device; lengths fit, and are not read to see so.
    return torch.segment_reduce(torch.cat(losses).double(), "sum", lengths=count, unsafe=True)
