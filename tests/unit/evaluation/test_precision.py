"""Spaces that have nearly collapsed, against cosines in long double; ordinary ones stay in float32."""

import numpy as np
import pytest

from sprachbund_runners.evaluation import pair
from sprachbund_runners.evaluation.distances import language_vectors, spread, within_distance
from sprachbund_runners.evaluation.hubness import nearest_items
from sprachbund_runners.evaluation.pair import PAIR_MEASURES
from sprachbund_runners.evaluation.pools import approximate_lists
from sprachbund_runners.evaluation.precision import resolved
from sprachbund_runners.evaluation.retrieval_scores import listed_retrieval_scores, retrieval_scores
from sprachbund_runners.evaluation.similarity import unit_vectors

DISTANCES = [1e-3, 1e-4, 1e-5, 1e-6, 1.6e-7, 1e-8]


def collapsed(distance, n=80, width=24, noise=0.4, seed=0):
    """Two languages, float32 [n, width]: some direction plus so little of their own that 1 - cos of two items is about
    `distance`; translations differ by `noise` of that."""
    rng = np.random.default_rng(seed)
    common = 3 * rng.standard_normal(width)
    own = rng.standard_normal((n, width))
    size = np.linalg.norm(common) * np.sqrt(distance / width)
    return tuple((common + size * (own + noise * rng.standard_normal((n, width)))).astype(np.float32) for _ in range(2))


def distances(x, y):
    """1 - cos of every pair, in long double (64 bits of mantissa), from differences: [n, m]."""
    x, y = (each.astype(np.longdouble) for each in (x, y))
    x, y = (each / np.sqrt((each * each).sum(axis=1))[:, None] for each in (x, y))
    return np.array([[((one - other) ** 2).sum() / 2 for other in y] for one in x])


@pytest.mark.parametrize("distance", DISTANCES)
def test_a_collapsed_space_is_measured_as_long_double_does(distance):
    x, y = collapsed(distance)
    apart, own = distances(x, y), distances(x, x)
    one, other = language_vectors(x), language_vectors(y)
    found = {name: measure(one, other) for name, measure in PAIR_MEASURES.items()}
    n = len(x)
    near = np.diag(apart)
    assert near.mean() == pytest.approx(distance * 0.32, rel=0.7)
    top1 = (apart >= near[:, None]).all(axis=1)
    assert top1.mean() > 0.5
    retrieval = found["retrieval"]
    assert retrieval.forward["top1"].tolist() == top1.astype(float).tolist()
    ranks = 1 + (apart < near[:, None]).sum(axis=1)
    assert retrieval.forward["mrr"] == pytest.approx(1 / ranks)
    r_x, r_y = (1 - np.sort(each, axis=1)[:, :10].mean(axis=1) for each in (apart, apart.T))
    csls = 2 * (1 - apart) - r_x[:, None] - r_y[None, :]
    assert retrieval.forward["csls_top1"].tolist() == (csls <= np.diag(csls)[:, None]).all(axis=1).tolist()
    off = ~np.eye(n, dtype=bool)
    # Comparisons within a thousandth may fall either way.
    low, high = (np.array([np.mean(own[i, off[i]] < apart[i, off[i]] * near) for i in range(n)])
                 for near in (0.999, 1.001))  # fmt: skip
    abx = found["language_abx"].forward["language_abx"]
    assert (low - 1e-9 <= abx).all() and (abx <= high + 1e-9).all()
    # What is left is how embeddings were rounded to float32 and to length one: √distance of it.
    assert found["distances"].both["paired_distance"] == pytest.approx(near.astype(float), rel=1e-3)
    unpaired = [(apart[i, off[i]].mean() + apart[off[i], i].mean()) / 2 for i in range(n)]
    assert found["distances"].both["unpaired_distance"] == pytest.approx(np.array(unpaired, dtype=float), rel=1e-3)
    noted = bool(near.min() < 1e-5)
    assert noted == (distance < 1e-3)
    for name, metric in (("retrieval", "top1"), ("language_abx", "language_abx"), ("distances", "paired_distance")):
        assert ("in float64: 1 - cos of" in found[name].notes.get(metric, "")) == noted
    assert retrieval.arrays["mined_score"].dtype == (np.float64 if noted else np.float32)
    hits = retrieval.arrays["mined_correct"]
    assert hits.mean() > 0.5


