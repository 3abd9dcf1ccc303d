"""Sequential reading: what is read, when it stops, and that it stops about where it should."""

import math

import numpy as np
import pytest

from sprachbund_runners.language_modelling.estimates import Documents, bits_per_byte, half_width, perplexity
from sprachbund_runners.language_modelling.stopping import looks, read_until


def test_looks_grow_and_end_with_everything() -> None:
    assert list(looks(200)) == [64, 96, 144, 200]
    assert list(looks(64)) == [64]
    assert list(looks(5)) == [5]
    assert list(looks(0)) == [0]


def test_every_unit_is_read_once_if_nothing_stops_it() -> None:
    read: list[int] = []
    found = read_until(150, 0, lambda units: read.extend(units.tolist()), lambda _: False)
    assert sorted(read) == list(range(150))
    assert read != sorted(read)
    assert not found.stopped
    assert found.units.tolist() == read
    assert found.n_looks == 4


def test_it_stops_at_the_second_narrow_look_in_a_row_and_repeats_its_order() -> None:
    sizes: list[int] = []

    def narrow(done: np.ndarray) -> bool:
        sizes.append(len(done))
        return len(done) == 64 or len(done) >= 144

    found = read_until(1000, 0, lambda _: None, narrow)
    assert sizes == [64, 96, 144, 216]
    assert found.stopped and len(found.units) == 216 and found.n_looks == 4
    again = read_until(1000, 0, lambda _: None, lambda done: len(done) >= 64)
    assert again.units.tolist() == found.units[:96].tolist()
    assert read_until(1000, 1, lambda _: None, narrow).units.tolist() != found.units.tolist()


def test_reading_everything_is_no_early_stop() -> None:
    assert not read_until(20, 0, lambda _: None, lambda _: True).stopped


@pytest.mark.parametrize("wanted", [0.05, 0.02])
def test_intervals_at_the_stop_are_as_narrow_as_asked_and_still_cover(wanted: float) -> None:
    drawn = np.random.default_rng(4)
    tokens = drawn.integers(5, 60, size=20_000).astype(float)
    whole = Documents(drawn.gamma(3, 0.3, size=20_000) * tokens, tokens, tokens * 4)
    truth = whole.nats.sum() / whole.n_bytes.sum() / math.log(2)

    def of(units: np.ndarray) -> Documents:
        return Documents(whole.nats[units], whole.tokens[units], whole.n_bytes[units])

    hits = saved = 0.0
    for seed in range(100):
        found = read_until(20_000, seed, lambda _: None, lambda units: half_width(of(units), 0.95) <= wanted)
        assert found.stopped
        part = of(found.units)
        width = half_width(part, 0.95)
        assert width <= wanted
        hits += abs(part.nats.sum() / part.n_bytes.sum() / math.log(2) - truth) <= wanted
        saved += 1 - len(found.units) / 20_000
    assert hits / 100 >= 0.9
    assert saved / 100 > 0.5


@pytest.mark.parametrize(("spread", "length", "wanted"), [(0.25, 1.0, 0.1), (0.25, 0.5, 0.12), (0.3, 0.7, 0.1)])
def test_reported_intervals_cover_where_few_long_documents_weigh_much(
    spread: float, length: float, wanted: float
) -> None:
    """Lognormal lengths and bits: the setting in which one narrow look at 32 documents covered 90 of 100 times."""
    drawn = np.random.default_rng(1)
    trials, n, hits, both = 400, 2000, 0, 0
    for seed in range(trials):
        n_bytes = np.exp(drawn.normal(6, length, n))
        bits = n_bytes * 1.2 * np.exp(drawn.normal(0, spread, n) - spread**2 / 2)
        whole = Documents(bits * math.log(2), n_bytes / 4, n_bytes)

        def narrow(units: np.ndarray, whole: Documents = whole) -> bool:
            return half_width(whole.take(units), 0.95) <= wanted

        found = read_until(n, seed, lambda _: None, narrow)
        part = whole.take(found.units)
        interval, other = bits_per_byte(part, sequential=True), perplexity(part, sequential=True)
        assert (interval.high - interval.low) / 2 == pytest.approx(half_width(part, 0.95))
        hits += interval.low <= bits.sum() / n_bytes.sum() <= interval.high
        both += other.low <= math.exp(whole.nats.sum() / whole.tokens.sum()) <= other.high
    assert hits / trials >= 0.93
    assert both == hits
