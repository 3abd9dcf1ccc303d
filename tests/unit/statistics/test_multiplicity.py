"""Adjusted p-values against scipy and the textbook definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from sprachbund_runners.statistics import benjamini_hochberg, benjamini_yekutieli, holm

families = st.lists(st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.01, 0.05, 1.0])), min_size=1, max_size=30)


@given(p=families)
def test_false_discovery_rates_equal_scipy(p):
    assert benjamini_hochberg(p) == pytest.approx(false_discovery_control(p, method="bh"), abs=1e-15)
    assert benjamini_yekutieli(p) == pytest.approx(false_discovery_control(p, method="by"), abs=1e-14)


@given(p=families)
def test_holm_equals_the_stepwise_definition(p):
    expected, running = [0.0] * len(p), 0.0
    for place, index in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        running = max(running, min(1.0, (len(p) - place) * p[index]))
        expected[index] = running
    assert holm(p) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("adjust", [benjamini_hochberg, benjamini_yekutieli, holm])
@given(p=families, gaps=st.integers(0, 5))
def test_tests_not_done_neither_count_nor_vanish(adjust, p, gaps):
    with_gaps = np.insert(np.array(p), np.linspace(0, len(p), gaps).astype(int), np.nan)
    adjusted = adjust(with_gaps)
    assert np.isnan(adjusted).sum() == gaps
    assert adjusted[~np.isnan(adjusted)].tolist() == adjust(p).tolist()


@pytest.mark.parametrize("adjust", [benjamini_hochberg, benjamini_yekutieli, holm])
def test_empty_shaped_and_bad_families(adjust):
    assert adjust([]).shape == (0,)
    assert np.isnan(adjust([np.nan])).all()
    p = np.random.default_rng(0).random((3, 4))
    assert (adjust(p) == adjust(p.ravel()).reshape(3, 4)).all()
    for bad in ([0.1, 1.1], [-0.1]):
        with pytest.raises(ValueError, match="between 0 and 1"):
            adjust(bad)
