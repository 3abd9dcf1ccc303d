"""Mining against BUCC's procedure written out, and thresholds against all thresholds there are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprachbund_runners.evaluation.margins import Refused
from sprachbund_runners.evaluation.mining import Mined, mine, score_at, tuned_threshold
from sprachbund_runners.evaluation.retrieval import survey
from sprachbund_runners.evaluation.similarity import unit_vectors


def reference(x, y, groups_x, groups_y):
    """Mined (score, correct) pairs by loops over all items; equal texts are one."""
    firsts = [
        [int(np.flatnonzero(groups == group)[0]) for group in dict.fromkeys(groups)] for groups in (groups_x, groups_y)
    ]
    cos = (x / np.linalg.norm(x, axis=1, keepdims=True)) @ (y / np.linalg.norm(y, axis=1, keepdims=True)).T
    forward = [np.mean(sorted(row)[-4:]) for row in cos]
    backward = [np.mean(sorted(column)[-4:]) for column in cos.T]
    found = []
    for i in firsts[0]:
        near = sorted(range(len(y)), key=lambda j: -cos[i, j])[:4]
        found.append(max((cos[i, j] / ((forward[i] + backward[j]) / 2), i, j) for j in near))
    for j in firsts[1]:
        near = sorted(range(len(x)), key=lambda i: -cos[i, j])[:4]
        found.append(max((cos[i, j] / ((forward[i] + backward[j]) / 2), i, j) for i in near))
    taken_x, taken_y, mined = set(), set(), []
    gold = set(zip(groups_x.tolist(), groups_y.tolist(), strict=True))
    for score, i, j in sorted(found, reverse=True):
        if groups_x[i] not in taken_x and groups_y[j] not in taken_y:
            taken_x.add(groups_x[i])
            taken_y.add(groups_y[j])
            mined.append((score, (groups_x[i], groups_y[j]) in gold))
    return mined, len(gold)


@pytest.mark.parametrize("copies", [0, 12])
def test_mining_follows_the_procedure(copies):
    rng = np.random.default_rng(2)
    x = rng.standard_normal((80, 10)) + 1
    y = x + 0.9 * rng.standard_normal(x.shape)
    groups_x, groups_y = np.arange(80), np.arange(80)
    x[40 : 40 + copies] = x[:copies]  # the same text twice, with different translations
    groups_x[40 : 40 + copies] = groups_x[:copies]
    found = survey(unit_vectors(x), unit_vectors(y))
    mined = mine(found.forward, found.backward, unit_vectors(x), unit_vectors(y), groups_x, groups_y)
    expected, n_gold = reference(x, y, groups_x, groups_y)
    assert mined.n_gold == n_gold
    assert mined.score == pytest.approx(np.array([score for score, _ in expected]), abs=1e-12)
    assert mined.correct.tolist() == [correct for _, correct in expected]
    scores = score_at(mined, tuned_threshold(mined))
    assert 0.2 < scores.f1 < 1


@given(
    pairs=st.lists(st.tuples(st.sampled_from([0.5, 0.7, 0.9, 1.0, 1.2]), st.booleans()), max_size=12),
    more=st.integers(0, 4),
)
def test_no_threshold_does_better_than_the_tuned_one(pairs, more):
    pairs = sorted(pairs, reverse=True)
    correct = np.array([hit for _, hit in pairs], dtype=bool)
    mined = Mined(np.array([score for score, _ in pairs]), correct, int(correct.sum()) + more + 1)
    best = score_at(mined, tuned_threshold(mined))
    for threshold in (-np.inf, 0.6, 0.8, 0.95, 1.1, np.inf):
        taken = mined.score >= threshold
        hits = (taken & correct).sum()
        precision, recall = hits / max(taken.sum(), 1), hits / mined.n_gold
        f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
        assert score_at(mined, threshold).f1 == pytest.approx(f1)
        assert best.f1 >= f1 - 1e-12


def test_a_threshold_lies_between_scores_and_is_the_last_score_at_the_end():
    mined = Mined(np.array([1.4, 1.2, 1.0]), np.array([True, True, False]), 2)
    assert tuned_threshold(mined) == pytest.approx(1.1)
    assert tuned_threshold(Mined(np.array([1.4, 1.2]), np.array([True, True]), 2)) == 1.2
    assert tuned_threshold(Mined(np.array([1.4]), np.array([False]), 2)) == np.inf


def test_mining_by_ratio_is_refused_without_positive_neighbourhoods():
    x = unit_vectors(np.abs(np.random.default_rng(0).standard_normal((9, 5))))
    y = unit_vectors(-x.rows)
    found = survey(x, y)
    assert isinstance(mine(found.forward, found.backward, x, y), Refused)
    assert isinstance(mine(found.forward, found.backward, x, y, by="distance"), Mined)
