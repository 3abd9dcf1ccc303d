"""Figures of a space: what is projected, and that both panels share their axes."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from sprachbund.errors import QueryError, SprachbundError
from sprachbund.report.figures import Panel, space_figure


@pytest.fixture
def panels():
    rng = np.random.default_rng(0)
    meaning = rng.standard_normal((30, 6))
    before = {"deu_Latn": meaning + 2.0, "eng_Latn": meaning - 2.0}
    after = {name: meaning + 0.1 * rng.standard_normal((30, 6)) for name in before}
    return [Panel("none", before), Panel("centring", after)]


def offsets(figure):
    """Points of every panel and language, in the order in which they were drawn: all sentences, then their mean."""
    return [[np.asarray(drawn.get_offsets()) for drawn in axes.collections] for axes in figure.axes]


def test_pca_is_that_of_both_sides_unit_vectors_together(panels):
    figure = space_figure(panels, items=None)
    stacked = np.concatenate([array for panel in panels for array in panel.vectors.values()])
    stacked /= np.linalg.norm(stacked, axis=1, keepdims=True)
    expected = PCA(2).fit(stacked)
    wanted = expected.transform(stacked).reshape(2, 2, 30, 2)
    for panel, found in zip(wanted, offsets(figure), strict=True):
        for language, (points, mean) in zip(panel, (found[:2], found[2:]), strict=True):
            assert np.abs(points) == pytest.approx(np.abs(language), abs=1e-9)
            assert mean[0] == pytest.approx(points.mean(axis=0))
    assert f"{expected.explained_variance_ratio_[0]:.0%}" in figure.axes[0].get_xlabel()
    assert [axes.get_title() for axes in figure.axes] == ["none", "centring"]
    assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim()
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()


def test_a_sample_keeps_the_same_sentences_everywhere(panels):
    same = [panels[0], Panel("again", panels[0].vectors)]
    left, right = offsets(space_figure(same, items=7, seed=3))
    assert left[0].shape == (7, 2)
    assert all((a == b).all() for a, b in zip(left, right, strict=True))


def test_refusals(panels):
    narrow = Panel("whitening", {name: array[:, :5] for name, array in panels[0].vectors.items()})
    with pytest.raises(SprachbundError, match=r"cannot share axes: .* \[\(30, 5\), \(30, 6\)\]"):
        space_figure([panels[0], narrow])
    with pytest.raises(QueryError, match="found 'tsne', expected one of pca, umap"):
        space_figure(panels, method="tsne")
    with pytest.raises(SprachbundError, match="at least 3 items"):
        space_figure([Panel("none", {"eng_Latn": np.ones((2, 6))})])
