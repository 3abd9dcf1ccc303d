"""The registries of measures and metrics, language ABX, and levels with their intervals."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sprachbund.measures import MEASURES, METRICS
from sprachbund_runners.evaluation.distances import language_vectors
from sprachbund_runners.evaluation.language_abx import language_abx
from sprachbund_runners.evaluation.pair import PAIR_MEASURES, one_sided, spread_values
from sprachbund_runners.evaluation.retrieval_scores import retrieval_scores
from sprachbund_runners.evaluation.scores import levels
from sprachbund_runners.statistics.bootstrap import bootstrap_mean
from sprachbund_runners.statistics.intervals import wilson


@pytest.fixture
def sides():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 12)).astype(np.float32)
    y = x + rng.standard_normal((30, 12)).astype(np.float32)
    return language_vectors(x), language_vectors(y)


def test_both_packages_know_the_same_measures():
    # Mining with a threshold needs two corpora: a job of its own makes it from two pair evaluations.
    assert {*PAIR_MEASURES, "mining"} == {
        name for name, each in MEASURES.items() if each.extent == "pair" and not each.optional
    }
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


@pytest.fixture
def steered_sides():
    rng = np.random.default_rng(1)
    plain = rng.standard_normal((2, 40, 12)).astype(np.float32)
    plain[1] += plain[0]
    steered = plain + 0.8 * rng.standard_normal(plain.shape).astype(np.float32)
    return [tuple(language_vectors(each) for each in sides) for sides in (steered, plain)]


def top1_by_hand(queries, candidates):
    unit = [each.unit.rows / np.linalg.norm(each.unit.rows, axis=1, keepdims=True) for each in (queries, candidates)]
    return ((unit[0] @ unit[1].T).argmax(axis=1) == np.arange(queries.unit.n)).astype(float)


@pytest.mark.parametrize("side", ["query", "candidate"])
def test_one_side_alone_is_steered_in_each_direction(side, steered_sides):
    (x, y), (plain_x, plain_y) = steered_sides
    asking, answering = ((x, y), (plain_x, plain_y)) if side == "query" else ((plain_x, plain_y), (x, y))
    found = one_sided(retrieval_scores, *steered_sides, side)
    assert found.forward["top1"].tolist() == top1_by_hand(asking[0], answering[1]).tolist()
    assert found.backward["top1"].tolist() == top1_by_hand(asking[1], answering[0]).tolist()
    assert found.forward["top1"].tolist() != retrieval_scores(x, y).forward["top1"].tolist()
    ranks = retrieval_scores(asking[0], answering[1]).arrays["forward_greater"]
    assert found.arrays["forward_greater"].tolist() == ranks.tolist()
    assert not any(name.startswith("mined") for name in found.arrays)


def test_what_has_no_direction_is_the_mean_of_both_matrices(steered_sides):
    (x, y), (plain_x, plain_y) = steered_sides
    measure = PAIR_MEASURES["distances"]
    one, other = measure(x, plain_y), measure(plain_x, y)
    for side in ("query", "candidate"):
        found = one_sided(measure, *steered_sides, side)
        for name, values in found.both.items():
            assert values == pytest.approx((one.both[name] + other.both[name]) / 2)
        mean = (one.values["centroid_distance"] + other.values["centroid_distance"]) / 2
        assert found.values["centroid_distance"] == pytest.approx(mean)


def test_a_refused_ratio_is_undefined_with_a_reason_and_the_rest_is_there():
    x = np.abs(np.random.default_rng(2).standard_normal((30, 6)))
    found = retrieval_scores(language_vectors(x), language_vectors(-x))
    assert set(found.notes) == {"margin_ratio_top1", "xsim", "xsim_text"}
    assert all("not positive for 30 of 30" in reason for reason in found.notes.values())
    for items in (found.forward, found.backward):
        assert {name for name, values in items.items() if np.isnan(values).any()} == set(found.notes)
    assert not any(name.startswith("mined") for name in found.arrays)


def test_language_measures_yield_what_they_declare(sides):
    # Distances to other languages' means come from the space measure's centroids.
    assert set(spread_values(sides[0])) == {"spread", "within_distance"}
    assert set(spread_values(sides[0])) < set(MEASURES["spread"].metrics)


def angular(a, b):
    return np.arccos(np.clip(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b), -1, 1)) / np.pi


@settings(max_examples=60)
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
        "import sys, sprachbund.statistics, sprachbund.measures, sprachbund_runners.evaluation as e\n"
        "import sprachbund.embeddings.transforms\n"
        "print([m for m in ('torch', 'transformers', 'scipy.stats', 'mlflow', 'numba') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
