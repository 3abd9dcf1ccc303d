"""Embeddings of texts: pooled layers, all of them from one pass."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from sprachbund.architectures import FINAL
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
from sprachbund_runners.models.hooks import observing_layers, run_forward
from sprachbund_runners.models.loading import LoadedModel
from sprachbund_runners.models.pooling import TokenSelection, check_pooling


class Embeddings(dict[str, NDArray[np.float32]]):
    """Layer → float32 [n_texts, hidden_size], in the order of the texts; `report` says how the pass went."""

    def __init__(self, vectors: dict[str, NDArray[np.float32]], report: PassReport) -> None:
        super().__init__(vectors)
        self.report = report


def embed(
    loaded: LoadedModel,
    texts: Sequence[str] | TokenisedTexts,
    layers: Sequence[str],
    pooling: str = "mean",
    tokens: str = "content",
    intervention: Sequence[UnitAffine] = (),
    max_tokens_per_batch: int = 4096,
    max_length: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Embeddings:
    """Pooled embeddings of every requested layer, with the intervention's edits applied.

    Pooling sums in float32 whatever the model's dtype. The pass ends at the deepest requested layer. Batches change
    float32 results by less than 1e-5; the same batches give the same bytes.

    Raises ModelError for unknown layers, pooling, tokens or edits and for embeddings that are not finite (naming
    layer and item), CorpusError for texts without content tokens.
    """
    wanted = loaded.architecture.check_layers(layers)
    check_pooling(pooling)
    check_tokens(tokens)
    tokenised = texts if isinstance(texts, TokenisedTexts) else tokenise(loaded, texts, max_length)
    vectors = {layer: np.empty((len(tokenised), loaded.architecture.hidden_size), dtype=np.float32) for layer in wanted}
    masks = BatchMasks()
    pooled: dict[str, torch.Tensor] = {}
    selection: TokenSelection

    def read(layer: str, activations: torch.Tensor) -> None:
        pooled[layer] = selection.pool(activations, pooling)

    def forward(batch: Batch) -> dict[str, torch.Tensor]:
        nonlocal selection
        pooled.clear()
        masks.enter(batch)
        selection = TokenSelection.of(batch, tokens)
        final = run_forward(loaded.model, batch.input_ids, batch.attention_mask)
        if FINAL in wanted and final is not None:
            read(FINAL, final)
        return dict(pooled)

    def commit(batch: Batch, found: dict[str, torch.Tensor]) -> None:
        for layer in wanted:
            values = found[layer].cpu().numpy()
            finite = np.isfinite(values).all(axis=1)
            if not finite.all():
                raise ModelError(
                    f"embedding of item {batch.rows[~finite][0]} at layer {layer} is not finite "
                    f"({loaded.dtype}; try float32 or bfloat16)"
                )
            vectors[layer][batch.rows] = values

    # Edits first: hooks run in the order they were registered, and block outputs are read after they were edited.
    with (
        steering(loaded, intervention, masks),
        observing_layers(loaded.model, loaded.architecture, wanted, read),
    ):
        report = run_batches(loaded, tokenised, forward, commit, max_tokens_per_batch, progress)
    return Embeddings(vectors, report)
