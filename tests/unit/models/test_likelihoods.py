"""Likelihoods by windows against one token at a time."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from sprachbund.errors import ModelError
from sprachbund_runners.interventions.edits import UnitAffine
from sprachbund_runners.language_modelling.scoring import likelihoods, row_sums
from sprachbund_runners.models.loading import LoadedModel, load
from sprachbund_runners.models.steering import steering

FAMILIES = ("bloom", "gpt2", "llama", "cohere", "gemma2")
LENGTHS = (1, 2, 7, 25, 12, 13)


@pytest.fixture(scope="module")
def loaded_heads():
    return {}


@pytest.fixture(params=FAMILIES)
def reader(request: pytest.FixtureRequest, model_folder, loaded_heads) -> LoadedModel:
    if request.param not in loaded_heads:
        loaded_heads[request.param] = load(model_folder(request.param), head=True)
    return loaded_heads[request.param]


def documents() -> list[np.ndarray]:
    drawn = np.random.default_rng(2)
    return [np.array([1, *drawn.integers(3, 44, size=length - 1)]) for length in LENGTHS]


def edits() -> list[UnitAffine]:
    unit = np.arange(3)
    one, infinite = np.full(3, 1.5, dtype=np.float32), np.full(3, np.inf, dtype=np.float32)
    return [UnitAffine("mlp.down", 1, unit, 0 * one, one, -infinite, infinite, tokens="all")]


def slow(loaded: LoadedModel, ids: np.ndarray, window: int, stride: int, changed) -> float:
    """Each token by itself: its context is what its window has before it."""
    total = 0.0
    for place in range(1, len(ids)):
        # The first window, counted by strides, that reaches the token.
        start = 0
        while start + window <= place:
            start += stride
        with steering(loaded, changed), torch.inference_mode():
            whole = torch.from_numpy(ids[None, start:place])
            logits = loaded.model(input_ids=whole, attention_mask=torch.ones_like(whole)).logits[0, -1]
        total -= float(torch.log_softmax(logits.double(), dim=-1)[ids[place]])
    return total


@pytest.mark.parametrize("changed", [[], edits()], ids=["plain", "steered"])
@pytest.mark.parametrize(("window", "stride"), [(30, 10), (8, 3), (8, 7), (2, 1)])
def test_likelihoods_are_those_of_one_token_at_a_time(reader: LoadedModel, window: int, stride: int, changed) -> None:
    expected = [slow(reader, ids, window, stride, changed) for ids in documents()]
    for budget in (30, 4096):
        found = likelihoods(
            reader, documents(), window=window, stride=stride, edits=changed, max_tokens_per_batch=budget
        )
        assert found.nats == pytest.approx(expected, abs=2e-4)
        assert found.n_tokens.tolist() == [length - 1 for length in LENGTHS]


def test_logits_in_small_pieces_are_the_same(reader: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = likelihoods(reader, documents(), window=8, stride=3).nats
    monkeypatch.setattr("sprachbund_runners.language_modelling.scoring.CHUNK_VALUES", 50)
    assert likelihoods(reader, documents(), window=8, stride=3).nats == pytest.approx(whole, abs=1e-6)


@pytest.mark.parametrize("pieces", [1, 5, 1 << 20])
def test_sums_of_rows_are_those_of_a_loop(pieces: int, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = torch.Generator().manual_seed(3)
    logits = 3 * torch.randn(6, 9, 11, generator=drawn)
    ids = torch.randint(11, (6, 9), generator=drawn)
    # From the second token on, some, the last alone, none at all; padding is never read.
    first, lengths = np.array([1, 4, 8, 3, 5, 1]), np.array([9, 7, 9, 3, 6, 2])
    for row, length in enumerate(lengths):
        logits[row, length:] = torch.nan
    monkeypatch.setattr("sprachbund_runners.language_modelling.scoring.CHUNK_VALUES", 11 * pieces)
    found = row_sums(logits, ids, first, lengths)
    expected = []
    for row in range(6):
        total = 0.0
        for place in range(first[row], lengths[row]):
            total -= float(torch.log_softmax(logits[row, place - 1].double(), dim=-1)[ids[row, place]])
        expected.append(total)
    assert found.dtype == torch.float64 and found[3] == 0
    assert found.numpy() == pytest.approx(np.array(expected), rel=1e-6)


def test_equally_likely_tokens_cost_their_number(model_folder) -> None:
    loaded = load(model_folder("bloom"), head=True)
    with torch.no_grad():
        for parameter in loaded.model.parameters():
            parameter.zero_()
    found = likelihoods(loaded, documents(), window=8, stride=3)
    assert found.nats == pytest.approx([(length - 1) * math.log(44) for length in LENGTHS])


def test_no_documents_and_empty_ones(reader: LoadedModel) -> None:
    assert likelihoods(reader, [], window=8, stride=3).nats.shape == (0,)
    assert likelihoods(reader, [np.array([1])], window=8, stride=3).nats.tolist() == [0.0]


def test_a_model_without_head_and_one_that_overflows_are_told(model_folder) -> None:
    with pytest.raises(ModelError, match="without its head"):
        likelihoods(load(model_folder("bloom")), documents(), window=8, stride=3)
    broken = load(model_folder("bloom"), head=True)
    with torch.no_grad():
        broken.model.get_input_embeddings().weight[7] = float("nan")
    with pytest.raises(ModelError, match="document 1 is not finite"):
        likelihoods(broken, [np.array([1]), np.array([1, 7, 4])], window=8, stride=3)


def test_edits_at_the_last_token_would_change_nothing_and_are_refused(reader: LoadedModel) -> None:
    (edit,) = edits()
    with pytest.raises(ModelError, match="tokens 'last'"):
        likelihoods(reader, documents(), window=8, stride=3, edits=[replace(edit, tokens="last")])
