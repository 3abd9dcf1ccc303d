"""Unit responses: what every unit of the chosen sites does on every text, from one pass for all who ask."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sprachbund.errors import ModelError
from sprachbund_runners.interventions.low_rank import Edit
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
from sprachbund_runners.models.host import to_host
from sprachbund_runners.models.loading import LoadedModel
from sprachbund_runners.models.moments import MomentSums, TokenMoments
from sprachbund_runners.models.pooling import check_pooling
from sprachbund_runners.models.reduction import Reading, Tokens, reduce_tokens
from sprachbund_runners.models.steering import steering

Sink = Callable[[int, str, NDArray[np.int64], NDArray[np.float32]], None]
"""Receives (block, site, rows int64 [b], pooled responses float32 [b, width]) for each batch."""

Place = tuple[int, str]


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """What one asks of a pass: sites (of all blocks if `blocks` is None), pooling and tokens, and who gets it."""

    sites: Sequence[str]
    pooling: str
    tokens: str
    sink: Sink
    blocks: Sequence[int] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Responses:
    """What a pass leaves beside the pooled responses, for one request.

    moments: of every unit over the chosen tokens of all texts, by (block, site); positive: at how many of those
    tokens the activation is above 0, int64 [width] by (block, site); token_counts: chosen tokens per text, int64
    [n_texts].
    """

    moments: dict[Place, TokenMoments]
    positive: dict[Place, NDArray[np.int64]]
    token_counts: NDArray[np.int64]
    report: PassReport


@dataclass(frozen=True, slots=True, eq=False)
class _Values:
    """A `Reading` off its device."""

    mean: NDArray[np.float32]
    highest: NDArray[np.float32] | None
    pivot: NDArray[np.float32]
    first: NDArray[np.float64]
    second: NDArray[np.float64]
    positive: NDArray[np.int64]
    bad: NDArray[np.int64]


@dataclass(slots=True, eq=False)
class _Sums:
    """Running sums of one site over the tokens of one selection, and what the next batch is centred on."""

    pivot: torch.Tensor
    moments: MomentSums
    positive: NDArray[np.int64]

    @classmethod
    def starting_with(cls, pivot: torch.Tensor, values: NDArray[np.float32]) -> "_Sums":
        """pivot on the model's device, and its values."""
        width = len(values)
        return cls(pivot, MomentSums(values, 0, np.zeros(width), np.zeros(width)), np.zeros(width, dtype=np.int64))

    def add(self, n_tokens: int, values: "_Values") -> None:
        self.moments.add(n_tokens, values.first, values.second)
        self.positive += values.positive


def respond(
    loaded: LoadedModel,
    texts: Sequence[str] | TokenisedTexts,
    requests: Sequence[Request],
    intervention: Sequence[Edit] = (),
    max_tokens_per_batch: int = 4096,
    max_length: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Responses]:
    """Pool every unit over each text's chosen tokens, hand the responses to the sinks, and sum up token moments.

    One pass serves all requests; what several of them ask of one site is read once. A sink is called per batch for
    each (block, site) of its request in the order of the flat unit axis; nothing per token is kept. Sums over up to
    64 of a text's tokens are float32, beyond them and over texts float64 (on a GPU: over texts). The result is
    parallel to `requests`.

    Raises ModelError for no requests, unknown sites, blocks, pooling or tokens, no texts, and activations that are not
    finite (naming block, site, unit and item); CorpusError for texts without content tokens.
    """
    if not requests:
        raise ModelError("unit responses: nothing requested")
    axes: list[list[Place]] = []
    # Whose maximum is wanted, by place and tokens: in the order of the flat unit axis for each selection of tokens.
    highest: dict[tuple[Place, str], bool] = {}
    for request in requests:
        check_pooling(request.pooling)
        check_tokens(request.tokens)
        parts = loaded.architecture.units(request.sites, request.blocks)
        axes.append([(part.block, part.site) for part in parts])
        for place in axes[-1]:
            asked = (place, request.tokens)
            highest[asked] = highest.get(asked, False) or request.pooling == "max"
    tokenised = texts if isinstance(texts, TokenisedTexts) else tokenise(loaded, texts, max_length)
    if not len(tokenised):
        raise ModelError("unit responses: no texts given")
    selections = {request.tokens: tokenised.counts(request.tokens) for request in requests}
    sums: dict[tuple[Place, str], _Sums] = {}
    readings: dict[tuple[Place, str], Reading] = {}
    chosen: dict[str, Tokens] = {}
    masks = BatchMasks()

    def read(block: int, site: str, activations: torch.Tensor) -> None:
        for name, tokens in chosen.items():
            asked = ((block, site), name)
            if asked in highest:
                pivot = sums[asked].pivot if asked in sums else None
                readings[asked] = reduce_tokens(activations, tokens, pivot, highest[asked])

    def forward(batch: Batch) -> dict[tuple[Place, str], Reading]:
        readings.clear()
        masks.enter(batch)
        chosen.update({name: Tokens.of(batch, name) for name in selections})
        run_forward(loaded.model, batch.input_ids, batch.attention_mask)
        found = dict(readings)
        readings.clear()
        return found

    def commit(batch: Batch, found: dict[tuple[Place, str], Reading]) -> None:
        read_out = _read_out(found)
        _refuse_bad(np.stack([read_out[asked].bad for asked in highest]), [place for place, _ in highest], batch.rows)
        n_tokens = {name: int(counts[batch.rows].sum()) for name, counts in selections.items()}
        for asked, values in read_out.items():
            if asked not in sums:
                sums[asked] = _Sums.starting_with(found[asked].pivot, values.pivot)
            sums[asked].add(n_tokens[asked[1]], values)
        for request, axis in zip(requests, axes, strict=True):
            for place in axis:
                values = read_out[place, request.tokens]
                pooled = values.highest if request.pooling == "max" else values.mean
                assert pooled is not None
                request.sink(*place, batch.rows, pooled)
        # Freed before the next batch takes memory, or the allocator hands pages back and fetches them again each time.
        found.clear()
        read_out.clear()

    sites = sorted({site for axis in axes for _, site in axis})
    blocks = sorted({block for axis in axes for block, _ in axis})
    with (
        steering(loaded, intervention, masks),
        observing(loaded.model, loaded.architecture, sites, read, blocks, stop=True),
    ):
        report = run_batches(loaded, tokenised, forward, commit, max_tokens_per_batch, progress)
    return [
        Responses(
            {place: sums[place, request.tokens].moments.moments() for place in axis},
            {place: sums[place, request.tokens].positive for place in axis},
            selections[request.tokens],
            report,
        )
        for request, axis in zip(requests, axes, strict=True)
    ]


def _read_out(found: Mapping[tuple[Place, str], Reading]) -> dict[tuple[Place, str], _Values]:
    """All readings of a batch, taken off the device together."""
    names = [part.name for part in fields(Reading)]
    parts = [(asked, name, getattr(reading, name)) for asked, reading in found.items() for name in names]
    there = [part for part in parts if part[2] is not None]
    values = to_host([tensor for *_, tensor in there])
    arrays: dict[tuple[Place, str], dict[str, Any]] = {asked: dict.fromkeys(names) for asked in found}
    for (asked, name, _), array in zip(there, values, strict=True):
        arrays[asked][name] = array
    return {asked: _Values(**each) for asked, each in arrays.items()}


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
