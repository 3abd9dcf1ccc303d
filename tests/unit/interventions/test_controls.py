from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sprachbund.errors import ModelError
from sprachbund.models.architectures import describe, split_flat
from sprachbund_runners.interventions.controls import Selection, experts_values, matched_shift, random_units, union

UNITS = describe({"model_type": "bloom", "n_layer": 3, "hidden_size": 4}).units(["mlp.up", "mlp.down"])
TOTAL = 60


def profile(units: NDArray[np.int64]) -> Counter[int]:
    return Counter(split_flat(UNITS, units)[0].tolist())


def test_union() -> None:
    assert union([[5, 1], [1, 9], []]).tolist() == [1, 5, 9]
    with pytest.raises(ModelError, match=r"no set given"):
        union([])


@pytest.mark.parametrize("control", ["uniform", "profile"])
@given(data=st.data())
def test_random_units_are_as_many_and_never_experts(control: str, data: st.DataObject) -> None:
    # At most half of each part, so that a control exists.
    experts = np.array(
        [
            part.offset + unit
            for part in UNITS
            for unit in data.draw(st.sets(st.integers(0, part.width - 1), max_size=part.width // 2))
        ],
        dtype=np.int64,
    )
    seed = data.draw(st.integers(0, 2**32))
    drawn = random_units(UNITS, experts, seed, control)
    assert len(set(drawn.tolist())) == len(drawn) == len(experts)
    assert not set(drawn.tolist()) & set(experts.tolist())
    assert drawn.tolist() == sorted(drawn.tolist())
    assert all(0 <= unit < TOTAL for unit in drawn)
    assert np.array_equal(drawn, random_units(UNITS, experts, seed, control))
    if control == "profile":
        assert profile(drawn) == profile(experts)


def test_uniform_draws_reach_every_unit_equally() -> None:
    experts = np.array([0, 20, 40])
    counts = Counter(int(unit) for seed in range(4000) for unit in random_units(UNITS, experts, seed))
    expected = 4000 * 3 / 57
    assert set(counts) == set(range(TOTAL)) - {0, 20, 40}
    # 6 standard deviations of a binomial count.
    assert max(abs(count - expected) for count in counts.values()) < 6 * np.sqrt(expected)


def test_too_few_units_left() -> None:
    with pytest.raises(ModelError, match=r"3 of the 4 units of mlp.down in block 2 are experts, so only 1 are left"):
        random_units(UNITS, [36, 37, 38], 0, "profile")
    with pytest.raises(ModelError, match=r"31 of the 60 units are experts, so only 29 are left"):
        random_units(UNITS, np.arange(31), 0)
    with pytest.raises(ModelError, match=r"control 'profil' is not known; .*did you mean 'profile'"):
        random_units(UNITS, [1], 0, "profil")


def test_values_of_a_control() -> None:
    experts = np.array([0, 1, 2, 16, 40, 41])
    drawn = random_units(UNITS, experts, 3, "profile")
    given_values = np.array([1, 2, 3, 10, 20, 21], dtype=np.float32)
    dealt = experts_values(UNITS, drawn, experts, given_values, seed=3)
    part, _ = split_flat(UNITS, drawn)
    assert [sorted(dealt.values[part == index].tolist()) for index in (0, 1, 4)] == [[1, 2, 3], [10], [20, 21]]
    spread = experts_values(UNITS, random_units(UNITS, experts, 3), experts, given_values, seed=3)
    assert sorted(spread.values.tolist()) == given_values.tolist()
    with pytest.raises(ModelError, match=r"5 units for what 6 experts have"):
        experts_values(UNITS, drawn[:5], experts, given_values, seed=3)


def expected_squared_shift(activations: NDArray[np.float64], chosen: Selection) -> NDArray[np.float64]:
    """Mean over tokens of (h − v)² per unit, from the activations themselves: the slow way."""
    return ((activations[:, chosen.units] - chosen.values.astype(np.float64)) ** 2).mean(axis=0)


def test_matched_shift_moves_activations_as_far_as_the_experts() -> None:
    rng = np.random.default_rng(0)
    activations = rng.normal(rng.normal(0, 1, TOTAL), rng.uniform(0.1, 0.5, TOTAL), (400, TOTAL))
    experts = Selection(np.array([0, 1, 2, 16, 40, 41]), rng.normal(3, 1, 6).astype(np.float32))
    drawn = random_units(UNITS, experts.units, 7, "matched")
    own = Selection(drawn, rng.normal(0, 1, TOTAL).astype(np.float32)[drawn])
    matched = matched_shift(UNITS, experts, own, activations.mean(axis=0), activations.var(axis=0))
    assert np.array_equal(matched.selection.units, own.units)
    assert matched.parts.tolist() == [0, 1, 4]
    np.testing.assert_allclose(matched.ratio, 1.0, rtol=1e-12)
    assert matched.overall_ratio == pytest.approx(1.0)
    expert_part, own_part = split_flat(UNITS, experts.units)[0], split_flat(UNITS, own.units)[0]
    goal, achieved = (expected_squared_shift(activations, chosen) for chosen in (experts, matched.selection))
    for index in matched.parts:
        assert achieved[own_part == index].sum() == pytest.approx(goal[expert_part == index].sum(), rel=1e-5)
    # The direction of each unit's shift is kept.
    mean = activations.mean(axis=0)[own.units]
    assert (np.sign(matched.selection.values - mean) == np.sign(own.values - mean)).all()


def test_what_cannot_be_matched_is_told() -> None:
    mean, variance = np.zeros(TOTAL), np.ones(TOTAL)
    variance[5] = 100.0
    experts = Selection(np.array([0]), np.array([2.0], dtype=np.float32))
    # Setting unit 0 to 2 costs 1 + 4; unit 5 varies by 100 already.
    loud = matched_shift(UNITS, experts, Selection(np.array([5]), np.array([3.0], np.float32)), mean, variance)
    assert (loud.scale.tolist(), loud.ratio.tolist(), loud.selection.values.tolist()) == ([0.0], [20.0], [0.0])
    # A unit whose own value is its mean cannot be moved by scaling.
    still = matched_shift(UNITS, experts, Selection(np.array([6]), np.array([0.0], np.float32)), mean, variance)
    assert (still.scale.tolist(), still.ratio.tolist()) == ([0.0], [0.2])
    with pytest.raises(ModelError, match=r"must lie in the blocks and sites of the experts"):
        matched_shift(UNITS, experts, Selection(np.array([20]), np.array([1.0], np.float32)), mean, variance)
    with pytest.raises(ModelError, match=r"must be finite"):
        matched_shift(UNITS, experts, experts, mean, -variance)
