"""One batch's activations at one site, reduced over the chosen tokens: per text and for all texts together.

On a CPU one compiled walk over the activations yields everything; elsewhere torch does the same with its own kernels.
"""

from dataclasses import dataclass

import numba
import numpy as np
import torch

from sprachbund_runners.models.batches import Batch
from sprachbund_runners.models.pooling import TokenSelection

# Tokens whose deviations are added up in float32 before they go to float64.
CHUNK = 64


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What is left of activations [B, T, width], on their device.

    mean: float32 [B, width]; highest: float32 [B, width], None unless asked for; pivot: float32 [width], what was
    subtracted before summing; first, second: Σ (h − pivot) and Σ (h − pivot)² over the chosen tokens of all texts,
    float64 [width]; positive: how many of those have h > 0, int64 [width]; bad: each text's first unit that is not
    finite (or too large to square in float32), or −1, int64 [B].
    """

    mean: torch.Tensor
    highest: torch.Tensor | None
    pivot: torch.Tensor
    first: torch.Tensor
    second: torch.Tensor
    positive: torch.Tensor
    bad: torch.Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """The chosen tokens of one batch, in the shapes that reducing needs."""

    mask: torch.Tensor
    selection: TokenSelection

    @classmethod
    def of(cls, batch: Batch, tokens: str) -> "Tokens":
        return cls(batch.mask(tokens), TokenSelection.of(batch, tokens))


def reduce_tokens(activations: torch.Tensor, tokens: Tokens, pivot: torch.Tensor | None, highest: bool) -> Reading:
    """Reduce activations [B, T, width]; `pivot` None takes their own mean. Places outside the mask are not read."""
    if activations.device.type == "cpu":
        return _walk(activations, tokens, pivot, highest)
    return reduce_by_torch(activations, tokens.selection, pivot, highest)


def reduce_by_torch(
    activations: torch.Tensor, selection: TokenSelection, pivot: torch.Tensor | None, highest: bool
) -> Reading:
    """`reduce_tokens` on any device."""
    if pivot is None:
        pivot = _own_mean(activations, selection)
    values = selection.pick(activations)
    centred = values - pivot
    above = values > 0
    if selection.mask is not None:
        outside = ~selection.mask.unsqueeze(-1)
        centred.masked_fill_(outside, 0.0)
        above.masked_fill_(outside, False)
    first = centred.sum(dim=1)
    most = selection.fill(values, -torch.inf).amax(dim=1) if highest else None
    second = centred.square_().sum(dim=1)
    wrong = ~torch.isfinite(second)
    return Reading(
        mean=pivot + first / selection.count,
        highest=most,
        pivot=pivot,
        first=first.double().sum(dim=0),
        second=second.double().sum(dim=0),
        positive=above.sum(dim=(0, 1)),
        bad=torch.where(wrong.any(dim=1), wrong.int().argmax(dim=1), -1),
    )


def _own_mean(activations: torch.Tensor, selection: TokenSelection) -> torch.Tensor:
    values = selection.fill(selection.pick(activations), 0.0)
    # Summed in float64, so that a unit that is constant has exactly its value as pivot.
    mean = values.sum(dim=(0, 1), dtype=torch.float64) / selection.count.sum()
    return torch.nan_to_num(mean, nan=0.0, posinf=0.0, neginf=0.0).float()


def _walk(activations: torch.Tensor, tokens: Tokens, pivot: torch.Tensor | None, highest: bool) -> Reading:
    values, mask = activations.detach().float().contiguous().numpy(), tokens.mask.numpy()
    n_texts, _, width = values.shape
    if pivot is None:
        own = np.zeros(width)
        _mean(values, mask, own)
        pivot = torch.from_numpy(np.nan_to_num(own, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32))
    mean = np.empty((n_texts, width), dtype=np.float32)
    most = np.full((n_texts if highest else 0, width), -np.inf, dtype=np.float32)
    first, second = np.zeros(width), np.zeros(width)
    positive = np.zeros(width, dtype=np.int64)
    bad = np.full(n_texts, -1, dtype=np.int64)
    _reduce(values, mask, pivot.numpy(), mean, most, first, second, positive, bad)
    found = [torch.from_numpy(array) for array in (first, second, positive, bad)]
    return Reading(torch.from_numpy(mean), torch.from_numpy(most) if highest else None, pivot, *found)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _mean(values, mask, mean):  # type: ignore[no-untyped-def]
    """Fill `mean`, float64 [width], all zero before."""
    n_texts, n_tokens, width = values.shape
    count = 0
    for text in range(n_texts):
        for token in range(n_tokens):
            if mask[text, token]:
                row = values[text, token]
                for unit in range(width):
                    mean[unit] += row[unit]
                count += 1
    for unit in range(width):
        mean[unit] /= count


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _reduce(values, mask, pivot, mean, most, first, second, positive, bad):  # type: ignore[no-untyped-def]
    """Fill the last six arrays; see Reading. `most` has no rows where no maximum is wanted."""
    n_texts, n_tokens, width = values.shape
    deviation = np.zeros(width, dtype=np.float32)
    square = np.zeros(width, dtype=np.float32)
    above = np.zeros(width, dtype=np.int32)
    whole = np.zeros(width)
    for text in range(n_texts):
        whole[:] = 0.0
        count = 0
        waiting = 0
        for token in range(n_tokens):
            if mask[text, token]:
                row = values[text, token]
                # Two loops: with fewer arrays in each, the compiler can tell that they don't overlap and vectorise.
                for unit in range(width):
                    d = row[unit] - pivot[unit]
                    deviation[unit] += d
                    square[unit] += d * d
                if most.shape[0] > 0:
                    top = most[text]
                    for unit in range(width):
                        h = row[unit]
                        above[unit] += np.int32(h > np.float32(0))
                        top[unit] = h if h > top[unit] else top[unit]
                else:
                    for unit in range(width):
                        above[unit] += np.int32(row[unit] > np.float32(0))
                count += 1
                waiting += 1
            if waiting > 0 and (waiting == CHUNK or token == n_tokens - 1):
                for unit in range(width):
                    if (bad[text] < 0 or unit < bad[text]) and not np.isfinite(square[unit]):
                        bad[text] = unit
                for unit in range(width):
                    whole[unit] += deviation[unit]
                    deviation[unit] = 0
                for unit in range(width):
                    second[unit] += square[unit]
                    square[unit] = 0
                for unit in range(width):
                    positive[unit] += above[unit]
                    above[unit] = 0
                waiting = 0
        for unit in range(width):
            first[unit] += whole[unit]
            mean[text, unit] = pivot[unit] + np.float32(whole[unit] / count)
