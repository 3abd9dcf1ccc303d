"""Retrieval against an item-by-item reference, with ties, duplicates, collapse and blocks of every size."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sprachbund_runners.evaluation.retrieval import RetrievalOutcome, meaning_abx, reciprocal_rank, top_k_credit
from sprachbund_runners.evaluation.similarity import unit_vectors
from support.retrieval import retrieve


def exact_cosines(x, y):
    """Sign-and-squared cosines as fractions: order and ties of integer vectors without any rounding."""

    def signed_square(a, b):
        dot = sum(int(p) * int(q) for p, q in zip(a, b, strict=True))
        squares = sum(int(p) ** 2 for p in a) * sum(int(q) ** 2 for q in b)
        return Fraction(dot * abs(dot), squares)

    return [[signed_square(a, b) for b in y] for a in x]


def reference(similarity, groups):
    """(greater, ties, n_candidates) for each query row, by looking at one candidate after the other."""
    greater, ties, pool = [], [], []
    for query, row in enumerate(similarity):
        gold = [j for j in range(len(row)) if groups[j] == groups[query]]
        best = max(row[j] for j in gold)
        rivals = [row[j] for j in range(len(row)) if j not in gold]
        greater.append(sum(value > best for value in rivals))
        ties.append(sum(value == best for value in rivals))
        pool.append(len(rivals) + 1)
    return greater, ties, pool


def assert_outcome(outcome, expected):
    for found, wanted in zip((outcome.greater, outcome.ties, outcome.n_candidates), expected, strict=True):
        assert found.dtype == np.int32
        assert found.tolist() == list(wanted)


def sign_vectors(n, d, distinct):
    """Rows of ±1 with d = 4^m: their lengths are powers of two, so float32 similarities are exact."""
    return st.lists(st.integers(0, distinct - 1), min_size=n, max_size=n).flatmap(
        lambda picks: st.lists(
            st.lists(st.sampled_from([-1, 1]), min_size=d, max_size=d), min_size=distinct, max_size=distinct
        ).map(lambda rows: np.array([rows[pick] for pick in picks], dtype=np.float32))
    )


@settings(max_examples=150)
@given(
    data=st.data(),
    n=st.integers(1, 14),
    block_size=st.integers(1, 16),
    cache=st.sampled_from([0, 200, 2**20]),
)
def test_equals_reference_with_ties_and_duplicates_for_any_block_size(data, n, block_size, cache):
    x = data.draw(sign_vectors(n, 16, data.draw(st.integers(1, n))))
    y = data.draw(sign_vectors(n, 16, data.draw(st.integers(1, n))))
    groups_x = np.array(data.draw(st.lists(st.integers(0, n), min_size=n, max_size=n)))
    groups_y = np.array(data.draw(st.lists(st.integers(0, n), min_size=n, max_size=n)))
    found = retrieve(
        unit_vectors(x),
        unit_vectors(y),
        groups_x=groups_x,
        groups_y=groups_y,
        block_size=block_size,
        cache_bytes=cache,
    )
    cosines = exact_cosines(x, y)
    assert_outcome(found.forward, reference(cosines, groups_y))
    assert_outcome(found.backward, reference(list(zip(*cosines, strict=True)), groups_x))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("block_size", [7, 64, 1024])
def test_random_embeddings_equal_float64_reference(dtype, block_size):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((150, 24)).astype(dtype)
    y = (x + 1.5 * rng.standard_normal(x.shape)).astype(dtype)
    y[40:60] = y[39]
    groups_y = np.arange(150)
    groups_y[39:50] = 39
    found = retrieve(unit_vectors(x), unit_vectors(y), groups_y=groups_y, block_size=block_size)
    unit_x = x.astype(float) / np.linalg.norm(x.astype(float), axis=1, keepdims=True)
    unit_y = y.astype(float) / np.linalg.norm(y.astype(float), axis=1, keepdims=True)
    cosines = [[float(np.sum(a * b)) for b in unit_y] for a in unit_x]
    assert_outcome(found.forward, reference(cosines, groups_y))
    assert_outcome(found.backward, reference(list(zip(*cosines, strict=True)), np.arange(150)))
    assert found.forward.ties[45] == 10  # of 21 equal rows, 11 are gold


@pytest.mark.parametrize("block_size", [1, 2, 3, 17, 33, 100])
@pytest.mark.parametrize("width", [3, 17, 250])
def test_duplicates_tie_exactly_wherever_they_stand(block_size, width):
    """Kernels differ at a matrix's edges: copies of one vector must still tie in every block layout."""
    rng = np.random.default_rng(width)
    distinct = rng.standard_normal((5, width)).astype(np.float32)
    picks = rng.integers(0, 5, 67)
    x, y = rng.standard_normal((67, width)).astype(np.float32), distinct[picks]
    found = retrieve(unit_vectors(x), unit_vectors(y), block_size=block_size).forward
    copies = np.bincount(picks)[picks]
    assert (found.ties == copies - 1).all()


