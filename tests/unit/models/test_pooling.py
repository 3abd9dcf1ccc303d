"""Pooling of embeddings against loops over texts and tokens, with padding on either side."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sprachbund.errors import ModelError
from sprachbund_runners.models.batches import Batch
from sprachbund_runners.models.loading import LoadedModel
from sprachbund_runners.models.pooling import TokenSelection, check_pooling
from sprachbund_runners.models.respond import Request, respond


def batch_of(lengths: list[int], side: str, specials: int) -> Batch:
    """Texts whose first `specials` tokens are special, padded on a side."""
    width = max(lengths)
    place = torch.arange(width).expand(len(lengths), -1)
    start = torch.zeros(len(lengths), 1) if side == "right" else width - torch.tensor(lengths).unsqueeze(1)
    present = (place >= start) & (place < start + torch.tensor(lengths).unsqueeze(1))
    special = (place < start + specials) | ~present
    ids = torch.zeros(len(lengths), width, dtype=torch.int64)
    n_special = np.minimum(lengths, specials)
    return Batch(np.arange(len(lengths)), np.array(lengths), n_special, ids, present.long(), special)


@settings(max_examples=60)
@given(
    st.lists(st.integers(2, 9), min_size=1, max_size=4),
    st.sampled_from(["left", "right"]),
    st.sampled_from(["all", "content"]),
    st.integers(0, 9),
)
def test_the_weighted_mean_equals_a_loop(lengths: list[int], side: str, tokens: str, seed: int) -> None:
    batch = batch_of(lengths, side, 1)
    values = np.random.default_rng(seed).normal(1, 1, (*batch.input_ids.shape, 3)).astype(np.float32)
    chosen = batch.mask(tokens).numpy()
    expected = []
    for row, mask in zip(values.astype(np.float64), chosen, strict=True):
        total, weight = np.zeros(3), 0
        for token in row[mask]:
            weight += 1
            total += weight * token
        expected.append(total / (weight * (weight + 1) / 2))
    # What stands in padding must not reach the sum.
    spoilt = torch.from_numpy(np.where(chosen[:, :, None], values, np.nan).astype(np.float32))
    found = TokenSelection.of(batch, tokens).pool(spoilt, "weighted_mean")
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=2e-6)


def test_weights_are_exactly_those_of_mexa() -> None:
    """Its published rule: places from 1 times the attention mask, over their sum, with padding on the right."""
    batch = batch_of([3, 5], "right", 0)
    values = torch.arange(2 * 5 * 2, dtype=torch.float32).reshape(2, 5, 2)
    weights = batch.attention_mask * torch.arange(1, 6)
    expected = (values * weights.unsqueeze(-1)).sum(1) / weights.sum(1, keepdim=True)
    # Sums of small whole numbers: no rounding but that of the one division.
    assert torch.equal(TokenSelection.of(batch, "all").pool(values, "weighted_mean"), expected)
    assert torch.equal(
        TokenSelection.of(batch_of([5, 5], "right", 0), "all").pool(values, "weighted_mean"),
        (values * torch.arange(1.0, 6).unsqueeze(-1)).sum(1) / 15,
    )


@pytest.mark.parametrize("tokens", ["first", "last"])
def test_one_token_weighs_all(tokens: str) -> None:
    batch = batch_of([3, 5], "right", 1)
    values = torch.randn(2, 5, 4, dtype=torch.bfloat16)
    selection = TokenSelection.of(batch, tokens)
    assert torch.equal(selection.pool(values, "weighted_mean"), selection.pool(values, "mean"))


def test_responses_have_no_weighted_mean(loaded: LoadedModel, texts: list[str]) -> None:
    request = Request(["mlp.up"], "weighted_mean", "all", lambda *_: None)
    with pytest.raises(ModelError, match=r"^pooling 'weighted_mean' is not known; expected mean, max$"):
        respond(loaded, texts, [request])
    assert check_pooling("max") == "max"
