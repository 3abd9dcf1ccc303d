"""Neighbours, margins and the field's conventions against the definitions, spelled out item by item."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score

from sprachbund_runners.evaluation.conventions import bitext_items, mexa_hits, xsim_error
from sprachbund_runners.evaluation.margins import Refused
from sprachbund_runners.evaluation.neighbours import Collector
from sprachbund_runners.evaluation.retrieval import survey, top_k_credit
from sprachbund_runners.evaluation.similarity import SimilarityMatrix, unit_vectors
from support.retrieval import retrieve


def cosines(x, y):
    unit = [each.astype(float) / np.linalg.norm(each.astype(float), axis=1, keepdims=True) for each in (x, y)]
    return unit[0] @ unit[1].T


def nearest_mean(row, k):
    """Mean of the k largest values, of all where there are fewer."""
    return np.mean(sorted(row, reverse=True)[:k])


def margin_matrix(cos, name):
    """Scores of every pair, one by one."""
    k = 10 if name == "csls" else 4
    forward = [nearest_mean(row, k) for row in cos]
    backward = [nearest_mean(column, k) for column in cos.T]
    scores = np.empty_like(cos)
    for i in range(cos.shape[0]):
        for j in range(cos.shape[1]):
            a, b = forward[i], backward[j]
            scores[i, j] = {
                "ratio": cos[i, j] / ((a + b) / 2) if name == "ratio" else 0.0,
                "distance": cos[i, j] - (a + b) / 2,
                "csls": 2 * cos[i, j] - a - b,
            }[name]
    return scores


def xsim_reference(cos, groups, name):
    """Errors of each query by LASER's procedure; every order of the candidates counts alike (first index in each)."""
    n = len(cos)
    total, orders = np.zeros(n), list(permutations(range(n))) if n <= 5 else [tuple(range(n))]
    for order in orders:
        shuffled = cos[:, order]
        scores = margin_matrix(shuffled, name)
        for i in range(n):
            near = sorted(range(n), key=lambda j: -shuffled[i, j])[:4]
            best = max(near, key=lambda j: scores[i, j])
            total[i] += groups[order[best]] != groups[i]
    return total / len(orders)


@pytest.fixture
def sides():
    rng = np.random.default_rng(7)
    x = rng.standard_normal((60, 12)).astype(np.float32) + 1
    y = (x + 1.2 * rng.standard_normal(x.shape)).astype(np.float32)
    return x, y


@pytest.mark.parametrize("block_size", [1, 7, 64])
@pytest.mark.parametrize("cache_bytes", [0, 2**20])
def test_neighbours_are_the_largest_similarities(sides, block_size, cache_bytes):
    x, y = (unit_vectors(each) for each in sides)
    cos = cosines(*sides)
    found = survey(x, y, block_size=block_size, cache_bytes=cache_bytes)
    for near, matrix in ((found.forward, cos), (found.backward, cos.T)):
        order = np.argsort(-matrix, axis=1)[:, :10]
        assert (near.place == order).all()
        assert near.similarity == pytest.approx(np.take_along_axis(matrix, order, axis=1), abs=1e-6)
        for k in (1, 4, 10):
            assert near.means(k) == pytest.approx(np.array([nearest_mean(row, k) for row in matrix]), abs=1e-6)


@settings(max_examples=60)
@given(data=st.data(), n=st.integers(1, 14), block_size=st.integers(1, 16))
def test_means_count_every_copy_of_a_vector(data, n, block_size):
    pool = np.random.default_rng(n).standard_normal((5, 6))
    x, y = (pool[data.draw(st.lists(st.integers(0, 4), min_size=n, max_size=n))] for _ in range(2))
    one, other = unit_vectors(x), unit_vectors(y)
    near = Collector.of(one, other, 10)
    matrix = SimilarityMatrix(one, other, block_size, 0)
    for block, similarity in matrix.all_blocks():
        near.add(similarity, *matrix.slices(block))
    cos = cosines(x, y)
    for k in (1, 4, 10):
        means = near.forward().means(k)[one.inverse]
        assert means == pytest.approx(np.array([nearest_mean(row, k) for row in cos]), abs=1e-12)
        assert (near.forward().taken(k).sum(axis=1) == min(k, n)).all()


