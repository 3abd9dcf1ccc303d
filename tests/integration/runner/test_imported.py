"""Vectors of an encoder that ran elsewhere: imported once, evaluated like any model, refused in one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from sprachbund.errors import SprachbundError
from sprachbund.models.imported import import_vectors
from sprachbund.spec.reading import write_yaml
from sprachbund.workspace import Workspace

Make = Callable[..., dict[str, Any]]
LANGUAGES = ["eng_Latn", "deu_Latn", "fra_Latn"]


@pytest.fixture
def vectors() -> NDArray[np.float32]:
    """[languages, items, dimension]: translations are noisy copies of one another."""
    drawn = np.random.default_rng(0)
    meaning = drawn.standard_normal((30, 8))
    noise = drawn.standard_normal((len(LANGUAGES), 30, 8))
    return (meaning + 0.8 * noise).astype(np.float32)


@pytest.fixture
def meta(tmp_path: Path, word_corpus: Path) -> Callable[..., Path]:
    def write(**fields: Any) -> Path:
        corpus = {"name": "words", "path": str(word_corpus), "layout": "wide", "split": "test"}
        path = tmp_path / "meta.yaml"
        path.write_text(write_yaml({"name": "outside", "corpus": corpus, "languages": LANGUAGES, **fields}))
        return path

    return write


def top1(x: NDArray[np.float32], y: NDArray[np.float32]) -> float:
    unit_x, unit_y = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (x, y))
    return float(np.mean((unit_x @ unit_y.T).argmax(axis=1) == np.arange(len(x))))


def test_an_outside_encoder_gets_the_same_evaluations(
    space: Workspace, experiment: Make, meta: Callable[..., Path], vectors: NDArray[np.float32], tmp_path: Path
) -> None:
    np.save(tmp_path / "v.npy", vectors)
    out = tmp_path / "encoders" / "outside"
    done = import_vectors(tmp_path / "v.npy", meta(), out)
    assert (done.n_texts, done.dimension, done.layers) == (3, 8, ("final",))
    spec = experiment(models=str(out), targets=[], interventions=["none", "centring_transductive"], choose=None)
    spec["corpora"] = {"test": spec["corpora"]["test"]}
    submitted = space.submit(spec)
    tally = space.run()
    assert tally.failed == 0, tally.errors
    frame = space.results(submitted).filter((pl.col("metric") == "top1") & (pl.col("setting") == "none"))
    assert frame.height == 6
    assert set(frame["layer"]) == {"final"}
    for row in frame.iter_rows(named=True):
        x, y = (vectors[LANGUAGES.index(row[side])] for side in ("query_language", "candidate_language"))
        assert row["value"] == pytest.approx(top1(x, y))
    # Another layer joins what is there; the same content again changes nothing.
    again = import_vectors(tmp_path / "v.npy", meta(layer=3), out)
    assert again.layers == ("3", "final")
    assert import_vectors(tmp_path / "v.npy", meta(layer=3), out) == again


def test_a_tensor_per_language_and_stacked_rows_are_the_same(
    meta: Callable[..., Path], vectors: NDArray[np.float32], tmp_path: Path
) -> None:
    save_file({language: vectors[number] for number, language in enumerate(LANGUAGES)}, tmp_path / "v.safetensors")
    np.save(tmp_path / "stacked.npy", vectors.reshape(-1, 8))
    import_vectors(tmp_path / "v.safetensors", meta(), tmp_path / "a")
    import_vectors(tmp_path / "stacked.npy", meta(), tmp_path / "b")
    for name in ("config.json", "vectors.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize(
    ("change", "fields", "said"),
    [
        (lambda v: v[:, :-1], {}, r"shape \[3, 29, 8\]; expected \[3, 30, dimension\]"),
        (lambda v: v.astype(np.int64), {}, "expected floating-point"),
        (lambda v: np.where(v == v[1, 4, 0], np.nan, v), {}, "vector of item 4 of deu_Latn is not finite"),
        (lambda v: v, {"layer": "last"}, "layer"),
        (lambda v: v, {"lyer": "final"}, r"did you mean 'layer'\?"),
        (lambda v: v, {"languages": ["eng_Latn", "ita_Latn"]}, "ita_Latn"),
    ],
)
def test_what_does_not_fit_is_one_line_and_leaves_nothing(
    meta: Callable[..., Path],
    vectors: NDArray[np.float32],
    tmp_path: Path,
    change: Callable[[NDArray[Any]], NDArray[Any]],
    fields: dict[str, Any],
    said: str,
) -> None:
    np.save(tmp_path / "v.npy", change(vectors))
    with pytest.raises(SprachbundError, match=said) as caught:
        import_vectors(tmp_path / "v.npy", meta(**fields), tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_pickles_are_refused(meta: Callable[..., Path], tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(SprachbundError, match="not an array of numbers"):
        import_vectors(tmp_path / "v.npy", meta(), tmp_path / "out")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"interventions": ["experts"], "targets": ["eng_Latn"]}, "was imported as vectors"),
        ({"interventions": ["none"], "languages": None}, "imported without vectors of words spa_Latn"),
        ({"interventions": ["none"], "embeddings": {"layers": [2]}}, "without layer 2"),
    ],
)
def test_what_vectors_cannot_serve_is_refused_at_submission(
    space: Workspace,
    experiment: Make,
    meta: Callable[..., Path],
    vectors: NDArray[np.float32],
    tmp_path: Path,
    fields: dict[str, Any],
    said: str,
) -> None:
    np.save(tmp_path / "v.npy", vectors)
    import_vectors(tmp_path / "v.npy", meta(), tmp_path / "outside")
    spec = experiment(**{"models": str(tmp_path / "outside"), "choose": None, "targets": [], **fields})
    roles = ("fit", "test") if fields["interventions"] == ["experts"] else ("test",)
    spec["corpora"] = {role: spec["corpora"][role] for role in roles}
    with pytest.raises(SprachbundError, match=said):
        space.submit(spec)


@pytest.mark.parametrize("fails", [1, 2])
def test_an_interrupt_leaves_what_was_there(
    meta: Callable[..., Path],
    vectors: NDArray[np.float32],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fails: int,
) -> None:
    np.save(tmp_path / "v.npy", vectors)
    out = tmp_path / "encoders" / "outside"
    import_vectors(tmp_path / "v.npy", meta(), out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    rename, calls = Path.rename, []

    def interrupted(path: Path, target: Path) -> Path:
        calls.append(path)
        if len(calls) == fails:
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        import_vectors(tmp_path / "v.npy", meta(layer=3), out)
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert [path.name for path in out.parent.iterdir()] == ["outside"]
    assert import_vectors(tmp_path / "v.npy", meta(layer=3), out).layers == ("3", "final")
    assert [path.name for path in out.parent.iterdir()] == ["outside"]


def test_languages_with_the_same_text_keep_their_own_vectors(
    space: Workspace, experiment: Make, tmp_path: Path, vectors: NDArray[np.float32]
) -> None:
    table = tmp_path / "same.tsv"
    lines = [f"{item}\tword {item}\tword {item}" for item in range(30)]
    table.write_text("\n".join(["item\teng_Latn\tdeu_Latn", *lines]) + "\n")
    corpus = {"name": "same", "path": str(table), "layout": "wide", "columns": {"item": "item"}}
    meta = tmp_path / "meta.yaml"
    meta.write_text(write_yaml({"name": "outside", "corpus": corpus, "languages": LANGUAGES[:2]}))
    np.save(tmp_path / "v.npy", vectors[:2])
    done = import_vectors(tmp_path / "v.npy", meta, tmp_path / "outside")
    assert done.n_texts == 2
    spec = experiment(models=str(tmp_path / "outside"), targets=[], interventions=["none"], choose=None)
    submitted = space.submit({**spec, "corpora": {"test": corpus}, "languages": LANGUAGES[:2]})
    tally = space.run()
    assert tally.failed == 0, tally.errors
    frame = space.results(submitted, "alignment").filter(pl.col("metric") == "centroid_distance")
    x, y = (each.mean(axis=0) / np.linalg.norm(each.mean(axis=0)) for each in vectors[:2])
    assert frame["value"].to_list() == pytest.approx([1 - float(x @ y)] * frame.height, abs=1e-5)
    assert frame.height
