"""Directions against scikit-learn, concept-erasure and definitions written out."""

import subprocess
import sys
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf as sklearn_ledoit_wolf
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression

from sprachbund.catalogue.directions import DIRECTIONS, edits_along
from sprachbund.errors import ModelError
from sprachbund_runners.directions import Subspace, edit_of, find, random_like
from sprachbund_runners.directions.covariance import ledoit_wolf
from sprachbund_runners.directions.leace import leace
from sprachbund_runners.directions.responses import Responses

Rows = NDArray[np.float32]
PAIRS = [(method, edit) for method in DIRECTIONS for edit in edits_along(method)]


def languages(counts: Mapping[str, int], width: int, seed: int = 0, apart: float = 1.0) -> tuple[Rows, dict[str, Rows]]:
    """Rows of each language about its own mean, correlated across units and of different scale; the first apart."""
    drawn = np.random.default_rng(seed)
    mixing = drawn.normal(size=(width, width)) * np.exp(drawn.normal(size=width))
    rows = {
        name: (drawn.normal(size=(n, width)) @ mixing + apart * drawn.normal(size=width) * 3).astype(np.float32)
        for name, n in counts.items()
    }
    first = next(iter(rows))
    return rows.pop(first), rows


MANY = {"deu": 60, "eng": 50, "jpn": 70}


