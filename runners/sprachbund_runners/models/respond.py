"""Unit responses: what every unit of the chosen sites does on every text, from one pass."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sprachbund.errors import ModelError
from sprachbund_runners.interventions.apply import steering
from sprachbund_runners.interventions.edits import UnitAffine
from sprachbund_runners.models.batches import (
    Batch,
    BatchMasks,
    PassReport,
    TokenisedTexts,
    check_tokens,
    run_batches,
    tokenise,
)
from sprachbund_runners.models.hooks import observing, run_forward
from sprachbund_runners.models.loading import LoadedModel
from sprachbund_runners.models.moments import MomentSums, TokenMoments
from sprachbund_runners.models.pooling import TokenSelection, check_pooling

Sink = Callable[[int, str, NDArray[np.int64], NDArray[np.float32]], None]
"""Receives (block, site, rows int64 [b], pooled responses float32 [b, width]) for each batch."""

Place = tuple[int, str]


@dataclass(frozen=True, slots=True, eq=False)
class Responses:
    """What a pass leaves beside the pooled responses.

    moments: of every unit over the chosen tokens of all texts, by (block, site); token_counts: chosen tokens per
    text, int64 [n_texts].
    """

    moments: dict[Place, TokenMoments]
    token_counts: NDArray[np.int64]
    report: PassReport


@dataclass(frozen=True, slots=True, eq=False)
class _Reading:
    """One site's results for one batch, on the device. bad: each text's first unit that is not finite, or −1."""

    pooled: torch.Tensor
    pivot: torch.Tensor
    first: torch.Tensor
    second: torch.Tensor
    bad: torch.Tensor


def respond(
    loaded: LoadedModel,
    texts: Sequence[str] | TokenisedTexts,
    sites: Sequence[str],
    pooling: str,
    tokens: str,
    sink: Sink,
    blocks: Sequence[int] | None = None,
    intervention: Sequence[UnitAffine] = (),
    max_tokens_per_batch: int = 4096,
    max_length: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Responses:
    """Pool every unit over each text's chosen tokens, hand the responses to `sink`, and sum up token moments.

    The sink is called per batch for each (block, site) in the order of the flat unit axis; nothing per token is
    kept. Sums over a text's tokens are float32, over texts float64.

    Raises ModelError for unknown sites, blocks, pooling or tokens, no texts, and activations that are not finite
    (naming block, site, unit and item); CorpusError for texts without content tokens.
    """
    units = loaded.architecture.units(sites, blocks)
    check_pooling(pooling)
    check_tokens(tokens)
    tokenised = texts if isinstance(texts, TokenisedTexts) else tokenise(loaded, texts, max_length)
    if not len(tokenised):
        raise ModelError("unit responses: no texts given")
    counts = tokenised.counts(tokens)
    places: list[Place] = [(part.block, part.site) for part in units]
    sums: dict[Place, MomentSums] = {}
    pivots: dict[Place, torch.Tensor] = {}
    readings: dict[Place, _Reading] = {}
    masks = BatchMasks()
    selection: TokenSelection

    def read(block: int, site: str, activations: torch.Tensor) -> None:
        readings[block, site] = _read(activations, selection, pooling, pivots.get((block, site)))

    def forward(batch: Batch) -> dict[Place, _Reading]:
        nonlocal selection
        readings.clear()
        masks.enter(batch)
        selection = TokenSelection.of(batch, tokens)
        run_forward(loaded.model, batch.input_ids, batch.attention_mask)
        return dict(readings)

    def commit(batch: Batch, found: dict[Place, _Reading]) -> None:
        bad = torch.stack([found[place].bad for place in places]).cpu().numpy()
        _refuse_bad(bad, places, batch.rows)
        n_tokens = int(counts[batch.rows].sum())
        for place in places:
            reading = found[place]
            if place not in sums:
                pivots[place] = reading.pivot
                width = len(reading.pivot)
                sums[place] = MomentSums(reading.pivot.cpu().numpy(), 0, np.zeros(width), np.zeros(width))
            sums[place].add(n_tokens, reading.first.cpu().numpy(), reading.second.cpu().numpy())
            sink(*place, batch.rows, reading.pooled.cpu().numpy())

    with (
        steering(loaded, intervention, masks),
        observing(loaded.model, loaded.architecture, sites, read, blocks, stop=True),
    ):
        report = run_batches(loaded, tokenised, forward, commit, max_tokens_per_batch, progress)
    return Responses({place: sums[place].moments() for place in places}, counts, report)


def _read(activations: torch.Tensor, selection: TokenSelection, pooling: str, pivot: torch.Tensor | None) -> _Reading:
    values = selection.pick(activations)
    if pivot is None:
        mean = selection.fill(values, 0.0).sum(dim=(0, 1)) / selection.count.sum()
        pivot = torch.nan_to_num(mean, nan=0.0, posinf=0.0, neginf=0.0)
    centred = values - pivot
    if selection.mask is not None:
        centred.masked_fill_(~selection.mask.unsqueeze(-1), 0.0)
    first = centred.sum(dim=1)
    highest = selection.fill(values, -torch.inf).amax(dim=1) if pooling == "max" else None
    pooled = pivot + first / selection.count if highest is None else highest
    second = centred.square_().sum(dim=1)
    wrong = ~torch.isfinite(second)
    bad = torch.where(wrong.any(dim=1), wrong.int().argmax(dim=1), -1)
    return _Reading(pooled, pivot, first.double().sum(dim=0), second.double().sum(dim=0), bad)


def _refuse_bad(bad: NDArray[np.int64], places: Sequence[Place], rows: NDArray[np.int64]) -> None:
    """bad: int64 [places, texts of the batch]."""
    found = np.argwhere(bad >= 0)
    if len(found):
        place, text = found[0]
        block, site = places[place]
        raise ModelError(
            f"unit {bad[place, text]} of {site} in block {block} is not finite on item {rows[text]} "
            "(or too large to square in float32)"
        )
