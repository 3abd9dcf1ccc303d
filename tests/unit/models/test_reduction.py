"""Reducing activations: the compiled walk and the torch kernels against a loop over texts and units."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sprachbund_runners.models.batches import Batch
from sprachbund_runners.models.reduction import CHUNK, Reading, Tokens, reduce_by_torch, reduce_tokens


def batch_of(lengths: list[int], specials: int) -> Batch:
    width = max(lengths)
    present = torch.arange(width) < torch.tensor(lengths).unsqueeze(1)
    special = (torch.arange(width) < specials).expand(len(lengths), -1)
    n_special = np.minimum(lengths, specials)
    ids = torch.zeros(len(lengths), width)
    return Batch(np.arange(len(lengths)), np.array(lengths), n_special, ids, present.long(), special | ~present)


def by_torch(activations: torch.Tensor, tokens: Tokens, pivot: torch.Tensor | None, highest: bool) -> Reading:
    return reduce_by_torch(activations, tokens.selection, pivot, highest)


@settings(max_examples=40)
@given(
    st.lists(st.integers(2, CHUNK + 9), min_size=1, max_size=4),
    st.sampled_from(["all", "content", "first", "last"]),
    st.sampled_from([None, -0.5]),
    st.booleans(),
    st.sampled_from([reduce_tokens, by_torch]),
    st.integers(0, 9),
)
def test_equal_to_a_loop(
    lengths: list[int], name: str, centre: float | None, highest: bool, reduce: object, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(0.3, 1, (len(lengths), max(lengths), 5)).astype(np.float32)
    values[:, :, 4] = 0.1  # a constant unit
    values[:, :, 3] = np.round(values[:, :, 3])  # exact zeros
    batch = batch_of(lengths, 1)
    tokens = Tokens.of(batch, name)
    mask = tokens.mask.numpy()
    spoilt = torch.from_numpy(np.where(mask[:, :, None], values, np.nan).astype(np.float32))
    pivot = None if centre is None else torch.full((5,), centre)
    found = reduce(spoilt, tokens, pivot, highest)  # type: ignore[operator]
    rows = [values[text][mask[text]].astype(np.float64) for text in range(len(lengths))]
    every = np.concatenate(rows)
    subtracted = found.pivot.double().numpy()
    if centre is None:
        np.testing.assert_allclose(subtracted, every.mean(axis=0), rtol=1e-6, atol=1e-6)
        assert found.pivot[4] == torch.tensor(0.1)
        assert found.second[4] == 0.0
    np.testing.assert_allclose(found.mean, [row.mean(axis=0) for row in rows], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.first, (every - subtracted).sum(axis=0), rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(found.second, ((every - subtracted) ** 2).sum(axis=0), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(found.positive, (every > 0).sum(axis=0))
    assert found.positive.dtype == torch.int64
    assert (found.bad == -1).all()
    assert (found.highest is None) == (not highest)
    if highest:
        np.testing.assert_array_equal(found.highest, [row.max(axis=0) for row in rows])


@pytest.mark.parametrize("reduce", [reduce_tokens, by_torch])
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 3e38])
def test_the_first_bad_unit_of_each_text_is_named(reduce: object, wrong: float) -> None:
    lengths = [CHUNK + 20, 5, 9]
    values = torch.zeros(3, max(lengths), 6)
    values[0, CHUNK + 3, 4] = wrong
    values[0, 2, 5] = wrong
    values[2, 8, 1] = wrong
    values[1, 7, 0] = wrong  # padding
    found = reduce(values, Tokens.of(batch_of(lengths, 0), "all"), torch.zeros(6), True)  # type: ignore[operator]
    assert found.bad.tolist() == [4, -1, 1]


def test_half_precision_is_read_as_float32() -> None:
    values = torch.randn(2, 7, 4, dtype=torch.bfloat16)
    tokens = Tokens.of(batch_of([7, 6], 0), "all")
    for reduce in (reduce_tokens, by_torch):
        found = reduce(values, tokens, None, True)
        assert found.mean.dtype == found.pivot.dtype == torch.float32
        torch.testing.assert_close(found.mean[0], values[0].float().mean(dim=0))