def test_in_float32_it_would_be_wrong():
    x, y = collapsed(1.6e-7, noise=0.1)
    one, other = language_vectors(x), language_vectors(y)
    assert retrieval_scores(one, other).forward["top1"].mean() == 1.0
    assert retrieval_scores.__wrapped__(one, other).forward["top1"].mean() < 0.9


def test_ordinary_spaces_stay_as_they_are():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((30, 8)).astype(np.float32)
    y = (x + rng.standard_normal(x.shape)).astype(np.float32)
    one, other = language_vectors(x), language_vectors(y)
    assert resolved(one, other) == (one, other, None)
    # The same vector on both sides ties exactly in any type; one that is a rounding apart does not.
    y[3] = x[3]
    assert resolved(one, language_vectors(y))[2] is None
    y[3, 0] = np.nextafter(x[3, 0], np.float32(9))
    assert "of 1 of 30 translations" in resolved(one, language_vectors(y))[2]


def test_equal_vectors_still_tie_exactly():
    x, y = collapsed(1e-7, n=40)
    y[5] = y[9] = y[0]
    x[7] = x[0]
    one, other, note = resolved(language_vectors(x), language_vectors(y))
    assert note is not None
    found = retrieval_scores(one, other)
    assert found.forward["top1"][0] in (0.0, pytest.approx(1 / 3))
    assert found.arrays["forward_ties"][[0, 5, 9]].tolist() == [2, 2, 2]
    assert found.forward["top1"][7] in (0.0, 1.0)


def test_one_item_and_other_shapes():
    one = language_vectors(np.ones((1, 3), np.float32))
    assert resolved(one, one)[2] is None
    with pytest.raises(ValueError, match="as many items"):
        retrieval_scores(one, language_vectors(np.ones((2, 3), np.float32)))


@pytest.mark.parametrize("distance", DISTANCES)
def test_within_a_language(distance):
    x, _ = collapsed(distance)
    own, vectors = distances(x, x), language_vectors(x)
    off = ~np.eye(len(x), dtype=bool)
    assert within_distance(vectors) == pytest.approx(float(own[off].mean()), rel=1e-3)
    mean = x.astype(np.longdouble).mean(axis=0, keepdims=True)
    assert spread(vectors) == pytest.approx(float(distances(x, mean).mean()), rel=1e-3)
    nearest = np.argsort(np.where(off, own, np.inf), axis=1)[:, :10]
    found = nearest_items(vectors.unit, np.arange(len(x)))
    assert (found == np.sort(nearest, axis=1)).mean() > (0.95 if vectors.unit.rows.dtype == np.float32 else 0.999)


@pytest.mark.parametrize("distance", [1e-5, 1e-8])
def test_an_approximate_index_finds_them_too(distance):
    pytest.importorskip("faiss")
    x, y = collapsed(distance, noise=0.1)
    one, other, note = resolved(language_vectors(x), language_vectors(y))
    assert note is not None
    found = approximate_lists(one.unit, other.unit, n_lists=4, n_probe=4)
    assert found.recall > 0.999
    apart = distances(x, y)
    assert (found.forward.place == np.argsort(apart, axis=1)[:, :10]).mean() > 0.98  # equal to rounding
    assert 1 - found.forward.similarity == pytest.approx(np.sort(apart, axis=1)[:, :10].astype(float), rel=1e-3)
    scores = listed_retrieval_scores(language_vectors(x), language_vectors(y))
    assert scores.forward["top1"].mean() == 1.0
    assert "; in float64" in scores.notes["top1"]


def test_widened_rows_have_length_one():
    x, _ = collapsed(1e-6)
    wide = unit_vectors(x).widened()
    assert wide.rows.dtype == np.float64
    assert np.linalg.norm(wide.rows, axis=1) == pytest.approx(1.0, abs=1e-15)
    assert wide.widened() is wide
    assert pair.PAIR_MEASURES.keys() == {"retrieval", "language_abx", "distances"}


@pytest.mark.parametrize(("apart", "score"), [(0.0, 0.5), (9e-13, 0.5), (-9e-13, 0.5), (1.2e-12, 1.0), (-1.2e-12, 0.0)])
def test_language_abx_ties_by_the_trillionth(apart, score):
    def at(cosines):
        return language_vectors(np.array([[each, np.sqrt(1 - each**2)] for each in cosines]))

    found = PAIR_MEASURES["language_abx"](at([1.0, 0.6]), at([0.3, 0.6 - apart]))
    assert found.forward["language_abx"][0] == score