@pytest.mark.parametrize("block_size", [1, 8, 50, 64, 1024])
def test_collapse_is_chance_not_luck(block_size):
    x = np.tile(np.random.default_rng(0).standard_normal((1, 33)).astype(np.float32), (101, 1))
    found = retrieve(unit_vectors(x), unit_vectors(x), block_size=block_size)
    for outcome in (found.forward, found.backward):
        assert_outcome(outcome, ([0] * 101, [100] * 101, [101] * 101))
        assert top_k_credit(outcome, 1) == pytest.approx(1 / 101)
        assert top_k_credit(outcome, 5).mean() == pytest.approx(5 / 101)
        assert (meaning_abx(outcome) == 0.5).all()


def test_counts_do_not_depend_on_how_the_matrix_is_held():
    rng = np.random.default_rng(8)
    x = unit_vectors(rng.standard_normal((130, 40)).astype(np.float32))
    y = unit_vectors(rng.standard_normal((130, 40)).astype(np.float32))
    groups = rng.integers(0, 60, 130)
    held = retrieve(x, y, groups_x=groups, groups_y=groups, block_size=32)
    recomputed = retrieve(x, y, groups_x=groups, groups_y=groups, block_size=32, cache_bytes=0)
    for direction in ("forward", "backward"):
        for name in ("greater", "ties", "n_candidates"):
            kept, again = (
                getattr(getattr(held, direction), name),
                getattr(getattr(recomputed, direction), name),
            )
            assert (kept == again).all()


def test_backward_is_forward_with_the_sides_exchanged():
    rng = np.random.default_rng(9)
    x = unit_vectors(rng.choice([-1.0, 1.0], (40, 16)).astype(np.float32))
    y = unit_vectors(rng.choice([-1.0, 1.0], (40, 16)).astype(np.float32))
    groups = rng.integers(0, 30, 40)
    one = retrieve(x, y, groups_x=groups, groups_y=groups // 2)
    other = retrieve(y, x, groups_x=groups // 2, groups_y=groups)
    assert (one.backward.greater == other.forward.greater).all()
    assert (one.backward.ties == other.forward.ties).all()


def outcomes():
    item = st.integers(1, 40).flatmap(
        lambda n: st.integers(0, n - 1).flatmap(
            lambda greater: st.integers(0, n - 1 - greater).map(lambda ties: (greater, ties, n))
        )
    )
    return st.lists(item, min_size=1, max_size=20).map(
        lambda items: RetrievalOutcome(*(np.array(column, np.int32) for column in zip(*items, strict=True)))
    )


@given(outcome=outcomes(), k=st.integers(1, 45))
def test_figures_are_expectations_over_the_places_a_tie_allows(outcome, k):
    credit, reciprocal, abx = top_k_credit(outcome, k), reciprocal_rank(outcome), meaning_abx(outcome)
    for i, (greater, ties, n) in enumerate(
        zip(outcome.greater.tolist(), outcome.ties.tolist(), outcome.n_candidates.tolist(), strict=True)
    ):
        places = range(greater + 1, greater + ties + 2)
        assert credit[i] == pytest.approx(np.mean([place <= k for place in places]), abs=1e-15)
        assert reciprocal[i] == pytest.approx(np.mean([1 / place for place in places]), abs=1e-14)
        assert outcome.midrank[i] == np.mean(places)
        if n == 1:
            assert np.isnan(abx[i])
        else:
            less = n - 1 - greater - ties
            assert abx[i] == pytest.approx((less + 0.5 * ties) / (n - 1), abs=1e-15)


def test_meaning_abx_equals_the_triples():
    """x and a are translations, b another sentence of a's language: the minimal pairs counted one by one."""
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((2, 25, 6))
    found = retrieve(unit_vectors(x), unit_vectors(y)).forward
    scores = []
    for i in range(25):
        distance = [np.arccos(x[i] @ b / np.linalg.norm(x[i]) / np.linalg.norm(b)) / np.pi for b in y]
        scores.append(
            np.mean([(distance[i] < distance[j]) + 0.5 * (distance[i] == distance[j]) for j in range(25) if j != i])
        )
    assert meaning_abx(found) == pytest.approx(np.array(scores), abs=1e-15)


def test_one_item_is_found_but_says_nothing_of_meaning():
    found = retrieve(unit_vectors(np.ones((1, 3))), unit_vectors(-np.ones((1, 3)))).forward
    assert_outcome(found, ([0], [0], [1]))
    assert top_k_credit(found, 1).tolist() == [1.0]
    assert np.isnan(meaning_abx(found)).all()


def test_all_candidates_the_same_text_leaves_no_rival():
    x = unit_vectors(np.eye(4, dtype=np.float32))
    found = retrieve(x, x, groups_y=np.zeros(4, dtype=int)).forward
    assert_outcome(found, ([0] * 4, [0] * 4, [1] * 4))


def test_wrong_arguments_are_named():
    x, y = unit_vectors(np.eye(3)), unit_vectors(np.eye(4))
    with pytest.raises(Exception, match="width 3 and 4"):
        retrieve(x, y)
    with pytest.raises(ValueError, match="as many items on both sides, found 3 and 2"):
        retrieve(x, unit_vectors(np.eye(3)[:2]))
    with pytest.raises(ValueError, match=r"groups_y: expected integers of shape \[3\]"):
        retrieve(x, x, groups_y=np.zeros(3))
    with pytest.raises(ValueError, match="block size"):
        retrieve(x, x, block_size=0)
    with pytest.raises(ValueError, match="k: expected at least 1"):
        top_k_credit(retrieve(x, x).forward, 0)
