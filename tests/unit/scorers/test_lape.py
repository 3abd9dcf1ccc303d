"""LAPE against a loop over units, and its refusals."""

import math

import numpy as np
import pytest
from scipy.stats import entropy

from sprachbund.errors import CorpusError, SpecError
from sprachbund_runners.scorers.lape import lape, lape_score


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


def test_the_target_is_the_first_language_and_owns_what_it_is_scored_by() -> None:
    rng = np.random.default_rng(3)
    tokens = np.array([300, 500, 900])
    active = rng.binomial(tokens, rng.beta(0.3, 3, (400, 3)))
    active[7] = [300, 0, 0]
    active[8] = [0, 500, 0]
    scores = lape_score(active, tokens)
    everything = sorted(a / t for row in active for a, t in zip(row, tokens, strict=True))
    threshold = everything[round(0.95 * 1200) - 1]
    for row, score in zip(active, scores, strict=True):
        p = row / tokens
        assert score == (pytest.approx(-entropy(p), abs=1e-12) if p[0] > threshold else -math.inf)
    assert scores[7] == scores.max() == 0.0
    assert scores[8] == -math.inf
    # The same units seen from the second language.
    swapped = lape_score(active[:, [1, 0, 2]], tokens[[1, 0, 2]])
    assert swapped[8] == 0.0
    both = np.isfinite(scores) & np.isfinite(swapped)
    np.testing.assert_allclose(scores[both], swapped[both], rtol=1e-12)


def test_ties_at_the_percentile_own_nothing() -> None:
    """Where all fire alike no share is above the percentile."""
    assert np.isinf(lape_score(np.full((10, 2), 3), np.array([6, 6]))).all()


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
