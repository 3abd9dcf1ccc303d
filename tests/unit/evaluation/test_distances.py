"""Distances against sums written out pair by pair."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sprachbund.errors import ModelError
from sprachbund_runners.evaluation.distances import (
    centroid_distance,
    item_distances,
    language_vectors,
    space_distances,
    spread,
    within_distance,
)


def distance(a, b):
    return 1 - float(np.dot(a, b)) / np.sqrt(float(np.dot(a, a)) * float(np.dot(b, b)))


def mean(values):
    return sum(values) / len(values) if values else float("nan")


@settings(max_examples=80)
@given(data=st.data(), n=st.integers(1, 12), seed=st.integers(0, 5))
def test_item_distances_equal_the_pairs_written_out(data, n, seed):
    x, y = np.random.default_rng(seed).standard_normal((2, n, 5)) + 0.3
    labels = st.lists(st.integers(0, n), min_size=n, max_size=n)
    groups_x, groups_y = np.array(data.draw(labels)), np.array(data.draw(labels))
    found = item_distances(language_vectors(x, groups_x), language_vectors(y, groups_y))
    paired = [distance(x[i], y[i]) for i in range(n)]
    unpaired = []
    for i in range(n):
        other = [j for j in range(n) if groups_x[i] != groups_x[j] and groups_y[i] != groups_y[j]]
        unpaired.append((mean([distance(x[i], y[j]) for j in other]) + mean([distance(y[i], x[j]) for j in other])) / 2)
    assert found.paired == pytest.approx(np.array(paired), abs=1e-13)
    assert found.unpaired == pytest.approx(np.array(unpaired), abs=1e-12, nan_ok=True)
    assert found.gap == pytest.approx(np.array(unpaired) - paired, abs=1e-12, nan_ok=True)


@settings(max_examples=50)
@given(data=st.data(), n=st.integers(1, 12), seed=st.integers(0, 5))
def test_spread_and_within_equal_the_pairs_written_out(data, n, seed):
    x = np.random.default_rng(seed).standard_normal((n, 5)) + 0.5
    groups = np.array(data.draw(st.lists(st.integers(0, n), min_size=n, max_size=n)))
    side = language_vectors(x, groups)
    within = [distance(x[i], x[j]) for i in range(n) for j in range(n) if groups[i] != groups[j]]
    assert within_distance(side) == pytest.approx(mean(within), abs=1e-12, nan_ok=True)
    assert spread(side) == pytest.approx(mean([distance(row, x.mean(axis=0)) for row in x]), abs=1e-12)


def test_means_are_of_embeddings_not_of_unit_vectors():
    x, y = np.array([[10.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 0.0], [0.0, 10.0]])
    found = centroid_distance(language_vectors(x), language_vectors(y))
    assert found == pytest.approx(distance(np.array([5.0, 0.5]), np.array([0.5, 5.0])))


def test_float32_embeddings_in_a_tight_cone_keep_their_gap():
    rng = np.random.default_rng(2)
    common = 30 * rng.standard_normal(256)
    meaning = rng.standard_normal((200, 256))
    x = (common + meaning).astype(np.float32)
    y = (common + meaning + 0.1 * rng.standard_normal((200, 256))).astype(np.float32)
    found = item_distances(language_vectors(x), language_vectors(y))
    exact = item_distances(language_vectors(x.astype(float)), language_vectors(y.astype(float)))
    assert found.unpaired.mean() < 2e-3
    assert found.gap.mean() == pytest.approx(exact.gap.mean(), rel=1e-4)


def test_collapse_has_no_gap_and_no_spread():
    x = language_vectors(np.ones((6, 3), np.float32))
    found = item_distances(x, x)
    for values in (found.paired, found.unpaired, found.gap, spread(x), within_distance(x)):
        assert values == pytest.approx(0.0, abs=1e-6)


def test_a_vanishing_mean_has_no_distance():
    x = np.random.default_rng(3).standard_normal((50, 8)).astype(np.float32)
    centred = language_vectors((x - x.mean(axis=0)).astype(np.float32))
    assert centred.centroid is None
    assert np.isnan(spread(centred)) and np.isnan(centroid_distance(centred, language_vectors(x)))
    assert not np.isnan(item_distances(centred, language_vectors(x)).gap).any()


def test_lengths_and_groups_are_checked():
    x = language_vectors(np.ones((3, 2)))
    with pytest.raises(ValueError, match="found 3 and 2"):
        item_distances(x, language_vectors(np.ones((2, 2))))
    with pytest.raises(ModelError, match="width"):
        item_distances(x, language_vectors(np.ones((3, 4))))
    with pytest.raises(ValueError, match="integer groups"):
        language_vectors(np.ones((3, 2)), np.zeros(2, int), "deu_Latn")
    with pytest.raises(ModelError, match="deu_Latn: row 1 is zero"):
        language_vectors(np.array([[1.0], [0.0]]), name="deu_Latn")


@settings(max_examples=60)
@given(n=st.integers(3, 9), seed=st.integers(0, 1000), data=st.data())
def test_space_distances_equal_the_definitions(n, seed, data):
    languages = [f"l{i}" for i in range(n)]
    means = dict(zip(languages, np.random.default_rng(seed).standard_normal((n, 4)) + 0.4, strict=True))
    frozen = data.draw(st.sampled_from(languages))
    found = space_distances(means, frozen)
    d = {(a, b): distance(means[a], means[b]) for a in languages for b in languages if a != b}

    def medoid(names):
        return min(names, key=lambda a: sum(d[a, b] for b in names if b != a))

    def to(language):
        return [float("nan") if a == language else d[a, language] for a in languages]

    centre = medoid(languages)
    assert found.medoid == centre
    assert found.all_pairs == pytest.approx(mean(list(d.values())), abs=1e-13)
    assert found.to_medoid == pytest.approx(np.array(to(centre)), abs=1e-13, nan_ok=True)
    assert found.to_frozen_medoid == pytest.approx(np.array(to(frozen)), abs=1e-13, nan_ok=True)
    assert found.to_target("l1") == pytest.approx(np.array(to("l1")), abs=1e-13, nan_ok=True)
    without = []
    for a in languages:
        rest = [b for b in languages if b != a]
        sums = {b: sum(d[b, c] for c in rest if c != b) for b in rest}
        without.append(mean([d[a, b] for b in rest if sums[b] <= min(sums.values()) + 1e-9]))
    assert found.to_medoid_of_others == pytest.approx(np.array(without), abs=1e-13)
    others = [value for a, value in zip(languages, to(centre), strict=True) if a != "l0" and a != centre]
    assert found.mean_over_others(found.to_medoid, "l0") == pytest.approx(mean(others), abs=1e-13)


def test_space_distances_refuse():
    means = {name: np.random.default_rng(0).standard_normal(3) for name in ("eng_Latn", "deu_Latn", "spa_Latn")}
    with pytest.raises(ModelError, match="did you mean 'deu_Latn'"):
        space_distances(means, "deu_Latm")
    with pytest.raises(ModelError, match="target: fra_Latn is not among"):
        space_distances(means).to_target("fra_Latn")
    with pytest.raises(ModelError, match="at least three languages, found 1"):
        space_distances({"eng_Latn": np.ones(3)})
    with pytest.raises(ModelError, match="mean of deu_Latn vanishes"):
        space_distances(means | {"deu_Latn": None})
    with pytest.raises(ModelError, match="widths differ"):
        space_distances(means | {"deu_Latn": np.ones(4)})
    assert space_distances(means).to_frozen_medoid is None
