"""Nucleus sampling against a slow reference, and random numbers that belong to a sample."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sprachbund_runners.generation.sampling import choose, uniforms


def reference(logits: np.ndarray, uniform: float, temperature: float, top_p: float) -> int:
    """One token at a time, in float64, with a loop."""
    scaled = logits.astype(np.float64) / temperature
    p = np.exp(scaled - scaled.max())
    p /= p.sum()
    order = sorted(range(len(p)), key=lambda token: (-logits[token], token))
    kept, reached = [], 0.0
    for token in order:
        kept.append(token)
        reached += p[token]
        if reached >= top_p * (1 - 1e-9):
            break
    at, below = uniform * reached, 0.0
    for token in kept:
        below += p[token]
        if at < below:
            return token
    return kept[-1]


@settings(max_examples=200)
@given(
    seed=st.integers(0, 10_000),
    width=st.integers(1, 40),
    temperature=st.sampled_from([0.3, 1.0, 2.5]),
    top_p=st.floats(0.05, 1.0),
    whole=st.booleans(),
)
def test_choices_are_those_of_the_reference(
    seed: int, width: int, temperature: float, top_p: float, whole: bool
) -> None:
    drawn = np.random.default_rng(seed)
    logits = drawn.normal(size=(5, width)).astype(np.float32) * 3
    if whole:
        # Ties: equally likely tokens go by id.
        logits = np.round(logits)
    uniform = drawn.random(5)
    expected = [reference(row, at, temperature, top_p) for row, at in zip(logits, uniform, strict=True)]
    found = choose(torch.from_numpy(logits), torch.from_numpy(uniform), temperature, top_p)
    # At a border between two tokens, rounding may decide: then both are at equal distance.
    differing = sum(a != b for a, b in zip(found.tolist(), expected, strict=True))
    assert differing == 0 or _at_a_border(logits, uniform, temperature, top_p)


def _at_a_border(logits: np.ndarray, uniform: np.ndarray, temperature: float, top_p: float) -> bool:
    moved = [
        [reference(row, min(max(at + step, 0), 1 - 1e-9), temperature, p) for step in (-1e-6, 1e-6)]
        for row, at in zip(logits, uniform, strict=True)
        for p in (top_p * (1 - 1e-6), min(1.0, top_p * (1 + 1e-6)))
    ]
    return any(low != high for low, high in moved) or len({tuple(each) for each in moved}) > 1


def test_frequencies_are_the_renormalised_probabilities() -> None:
    p = np.array([0.5, 0.3, 0.15, 0.05])
    n = 20_000
    logits = torch.from_numpy(np.log(p)).float().expand(n, -1)
    found = choose(logits, torch.from_numpy(uniforms(7, 0, n, 1)[:, 0]), 1.0, 0.9)
    counts = np.bincount(found.numpy(), minlength=4) / n
    # .5 and .3 stay under .9, .15 crosses it, .05 is cut.
    assert counts == pytest.approx([0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95, 0.0], abs=0.012)


def test_temperature_zero_takes_the_first_of_the_most_likely() -> None:
    logits = torch.tensor([[1.0, 3.0, 3.0], [2.0, 0.0, -1.0]])
    assert choose(logits, torch.empty(0), 0, 0.5).tolist() == [1, 0]


def test_infinite_logits_are_never_drawn() -> None:
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf]])
    for at in (0.0, 0.5, 1 - 1e-16):
        assert choose(logits, torch.tensor([at], dtype=torch.float64), 1.0, 1.0).tolist() == [1]


def test_numbers_belong_to_a_seed_and_a_sample() -> None:
    whole = uniforms(3, 0, 10, 5)
    assert whole.shape == (10, 5)
    assert (whole[4:7] == uniforms(3, 4, 3, 5)).all()
    # A longer text begins with the same draws.
    assert (whole == uniforms(3, 0, 10, 8)[:, :5]).all()
    assert not (whole == uniforms(4, 0, 10, 5)).any()
    assert len(np.unique(whole)) == 50
    assert uniforms(3, 0, 0, 5).shape == (0, 5)
