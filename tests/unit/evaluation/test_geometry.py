"""Geometry against definitions written out, scipy and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import procrustes
from scipy.stats import skew
from sklearn.metrics import silhouette_samples
from sklearn.neighbors import NearestNeighbors

from sprachbund.errors import ModelError
from sprachbund_runners.evaluation.geometry import (
    centred_space,
    effective_rank,
    isoscore,
    linear_cka,
    procrustes_residual,
    quantiles,
    silhouettes,
    spectrum,
)
from sprachbund_runners.evaluation.hubness import mutual_neighbours, nearest_items, occurrence_skewness
from sprachbund_runners.evaluation.similarity import unit_vectors


def biased_hsic(k, l):  # noqa: E741
    n = len(k)
    h = np.eye(n) - 1 / n
    return np.trace(k @ h @ l @ h)


def unbiased_hsic(k, l):  # noqa: E741
    """Song et al. (2012), equation 5, with its matrices of ones."""
    n = len(k)
    k, l = k - np.diag(np.diag(k)), l - np.diag(np.diag(l))  # noqa: E741
    one = np.ones(n)
    return np.trace(k @ l) + one @ k @ one * (one @ l @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * (one @ k @ l @ one)


@pytest.fixture(params=[(40, 6, 6), (12, 30, 20), (20, 5, 40)], ids=["tall", "wide", "unlike"])
def sides(request):
    n, d_x, d_y = request.param
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, d_x)) + 3.0
    y = x[:, :1] + rng.standard_normal((n, d_y))
    return x, y


def test_cka_equals_hsic_of_gram_matrices(sides):
    x, y = sides
    k, l = x @ x.T, y @ y.T  # noqa: E741
    found = linear_cka(centred_space(x), centred_space(y))
    assert found.biased == pytest.approx(biased_hsic(k, l) / np.sqrt(biased_hsic(k, k) * biased_hsic(l, l)), abs=1e-10)
    expected = unbiased_hsic(k, l) / np.sqrt(unbiased_hsic(k, k) * unbiased_hsic(l, l))
    assert found.debiased == pytest.approx(expected, abs=1e-8)


def test_debiased_cka_of_unrelated_sides_is_about_0_where_the_biased_one_is_not():
    rng = np.random.default_rng(1)
    found = [
        linear_cka(centred_space(rng.standard_normal((30, 60))), centred_space(rng.standard_normal((30, 60))))
        for _ in range(20)
    ]
    assert np.mean([each.biased for each in found]) > 0.5
    assert np.mean([each.debiased for each in found]) == pytest.approx(0.0, abs=0.02)


def test_cka_and_procrustes_see_through_rotation_and_scale():
    rng = np.random.default_rng(2)
    x = rng.standard_normal((50, 8))
    rotation = np.linalg.qr(rng.standard_normal((8, 8)))[0]
    turned = 7.0 * x @ rotation + 4.0
    found = linear_cka(centred_space(x), centred_space(turned))
    assert (found.biased, found.debiased) == pytest.approx((1.0, 1.0))
    assert procrustes_residual(centred_space(x), centred_space(turned)) == pytest.approx(0.0, abs=1e-12)


def test_procrustes_equals_scipys_disparity(sides):
    x, y = sides
    # scipy wants equal widths; columns of zeros change nothing.
    width = max(x.shape[1], y.shape[1])
    padded = [np.pad(side, ((0, 0), (0, width - side.shape[1]))) for side in sides]
    expected = procrustes(*padded)[2]
    assert procrustes_residual(centred_space(x), centred_space(y)) == pytest.approx(expected, abs=1e-9)
    assert procrustes_residual(centred_space(y), centred_space(x)) == pytest.approx(expected, abs=1e-9)


def test_constant_sides_are_undefined():
    flat, other = centred_space(np.ones((6, 3))), centred_space(np.random.default_rng(0).standard_normal((6, 3)))
    assert np.isnan(linear_cka(flat, other).biased) and np.isnan(linear_cka(flat, other).debiased)
    assert np.isnan(procrustes_residual(flat, other))
    assert np.isnan(effective_rank(spectrum(flat))) and np.isnan(isoscore(spectrum(flat)))


def test_spectrum_is_that_of_the_covariance(sides):
    for side in sides:
        expected = np.sort(np.linalg.eigvalsh(np.cov(side.T, bias=True)))[::-1]
        assert spectrum(centred_space(side)) == pytest.approx(expected, abs=1e-10)


def test_isoscore_by_its_steps_and_at_its_ends():
    assert isoscore(np.ones(7)) == pytest.approx(1.0)
    assert isoscore(np.array([3.0, 0, 0, 0])) == pytest.approx(0.0, abs=1e-12)
    values = np.array([4.0, 2.0, 1.0])
    n = 3
    hat = values * (np.sqrt(n) / np.sqrt(sum(v * v for v in values)))
    defect = np.sqrt(sum((h - 1) ** 2 for h in hat)) / np.sqrt(2 * (n - np.sqrt(n)))
    phi = (n - defect**2 * (n - np.sqrt(n))) ** 2 / n**2
    assert isoscore(values) == pytest.approx((n * phi - 1) / (n - 1))
    # k equal directions of n: the paper's reading of the score, (k - 1) / (n - 1).
    assert isoscore(np.array([1.0] * 4 + [0.0] * 6)) == pytest.approx(3 / 9)


def test_effective_rank_of_equal_directions_is_their_number():
    assert effective_rank(np.array([2.0, 2.0, 2.0, 0.0])) == pytest.approx(3.0)
    x = np.random.default_rng(3).standard_normal((40, 6)) * [9, 5, 3, 2, 1, 0.5]
    singular = np.linalg.svd(x - x.mean(axis=0), compute_uv=False)
    shares = singular / singular.sum()
    assert effective_rank(spectrum(centred_space(x))) == pytest.approx(np.exp(-sum(p * np.log(p) for p in shares)))


def test_silhouettes_equal_sklearns():
    rng = np.random.default_rng(4)
    x = rng.standard_normal((30, 5)) + np.repeat(rng.standard_normal((3, 5)), [4, 25, 1], axis=0)
    labels = np.repeat([0, 1, 2], [4, 25, 1])
    found = silhouettes(unit_vectors(x).rows, labels)
    assert found == pytest.approx(silhouette_samples(x, labels, metric="cosine"), abs=1e-9)
    with pytest.raises(ValueError, match="at least two labels"):
        silhouettes(unit_vectors(x).rows, np.zeros(30, dtype=np.int64))


def test_nearest_items_equal_sklearns():
    x = np.random.default_rng(6).standard_normal((50, 4))
    expected = NearestNeighbors(n_neighbors=6, metric="cosine").fit(x).kneighbors(return_distance=False)
    found = nearest_items(unit_vectors(x), np.arange(50), 6)
    assert (found == np.sort(expected, axis=1)).all()


@settings(max_examples=50)
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_ties_go_to_the_first_and_equal_texts_are_left_out(seed, k):
    rng = np.random.default_rng(seed)
    choices = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    x = choices[rng.integers(0, 3, 12)]
    groups = rng.integers(0, 6, 12)
    if 12 - np.bincount(groups).max() < k:
        with pytest.raises(ValueError, match="neighbours"):
            nearest_items(unit_vectors(x), groups, k)
        return
    unit = unit_vectors(x).rows
    found = nearest_items(unit_vectors(x), groups, k)
    for i in range(12):
        others = [j for j in range(12) if groups[j] != groups[i]]
        # Rounding may part equal products: compare similarities, not items.
        wanted = sorted((float(unit[i] @ unit[j]) for j in others), reverse=True)[:k]
        assert sorted((float(unit[i] @ unit[j]) for j in found[i]), reverse=True) == pytest.approx(wanted)
        assert len(set(found[i])) == k and set(found[i]) <= set(others)


def test_occurrence_skewness_equals_scipys():
    nearest = nearest_items(unit_vectors(np.random.default_rng(7).standard_normal((60, 3))), np.arange(60), 5)
    counts = [sum(j in row for row in nearest.tolist()) for j in range(60)]
    assert occurrence_skewness(nearest) == pytest.approx(skew(counts))
    assert occurrence_skewness(np.array([[1], [2], [0]])) == 0.0


def test_mutual_neighbours_count_what_is_shared():
    rng = np.random.default_rng(8)
    x, y = (np.stack([rng.choice(20, 4, replace=False) for _ in range(20)]) for _ in range(2))
    expected = [len(set(a) & set(b)) / 4 for a, b in zip(x.tolist(), y.tolist(), strict=True)]
    assert mutual_neighbours(x, y) == pytest.approx(expected)
    assert (mutual_neighbours(x, x) == 1.0).all()
    with pytest.raises(ValueError, match="equal shapes"):
        mutual_neighbours(x, y[:, :2])


def test_quantiles_have_names():
    assert quantiles(np.arange(101.0)) == {"q05": 5.0, "q25": 25.0, "q50": 50.0, "q75": 75.0, "q95": 95.0}
    assert all(np.isnan(value) for value in quantiles(np.array([])).values())


def test_refusals():
    with pytest.raises(ModelError, match="holds NaN"):
        centred_space(np.array([[np.nan, 1.0]]))
    with pytest.raises(ValueError, match="as many items"):
        linear_cka(centred_space(np.eye(3)), centred_space(np.eye(4)))
