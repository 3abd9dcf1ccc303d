"""The general ABX task against every triple written out."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sprachbund.errors import ModelError, SpecError
from sprachbund_runners.evaluation.abx import AbxTask, abx_groups, abx_vectors, sample_group, score_group


def distance(kind, u, v):
    """One distance, from its definition."""
    if kind == "euclidean":
        return float(np.sqrt(((u - v) ** 2).sum()))
    cosine = float(u @ v / (np.linalg.norm(u) * np.linalg.norm(v)))
    return 1.0 - cosine if kind == "cosine" else float(np.arccos(np.clip(cosine, -1.0, 1.0)) / np.pi)


def triples(task, labels):
    """Every (a, b, x) of the task with its cell: the definition, row by row."""
    n = len(labels[task.on])
    for a, b, x in product(range(n), repeat=3):
        on_fits = labels[task.on][a] == labels[task.on][x] != labels[task.on][b]
        by_fits = all(labels[name][a] == labels[name][b] == labels[name][x] for name in task.by)
        across_fits = all(labels[name][a] == labels[name][b] != labels[name][x] for name in task.across)
        if a != x and on_fits and by_fits and across_fits:
            group = (
                tuple(labels[name][a] for name in task.by),
                tuple(labels[name][a] for name in task.across),
                tuple(labels[name][x] for name in task.across),
            )
            yield a, b, x, group, (labels[task.on][a], labels[task.on][b])


def reference(embeddings, task, labels, kind, m=None, items=None):
    """Group → (unweighted, weighted, triples, cells), every triple counted m_a · m_b · m_x times.

    With items, an a of the item of x is there as often as x is.
    """
    m = np.ones(len(embeddings)) if m is None else m
    apart = [[distance(kind, u, v) for v in embeddings] for u in embeddings]
    found = {}
    for a, b, x, group, cell in triples(task, labels):
        near, far = apart[a][x], apart[b][x]
        if (embeddings[a] == embeddings[b]).all():
            near = far
        wins, total = found.setdefault(group, {}).get(cell, (0.0, 0.0))
        times = m[b] * m[x] * (1.0 if items is not None and items[a] == items[x] else m[a])
        found[group][cell] = (wins + times * ((near < far) + 0.5 * (near == far)), total + times)
    out = {}
    for group, cells in found.items():
        ordered = {cell: wins / total for cell, (wins, total) in cells.items() if total > 0}
        pairs = {}
        for cell, value in ordered.items():
            pairs.setdefault(frozenset(cell), []).append(value)
        wins, total = (sum(each[place] for each in cells.values()) for place in (0, 1))
        unweighted = np.mean([np.mean(values) for values in pairs.values()]) if pairs else np.nan
        out[group] = (unweighted, wins / total if total else np.nan, total, ordered)
    return out


@pytest.fixture
def space():
    """24 rows: six items in four languages, topics of unlike sizes, one embedding twice."""
    rng = np.random.default_rng(5)
    embeddings = rng.standard_normal((24, 5)).astype(np.float32)
    embeddings[7] = embeddings[2]
    labels = {
        "language": [name for name in ("deu", "eng", "fra", "spa") for _ in range(6)],
        "item": [str(number) for _ in range(4) for number in range(6)],
        "topic": ["sport", "sport", "sport", "art", "art", "law"] * 4,
        "half": ["one"] * 12 + ["two"] * 12,
    }
    return embeddings, labels


TASKS = [
    AbxTask("language"),
    AbxTask("topic"),
    AbxTask("topic", by=("language",)),
    AbxTask("topic", across=("language",)),
    AbxTask("item", across=("language",)),
    AbxTask("language", by=("topic",)),
    AbxTask("topic", by=("half",), across=("language",)),
    AbxTask("topic", across=("language", "half")),
    AbxTask("topic", by=("language", "half")),
]


@pytest.mark.parametrize("kind", ["angular", "cosine", "euclidean"])
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_every_group_equals_all_its_triples(space, task, kind):
    embeddings, labels = space
    expected = reference(embeddings.astype(np.float64), task, labels, kind)
    groups = abx_groups(task, labels)
    assert [(each.by, each.across, each.across_x) for each in groups] == sorted(expected)
    vectors = abx_vectors(embeddings, kind)
    for group in groups:
        unweighted, weighted, total, cells = expected[(group.by, group.across, group.across_x)]
        score = score_group(vectors, group)
        assert score.value == pytest.approx(unweighted, abs=1e-6)
        assert score.weighted == pytest.approx(weighted, abs=1e-6)
        assert score.triples == total
        assert score.n_pairs == len({frozenset(cell) for cell in cells})
        for row, a in enumerate(group.classes):
            for column, b in enumerate(group.classes):
                if (a, b) in cells:
                    assert score.cells[row, column] == pytest.approx(cells[(a, b)], abs=1e-6)
                else:
                    assert np.isnan(score.cells[row, column])


@pytest.mark.parametrize("together", [False, True], ids=["rows", "items"])
@pytest.mark.parametrize("task", TASKS[:6], ids=lambda task: task.name)
def test_bootstrap_draws_count_triples_by_multiplicity(space, task, together):
    embeddings, labels = space
    rng = np.random.default_rng(1)
    by_item = rng.multinomial(6, [1 / 6] * 6, size=4).astype(np.float64)
    multiplicities = np.tile(by_item, (1, 4))
    vectors = abx_vectors(embeddings, "cosine")
    items = np.array([int(item) for item in labels["item"]]) if together else None
    wanted = [reference(embeddings.astype(np.float64), task, labels, "cosine", row, items) for row in multiplicities]
    for group in abx_groups(task, labels):
        score = score_group(vectors, group, multiplicities, items)
        for draw, expected in enumerate(wanted):
            unweighted, weighted, total, _ = expected[(group.by, group.across, group.across_x)]
            assert score.draws[draw] == pytest.approx(unweighted, abs=1e-9, nan_ok=True)
            assert score.weighted_triples[draw] == total
            if total:
                assert score.weighted_wins[draw] / total == pytest.approx(weighted, abs=1e-9)


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(2, 4))
def test_small_whole_numbers_with_many_ties(seed, n_classes):
    """Coordinates 0, 1, 2: squared Euclidean distances are exact and tie all the time, also of unequal vectors."""
    rng = np.random.default_rng(seed)
    embeddings = rng.integers(0, 3, (9, 2)).astype(np.float64)
    labels = {"on": [str(each) for each in rng.integers(0, n_classes, 9)]}
    try:
        (group,) = abx_groups(AbxTask("on"), labels)
    except SpecError:
        assert not list(triples(AbxTask("on"), labels))
        return
    ((unweighted, weighted, total, _),) = reference(embeddings, AbxTask("on"), labels, "euclidean").values()
    score = score_group(abx_vectors(embeddings, "euclidean"), group)
    assert score.value == pytest.approx(unweighted, abs=1e-9)
    assert score.weighted == pytest.approx(weighted, abs=1e-9)
    assert score.triples == total


def test_per_item_scores_average_to_the_cells(space):
    embeddings, labels = space
    (group,) = abx_groups(AbxTask("language"), labels)
    score = score_group(abx_vectors(embeddings, "cosine"), group)
    assert score.items.shape == (24,)
    # Classes of equal size: the mean over x is the unweighted score.
    assert score.items.mean() == pytest.approx(score.value)


@pytest.mark.parametrize("shape", ["outlier", "lattice", "equal", "spread"])
def test_large_categories_however_their_distances_are_spread(shape):
    """One far outlier puts all other distances into one bucket; a lattice ties by the hundred."""
    rng = np.random.default_rng(4)
    embeddings = rng.standard_normal((90, 3))
    if shape == "outlier":
        embeddings[::30] *= 1e6
    elif shape == "lattice":
        embeddings = rng.integers(0, 3, (90, 3)).astype(np.float64)
    elif shape == "equal":
        embeddings = np.ones((90, 3))
    labels = {"on": [str(each) for each in rng.integers(0, 3, 90)]}
    multiplicities = rng.multinomial(90, [1 / 90] * 90, size=2).astype(np.float64)
    (group,) = abx_groups(AbxTask("on"), labels)
    score = score_group(abx_vectors(embeddings, "euclidean"), group, multiplicities)
    # The reference's distances as the code has them, so that ties by rounding agree: |v|² − 2 u·v.
    order = (embeddings**2).sum(axis=1)[None, :] - 2 * embeddings @ embeddings.T
    for m, even, wins in ((np.ones(90), score.value, None), *zip(multiplicities, score.draws, score.weighted_wins,
                                                                  strict=True)):  # fmt: skip
        cells, total_wins = {}, 0.0
        on = np.array(labels["on"])
        for first, second in product(group.classes, repeat=2):
            if first == second:
                continue
            a, b = np.flatnonzero(on == first), np.flatnonzero(on == second)
            near, far = order[np.ix_(a, a)][:, :, None], order[np.ix_(a, b)][:, None, :]
            times = m[a][:, None, None] * m[a][None, :, None] * m[b][None, None, :]
            times = times * (1 - np.eye(len(a)))[:, :, None]
            won = (times * ((near < far) + 0.5 * (near == far))).sum()
            cells[(first, second)] = won / times.sum()
            total_wins += won
        assert even == pytest.approx(np.mean(list(cells.values())), abs=1e-6)
        if wins is not None:
            assert wins == pytest.approx(total_wins, rel=1e-6)


def test_blocks_change_nothing(space, monkeypatch):
    embeddings, labels = space
    (group,) = abx_groups(AbxTask("topic"), labels)
    vectors = abx_vectors(embeddings, "euclidean")
    whole = score_group(vectors, group)
    monkeypatch.setattr("sprachbund_runners.evaluation.abx.BLOCK_BYTES", 8 * 24 * 5)
    parts = score_group(vectors, group)
    assert parts.value == pytest.approx(whole.value, abs=1e-12)
    assert parts.items == pytest.approx(whole.items, abs=1e-12)


@pytest.mark.parametrize("task", [TASKS[1], TASKS[3]], ids=lambda task: task.name)
def test_a_sample_of_triples_is_near_and_repeatable(space, task):
    embeddings, labels = space
    vectors = abx_vectors(embeddings, "cosine")
    group = abx_groups(task, labels)[0]
    exact = score_group(vectors, group)
    found = sample_group(vectors, group, 20_000, (7, 0))
    assert found == sample_group(vectors, group, 20_000, (7, 0))
    assert found.value == pytest.approx(exact.value, abs=4 * found.standard_error)
    assert found.weighted == pytest.approx(exact.weighted, abs=4 * found.weighted_standard_error)
    assert 0 < found.standard_error < 0.01


def test_separate_and_shuffled_categories_are_1_and_about_chance():
    rng = np.random.default_rng(0)
    labels = {"on": ["one"] * 40 + ["two"] * 40}
    (group,) = abx_groups(AbxTask("on"), labels)
    noise = rng.standard_normal((80, 8))
    apart = noise + 100 * np.repeat([[1.0] * 8, [-1.0] * 8], 40, axis=0)
    assert score_group(abx_vectors(apart, "angular"), group).value == pytest.approx(1.0)
    assert score_group(abx_vectors(noise, "angular"), group).value == pytest.approx(0.5, abs=0.05)
    same = np.ones((80, 8))
    assert score_group(abx_vectors(same, "euclidean"), group).value == pytest.approx(0.5)


def test_refusals(space):
    embeddings, labels = space
    with pytest.raises(SpecError, match="no label 'topik', only half, item, language, topic; did you mean 'topic'"):
        abx_groups(AbxTask("topik"), labels)
    with pytest.raises(SpecError, match="named twice"):
        abx_groups(AbxTask("topic", by=("topic",)), labels)
    with pytest.raises(SpecError, match="'item by language' has no triples"):
        abx_groups(AbxTask("item", by=("language",)), labels)
    with pytest.raises(SpecError, match="distance: found 'cosin'"):
        abx_vectors(embeddings, "cosin")
    with pytest.raises(ModelError, match="row 1 holds NaN, infinity or huge"):
        abx_vectors(np.array([[1.0, 1.0], [np.inf, 1.0]]), "euclidean")
    with pytest.raises(ModelError, match="row 0 holds NaN"):
        abx_vectors(np.array([[np.nan, 1.0]]), "cosine")


def at_cosines(cosines):
    """Unit vectors of the plane with these cosines to the first axis."""
    cosines = np.asarray(cosines, dtype=np.float64)
    return np.stack([cosines, np.sqrt(1.0 - cosines**2)], axis=1)


@pytest.mark.parametrize(("apart", "score"), [(0.0, 0.5), (9e-13, 0.5), (-9e-13, 0.5), (1.2e-12, 1.0), (-1.2e-12, 0.0)])
def test_cosines_within_a_trillionth_tie(apart, score):
    """x in category p with one a, against one b."""
    vectors = abx_vectors(at_cosines([1.0, 0.6, 0.6 - apart]), "cosine")
    labels = {"on": ["p", "p", "q"]}
    (group,) = abx_groups(AbxTask("on"), labels)
    found = score_group(vectors, group)
    assert found.items[0] == score
    wins = sample_group(vectors, group, 50, (0,))
    assert 0.0 <= wins.value <= 1.0


@pytest.mark.parametrize("n_near", [2, 40, 200])
def test_ties_by_the_trillionth_equal_a_loop(n_near):
    """Cosines on a grid of 0.4e-12, crowded into few buckets or spread: differences of 0.8e-12 tie, of 1.2e-12 not."""
    rng = np.random.default_rng(n_near)
    near, far = (0.5 + 4e-13 * rng.integers(0, 30, n) for n in (n_near, 300))
    near[::3] = rng.uniform(0.1, 0.9, len(near[::3]))
    far[::4] = rng.choice(near, len(far[::4])) + 4e-13 * rng.integers(-4, 5, len(far[::4]))
    rows = at_cosines([1.0, *near, *far])
    labels = {"on": ["p"] * (1 + n_near) + ["q"] * 300}
    (group,) = abx_groups(AbxTask("on"), labels)
    cosines = [float(row[0]) for row in rows]
    wins = [
        0.5 if abs(cosines[a] - cosines[b]) <= 1e-12 else float(cosines[a] > cosines[b])
        for a in range(1, 1 + n_near)
        for b in range(1 + n_near, len(rows))
    ]
    assert score_group(abx_vectors(rows, "cosine"), group).items[0] == pytest.approx(np.mean(wins), abs=1e-12)
