"""The registries of measures and metrics, language ABX, and levels with their intervals."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sprachbund.metrics import MEASURES, METRICS
from sprachbund.statistics import bootstrap_mean, wilson
from sprachbund_runners.evaluation import PAIR_MEASURES, levels, spread_values
from sprachbund_runners.evaluation.distances import language_vectors
from sprachbund_runners.evaluation.language_abx import language_abx


@pytest.fixture
def sides():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 12)).astype(np.float32)
    y = x + rng.standard_normal((30, 12)).astype(np.float32)
    return language_vectors(x), language_vectors(y)


def test_both_packages_know_the_same_measures():
    assert set(PAIR_MEASURES) == {measure.name for measure in MEASURES.values() if measure.scope == "pair"}
    for measure in MEASURES.values():
        assert set(measure.metrics) <= set(METRICS)
    assert {name for measure in MEASURES.values() for name in measure.metrics} == set(METRICS)
    assert all(name == metric.name for name, metric in METRICS.items())


@pytest.mark.parametrize("name", sorted(PAIR_MEASURES))
def test_a_measure_yields_the_metrics_it_declares_within_their_bounds(name, sides):
    scores = PAIR_MEASURES[name](*sides)
    directed = MEASURES[name].directed
    assert set(scores.forward) == set(scores.backward) == (set(MEASURES[name].metrics) if directed else set())
    assert set(scores.both) | set(scores.values) == (set() if directed else set(MEASURES[name].metrics))
    for items in (scores.forward, scores.backward, scores.both):
        for metric, values in items.items():
            assert values.shape == (30,) and values.dtype == np.float64
            assert (values >= METRICS[metric].low).all() and (values <= METRICS[metric].high).all()
    for metric, value in scores.values.items():
        assert METRICS[metric].low <= value <= METRICS[metric].high


def test_backward_is_forward_of_the_exchanged_sides(sides):
    x, y = sides
    for name, measure in PAIR_MEASURES.items():
        one, other = measure(x, y), measure(y, x)
        for metric, values in one.backward.items():
            assert values == pytest.approx(other.forward[metric], abs=1e-12), name
        for metric, values in one.both.items():
            assert values == pytest.approx(other.both[metric], abs=1e-12), name


def test_language_measures_yield_what_they_declare(sides):
    # Distances to other languages' means come from the space measure's centroids.
    assert set(spread_values(sides[0])) == {"spread", "within_distance"}
    assert set(spread_values(sides[0])) < set(MEASURES["spread"].metrics)


def angular(a, b):
    return np.arccos(np.clip(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b), -1, 1)) / np.pi


@settings(deadline=None, max_examples=60)
@given(data=st.data(), n=st.integers(1, 10), block_size=st.integers(1, 12), seed=st.integers(0, 5))
def test_language_abx_equals_the_triples(data, n, block_size, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((2, n, 5))
    for i in data.draw(st.sets(st.integers(0, n - 1))):
        y[i] = x[i]  # the same sentence in both languages: a tie
    labels = st.lists(st.integers(0, 2 * n), min_size=n, max_size=n)
    groups_x, groups_y = np.array(data.draw(labels)), np.array(data.draw(labels))
    expected = []
    for i in range(n):
        scores = [
            0.5 if (x[j] == y[j]).all() else float(angular(x[i], x[j]) < angular(x[i], y[j]))
            for j in range(n)
            if groups_x[i] != groups_x[j] and groups_y[i] != groups_y[j]
        ]
        expected.append(np.mean(scores) if scores else np.nan)
    found = language_abx(language_vectors(x, groups_x), language_vectors(y, groups_y), block_size)
    assert found == pytest.approx(np.array(expected), abs=1e-12, nan_ok=True)


def test_language_abx_of_apart_and_of_shared_spaces():
    x = np.random.default_rng(4).standard_normal((40, 6))
    offset = 50 * np.eye(6)[0]
    apart = language_vectors(x + offset), language_vectors(x - offset)
    assert (language_abx(*apart) == 1).all()
    assert (language_abx(language_vectors(x), language_vectors(x)) == 0.5).all()
    with pytest.raises(ValueError, match="found 40 and 2"):
        language_abx(language_vectors(x), language_vectors(x[:2]))


def test_levels_have_the_interval_their_metric_asks_for():
    rng = np.random.default_rng(5)
    groups = np.repeat(np.arange(10), 4)
    items = {"mrr": rng.random(40), "top1": rng.integers(0, 2, 40) * 0.5, "meaning_abx": rng.random(40)}
    found = levels(items, groups=groups, resamples=300, seed=2, confidence=0.9)
    assert list(found) == list(items)
    low, high = wilson(items["top1"].sum(), 40, 0.9)
    assert (found["top1"].low, found["top1"].high, found["top1"].n_items) == (float(low), float(high), 40)
    drawn = bootstrap_mean(items["mrr"], groups=groups, resamples=300, seed=2, confidence=0.9)
    assert found["mrr"].low == pytest.approx(float(drawn.low), abs=1e-14)
    assert (found["mrr"].value, found["mrr"].n_groups) == (pytest.approx(items["mrr"].mean()), 10)


def test_levels_of_the_undefined_stay_undefined():
    found = levels({"meaning_abx": np.array([0.5, np.nan]), "top1": np.zeros(2)}, resamples=10)
    assert np.isnan([found["meaning_abx"].value, found["meaning_abx"].low]).all()
    assert found["top1"].low == 0 and found["top1"].high > 0.5
    with pytest.raises(KeyError):
        levels({"top7": np.zeros(2)})


def test_numerics_load_no_heavy_library():
    code = (
        "import sys, sprachbund.statistics, sprachbund.metrics, sprachbund_runners.evaluation as e\n"
        "import sprachbund_runners.evaluation.transforms\n"
        "print([m for m in ('torch', 'transformers', 'scipy', 'mlflow', 'numba') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
