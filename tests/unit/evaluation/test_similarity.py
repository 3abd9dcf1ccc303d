"""Unit vectors and blocks of cosine similarity."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sprachbund.errors import ModelError
from sprachbund_runners.evaluation.similarity import SimilarityMatrix, check_same_width, unit_vectors


def assembled(x, y, block_size):
    """Similarities of items, from the blocks of their distinct vectors."""
    out = np.full((len(x.distinct), len(y.distinct)), np.nan)
    matrix = SimilarityMatrix(x, y, block_size, cache_bytes=0)
    for block, similarity in matrix.all_blocks():
        assert similarity.shape[0] <= block_size and similarity.shape[1] <= block_size
        assert np.isnan(out[matrix.slices(block)]).all(), "a cell came twice"
        out[matrix.slices(block)] = similarity
    return out[np.ix_(x.inverse, y.inverse)]


@settings(max_examples=60)
@given(
    n=st.integers(1, 20),
    m=st.integers(1, 20),
    distinct=st.integers(1, 20),
    block=st.integers(1, 25),
    seed=st.integers(0, 9),
)
def test_blocks_cover_the_matrix_and_equal_the_definition(n, m, distinct, block, seed):
    rng = np.random.default_rng(seed)
    pool = rng.standard_normal((distinct, 7))
    x, y = pool[rng.integers(0, distinct, n)], pool[rng.integers(0, distinct, m)]
    found = assembled(unit_vectors(x), unit_vectors(y), block)
    expected = [[np.dot(a, b) / np.sqrt(np.dot(a, a) * np.dot(b, b)) for b in y] for a in x]
    assert found == pytest.approx(np.array(expected), abs=1e-14)


def test_equal_rows_are_found_and_equal_in_similarity():
    rng = np.random.default_rng(1)
    pool = rng.standard_normal((4, 65)).astype(np.float32)
    picks = np.array([2, 0, 2, 1, 3, 3, 0, 2])
    unit = unit_vectors(pool[picks] * np.float32(4.0) ** np.arange(8, dtype=np.float32)[:, None])
    assert unit.distinct.tolist() == [0, 1, 3, 4]
    assert unit.inverse.tolist() == [0, 1, 0, 2, 3, 3, 1, 0]
    for size in (1, 3, 5, 64):
        similarity = assembled(unit, unit, size)
        assert (similarity[:, 0] == similarity[:, 2]).all() and (similarity[5] == similarity[4]).all()


def test_rows_with_equal_checksums_are_not_taken_for_equal():
    unit = unit_vectors(np.eye(5, dtype=np.float32))
    assert unit.all_distinct


def test_negative_zero_equals_zero():
    assert unit_vectors(np.array([[1.0, 0.0], [1.0, -0.0]])).distinct.tolist() == [0]


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1.0, 1e30, 1e300])
def test_lengths_are_one_at_any_scale(scale):
    rows = unit_vectors(np.array([[3.0, 4.0], [-1.0, 0.0]]) * scale).rows
    assert rows == pytest.approx(np.array([[0.6, 0.8], [-1.0, 0.0]]), abs=1e-15)


@pytest.mark.parametrize(
    ("given_type", "kept"), [(np.float16, np.float32), (np.float32, np.float32), (np.float64, np.float64)]
)
def test_floating_types(given_type, kept):
    assert unit_vectors(np.ones((2, 2), given_type)).rows.dtype == kept


@pytest.mark.parametrize(
    ("bad", "message"),
    [(np.nan, "row 700 holds NaN or infinity"), (np.inf, "row 700 holds NaN"), (0.0, "row 700 is zero")],
)
def test_unusable_rows_are_named(bad, message):
    embeddings = np.ones((900, 300), dtype=np.float32)
    embeddings[700] = bad
    with pytest.raises(ModelError, match=f"spa_Latn layer 3: {message}"):
        unit_vectors(embeddings, "spa_Latn layer 3")


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (4,), (2, 2, 2)])
def test_shapes_are_checked(shape):
    with pytest.raises(ModelError, match="expected embeddings of shape"):
        unit_vectors(np.ones(shape))


def test_integers_and_mixed_types_are_refused():
    with pytest.raises(ModelError, match="found int64"):
        unit_vectors(np.ones((2, 2), dtype=np.int64))
    with pytest.raises(ModelError, match="float32 and float64"):
        check_same_width(unit_vectors(np.ones((2, 2), np.float32)), unit_vectors(np.ones((2, 2))))
