"""Reducing activations over a text's tokens, in float32, on the model's device."""

from dataclasses import dataclass

import torch

from sprachbund.errors import ModelError, nearest
from sprachbund_runners.models.batches import Batch

POOLINGS = ("mean", "max")


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
        full = bool((batch.lengths == mask.shape[1]).all()) and (tokens == "all" or bool(mask.all()))
        return cls(None if full else mask, None, count)

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
        """Mean or maximum of activations [B, T, width] over the chosen tokens; float32 [B, width]."""
        values = self.pick(activations)
        if pooling == "max":
            return self.fill(values, -torch.inf).amax(dim=1)
        return self.fill(values, 0.0).sum(dim=1) / self.count


def check_pooling(pooling: str) -> str:
    """`pooling`; raises ModelError if it is not one of `POOLINGS`."""
    if pooling not in POOLINGS:
        raise ModelError(
            f"pooling '{pooling}' is not known; expected {', '.join(POOLINGS)}{nearest(pooling, POOLINGS)}"
        )
    return pooling