def test_neighbours_reach_no_further_than_they_were_kept():
    unit = unit_vectors(np.random.default_rng(0).standard_normal((20, 4)))
    near = survey(unit, unit).forward
    with pytest.raises(ValueError, match="between 1 and 10, found 11"):
        near.means(11)
    with pytest.raises(ValueError, match="between 1 and 10, found 0"):
        near.taken(0)


@pytest.mark.parametrize("name", ["ratio", "distance", "csls"])
@pytest.mark.parametrize("block_size", [5, 1024])
def test_ranks_by_margin_equal_the_scores_compared_one_by_one(sides, name, block_size):
    x, y = sides
    y = y.copy()
    y[10] = y[9]
    groups = np.arange(60)
    groups[31] = groups[30]
    found = survey(unit_vectors(x), unit_vectors(y), groups_x=groups, groups_y=groups, block_size=block_size)
    scores = margin_matrix(cosines(x, y), name)
    for outcome, matrix in ((found.margins[name].forward, scores), (found.margins[name].backward, scores.T)):
        for i, row in enumerate(matrix):
            gold = [j for j in range(60) if groups[j] == groups[i]]
            best = max(row[j] for j in gold)
            rivals = [row[j] for j in range(60) if j not in gold]
            tied = sum(abs(value - best) < 1e-9 for value in rivals)
            assert outcome.ties[i] == tied
            assert outcome.greater[i] == sum(value > best + 1e-9 for value in rivals)
    assert found.margins[name].forward.ties.sum() == 2  # items 9 and 10 share an embedding


def test_margins_leave_the_ranks_by_cosine_alone():
    rng = np.random.default_rng(3)
    x, y = rng.choice([-1.0, 1.0], (2, 50, 16)).astype(np.float32)
    groups = rng.integers(0, 30, 50)
    sides = unit_vectors(x), unit_vectors(y)
    one, other = (
        survey(*sides, groups_x=groups, groups_y=groups).cosine,
        retrieve(*sides, groups_x=groups, groups_y=groups),
    )
    for direction in ("forward", "backward"):
        for name in ("greater", "ties", "n_candidates"):
            assert (getattr(getattr(one, direction), name) == getattr(getattr(other, direction), name)).all()


@pytest.mark.parametrize("name", ["ratio", "distance", "csls"])
def test_xsim_follows_the_published_procedure(sides, name):
    x, y = sides
    found = survey(unit_vectors(x), unit_vectors(y))
    error = xsim_error(found.forward, found.backward, unit_vectors(x), unit_vectors(y), by=name)
    assert error.tolist() == xsim_reference(cosines(x, y), np.arange(60), name).tolist()
    assert 0.05 < error.mean() < 0.95


