"""Wilson intervals against scipy and their definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from sprachbund_runners.statistics.intervals import wilson


@given(n=st.integers(1, 3000), data=st.data(), confidence=st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_wilson_equals_scipy(n, data, confidence):
    hits = data.draw(st.integers(0, n))
    expected = binomtest(hits, n).proportion_ci(confidence, method="wilson")
    low, high = wilson(hits, n, confidence)
    assert float(low) == pytest.approx(expected.low, abs=1e-12)
    assert float(high) == pytest.approx(expected.high, abs=1e-12)


@given(n=st.integers(1, 500), share=st.floats(0, 1))
def test_wilson_bounds_solve_the_score_equation(n, share):
    """Also for fractional successes: |p - bound| = z sqrt(bound (1 - bound) / n), the definition."""
    z = 1.959963984540054
    low, high = wilson(share * n, n)
    for bound in (float(low), float(high)):
        assert 0 <= bound <= 1
        assert abs(share - bound) == pytest.approx(z * np.sqrt(bound * (1 - bound) / n), abs=1e-8)
    assert low <= share <= high


def test_no_hits_and_all_hits_leave_room():
    low, high = wilson([0, 50], 50)
    assert low[0] == 0 and 0.05 < high[0] < 0.1
    assert high[1] == 1 and 0.9 < low[1] < 0.95


def test_wilson_of_nothing_is_undefined():
    low, high = wilson([0, 1], [0, 2])
    assert np.isnan([low[0], high[0]]).all() and not np.isnan([low[1], high[1]]).any()


@pytest.mark.parametrize(("hits", "n", "confidence"), [(-1, 5, 0.95), (6, 5, 0.95), (np.nan, 5, 0.95), (1, 5, 1.0)])
def test_wilson_refuses(hits, n, confidence):
    with pytest.raises(ValueError, match="expected"):
        wilson(hits, n, confidence)
