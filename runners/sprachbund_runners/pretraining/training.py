"""The training loop."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sprachbund_runners.pretraining.bloom import Bloom
from sprachbund_runners.pretraining.tokenizer import PADDING


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a model is trained. The defaults made the shipped one.

    parallel_share 0.4: with pairs of languages only, or without parallel documents, the languages' sentences
    hardly come near each other. length 96: nineteen in twenty five-language documents fit whole.
    learning_rate 3e-3: high, as suits three million parameters and some thousand steps.
    """

    steps: int = 3300
    rows: int = 28
    length: int = 96
    learning_rate: float = 3e-3
    warmup: int = 60
    final_share: float = 0.05
    weight_decay: float = 0.1
    parallel_share: float = 0.4
    seed: int = 0


def learning_rate(recipe: Recipe, step: int) -> float:
    """Linear warm-up, then a cosine from the full rate to `final_share` of it. Steps count from 0."""
    warm = min(1.0, (step + 1) / recipe.warmup)
    cosine = 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
    return recipe.learning_rate * warm * (recipe.final_share + (1 - recipe.final_share) * cosine)


def train(model: Bloom, rows: NDArray[np.int64], recipe: Recipe, report: Callable[[str], None]) -> list[float]:
    """Trains in place on each row once, in order; returns the loss (nats per token) of every step.

    `rows` is (steps × rows, length) token ids. Matrix products run in bfloat16, parameters stay float32.
    """
    needed = recipe.steps * recipe.rows
    if len(rows) != needed:
        raise ValueError(f"{len(rows)} rows of tokens, expected steps × rows = {needed}")
    matrices = [p for p in model.parameters() if p.dim() == 2]
    others = [p for p in model.parameters() if p.dim() != 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}],
        lr=recipe.learning_rate,
        betas=(0.9, 0.95),
        fused=True,
    )
    batches = torch.from_numpy(rows).view(recipe.steps, recipe.rows, -1)
    losses: list[float] = []
    started = time.monotonic()
    model.train()
    for step, batch in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(recipe, step)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = model.loss(batch, PADDING)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            raise ArithmeticError(f"the loss became {losses[-1]} at step {step + 1}")
        if (step + 1) % 100 == 0 or step + 1 == recipe.steps:
            seconds = time.monotonic() - started
            left = seconds / (step + 1) * (recipe.steps - step - 1)
            recent = float(np.mean(losses[-100:]))
            report(f"step {step + 1}/{recipe.steps}  loss {recent:.3f}  {seconds:.0f} s, {left:.0f} s left")
    return losses
