"""Probes against scikit-learn's own cross-validation, and what they must not see."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sprachbund.errors import SpecError
from sprachbund_runners.evaluation.folds import fold_units
from sprachbund_runners.evaluation.probing import ProbeCounts, Probed, probe


@pytest.fixture
def rows():
    """60 items in two languages; the topic is in the embedding, with noise."""
    rng = np.random.default_rng(0)
    topic = rng.integers(0, 3, 60)
    meaning = rng.standard_normal((60, 4)) + 1.5 * np.eye(4)[topic]
    embeddings = np.concatenate([meaning, meaning + 0.3 * rng.standard_normal((60, 4))])
    labels = [("art", "law", "sport")[each] for each in topic] * 2
    items = [str(number) for number in range(60)] * 2
    return embeddings, labels, items


def test_predictions_equal_a_scikit_learn_pipeline_on_the_same_folds(rows):
    embeddings, labels, items = rows
    found = probe(embeddings, labels, items, folds=4, seeds=[11])
    # The same folds, drawn independently of the code: items in the order of their names as text.
    names = sorted(set(items))
    order = np.random.default_rng(11).permutation(60)
    fold_of = {names[name]: place % 4 for place, name in enumerate(order)}
    split = PredefinedSplit([fold_of[item] for item in items])
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    expected = cross_val_predict(pipeline, embeddings, labels, cv=split)
    assert [found.classes[each] for each in found.predicted[0]] == expected.tolist()
    assert found.correct.mean() == pytest.approx(np.mean(expected == np.array(labels)))
    assert found.macro_f1() == pytest.approx(f1_score(labels, expected, average="macro"))
    assert found.majority() == max(labels.count(label) for label in set(labels)) / 120
    assert found.unconverged == 0


def test_seeds_draw_other_folds_and_repeat(rows):
    one = probe(*rows, seeds=[0, 1, 2])
    assert one.predicted.shape == (3, 120)
    assert (one.predicted == probe(*rows, seeds=[0, 1, 2]).predicted).all()
    assert len(set(one.by_seed)) > 1
    assert one.correct.mean() == pytest.approx(one.by_seed.mean())


def test_no_item_is_on_both_sides():
    """Labels that only the item's identity tells: a probe that saw the translation would be right."""
    rng = np.random.default_rng(3)
    meaning = rng.standard_normal((80, 200))
    labels = [str(each) for each in rng.integers(0, 2, 80)] * 2
    items = [str(number) for number in range(80)] * 2
    twice = np.concatenate([meaning, meaning])
    assert probe(twice, labels, items).correct.mean() < 0.7
    leaking = probe(twice, labels, [str(number) for number in range(160)])
    assert leaking.correct.mean() > 0.8


def test_refusals(rows):
    embeddings, labels, items = rows
    with pytest.raises(SpecError, match="at least two labels, found art"):
        probe(embeddings, ["art"] * 120, items)
    with pytest.raises(SpecError, match="2 to 60 folds of 60 items or documents, found 61"):
        probe(embeddings, labels, items, folds=61)
    lonely = ["art"] * 119 + ["law"]
    with pytest.raises(SpecError, match="one label only"):
        probe(embeddings, lonely, items)


@given(st.lists(st.tuples(*[st.integers(0, 6)] * 3), min_size=1, max_size=20))
def test_units_of_folds_are_the_connected_components(rows):
    parts = list(zip(*rows, strict=True))
    found = fold_units(*parts)
    links = np.array([[any(a == b for a, b in zip(x, y, strict=True)) for y in rows] for x in rows])
    expected = connected_components(coo_array(links.astype(int)), directed=False)[1]
    assert ((found[:, None] == found) == (expected[:, None] == expected)).all()
    assert list(dict.fromkeys(found.tolist())) == list(range(found.max() + 1))


def test_sentences_of_one_document_are_on_one_side():
    """Topics are drawn for documents: a probe that saw the rest of one would be right without any topic in it."""
    rng = np.random.default_rng(0)
    document = np.repeat(np.arange(40), 8)
    topic = rng.integers(0, 4, 40).astype(str)[document]
    rows = rng.standard_normal((40, 64))[document] + 0.3 * rng.standard_normal((320, 64))
    items = [str(each) for each in range(320)]
    leaking = probe(rows, topic, items, seeds=(0, 1))
    assert leaking.correct.mean() > 0.9
    assert probe(rows, topic, fold_units(items, document.tolist()), seeds=(0, 1)).correct.mean() < 0.5


@given(st.integers(0, 50), st.integers(1, 4), st.integers(1, 3))
def test_scores_of_counts_are_those_of_the_drawn_rows(seed, n_classes, n_seeds):
    """Units drawn as often as the counts say, their rows put one below the other."""
    rng = np.random.default_rng(seed)
    truth, unit = rng.integers(0, n_classes, 20), rng.integers(0, 6, 20)
    unit = np.unique(unit, return_inverse=True)[1]
    predicted = rng.integers(0, n_classes, (n_seeds, 20))
    found = ProbeCounts.of(truth, predicted, unit, n_classes)
    draws = rng.multinomial(unit.max() + 1, np.full(unit.max() + 1, 1 / (unit.max() + 1)), size=5)
    sums = draws @ found.counts
    for place, counts in enumerate(draws):
        rows = np.repeat(np.arange(20), counts[unit])
        drawn = Probed((), truth[rows], predicted[:, rows], 0)
        assert found.accuracy(sums)[place] == pytest.approx(drawn.correct.mean())
        assert found.macro_f1(sums)[place] == pytest.approx(drawn.macro_f1())
