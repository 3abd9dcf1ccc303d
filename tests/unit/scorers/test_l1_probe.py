"""The L1 probe against a proximal gradient descent on the stated objective."""

import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from sprachbund.errors import CorpusError, ModelError
from sprachbund_runners.scorers.l1_probe import INTERCEPT_INPUT, C, l1_probe, standardised


def sides(units: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    positives = rng.normal(0, 2, (60, units)).astype(np.float32)
    negatives = rng.normal(0, 2, (150, units)).astype(np.float32)
    positives[:, 0] += 3
    positives[:, 1] -= 2
    return positives, negatives


def by_descent(positives: NDArray[np.float32], negatives: NDArray[np.float32]) -> NDArray[np.float64]:
    """Accelerated proximal gradient (Beck & Teboulle 2009) to convergence; the intercept is the last column."""
    x = np.concatenate([positives, negatives]).astype(np.float64)
    x = np.hstack([(x - x.mean(0)) / x.std(0), np.full((len(x), 1), INTERCEPT_INPUT)])
    y = np.repeat([1.0, -1.0], [len(positives), len(negatives)])
    weight = C * np.where(y > 0, len(y) / (2 * len(positives)), len(y) / (2 * len(negatives)))
    step = 4 / (weight.max() * np.linalg.eigvalsh(x.T @ x)[-1])
    w = v = np.zeros(x.shape[1])
    momentum = 1.0
    for _ in range(60_000):
        slope = -(weight * y / (1 + np.exp(y * (x @ v)))) @ x
        after = v - step * slope
        after = np.sign(after) * np.maximum(np.abs(after) - step, 0)
        faster = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        v = after + (momentum - 1) / faster * (after - w)
        w, momentum = after, faster
    return w[:-1]


def test_equal_to_the_minimum_of_the_objective() -> None:
    positives, negatives = sides(12)
    found, expected = l1_probe(positives, negatives), by_descent(positives, negatives)
    np.testing.assert_allclose(found, expected, atol=2e-4)
    assert found[0] > 0.5 and found[1] < -0.3
    np.testing.assert_array_equal(found == 0, np.abs(expected) < 1e-6)
    assert (found == 0).sum() > 3


def test_the_same_twice_and_whatever_the_scale() -> None:
    positives, negatives = sides(300)
    first = l1_probe(positives, negatives)
    assert first.tobytes() == l1_probe(positives, negatives).tobytes()
    np.testing.assert_allclose(first, l1_probe(positives * 1024, negatives * 1024), atol=1e-9)


def test_constant_units_weigh_nothing() -> None:
    positives, negatives = sides(5)
    for column, value in ((2, 0.0), (3, 0.1)):
        positives[:, column] = negatives[:, column] = value
    found = l1_probe(positives, negatives)
    assert found[2] == found[3] == 0.0
    assert found[0] > 0
    assert (standardised(np.concatenate([positives, negatives]))[:, 2:4] == 0).all()


def test_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    positives, negatives = sides(4)
    with pytest.raises(CorpusError, match="0 positives, 150 negatives"):
        l1_probe(positives[:0], negatives)
    spoilt = negatives.copy()
    spoilt[3, 2] = np.nan
    with pytest.raises(ModelError, match="response of unit 2 to sentence 63 is not finite"):
        l1_probe(positives, spoilt)
    # The package has the function under the module's name.
    monkeypatch.setattr(sys.modules["sprachbund_runners.scorers.l1_probe"], "MAX_ITERATIONS", 1)
    with pytest.raises(ModelError, match="no convergence in 1 rounds over 4 units"):
        l1_probe(positives, negatives)