def means_of(target: Rows, others: Mapping[str, Rows]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The target's mean and the mean of the others' means, by loops."""
    return (
        np.mean([row.astype(np.float64) for row in target], axis=0),
        np.mean([np.mean([row.astype(np.float64) for row in rows], axis=0) for rows in others.values()], axis=0),
    )


def cosine(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_difference_of_means() -> None:
    target, others = languages(MANY, 12)
    of_target, of_others = means_of(target, others)
    found = find("diff_mean", target, others)
    np.testing.assert_allclose(found.shift, of_target - of_others, rtol=1e-12)
    edit = edit_of(found, "add", -1.5, "block", 2, "last")
    assert (edit.site, edit.block, edit.tokens, edit.rank) == ("block", 2, "last", 0)
    np.testing.assert_allclose(edit.apply(target), target - 1.5 * (of_target - of_others), rtol=1e-5, atol=1e-4)
    # Full strength brings the mean of the others to the target's, a sentence is enough (ActAdd).
    moved = np.mean([edit_of(found, "add", 1, "block", 1).apply(rows).mean(axis=0) for rows in others.values()], axis=0)
    np.testing.assert_allclose(moved, of_target, rtol=1e-5, atol=1e-5)
    one = find("diff_mean", target[:1], {"eng": others["eng"][:1]})
    np.testing.assert_allclose(one.shift, target[0].astype(np.float64) - others["eng"][0], rtol=1e-12)


def test_language_means_equals_pca_of_the_means() -> None:
    target, others = languages({**MANY, "fra": 30}, 12)
    means = np.stack([rows.astype(np.float64).mean(axis=0) for rows in (target, *others.values())])
    for rank in (1, 2, 3):
        found = find("language_means", target, others, rank)
        reference = PCA(rank).fit(means).components_
        np.testing.assert_allclose(found.writes @ found.reads.T, reference.T @ reference, atol=1e-9)
    assert find("language_means", target, others).rank == 3
    erased = [
        edit_of(found, "project_out", 1, "block", 1).apply(rows).mean(axis=0) for rows in (target, *others.values())
    ]
    np.testing.assert_allclose(erased, np.tile(means.mean(axis=0), (4, 1)), atol=1e-4)


@pytest.mark.parametrize("width", [12, 90])
def test_pca_equals_that_of_differences_and_their_negatives(width: int) -> None:
    target, others = languages(MANY, width)
    of_target, of_others = means_of(target, others)
    rows = target.astype(np.float64) - of_others
    for rank in (1, 4):
        found = find("pca", target, others, rank)
        reference = PCA(rank, svd_solver="full").fit(np.concatenate([rows, -rows])).components_
        np.testing.assert_allclose(found.reads @ found.reads.T, reference.T @ reference, atol=1e-8)
        assert (found.reads.T @ (of_target - of_others) >= 0).all()
        np.testing.assert_allclose(found.shift, reference.T @ reference @ (of_target - of_others), atol=1e-6)
    assert find("pca", target, others).rank == 1


@pytest.mark.parametrize("width", [12, 300])
def test_lda_equals_scikit_learn(width: int) -> None:
    """Also with fewer sentences than units, where the covariance alone cannot be inverted."""
    target, others = languages(MANY, width)
    found = find("lda", target, others)
    rows = np.concatenate([target, *others.values()]).astype(np.float64)
    labels = np.repeat(np.arange(3), [len(target), *map(len, others.values())])
    within = np.concatenate([rows[labels == c] - rows[labels == c].mean(axis=0) for c in range(3)])
    shrinkage = sklearn_ledoit_wolf(within, assume_centered=True)[1]
    assert found.shrinkage == pytest.approx(shrinkage, rel=1e-9)
    peer = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(rows, labels)
    normal = peer.coef_[0] - peer.coef_[1:].mean(axis=0)
    assert cosine(found.reads[:, 0], normal) == pytest.approx(1, abs=1e-9)
    assert found.shift is not None
    # Strength 1 brings the mean of the others level with the target's, along the direction.
    of_target, of_others = means_of(target, others)
    assert found.reads[:, 0] @ (of_others + found.shift - of_target) == pytest.approx(0, abs=1e-6)


@given(seed=st.integers(0, 1000), n=st.integers(2, 40), width=st.integers(1, 30))
@settings(max_examples=40)
def test_ledoit_wolf_equals_scikit_learn(seed: int, n: int, width: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(n, width)) ** 3
    rows -= rows.mean(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = sklearn_ledoit_wolf(rows, assume_centered=True)[1]
    found = ledoit_wolf(rows, rows.T @ rows / n)
    if width > 1:  # of one unit the identity is its covariance: any share is right
        assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("width", [8, 200])
def test_probe_equals_scikit_learn(width: int) -> None:
    target, others = languages(MANY, width, apart=0.1)
    found = find("probe", target, others)
    every = [target, *others.values()]
    balanced = np.mean([rows.mean(axis=0, dtype=np.float64) for rows in every], axis=0)
    centred = [rows.astype(np.float64) - balanced for rows in every]
    scale = np.sqrt(np.mean([(rows**2).mean() for rows in centred]))
    total = sum(map(len, every))
    weights = np.concatenate(
        [np.full(len(rows), total / 2 / (1 if i == 0 else 2) / len(rows)) for i, rows in enumerate(every)]
    )
    peer = LogisticRegression(C=1.0, tol=1e-8, max_iter=5000)
    peer.fit(np.concatenate(centred) / scale, np.arange(total) < len(target), sample_weight=weights)
    assert cosine(found.reads[:, 0], peer.coef_[0]) == pytest.approx(1, abs=1e-6)
    along = [rows @ found.reads[:, 0] for rows in centred]
    assert found.norm == pytest.approx(np.sqrt(np.mean([(values**2).mean() for values in along])), rel=1e-9)


def concept_erasure() -> Any:
    with warnings.catch_warnings():
        # It scripts a function with torch.jit while it is imported, which torch 2.13 calls deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        import concept_erasure.leace

    return concept_erasure


@pytest.mark.parametrize(("width", "shrinkage"), [(12, 0.0), (12, 0.05), (250, 0.2)])
def test_leace_equals_concept_erasure(width: int, shrinkage: float, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    target, others = languages({**MANY, "fra": 40}, width)
    every = [target, *others.values()]
    rows = torch.tensor(np.concatenate(every), dtype=torch.float64)
    labels = torch.nn.functional.one_hot(torch.tensor(np.repeat(np.arange(4), [len(each) for each in every])))
    library = concept_erasure()

    def shrink(covariance: torch.Tensor, n: torch.Tensor) -> torch.Tensor:
        identity = torch.eye(width, dtype=torch.float64)
        return (1 - shrinkage) * covariance + shrinkage * covariance.trace() / width * identity

    monkeypatch.setattr(library.leace, "optimal_linear_shrinkage", shrink)
    peer = library.LeaceEraser.fit(rows, labels, svd_tol=1e-9, constrain_cov_trace=False)
    found = leace(Responses.of(target, others), shrinkage)
    assert found.rank == 3
    np.testing.assert_allclose(np.eye(width) - found.writes @ found.reads.T, peer.P.numpy(), atol=1e-8)
    edit = edit_of(found, "project_out", 1, "block", 1)
    np.testing.assert_allclose(edit.apply(rows), peer(rows).numpy(), atol=2e-3 * float(rows.abs().max()) / 100)


@pytest.mark.parametrize("counts", [MANY, {"deu": 60, "eng": 60}])
@pytest.mark.parametrize("width", [10, 400])
def test_after_erasure_a_linear_probe_is_at_chance(counts: dict[str, int], width: int) -> None:
    """Equal means of all languages are what defeats every linear probe; the trained one is a check of that."""
    target, others = languages(counts, width)
    every = [target, *others.values()]
    labels = np.repeat(np.arange(len(every)), [len(rows) for rows in every])
    for method in ("leace", "language_means"):
        edit = edit_of(find(method, target, others), "project_out", 1, "block", 1)
        erased = [edit.apply(rows) for rows in every]
        for rows in erased[1:]:
            np.testing.assert_allclose(rows.mean(axis=0), erased[0].mean(axis=0), atol=1e-4)
        probe = LogisticRegression(C=1e-2, class_weight="balanced", max_iter=2000)
        before = probe.fit(np.concatenate(every), labels).score(np.concatenate(every), labels)
        assert before > 0.9
        after = probe.fit(np.concatenate(erased), labels)
        # No gradient, so the fitted weights are nothing but noise.
        assert np.abs(after.coef_).max() < 1e-4


def test_leace_changes_less_than_the_orthogonal_projection() -> None:
    target, others = languages(MANY, 12, seed=4)
    rows = np.concatenate([target, *others.values()]).astype(np.float64)
    covariance = np.cov(rows.T)
    change = {}
    for name, found in {
        "leace": leace(Responses.of(target, others), 0.0),
        "language_means": find("language_means", target, others),
    }.items():
        difference = edit_of(found, "project_out", 1, "block", 1).apply(rows) - rows
        change[name] = float(np.einsum("ij,jk,ik->", difference, np.linalg.inv(covariance), difference))
    assert change["leace"] < change["language_means"]


@pytest.mark.parametrize("method", DIRECTIONS)
def test_project_out_by_its_definition(method: str) -> None:
    target, others = languages(MANY, 12)
    found = find(method, target, others)
    for strength in (0.0, 0.3, 1.0):
        edit = edit_of(found, "project_out", strength, "attn.out", 3, "content")
        expected = target - strength * (target - found.mean) @ found.reads @ found.writes.T
        np.testing.assert_allclose(edit.apply(target), expected, rtol=1e-4, atol=1e-3)
    assert edit_of(found, "project_out", 0.0, "block", 1).identity
    whole = edit_of(found, "project_out", 1.0, "block", 1)
    # Erased once is erased.
    np.testing.assert_allclose(whole.apply(whole.apply(target)), whole.apply(target), rtol=1e-4, atol=1e-3)
    if method not in ("leace", "language_means"):
        assert np.ptp(whole.apply(target) @ found.reads) < 1e-3


@pytest.mark.parametrize(("method", "edit"), PAIRS)
def test_every_listed_pair_works_and_turns_with_the_axes(method: str, edit: str) -> None:
    """A rotation of the responses rotates the edit: nothing depends on which unit is which."""
    target, others = languages(MANY, 9)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(9, 9)))[0]
    plain = edit_of(find(method, target, others), edit, 0.5, "block", 1)
    turned_rows = {name: rows.astype(np.float64) @ turn for name, rows in others.items()}
    turned = edit_of(find(method, target.astype(np.float64) @ turn, turned_rows), edit, 0.5, "block", 1)
    np.testing.assert_allclose(turned.apply(target @ turn), plain.apply(target) @ turn, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("method", DIRECTIONS)
def test_a_random_direction_is_as_long_and_of_the_same_rank(method: str) -> None:
    target, others = languages(MANY, 12)
    found = find(method, target, others)
    drawn = random_like(found, 3)
    assert (drawn.rank, drawn.width) == (found.rank, found.width)
    np.testing.assert_allclose(drawn.reads.T @ drawn.reads, np.eye(found.rank), atol=1e-12)
    assert np.array_equal(drawn.reads, random_like(found, 3).reads)
    assert not np.allclose(drawn.reads, random_like(found, 4).reads)
    if found.norm is None:
        assert drawn.shift is None
    else:
        assert drawn.norm == pytest.approx(found.norm, rel=1e-12)
    for edit in edits_along(method):
        assert edit_of(drawn, edit, 0.5, "block", 1).rank == (0 if edit == "add" else found.rank)


def test_random_directions_are_uniform() -> None:
    basis = np.eye(3)[:, :2]
    found = Subspace("pca", basis, basis, np.zeros(3), np.ones(3), None)
    drawn = np.array([random_like(found, seed).reads[:, 0] for seed in range(3000)])
    assert np.abs(drawn.mean(axis=0)).max() < 5 * np.sqrt(1 / 3 / 3000)
    np.testing.assert_allclose((drawn**2).mean(axis=0), 1 / 3, atol=5 * np.sqrt(4 / 45 / 3000))


GOOD, BASE = np.eye(4, dtype=np.float32), {"eng": -np.eye(4, dtype=np.float32)}
HOLE = np.array([[0, 1], [np.nan, 1]], dtype=np.float32)


@pytest.mark.parametrize(
    ("method", "target", "others", "rank", "message"),
    [
        ("diff_mea", GOOD, BASE, None, "direction 'diff_mea' is not known; .*did you mean 'diff_mean'"),
        ("lda", GOOD, BASE, 2, "direction 'lda' has no rank to choose; rank goes with pca, language_means"),
        ("pca", GOOD, BASE, 0, "rank is 0, expected at least 1"),
        ("pca", GOOD, BASE, 5, "rank is 5, but 4 sentences of width 4 give at most 4"),
        ("language_means", GOOD, BASE, 2, "rank is 2, but the means of 2 languages span 1"),
        ("lda", GOOD, {}, None, "no language beside the target"),
        ("lda", GOOD, {"eng": GOOD[:, :3]}, None, "responses of eng have width 3, those of the target 4"),
        ("lda", GOOD, {"eng": GOOD[0]}, None, r"responses of eng: shape \(4,\), expected \[sentences, width\]"),
        ("lda", GOOD[:0], BASE, None, r"responses of the target: shape \(0, 4\)"),
        ("lda", HOLE, {"eng": HOLE[:1]}, None, "responses of the target: sentence 1 is not finite"),
        ("lda", GOOD[:1], BASE, None, "'lda' needs at least 2 sentences of each language"),
        ("leace", GOOD, {"eng": GOOD[:1]}, None, "'leace' needs at least 2 sentences"),
        ("pca", GOOD[:1], BASE, None, "'pca' needs at least 2 sentences"),
        ("probe", GOOD[:1], BASE, None, "'probe' needs at least 2 sentences"),
        ("lda", np.ones((3, 4)), {"eng": np.zeros((3, 4))}, None, "responses do not vary between sentences"),
        ("leace", np.ones((3, 4)), {"eng": np.ones((3, 4))}, None, "responses do not vary"),
        ("leace", GOOD, {"eng": GOOD}, None, "all languages have the same mean response"),
        ("language_means", GOOD, {"eng": GOOD}, None, "all languages have the same mean response"),
        *(
            (method, GOOD, {"eng": GOOD}, None, f"'{method}': the target's mean response equals that of the other")
            for method in ("diff_mean", "pca", "lda", "probe")
        ),
    ],
)
def test_what_cannot_be_found(
    method: str, target: Rows, others: dict[str, Rows], rank: int | None, message: str
) -> None:
    with pytest.raises(ModelError, match=message) as error:
        find(method, target, others, rank)
    assert "\n" not in str(error.value)


def test_edits_that_a_direction_does_not_have() -> None:
    found, erasing = find("diff_mean", GOOD, BASE), find("leace", GOOD, BASE)
    for wrong in (-0.1, 1.1, np.nan):
        with pytest.raises(ModelError, match="edit 'project_out' takes 0 to 1"):
            edit_of(found, "project_out", wrong, "block", 1)
    with pytest.raises(ModelError, match="strength is nan, expected a finite number"):
        edit_of(found, "add", np.nan, "block", 1)
    with pytest.raises(ModelError, match="edit 'add' does not go with direction 'leace'; use project_out"):
        edit_of(erasing, "add", 1.0, "block", 1)


def test_two_sentences_of_each_language_are_enough() -> None:
    """Where all vary along one line only, Ledoit–Wolf alone would not shrink at all, and nothing could be inverted."""
    line, apart = np.random.default_rng(0).normal(size=(2, 50))
    pair = np.stack([line, -line])
    target, others = pair + apart, {"eng": pair - apart}
    for method in DIRECTIONS:
        found = find(method, target, others)
        erased = [edit_of(found, "project_out", 1.0, "block", 1).apply(rows) for rows in (target, others["eng"])]
        assert np.isfinite(erased).all()
        if method in ("leace", "diff_mean", "language_means"):
            np.testing.assert_allclose(erased[0].mean(axis=0), erased[1].mean(axis=0), atol=1e-5)
    assert find("lda", target, others).shrinkage == pytest.approx(1e-6)


def test_directions_need_no_torch() -> None:
    code = (
        "import sys, sprachbund_runners.directions;"
        "assert not {'torch', 'transformers', 'sqlalchemy', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
