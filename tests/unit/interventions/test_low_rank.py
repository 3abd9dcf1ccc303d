from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sprachbund.errors import ArtifactError, ModelError
from sprachbund.files.artifacts import ArtifactStore
from sprachbund.files.tensors import save_tensors
from sprachbund_runners.interventions.edit_files import edit_tensors, edits_for, read_edits
from sprachbund_runners.interventions.edits import UnitAffine, intervention_digest
from sprachbund_runners.interventions.low_rank import Edit, LowRank
from support.edits import set_to


def drawn(rank: int = 2, width: int = 6, seed: int = 0, **changes: Any) -> LowRank:
    numbers = np.random.default_rng(seed)
    plain: dict[str, Any] = {
        "site": "attn.out",
        "block": 2,
        "u": numbers.normal(size=(width, rank)),
        "v": numbers.normal(size=(width, rank)),
        "c": numbers.normal(size=width),
    }
    return LowRank(**plain | changes)


def test_the_definition_by_loops() -> None:
    edit = drawn()
    h = np.random.default_rng(1).normal(size=(3, 5, 6))
    found = edit.apply(h)
    for index in np.ndindex(3, 5):
        expected = h[index].copy()
        for r in range(2):
            expected += float(edit.v[:, r] @ h[index]) * edit.u[:, r]
        np.testing.assert_allclose(found[index], expected + edit.c, rtol=1e-6)
    assert (edit.width, edit.rank) == (6, 2)
    assert {each.dtype for each in (edit.u, edit.v, edit.c)} == {np.dtype(np.float32)}
    shift = drawn(0)
    np.testing.assert_allclose(shift.apply(h), h + shift.c)


def test_an_edit_is_not_changed_with_what_it_was_made_of() -> None:
    c = np.ones(6, dtype=np.float32)
    edit = drawn(c=c)
    c[0] = 9
    assert edit.c[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        edit.u[0, 0] = 1


def test_identity() -> None:
    nothing = np.zeros(6)
    assert drawn(0, c=nothing).identity
    assert drawn(u=np.zeros((6, 2)), c=nothing).identity
    half = np.zeros((6, 2))
    half[:, 0] = 1
    assert drawn(u=half, v=half[:, ::-1], c=nothing).identity
    assert not drawn(u=half, v=half, c=nothing).identity
    assert not drawn(0).identity


def test_everything_that_matters_is_in_the_digest() -> None:
    plain = drawn()
    changes = {
        "site": "mlp.down", "block": 1, "tokens": "last", "u": plain.u + 1, "v": plain.v + 1, "c": plain.c + 1,
    }  # fmt: skip
    digests = {drawn().digest()} | {drawn(**{name: new}).digest() for name, new in changes.items()}
    assert len(digests) == 7
    assert drawn(0, c=plain.c).digest() != plain.digest()
    others = [plain, set_to("mlp.up", 1, [1], 0.5)]
    assert intervention_digest(others) == intervention_digest(others[::-1])


@pytest.mark.parametrize(
    ("changes", "yes", "reason"),
    [
        ({}, True, "multiplies weight and bias"),
        ({"site": "mlp.hidden"}, True, "down projection's W"),
        ({"site": "block"}, False, "residual stream"),
        ({"site": "block", "u": np.zeros((6, 0)), "v": np.zeros((6, 0))}, True, "last linear module"),
        ({"tokens": "content"}, False, "content tokens only"),
    ],
)
def test_mergeable(changes: dict[str, Any], yes: bool, reason: str) -> None:
    found = drawn(**changes).mergeable
    assert found.yes is yes
    assert reason in found.reason


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"site": "attn.ou"}, "edit of attn.ou in block 2: unknown site; did you mean 'attn.out'"),
        ({"block": 0}, "blocks count from 1"),
        ({"tokens": "first"}, "tokens is 'first', expected all, content, last"),
        ({"u": np.ones((6, 1))}, r"u has shape \(6, 1\) but v \(6, 2\), expected the same rank"),
        ({"u": np.ones((5, 2))}, r"u has shape \(5, 2\), expected \[6, rank\]"),
        ({"v": np.ones(6)}, r"v has shape \(6,\), expected \[6, rank\]"),
        ({"c": np.float32(1)}, r"c has shape \(\), expected \[width\]"),
        ({"c": np.array([0, 1, np.inf, 0, 0, 0])}, r"c\[2\] is inf, expected a finite number"),
        ({"v": np.full((6, 2), np.nan)}, r"v\[0, 0\] is nan"),
        ({"u": np.ones((6, 7)), "v": np.ones((6, 7))}, "rank 7 for width 6"),
    ],
)
def test_wrong_edits(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message) as error:
        drawn(**changes)
    assert "\n" not in str(error.value)


MAP: dict[str, list[Edit]] = {
    "*": [drawn(), drawn(0, tokens="last"), set_to("mlp.up", 1, [5, 2], [0.5, 0.25])],
    "deu_Latn": [UnitAffine("mlp.up", 3, np.array([1]), np.ones(1), np.zeros(1), np.zeros(1), np.ones(1), "content")],
    "jpn_Jpan": [],
}


def fetched(store: ArtifactStore, tensors: Mapping[str, Any], metadata: Mapping[str, Any]) -> Path:
    stored = save_tensors(store, tensors, metadata)
    return store.fetch(stored.uri, stored.digest)


def test_a_map_of_edits_survives_a_file(tmp_path: Path) -> None:
    tensors, header = edit_tensors(MAP)
    assert header["edits"]["deu_Latn"] == [["unit_affine", "mlp.up", 3, "content"]]
    kept = ArtifactStore(tmp_path / "artifacts")
    path = fetched(kept, tensors, {"key": "k", **header})
    found = read_edits(path)
    assert list(found) == sorted(MAP)
    for language, edits in MAP.items():
        assert [type(edit) for edit in found[language]] == [type(edit) for edit in edits]
        assert [edit.digest() for edit in found[language]] == [edit.digest() for edit in edits]
        assert [(e.site, e.block, e.tokens) for e in found[language]] == [(e.site, e.block, e.tokens) for e in edits]


def test_which_edits_a_language_gets() -> None:
    assert edits_for(MAP, "deu_Latn") == MAP["deu_Latn"]
    assert edits_for(MAP, "jpn_Jpan") == []
    assert edits_for(MAP, "eng_Latn") == MAP["*"]
    assert edits_for({"deu_Latn": MAP["deu_Latn"]}, "eng_Latn") == []
    assert edits_for({}, "eng_Latn") == []


def test_files_that_hold_no_edits(tmp_path: Path) -> None:
    tensors, header = edit_tensors({"*": [drawn()]})
    kept = ArtifactStore(tmp_path / "artifacts")
    damaged = {
        "no map from language to edits": (tensors, {"edits": [["mlp.up", 1, "all"]]}),
        "its header has no map": (tensors, {}),
        "lacks '\\*/0/v'": ({name: each for name, each in tensors.items() if name != "*/0/v"}, header),
        "edit of type 'rotation', expected": (tensors, {"edits": {"*": [["rotation", "mlp.up", 1, "all"]]}}),
    }
    for message, (arrays, metadata) in damaged.items():
        path = fetched(kept, arrays, metadata)
        with pytest.raises(ArtifactError, match=message):
            read_edits(path)
