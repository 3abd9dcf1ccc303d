"""Choosing the next token, with random numbers that belong to a sample and not to its batch."""

import numpy as np
import torch
from numpy.typing import NDArray


def uniforms(seed: int, first: int, count: int, steps: int) -> NDArray[np.float64]:
    """Random numbers in [0, 1), float64 [count, steps]: row r is that of sample `first + r` under `seed`.

    A sample's numbers depend on the seed and its own number only, so that batches of any size, and settings that are
    compared, draw alike.
    """
    rows = [np.random.default_rng([seed, first + row]).random(steps) for row in range(count)]
    return np.stack(rows) if rows else np.empty((0, steps))


def choose(logits: torch.Tensor, uniform: torch.Tensor, temperature: float, top_p: float) -> torch.Tensor:
    """The next token of each row, int64 [B], from logits [B, V] and one uniform number per row, float64 [B].

    temperature 0 takes the most likely token (the first of several). Otherwise probabilities are softmax(logits / T);
    the smallest set of most likely tokens whose probability reaches `top_p` is kept (the token that crosses it
    included; equally likely ones by id), and the token is found at `uniform` of the kept probability.

    Source: nucleus sampling, Holtzman et al., ICLR 2020.
    """
    if temperature == 0:
        return logits.argmax(dim=-1)
    ordered, index = torch.sort(logits.float() / temperature, dim=-1, descending=True, stable=True)
    cumulated = torch.softmax(ordered, dim=-1).double().cumsum(dim=-1)
    # Kept: every token before which the sum had not yet reached top_p; rounding may leave the whole under top_p.
    reached = cumulated >= top_p * cumulated[:, -1:]
    last = reached.to(torch.int8).argmax(dim=-1, keepdim=True)
    total = cumulated.gather(-1, last)
    place = torch.searchsorted(cumulated, (uniform.unsqueeze(-1) * total).contiguous(), right=True)
    return index.gather(-1, torch.minimum(place, last)).squeeze(-1)
