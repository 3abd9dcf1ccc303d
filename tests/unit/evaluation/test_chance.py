"""Chance levels against every order of few candidates, and against embeddings drawn at random."""

from itertools import permutations
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sprachbund.measures import METRICS, chance, random_levels
from sprachbund_runners.evaluation.distances import language_vectors
from sprachbund_runners.evaluation.retrieval_scores import retrieval_scores


def places(sizes):
    """For every order and every candidate asked for: (right ones' first place, all right ones are its text's)."""
    groups = [number for number, size in enumerate(sizes) for _ in range(size)]
    for order in permutations(range(len(groups))):
        for asked in range(len(groups)):
            own = [place for place, each in enumerate(order, 1) if groups[each] == groups[asked]]
            yield own[0], order.index(asked) + 1, len(groups) - sizes[groups[asked]]


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4).filter(lambda sizes: sum(sizes) <= 6))
@settings(max_examples=25, deadline=None)
def test_levels_are_means_over_all_orders(sizes):
    seen = list(places(sizes))
    for k in (1, 2, 5):
        assert chance.top(k)(sizes) == pytest.approx(fmean(first <= k for first, _, _ in seen))
    assert chance.reciprocal_rank(sizes) == pytest.approx(fmean(1 / first for first, _, _ in seen))
    assert chance.index(sizes) == pytest.approx(fmean(own == 1 for _, own, _ in seen))
    assert chance.wrong_index(sizes) == pytest.approx(fmean(own != 1 for _, own, _ in seen))
    assert chance.wrong_text(sizes) == pytest.approx(fmean(first != 1 for first, _, _ in seen))
    behind = [(rivals - (first - 1)) / rivals for first, _, rivals in seen if rivals]
    assert chance.rivals_behind(sizes) == (pytest.approx(fmean(behind)) if behind else None)


def test_without_candidates_there_is_no_level():
    assert random_levels([]) == {}
    assert random_levels([4])["top1"] == 1.0
    assert "meaning_abx" not in random_levels([4])


def test_random_embeddings_score_at_chance():
    """400 draws of 12 sentences, three of which count as the same text; standard errors are below .006."""
    groups = np.array([0, 0, 0, *range(1, 10)])
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(400):
        x, y = (language_vectors(rng.standard_normal((12, 8)).astype(np.float32), groups) for _ in "xy")
        drawn.append(retrieval_scores(x, y).forward)
    levels = random_levels(np.bincount(groups).tolist())
    assert set(levels) == {name for name, metric in METRICS.items() if callable(metric.chance)}
    for name, level in levels.items():
        if name.startswith(("margin_ratio", "xsim")):
            continue  # means of random cosines are not positive: undefined
        assert np.mean([scores[name].mean() for scores in drawn]) == pytest.approx(level, abs=0.02), name