def test_xsim_looks_at_the_nearest_only():
    """A translation outside of the 4 nearest is an error even if its margin is the best of all."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((200, 8)) + 1.5
    y = x + 1.2 * rng.standard_normal(x.shape)
    y[:40] = 1.5 + 0.1 * rng.standard_normal((40, 8))  # hubs, near everything
    found = survey(unit_vectors(x), unit_vectors(y))
    limited = xsim_error(found.forward, found.backward, unit_vectors(x), unit_vectors(y), by="distance")
    free = 1 - top_k_credit(found.margins["distance"].forward, 1)
    assert (limited >= free).all() and (limited > free).any()


@settings(max_examples=40)
@given(data=st.data(), n=st.integers(1, 5), name=st.sampled_from(["ratio", "distance"]))
def test_copies_share_what_every_order_of_candidates_gives_on_average(data, n, name):
    pool = np.abs(np.random.default_rng(5).standard_normal((4, 6)))
    picks = st.lists(st.integers(0, 3), min_size=n, max_size=n)
    x, y = pool[data.draw(picks)], pool[data.draw(picks)][:, ::-1]
    groups = np.array(data.draw(st.lists(st.integers(0, n), min_size=n, max_size=n)))
    one, other = unit_vectors(x), unit_vectors(y)
    found = survey(one, other)
    # Equal vectors are bitwise equal here; rounding keeps the reference's copies equal too.
    cos = np.round(cosines(x, y), 12)
    error = xsim_error(found.forward, found.backward, one, other, groups, by=name)
    assert error == pytest.approx(xsim_reference(cos, groups, name), abs=1e-9)
    by_index = xsim_error(found.forward, found.backward, one, other, by=name)
    assert by_index == pytest.approx(xsim_reference(cos, np.arange(n), name), abs=1e-9)


def test_the_ratio_margin_is_refused_where_a_neighbour_mean_is_not_positive(sides):
    x, y = (np.abs(each) for each in sides)
    x[:2] *= -1  # opposite to every candidate
    one, other = unit_vectors(x), unit_vectors(y)
    found = survey(one, other)
    refused = found.margins["ratio"]
    assert isinstance(refused, Refused)
    assert "not positive for 2 of 60 queries and 0 of 60 candidates" in refused.reason
    assert isinstance(xsim_error(found.forward, found.backward, one, other), Refused)
    assert not isinstance(found.margins["distance"], Refused) and not isinstance(found.margins["csls"], Refused)


def test_bitext_scores_equal_scikit_learn_over_classes(sides):
    x, y = sides
    one, other = unit_vectors(x), unit_vectors(y)
    near = survey(one, other).forward
    predicted, labels = cosines(x, y).argmax(axis=1), np.arange(60)
    found = {name: float(values.mean()) for name, values in bitext_items(near, one, other).items()}
    options = {"average": "weighted", "zero_division": 0}
    assert found["precision"] == pytest.approx(precision_score(labels, predicted, **options), abs=1e-12)
    assert found["recall"] == pytest.approx(recall_score(labels, predicted, **options), abs=1e-12)
    assert found["f1"] == pytest.approx(f1_score(labels, predicted, **options), abs=1e-12)
    assert found["accuracy"] == pytest.approx(np.mean(predicted == labels), abs=1e-12)
    assert found["f1"] < found["accuracy"]  # there are hubs


def test_copies_share_predictions():
    """Two candidates with one embedding are predicted half the time each, whichever stands first."""
    places = [0, 1, 2, 2]
    one, other = unit_vectors(np.eye(4)[places] + 0.1), unit_vectors(np.eye(4)[places] + 0.2)
    items = bitext_items(survey(one, other).forward, one, other)
    # Queries 2 and 3 each predict candidates 2 and 3 half: each candidate is predicted once in all.
    assert items["accuracy"].tolist() == items["recall"].tolist() == [1.0, 1.0, 0.5, 0.5]
    assert items["precision"].tolist() == [1.0, 1.0, 0.5, 0.5]
    assert items["f1"].tolist() == [1.0, 1.0, 0.5, 0.5]


@settings(max_examples=60)
@given(data=st.data(), n=st.integers(2, 10), block_size=st.integers(1, 12))
def test_mexa_is_a_strict_win_in_row_and_column(data, n, block_size):
    rows = st.lists(st.lists(st.sampled_from([-1, 1]), min_size=16, max_size=16), min_size=n, max_size=n)
    x, y = (np.array(data.draw(rows), np.float32) for _ in range(2))
    one, other = unit_vectors(x), unit_vectors(y)
    found = survey(one, other, block_size=block_size)
    cos = x.astype(int) @ y.astype(int).T
    expected = [all(cos[i, i] > cos[i, j] and cos[i, i] > cos[j, i] for j in range(n) if j != i) for i in range(n)]
    assert mexa_hits(found.forward, found.backward, one, other).tolist() == expected


def test_one_item():
    one = unit_vectors(np.ones((1, 3)))
    found = survey(one, one)
    assert np.isnan(mexa_hits(found.forward, found.backward, one, one)).all()
    assert xsim_error(found.forward, found.backward, one, one).tolist() == [0.0]
    assert bitext_items(found.forward, one, one)["f1"].tolist() == [1.0]
    assert top_k_credit(found.margins["csls"].forward, 1).tolist() == [1.0]
