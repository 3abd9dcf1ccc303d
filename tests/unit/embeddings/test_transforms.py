"""Post-hoc transforms: fitted on one text, applied to another."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from sprachbund.embeddings.transforms import fit_centring, fit_top_pc_removal, fit_transform, fit_whitening, transformed
from sprachbund.errors import ModelError


@pytest.fixture
def text():
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((6, 6))
    return {
        name: rng.standard_normal((80, 6)) @ mixing + 5 * rng.standard_normal(6) for name in ("deu_Latn", "eng_Latn")
    }


def test_centring_takes_the_fitted_mean_off_other_text(text):
    transform = fit_centring(text)
    other = np.random.default_rng(1).standard_normal((4, 6)).astype(np.float32)
    found = transform.apply(other, "deu_Latn")
    assert found.dtype == np.float32
    for i in range(4):
        for j in range(6):
            assert found[i, j] == pytest.approx(other[i, j] - sum(text["deu_Latn"][:, j]) / 80, abs=1e-5)
    assert transform.apply(text["eng_Latn"], "eng_Latn").mean(axis=0) == pytest.approx(np.zeros(6), abs=1e-12)


def test_centring_removes_a_language_offset_that_hides_translations():
    rng = np.random.default_rng(2)
    meaning = rng.standard_normal((50, 8))
    transform = fit_centring({"eng_Latn": meaning, "jpn_Jpan": meaning + 9})
    assert transform.apply(meaning + 9, "jpn_Jpan") == pytest.approx(transform.apply(meaning, "eng_Latn"), abs=1e-12)


def test_whitening_gives_unit_covariance_within_languages(text):
    transform = fit_whitening(text)
    scatter = np.zeros((6, 6))
    for language, embeddings in text.items():
        white = transform.apply(embeddings, language)
        assert white.mean(axis=0) == pytest.approx(np.zeros(6), abs=1e-10)
        scatter += white.T @ white
    assert scatter / 160 == pytest.approx(np.eye(6), abs=1e-9)


def test_whitening_keeps_the_largest_directions_and_no_more_than_there_are(text):
    full, two = fit_whitening(text), fit_whitening(text, rank=2)
    assert (two.matrix == full.matrix[:, :2]).all()
    flat = {name: np.concatenate([array, array[:, :2]], axis=1) for name, array in text.items()}
    assert fit_whitening(flat).matrix.shape == (8, 6)


def test_top_pc_removal_leaves_what_scikit_learns_pca_leaves(text):
    transform = fit_top_pc_removal(text, 2)
    pooled = np.concatenate(list(text.values()))
    pca = PCA(2).fit(pooled)
    other = np.random.default_rng(1).standard_normal((5, 6))
    expected = other - pca.inverse_transform(pca.transform(other))
    for language in ("deu_Latn", "never_Seen"):
        assert transform.apply(other, language) == pytest.approx(expected, abs=1e-9)


def test_fit_transform_finds_each_by_name(text):
    for name, expected in (
        ("centring", fit_centring(text)),
        ("whitening", fit_whitening(text)),
        ("top_pc_removal", fit_top_pc_removal(text, 1)),
    ):
        found = fit_transform(name, text)
        one = text["eng_Latn"]
        assert (found.apply(one, "eng_Latn") == expected.apply(one, "eng_Latn")).all()
        assert found.n_bytes > 0
    assert fit_transform("whitening", text, 3).matrix.shape == (6, 3)
    with pytest.raises(ModelError, match=r"no transform 'whitenin', only .*; did you mean 'whitening'"):
        fit_transform("whitenin", text)


def test_refusals(text):
    with pytest.raises(ModelError, match="leave nothing"):
        fit_top_pc_removal(text, 6)
    with pytest.raises(ModelError, match="width 5, but fitted on width 6"):
        fit_top_pc_removal(text, 1).apply(np.ones((1, 5)), "deu_Latn")
    with pytest.raises(ValueError, match="components"):
        fit_top_pc_removal(text, 0)
    transform = fit_centring(text)
    with pytest.raises(ModelError, match="no mean was fitted for deu_Latm, only for deu_Latn, eng_Latn; did you mean"):
        transform.apply(np.ones((1, 6)), "deu_Latm")
    with pytest.raises(ModelError, match="width 5, but fitted on width 6"):
        fit_whitening(text).apply(np.ones((1, 5)), "deu_Latn")
    with pytest.raises(ModelError, match=r"different widths \[2, 6\]"):
        fit_centring(text | {"fra_Latn": np.ones((3, 2))})
    with pytest.raises(ModelError, match="fra_Latn: the embeddings to fit on hold NaN"):
        fit_centring({"fra_Latn": np.array([[np.nan]])})
    with pytest.raises(ModelError, match="at least one language"):
        fit_centring({})
    with pytest.raises(ModelError, match="do not vary"):
        fit_whitening({"fra_Latn": np.ones((3, 2))})
    with pytest.raises(ValueError, match="rank"):
        fit_whitening(text, rank=0)


def test_a_settings_embeddings_are_transformed_as_it_says(text):
    other = {name: array[:20] + 1 for name, array in text.items()}
    fits = []

    def fitted():
        fits.append(1)
        return fit_centring(text)

    for name, array in transformed("none", other, fitted).items():
        assert array is other[name]
    for name, array in transformed("centring_transductive", other, fitted).items():
        assert array == pytest.approx(other[name] - other[name].mean(axis=0))
    assert fits == []
    for name, array in transformed("centring", other, fitted).items():
        assert array == pytest.approx(other[name] - text[name].mean(axis=0))
    assert fits == [1]
