"""UMAP figures: apart from the other tests, since importing umap-learn compiles for a minute or more."""

import warnings

import numpy as np
import pytest

from sprachbund.report.figures import Panel, space_figure


@pytest.mark.acceptance
def test_umap_draws_all_points_and_the_same_ones_again():
    rng = np.random.default_rng(0)
    sides = [Panel(name, {each: rng.standard_normal((30, 6)) for each in ("deu_Latn", "eng_Latn")}) for name in "ab"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("umap", reason="needs umap-learn (extra figures)")
        figures = [space_figure(sides, method="umap", items=20) for _ in range(2)]
    drawn = [
        [np.asarray(each.get_offsets()) for axes in figure.axes for each in axes.collections] for figure in figures
    ]
    assert [each.shape for each in drawn[0]] == [(20, 2), (1, 2)] * 4
    assert all(np.isfinite(each).all() for each in drawn[0])
    assert all((one == other).all() for one, other in zip(*drawn, strict=True))
