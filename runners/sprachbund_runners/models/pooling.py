"""Reducing activations over a text's tokens, or over a word's, in float32, on the model's device."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sprachbund.errors import ModelError, nearest
from sprachbund.vocabulary import POOLINGS
from sprachbund_runners.models.batches import Batch, WordPieces


@dataclass(frozen=True, slots=True, eq=False)
class TokenSelection:
    """The chosen tokens of one batch.

    `mask` (bool [B, T]) is None where every place counts; `position` (int64 [B]) is set where one token per text
    counts; `count` (float32 [B, 1]) is how many do.
    """

    mask: torch.Tensor | None
    position: torch.Tensor | None
    count: torch.Tensor

    @classmethod
    def of(cls, batch: Batch, tokens: str) -> "TokenSelection":
        mask = batch.mask(tokens)
        count = mask.sum(dim=1, keepdim=True).float()
        if tokens in ("first", "last"):
            return cls(None, mask.int().argmax(dim=1), count)
        return cls(None if batch.is_full(tokens) else mask, None, count)

    def pick(self, activations: torch.Tensor) -> torch.Tensor:
        """Activations [B, T, width] as float32, only the chosen token's ([B, 1, width]) where that is one."""
        if self.position is not None:
            rows = torch.arange(len(self.position), device=self.position.device)
            activations = activations[rows, self.position].unsqueeze(1)
        return activations.float()

    def fill(self, values: torch.Tensor, filler: float) -> torch.Tensor:
        """`values` with `filler` at places that don't count: NaN in padding must not reach a sum."""
        return values if self.mask is None else values.masked_fill(~self.mask.unsqueeze(-1), filler)

    def pool(self, activations: torch.Tensor, pooling: str) -> torch.Tensor:
        """Mean, weighted mean or maximum of activations [B, T, width] over the chosen tokens; float32 [B, width]."""
        values = self.pick(activations)
        if pooling == "max":
            return self.fill(values, -torch.inf).amax(dim=1)
        values = self.fill(values, 0.0)
        if pooling == "weighted_mean":
            weights = self.weights(values)
            return torch.bmm(weights.unsqueeze(1), values).squeeze(1) / weights.sum(dim=1, keepdim=True)
        return values.sum(dim=1) / self.count

    def weights(self, values: torch.Tensor) -> torch.Tensor:
        """1 for the first chosen token of a text, 2 for the second …, 0 elsewhere; float32 [B, T] of [B, T, width]."""
        chosen = values.new_ones(values.shape[:2]) if self.mask is None else self.mask.to(values.dtype)
        return chosen.cumsum(dim=1) * chosen


@dataclass(frozen=True, slots=True, eq=False)
class WordSelection:
    """The pieces of all words of one batch, word after word.

    place: int64 [n], in the batch's [B · T] places. count: int64 [n_words]. first: int64 [B], the number of each
    text's first word.
    """

    place: torch.Tensor
    count: torch.Tensor
    first: NDArray[np.int64]

    @classmethod
    def of(cls, batch: Batch, words: Sequence[WordPieces]) -> "WordSelection":
        """words: of every text of the pass, by its row."""
        length = batch.input_ids.shape[1]
        here = [words[row] for row in batch.rows]
        place = np.concatenate([each.piece + number * length for number, each in enumerate(here)])
        n_words = np.array([len(each) for each in here], dtype=np.int64)
        device = batch.input_ids.device
        count = torch.from_numpy(np.concatenate([each.count for each in here])).to(device)
        return cls(torch.from_numpy(place).to(device), count, np.cumsum(n_words) - n_words)

    def pool(self, activations: torch.Tensor, pooling: str) -> torch.Tensor:
        """Mean or maximum of activations [B, T, width] over each word's pieces; float32 [n_words, width]."""
        pieces = activations.flatten(0, 1).index_select(0, self.place).float()
        # Unlike index_add_, the same bytes every time on every device. unsafe: lengths fit, and are not read to see so.
        return torch.segment_reduce(pieces, check_pooling(pooling), lengths=self.count, axis=0, unsafe=True)


def check_pooling(pooling: str, known: Sequence[str] = POOLINGS) -> str:
    """`pooling`; raises ModelError if it is not one of `known`."""
    if pooling not in known:
        raise ModelError(f"pooling '{pooling}' is not known; expected {', '.join(known)}{nearest(pooling, known)}")
    return pooling
