"""Maps of units against slow loops, scipy's transport and the samples they were fitted on."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.stats import linregress, wasserstein_distance

from sprachbund.errors import ModelError
from sprachbund.models.architectures import describe
from sprachbund_runners.interventions.affine import (
    Affine,
    aura,
    gaussian_act,
    interpolated,
    linear_act,
    mean_act,
    scaled,
    set_to,
    shifted,
)
from sprachbund_runners.interventions.controls import deal, random_units
from sprachbund_runners.interventions.edits import edits_of

Samples = NDArray[np.float32]


def reference(target: Samples, source: Samples) -> tuple[float, float]:
    """One unit's least-squares line through the monotone coupling, each sample repeated to a common number."""
    x = np.repeat(np.sort(source.astype(np.float64)), len(target))
    y = np.repeat(np.sort(target.astype(np.float64)), len(source))
    if len(set(source.tolist())) == 1:
        return 1.0, float(y.mean() - x.mean())
    fit = linregress(x, y)
    return float(fit.slope), float(fit.intercept)


def test_simple_maps() -> None:
    h = np.array([-1.0, 0.5, 2.0])
    for made, expected in [
        (set_to([1, 2, 3]), [1, 2, 3]),
        (interpolated([1, 2, 3], 0.25), [-0.5, 0.875, 2.25]),
        (interpolated([1, 2, 3], 0), h),
        (interpolated([1, 2, 3], 1), [1, 2, 3]),
        (scaled([0.5, 0, -1]), [-0.5, 0, -2]),
        (aura([1.0, 0.75, 0.2]), [0, 0.25, 2]),
        (aura([1.0, 0.75, 0.2], 0.5), [-0.5, 0.375, 2]),
        (aura([0.5, 0.5, 0.5]), h),
        (shifted([1, 1, 1], [0, 2, 1], -2), [-3, 2.5, 2]),
        (mean_act([1, 1, 1], [0, 2, 1], 0.5), [-0.5, 0, 2]),
        (gaussian_act([1, 0, 0], [4, 0, 1], [0, 1, 1], [1, 4, 0]), [-1, 0, 1]),
        (gaussian_act([1, 0, 0], [4, 0, 1], [0, 1, 1], [1, 4, 0], 0.5), [-1, 0.25, 1.5]),
    ]:
        np.testing.assert_allclose(made.apply(h), expected, atol=1e-7)
        assert [each.dtype for each in (made.a, made.b, made.lo, made.hi)] == [np.float32] * 4
        assert np.isneginf(made.lo).all() and np.isposinf(made.hi).all()


@given(st.data())
@settings(max_examples=60)
def test_linear_act_equals_a_loop(data: st.DataObject) -> None:
    """With ties (values on a coarse grid), constant units, and unequal numbers of sentences."""
    n, m, k = (data.draw(st.integers(1, size)) for size in (12, 12, 5))
    grid = st.integers(-6, 6).map(lambda value: np.float32(value / 4))
    target, source = (data.draw(arrays(np.float32, (size, k), elements=grid)) for size in (n, m))
    strength = data.draw(st.floats(0, 1))
    made = linear_act(target, source, strength)
    for unit in range(k):
        a, b = reference(target[:, unit], source[:, unit])
        assert made.a[unit] == pytest.approx(1 - strength + strength * a, abs=1e-5)
        assert made.b[unit] == pytest.approx(strength * b, abs=1e-5)
        assert (made.lo[unit], made.hi[unit]) == (source[:, unit].min(), source[:, unit].max())
        assert a >= -1e-12


