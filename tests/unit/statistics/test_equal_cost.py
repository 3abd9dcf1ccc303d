"""Gains at a cost: against walking along the path step by step, at its ends, and how often intervals cover."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprachbund_runners.statistics.equal_cost import along, at_cost

levels = st.integers(0, 6).map(float)


def walked(costs, gains, at):
    """The first point of the path at this cost, found leg by leg."""
    if costs[0] == at:
        return 0.0, gains[0]
    for leg in range(len(costs) - 1):
        low, high = sorted(costs[leg : leg + 2])
        if low <= at <= high:
            part = (at - costs[leg]) / (costs[leg + 1] - costs[leg])
            return leg + part, gains[leg] * (1 - part) + gains[leg + 1] * part
    return None


@given(st.lists(st.tuples(levels, levels), min_size=1, max_size=6), st.integers(-1, 14).map(lambda n: n / 2))
def test_equals_walking_along_the_path(points, at):
    costs, gains = np.array(points).T
    place, gain = along(costs[None], gains[None], at)
    expected = walked(costs, gains, at)
    if expected is None:
        assert np.isnan([place[0], gain[0]]).all()
    else:
        assert (place[0], gain[0]) == pytest.approx(expected)


def test_nothing_is_extrapolated_and_undefined_costs_are_not_reached():
    costs, gains = np.array([1.0, 1.5, 2.0]), np.array([0.0, 0.2, 0.1])
    draws = np.repeat(costs[None], 10, axis=0)
    drawn = np.repeat(gains[None], 10, axis=0)
    for at in (0.9, 2.1):
        assert at_cost(costs, gains, draws, drawn, at, 0.95) is None
    assert at_cost(costs, gains, draws, drawn, 1.0, 0.95).gain == 0
    found = at_cost(costs, gains, draws, drawn, 1.75, 0.95)
    assert (found.place, found.gain, found.low, found.high, found.reached) == pytest.approx((1.5, 0.15, 0.15, 0.15, 1))
    undefined = draws.copy()
    undefined[:2, 1:] = np.nan
    few = at_cost(costs, gains, undefined, drawn, 1.75, 0.95)
    assert few.reached == 0.8 and np.isnan([few.low, few.high]).all()
    with pytest.raises(ValueError, match="equal cost: found"):
        at_cost(costs, gains, draws[:, :2], drawn[:, :2], 1.75, 0.95)


def test_the_interval_covers_when_gain_and_cost_are_both_estimated():
    """Means of 150 items each; the true path is known."""
    drawn = np.random.default_rng(2)
    costs, gains, at = np.array([1.0, 1.3, 1.8, 2.4]), np.array([0.0, 0.10, 0.16, 0.12]), 1.5
    truth = along(costs[None], gains[None], at)[1][0]
    covered = []
    for _ in range(300):
        shared = drawn.normal(0, 0.5, size=(2, 150, 1))
        seen = [np.array(path) + shared[side] + drawn.normal(0, 0.3, size=(150, 4)) for side, path in
                enumerate((costs, gains))]  # fmt: skip
        seen[1] -= seen[1][:, :1]
        weights = [drawn.multinomial(150, np.full(150, 1 / 150), size=300) / 150 for _ in range(2)]
        found = at_cost(seen[0].mean(0), seen[1].mean(0), weights[0] @ seen[0], weights[1] @ seen[1], at, 0.95)
        covered.append(found.low <= truth <= found.high)
    assert 0.92 <= np.mean(covered) <= 0.98
