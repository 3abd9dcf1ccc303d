import json
from pathlib import Path

import pytest

from sprachbund.errors import ModelError
from sprachbund.models.fingerprints import cached_snapshot, find_folder, fingerprint, looks_like_hub_id, model_files

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make(tmp_path / "a")


def make(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "config.json").write_text('{"model_type": "bloom"}')
    (path / "tokenizer.json").write_text("{}")
    (path / "model.safetensors").write_bytes(b"weights")
    return path


def test_the_path_and_other_files_do_not_matter(folder: Path, tmp_path: Path) -> None:
    twin = make(tmp_path / "elsewhere" / "b")
    (twin / "README.md").write_text("a model")
    assert fingerprint(folder) == fingerprint(twin)
    assert fingerprint(folder).startswith("sha256:")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors", "tokenizer_config.json"])
def test_every_file_that_counts_matters(folder: Path, name: str) -> None:
    before = fingerprint(folder)
    (folder / name).write_text('{"model_type": "gpt2"}')
    assert fingerprint(folder) != before


def test_a_hub_snapshot_is_its_commit(tmp_path: Path) -> None:
    snapshot = make(tmp_path / "models--o--n" / "snapshots" / COMMIT)
    assert fingerprint(snapshot) == f"hub:{COMMIT}"


def test_shards_are_found_by_their_index(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model-00001-of-00002.safetensors").write_bytes(b"1")
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match=r"lacks 1 of 2 weight files, first model-00002-of-00002.safetensors"):
        model_files(folder)
    (folder / "model-00002-of-00002.safetensors").write_bytes(b"2")
    assert len(model_files(folder)) == 5
    (folder / "model.safetensors.index.json").write_text("[]")
    with pytest.raises(ModelError, match=r"is not an index"):
        model_files(folder)


def test_what_is_missing_is_named(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model.safetensor")
    with pytest.raises(ModelError, match=r"no weights: expected model.safetensors; did you mean 'model.safetensor'"):
        fingerprint(folder)
    (folder / "model.safetensor").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"only pickled weights"):
        fingerprint(folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"no tokenizer: expected tokenizer.json"):
        fingerprint(folder)


def test_finding_a_model(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    assert find_folder("a") == Path("a")
    with pytest.raises(ModelError, match=r"is a folder: 'revision'"):
        find_folder("a", "main")
    with pytest.raises(ModelError, match=r"no folder here.*fetch it with: hf download owner/name$"):
        find_folder("owner/name")
    with pytest.raises(ModelError, match=r"model folder './ab' does not exist|model folder 'ab'"):
        find_folder("./ab")
    snapshot = make(tmp_path / "cache" / "models--owner--name" / "snapshots" / COMMIT)
    reference = tmp_path / "cache" / "models--owner--name" / "refs" / "main"
    reference.parent.mkdir()
    reference.write_text(COMMIT)
    assert find_folder("owner/name") == cached_snapshot("owner/name", COMMIT) == snapshot
    assert cached_snapshot("owner/name", "v2") is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [("gpt2", True), ("o/n-1.b", True), ("./a", False), ("a/b/c", False), ("/x", False), ("~/m", False)],
)
def test_hub_ids(name: str, expected: bool) -> None:
    assert looks_like_hub_id(name) is expected
