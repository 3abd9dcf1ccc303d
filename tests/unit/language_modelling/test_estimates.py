"""Perplexity and bits per byte of known documents; intervals against formulas and simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from sprachbund_runners.language_modelling.estimates import Documents, bits_per_byte, half_width, perplexity


def documents(n: int, seed: int = 0) -> Documents:
    drawn = np.random.default_rng(seed)
    tokens = drawn.integers(5, 60, size=n).astype(float)
    return Documents(drawn.gamma(3, 1, size=n) * tokens, tokens, np.round(tokens * drawn.uniform(2, 5, size=n)))


def test_known_values() -> None:
    # Two bits a token, 4 bytes a token.
    found = Documents(np.array([20, 10]) * math.log(4), np.array([20.0, 10.0]), np.array([80.0, 40.0]))
    assert perplexity(found).value == pytest.approx(4)
    assert bits_per_byte(found).value == pytest.approx(0.5)
    assert half_width(found, 0.95) == pytest.approx(0, abs=1e-12)


def test_long_documents_weigh_more() -> None:
    found = Documents(np.array([1.0, 9.0]), np.array([1.0, 3.0]), np.array([1.0, 3.0]))
    assert perplexity(found).value == pytest.approx(math.exp(10 / 4))


def test_bits_are_those_of_the_sums_and_the_interval_is_a_bootstrap_of_documents() -> None:
    found = documents(200)
    estimate = bits_per_byte(found)
    assert estimate.value == pytest.approx(found.nats.sum() / found.n_bytes.sum() / math.log(2))
    # An independent bootstrap, with other draws.
    drawn = np.random.default_rng(99)
    picks = drawn.integers(0, 200, size=(4000, 200))
    slow = np.array([found.nats[each].sum() / found.n_bytes[each].sum() / math.log(2) for each in picks])
    low, high = np.quantile(slow, [0.025, 0.975])
    assert (estimate.low, estimate.high) == pytest.approx((low, high), rel=0.03)
    assert perplexity(found).low == pytest.approx(math.exp(_slow_low(found, picks)), rel=0.05)


def _slow_low(found: Documents, picks: np.ndarray) -> float:
    return float(np.quantile([found.nats[each].sum() / found.tokens[each].sum() for each in picks], 0.025))


def test_the_stopping_rules_half_width_is_that_of_the_bootstrap() -> None:
    found = documents(400, seed=3)
    estimate = bits_per_byte(found, 0.9)
    assert half_width(found, 0.9) == pytest.approx((estimate.high - estimate.low) / 2, rel=0.1)


def test_half_width_of_equal_bytes_is_that_of_a_mean() -> None:
    drawn = np.random.default_rng(1).normal(10, 2, size=50)
    found = Documents(drawn * math.log(2), np.ones(50), np.full(50, 4.0))
    t = stats.t.ppf(0.975, 49)
    assert half_width(found, 0.95) == pytest.approx(t * (drawn / 4).std(ddof=1) / math.sqrt(50))


def test_the_interval_covers() -> None:
    truth = 3 / 3.5 / math.log(2)
    hits = 0
    for seed in range(200):
        estimate = bits_per_byte(documents(120, seed=1000 + seed))
        hits += estimate.low <= truth <= estimate.high
    assert 0.89 <= hits / 200 <= 0.99


def test_groups_are_summed_and_widen_the_interval() -> None:
    found = documents(300)
    twice = Documents(*(np.repeat(each, 4) for each in (found.nats, found.tokens, found.n_bytes)))
    grouped = twice.summed(np.arange(1200) // 4, 300)
    assert len(grouped) == 300
    assert grouped.nats == pytest.approx(4 * found.nats)
    assert bits_per_byte(grouped).value == pytest.approx(bits_per_byte(twice).value)
    assert half_width(grouped, 0.95) == pytest.approx(2 * half_width(twice, 0.95), rel=0.01)


def test_too_little_to_say() -> None:
    nothing = Documents(np.empty(0), np.empty(0), np.empty(0))
    assert math.isnan(bits_per_byte(nothing).value) and math.isnan(perplexity(nothing).value)
    assert half_width(nothing, 0.95) == math.inf
    one = Documents(np.array([2.0]), np.array([2.0]), np.array([8.0]))
    assert perplexity(one).value == pytest.approx(math.e)
    assert math.isnan(perplexity(one).low) and math.isnan(bits_per_byte(one).high)
    assert half_width(one, 0.95) == math.inf
    empty = Documents(np.zeros(3), np.zeros(3), np.zeros(3))
    assert math.isnan(bits_per_byte(empty).value)
    some_empty = Documents(np.array([0.0, 3.0, 0.0]), np.array([0.0, 2.0, 0.0]), np.array([0.0, 9.0, 0.0]))
    assert bits_per_byte(some_empty).low == pytest.approx(3 / 9 / math.log(2))


def test_half_width_of_unequal_documents_is_the_jackknifes_with_as_many_documents_as_weigh_alike() -> None:
    found = documents(40)
    bits = found.nats / math.log(2)
    without = [np.delete(bits, one).sum() / np.delete(found.n_bytes, one).sum() for one in range(40)]
    error = math.sqrt(39 / 40 * sum((each - np.mean(without)) ** 2 for each in without))
    alike = found.n_bytes.sum() ** 2 / (found.n_bytes**2).sum()
    assert alike < 40
    assert half_width(found, 0.9) == pytest.approx(stats.t.ppf(0.95, alike - 1) * error)
    # One document with text says nothing of others.
    lone = Documents(np.array([2.0, 0.0]), np.array([2.0, 0.0]), np.array([8.0, 0.0]))
    assert half_width(lone, 0.95) == math.inf and math.isnan(bits_per_byte(lone, sequential=True).low)
