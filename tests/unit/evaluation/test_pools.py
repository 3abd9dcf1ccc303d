"""Search in large pools: what is found with bounded memory, and what an approximate index may leave out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sprachbund_runners.evaluation.distances import language_vectors
from sprachbund_runners.evaluation.pools import approximate_lists, listed_outcome
from sprachbund_runners.evaluation.retrieval import survey, top_k_credit
from sprachbund_runners.evaluation.retrieval_scores import listed_retrieval_scores, retrieval_scores
from sprachbund_runners.evaluation.similarity import unit_vectors
from support.retrieval import retrieve


def sides(n=300, d=16, noise=1.0, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d)).astype(np.float32)
    return x, (x + noise * rng.standard_normal(x.shape)).astype(np.float32)


@settings(max_examples=60)
@given(data=st.data(), n=st.integers(1, 25))
def test_lists_rank_what_they_hold_as_retrieval_does(data, n):
    rng = np.random.default_rng(n)
    pool = rng.standard_normal((max(1, n // 2), 6))
    x = rng.standard_normal((n, 6))
    y = pool[data.draw(st.lists(st.integers(0, len(pool) - 1), min_size=n, max_size=n))]
    groups = np.array(data.draw(st.lists(st.integers(0, n), min_size=n, max_size=n)))
    one, other = unit_vectors(x), unit_vectors(y)
    full = retrieve(one, other, groups_y=groups).forward
    found, listed = listed_outcome(survey(one, other).forward, one, other, groups)
    assert (found.n_candidates == full.n_candidates).all()
    assert (found.greater[listed] == full.greater[listed]).all()
    assert (found.ties[listed] == full.ties[listed]).all()
    for k in (1, 5, 10):
        assert top_k_credit(found, k) == pytest.approx(top_k_credit(full, k))
    # What is not listed has ten better candidates at least.
    assert (full.greater[~listed] >= 10).all()


def test_an_index_searched_whole_is_exact():
    pytest.importorskip("faiss")
    x, y = (unit_vectors(each) for each in sides())
    found, wanted = approximate_lists(x, y, n_lists=12, n_probe=12), survey(x, y)
    assert found.recall == 1.0
    for one, other in ((found.forward, wanted.forward), (found.backward, wanted.backward)):
        assert (one.place == other.place).mean() > 0.999  # equal to rounding
        assert one.similarity == pytest.approx(other.similarity, abs=1e-6)


def test_recall_is_the_share_of_true_neighbours_found():
    pytest.importorskip("faiss")
    x, y = (unit_vectors(each) for each in sides(n=250, d=24))
    found, wanted = approximate_lists(x, y, n_lists=40, n_probe=2), survey(x, y)
    shares = [
        len(set(one[one >= 0]) & set(other)) / 10
        for near, true in ((found.forward, wanted.forward), (found.backward, wanted.backward))
        for one, other in zip(near.place, true.place, strict=True)
    ]
    assert found.recall == pytest.approx(np.mean(shares))  # 250 queries: the sample is all of them
    assert found.recall < 0.9


def test_scores_from_lists_are_those_of_all_ranks_where_lists_are_complete():
    pytest.importorskip("faiss")
    x, y = sides(n=60, noise=0.6)
    groups = np.arange(60)
    groups[7] = groups[3]
    one, other = language_vectors(x, groups), language_vectors(y, groups)
    # 60 vectors have 30 cells, of which 8 are searched: what the true translation is near is found.
    found, wanted = listed_retrieval_scores(one, other), retrieval_scores(one, other)
    assert "recall of the 10 nearest" in found.notes["top1"]
    assert np.isnan(found.forward["mrr"]).all() and "mrr" in found.notes
    assert set(found.forward) == set(wanted.forward) == set(found.backward)
    for metric in ("top1", "bitext_accuracy"):
        assert found.forward[metric].mean() == pytest.approx(wanted.forward[metric].mean(), abs=0.1)
    assert "forward_greater" not in found.arrays and "mined_score" in found.arrays