@pytest.mark.parametrize(("n", "m"), [(1000, 1000), (300, 1000), (1000, 701), (1, 9), (9, 1)])
def test_linear_act_with_many_units(n: int, m: int) -> None:
    """More units than one block holds; every one is fitted on its own samples."""
    drawn = np.random.default_rng(0)
    target = (drawn.gamma(2, size=(n, 150)) * drawn.uniform(0.1, 5, 150)).astype(np.float32)
    source = (drawn.normal(size=(m, 150)) + drawn.normal(size=150)).astype(np.float32)
    made = linear_act(target, source)
    expected = np.array([reference(target[:, unit], source[:, unit]) for unit in range(0, 150, 7)])
    np.testing.assert_allclose(made.a[::7], expected[:, 0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(made.b[::7], expected[:, 1], rtol=1e-5, atol=1e-5)


def test_linear_act_undoes_an_affine_change_exactly() -> None:
    drawn = np.random.default_rng(1)
    source = drawn.normal(size=(500, 4)).astype(np.float32)
    target = source[drawn.permutation(500)] * np.float32([0.5, 2, 1, 3]) + np.float32([1, -1, 0, 2])
    made = linear_act(target, source)
    np.testing.assert_allclose(made.a, [0.5, 2, 1, 3], rtol=1e-5)
    np.testing.assert_allclose(made.b, [1, -1, 0, 2], atol=1e-5)
    moved = made.apply(source)
    for unit in range(4):
        assert wasserstein_distance(moved[:, unit], target[:, unit]) < 1e-5


def test_no_other_ascending_line_comes_nearer() -> None:
    """Of all lines with a slope of at least 0 the fitted one has the least squared Wasserstein distance."""
    drawn = np.random.default_rng(2)
    target, source = (drawn.gamma(shape, size=(200, 1)).astype(np.float32) for shape in (0.5, 4))
    made = linear_act(target, source)
    ordered = np.sort(target[:, 0])

    def distance(a: float, b: float) -> float:
        return float(((a * np.sort(source[:, 0]) + b - ordered) ** 2).mean())

    best = distance(float(made.a[0]), float(made.b[0]))
    for da, db in drawn.normal(scale=0.05, size=(200, 2)):
        assert distance(max(0.0, float(made.a[0]) + da), float(made.b[0]) + db) > best - 1e-6


def test_the_range_of_the_source() -> None:
    source = np.array([[0.0], [1.0], [2.0], [10.0]], dtype=np.float32)
    target = source + 5
    made = linear_act(target, source)
    np.testing.assert_allclose(
        made.apply(np.array([[-0.5], [0.0], [4.0], [10.0], [10.5]]))[:, 0], [-0.5, 5, 9, 15, 10.5]
    )
    for levels in ((0.1, 0.9), (0.0, 0.5), (0.25, 0.25)):
        inside = linear_act(target, source, quantiles=levels)
        np.testing.assert_allclose([inside.lo[0], inside.hi[0]], np.quantile(source, levels), rtol=1e-6)
    everywhere = linear_act(target, source, quantiles=None)
    assert everywhere.apply(np.array([[99.0]]))[0, 0] == pytest.approx(104, rel=1e-5)
    assert np.isposinf(everywhere.hi).all()


def test_units_that_do_not_vary_in_the_source_are_shifted() -> None:
    source = np.full((50, 2), 0.1, dtype=np.float32)
    target = np.random.default_rng(0).normal(3, 1, (50, 2)).astype(np.float32)
    made = linear_act(target, source)
    assert made.a.tolist() == [1, 1]
    np.testing.assert_allclose(made.b, target.mean(axis=0) - 0.1, rtol=1e-5)
    # And units that do not vary in the target are set to what they are there.
    back = linear_act(source, target, quantiles=None)
    np.testing.assert_allclose(back.apply(target), source, atol=1e-5)
    # Rounding of a mean is no variance.
    gauss = gaussian_act([1.0], [1.0], [1e3], [1e-9])
    assert (gauss.a.tolist(), gauss.b.tolist()) == ([1.0], [-999.0])


@pytest.mark.parametrize("name", ["mean", "gaussian", "linear"])
def test_strength_zero_changes_nothing_and_one_is_the_whole_map(name: str) -> None:
    drawn = np.random.default_rng(3)
    target, source = drawn.normal(2, 3, (400, 5)).astype(np.float32), drawn.normal(size=(400, 5)).astype(np.float32)

    def fit(strength: float) -> Affine:
        means = target.mean(axis=0), source.mean(axis=0)
        variances = target.var(axis=0), source.var(axis=0)
        if name == "mean":
            return mean_act(*means, strength)
        if name == "gaussian":
            return gaussian_act(means[0], variances[0], means[1], variances[1], strength)
        return linear_act(target, source, strength)

    np.testing.assert_allclose(fit(0).apply(source), source, atol=1e-6)
    whole, half = fit(1).apply(source), fit(0.5).apply(source)
    np.testing.assert_allclose(half, (whole + source) / 2, atol=1e-5)
    np.testing.assert_allclose(whole.mean(axis=0), target.mean(axis=0), atol=1e-4)
    if name == "gaussian":
        np.testing.assert_allclose(whole.std(axis=0), target.std(axis=0), rtol=1e-4)


ROWS = np.zeros((3, 2), dtype=np.float32)
HOLE = np.float32([[0, 1], [1, np.nan], [2, 2]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: interpolated([1], 1.5), "strength: found 1.5, expected 0"),
        (lambda: interpolated([1], np.nan), "strength: found nan"),
        (lambda: aura([0.7], -0.1), "strength: found -0.1"),
        (lambda: aura([1.2]), "auroc: found 1.2, expected 0 to 1"),
        (lambda: set_to([1, np.nan]), "value: nan for the unit at place 1"),
        (lambda: scaled([[1.0]]), r"factor: shape \(1, 1\), expected one number per unit"),
        (lambda: shifted([1], [1, 2]), "target_mean has 1 units, source_mean has 2 units"),
        (lambda: shifted([1], [1], np.inf), "strength: found inf, expected a finite number"),
        (lambda: mean_act([1], [1], 1.01), "strength: found 1.01"),
        (lambda: gaussian_act([1], [-1], [1], [1]), "target_variance: found -1, expected no negative"),
        (lambda: linear_act(ROWS, ROWS, 2.0), "strength: found 2"),
        (lambda: linear_act(ROWS, ROWS, 1.0, (0.9, 0.1)), r"quantiles: found \(0.9, 0.1\), expected two ascending"),
        (lambda: linear_act(ROWS[:, 0], ROWS), r"target: responses have shape \(3,\)"),
        (lambda: linear_act(ROWS, ROWS[:0]), r"source: responses have shape \(0, 2\), .*at least one"),
        (lambda: linear_act(ROWS, ROWS[:, :1]), "2 units in the target but 1 in the source"),
        (lambda: linear_act(HOLE, ROWS), "target: a response is not a finite number"),
        (lambda: linear_act(ROWS, np.where(HOLE == 2, -np.inf, 0)), "source: a response"),
    ],
)
def test_wrong_input(call: Callable[[], Affine], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        call()


UNITS = describe({"model_type": "bloom", "n_layer": 3, "hidden_size": 4}).units(["mlp.up", "mlp.down"])


def test_maps_become_edits_and_random_units_carry_them() -> None:
    """Axis: 16 units of mlp.up, 4 of mlp.down, per block."""
    drawn = np.random.default_rng(5)
    target, source = (drawn.normal(size=(30, 4)).astype(np.float32) for _ in range(2))
    experts = np.array([41, 0, 17, 15])
    made = linear_act(target, source, 0.5)
    edits = edits_of(UNITS, experts, made, "last")
    assert [(e.block, e.site, e.unit.tolist(), e.tokens) for e in edits] == [
        (1, "mlp.up", [0, 15], "last"),
        (1, "mlp.down", [1], "last"),
        (3, "mlp.up", [1], "last"),
    ]
    for edit, places in zip(edits, ([1, 3], [2], [0]), strict=True):
        for name in ("a", "b", "lo", "hi"):
            assert getattr(edit, name).tolist() == getattr(made, name)[places].tolist()
    controls = random_units(UNITS, experts, 1, "profile")
    places = deal(UNITS, controls, experts, 1)
    assert sorted(places.tolist()) == [0, 1, 2, 3]
    carried = edits_of(UNITS, controls, made.take(places))
    by_place = {(edit.block, edit.site): sorted(edit.a.tolist()) for edit in carried}
    assert by_place == {(edit.block, edit.site): sorted(edit.a.tolist()) for edit in edits}
    with pytest.raises(ModelError, match=r"\(3,\) units but 4 maps"):
        edits_of(UNITS, [1, 2, 3], made)
    assert edits_of(UNITS, np.empty(0, np.int64), made.take([])) == []
