"""LAPE against a loop over units, and its refusals."""

import math

import numpy as np
import pytest
from scipy.stats import entropy

from sprachbund.errors import CorpusError, SpecError
from sprachbund_runners.scorers.lape import lape, select_lowest


@pytest.mark.parametrize("percentile", [0.5, 0.8, 0.95])
def test_equal_to_a_loop(percentile: float) -> None:
    rng = np.random.default_rng(0)
    tokens = np.array([400, 1000, 777])
    active = rng.binomial(tokens, rng.beta(0.3, 2, (200, 3)))
    active[5] = 0
    active[6, 1:] = 0
    active[6, 0] = 400
    result = lape(active, tokens, percentile)
    everything = sorted(a / t for row in active for a, t in zip(row, tokens, strict=True))
    threshold = everything[round(percentile * 600) - 1]
    assert result.threshold == threshold
    for unit, row in enumerate(active):
        p = [a / t for a, t in zip(row, tokens, strict=True)]
        assert result.owned[unit].tolist() == [x > threshold for x in p]
        expected = entropy(p) if max(p) > threshold else math.inf
        assert result.entropy[unit] == pytest.approx(expected, abs=1e-12)
    assert result.entropy[6] == 0.0
    assert result.entropy[5] == math.inf


def test_selection() -> None:
    tokens = np.array([10, 10])
    result = lape(np.array([[5, 5], [9, 1], [10, 0], [1, 9], [0, 0], [1, 1]]), tokens, 0.5)
    assert result.threshold == 0.1
    assert select_lowest(result, 2).tolist() == [2, 1]
    assert select_lowest(result, 0.5).tolist() == [2, 1, 3]
    assert select_lowest(result, 4).tolist() == [2, 1, 3, 0]
    with pytest.raises(SpecError, match="k: found 5, 5 units, but only 4 fire"):
        select_lowest(result, 5)


def test_counts_add_up_over_batches() -> None:
    rng = np.random.default_rng(1)
    batches = [rng.integers(0, 5, (30, 2)) for _ in range(4)]
    whole = lape(np.sum(batches, axis=0), np.array([20, 20]))
    running = np.zeros((30, 2), dtype=np.int64)
    for batch in reversed(batches):
        running += batch
    assert whole.entropy.tobytes() == lape(running, np.array([20, 20])).entropy.tobytes()


def test_refusals() -> None:
    active = np.array([[1, 2], [3, 4]])
    with pytest.raises(CorpusError, match="position 1 has none"):
        lape(active * 0, np.array([5, 0]))
    with pytest.raises(SpecError, match="expected at least 2"):
        lape(active[:, :1], np.array([5]))
    with pytest.raises(SpecError, match="percentile: found 95"):
        lape(active, np.array([5, 5]), 95)
    with pytest.raises(ValueError, match="above the language's number"):
        lape(active, np.array([5, 3]))
    with pytest.raises(ValueError, match="shapes"):
        lape(active, np.array([5, 3, 3]))
