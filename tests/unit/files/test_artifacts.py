"""The artifact store: whole files or none, checked when read, evicted and made again."""

import errno
import hashlib
import os
import time
from pathlib import Path

import fsspec
import numpy as np
import pytest
from sqlalchemy import Engine, select

from sprachbund.db.engine import reading, writing
from sprachbund.db.tables import Artifact
from sprachbund.errors import ArtifactError
from sprachbund.files import artifacts
from sprachbund.files.artifacts import ArtifactStore, Stored

CONTENT = b"once upon a time" * 100


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def _files(store_root: Path) -> list[str]:
    return sorted(str(path.relative_to(store_root)) for path in store_root.rglob("*") if path.is_file())


def test_bytes_and_files_have_the_same_name(store: ArtifactStore, tmp_path: Path) -> None:
    source = tmp_path / "book.txt"
    source.write_bytes(CONTENT)
    digest = hashlib.sha256(CONTENT).hexdigest()
    expected = Stored("default", f"{digest[:2]}/{digest[2:]}.txt", digest, len(CONTENT))
    assert store.put_bytes(CONTENT, ".txt") == expected
    assert store.put_file(source) == expected
    assert source.exists()
    assert store.put_file(source, move=True) == expected
    assert not source.exists()
    assert store.fetch(expected.uri, digest).read_bytes() == CONTENT
    assert _files(tmp_path / "artifacts") == [expected.uri]


def test_missing_file_is_named(store: ArtifactStore) -> None:
    with pytest.raises(ArtifactError, match=r"artifact ab/cd\.txt is missing"):
        store.fetch("ab/cd.txt", "abcd")


def test_damaged_file_is_named_and_mended_by_storing_again(store: ArtifactStore) -> None:
    stored = store.put_bytes(CONTENT, ".txt")
    path = store.fetch(stored.uri, stored.digest)
    # Same length, and after a successful check in this process.
    path.write_bytes(CONTENT[:-1] + b"!")
    os.utime(path, (0, 0))
    with pytest.raises(ArtifactError, match=f"{path} is damaged"):
        store.fetch(stored.uri, stored.digest)
    store.put_bytes(CONTENT, ".txt")
    assert store.fetch(stored.uri, stored.digest).read_bytes() == CONTENT


def test_unchanged_file_is_digested_once(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = store.put_bytes(CONTENT, ".txt")
    store.fetch(stored.uri, stored.digest)
    monkeypatch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("read again"))
    store.fetch(stored.uri, stored.digest)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EACCES])
@pytest.mark.parametrize("call", ["put_bytes", "put_file"])
def test_failed_write_leaves_nothing(
    store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, call: str
) -> None:
    source = tmp_path / "book.txt"
    source.write_bytes(CONTENT)

    def fail(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(artifacts, "flush", fail)
    expected = "disk is full" if code != errno.EACCES else "Permission denied"
    with pytest.raises(ArtifactError, match=expected) as raised:
        store.put_bytes(CONTENT, ".txt") if call == "put_bytes" else store.put_file(source)
    assert "\n" not in str(raised.value)
    assert _files(tmp_path / "artifacts") == []


def test_really_full_disk(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    store = ArtifactStore(tmp_path)
    with pytest.raises(ArtifactError, match="disk is full"), store.clear_errors("x"):
        Path("/dev/full").write_bytes(CONTENT)


def test_remote_store_reads_through_a_cache(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    store = ArtifactStore("memory://bucket/sb", cache=tmp_path / "cache")
    stored = store.put_bytes(CONTENT, ".txt")
    assert memory.cat(f"/bucket/sb/{stored.uri}") == CONTENT
    path = store.fetch(stored.uri, stored.digest)
    assert path.read_bytes() == CONTENT
    assert path.is_relative_to(tmp_path / "cache")
    # A damaged copy is fetched anew, a damaged original is an error.
    path.write_bytes(b"other")
    assert store.fetch(stored.uri, stored.digest).read_bytes() == CONTENT
    memory.pipe(f"/bucket/sb/{stored.uri}", b"other")
    path.unlink()
    with pytest.raises(ArtifactError, match="is damaged"):
        store.fetch(stored.uri, stored.digest)
    path.unlink()
    memory.rm(f"/bucket/sb/{stored.uri}")
    with pytest.raises(ArtifactError, match="is missing"):
        store.fetch(stored.uri, stored.digest)
    assert not store.exists(stored.uri)


def test_unknown_protocol_and_credentials() -> None:
    with pytest.raises(ArtifactError, match="cannot be opened"):
        ArtifactStore("nowhere://bucket")
    store = ArtifactStore("memory://bucket", options={"secret": "s3cret"})
    assert "s3cret" not in repr(store)


def test_sweep_removes_old_unfinished_files_only(store: ArtifactStore) -> None:
    stored = store.put_bytes(CONTENT, ".txt")
    old, new = store.scratch / "old.txt", store.scratch / "new.txt"
    for path in (old, new):
        path.write_bytes(CONTENT)
    long_ago = time.time() - 100_000
    os.utime(old, (long_ago, long_ago))
    assert store.sweep() == 1
    assert not old.exists()
    assert new.exists()
    assert store.sweep(older_than_s=0) == 1
    assert store.exists(stored.uri)


def test_record_and_evict(engine: Engine, store: ArtifactStore) -> None:
    stored = store.put_bytes(CONTENT, ".txt")
    with writing(engine) as connection:
        artifact_id = store.record(connection, stored)
        assert store.record(connection, stored) == artifact_id
    assert _states(engine) == [(stored.uri, "present", len(CONTENT))]
    assert store.evict(engine, [artifact_id]) == len(CONTENT)
    assert store.evict(engine, [artifact_id]) == 0
    assert _states(engine) == [(stored.uri, "evicted", len(CONTENT))]
    with pytest.raises(ArtifactError, match="is missing"):
        store.fetch(stored.uri, stored.digest)
    # A file that went away between being stored and recorded.
    with pytest.raises(ArtifactError, match="was evicted while"), writing(engine) as connection:
        store.record(connection, stored)
    assert _states(engine) == [(stored.uri, "evicted", len(CONTENT))]
    with writing(engine) as connection:
        assert store.record(connection, store.put_bytes(CONTENT, ".txt")) == artifact_id
    assert _states(engine) == [(stored.uri, "present", len(CONTENT))]


def test_evict_leaves_other_stores_alone(sqlite_engine: Engine, store: ArtifactStore, tmp_path: Path) -> None:
    other = ArtifactStore(tmp_path / "other", "other")
    with writing(sqlite_engine) as connection:
        artifact_id = other.record(connection, other.put_bytes(CONTENT, ".txt"))
    assert store.evict(sqlite_engine, [artifact_id]) == 0
    assert [state for _, state, _ in _states(sqlite_engine)] == ["present"]


def test_save_tensors_is_in_the_store(store: ArtifactStore) -> None:
    stored = artifacts.save_tensors(store, {"x": np.arange(3)}, {"key": "k"})
    assert stored.uri.endswith(".safetensors")
    loaded = artifacts.load_tensors(store.fetch(stored.uri, stored.digest))
    np.testing.assert_array_equal(loaded["x"], np.arange(3))


def _states(engine: Engine) -> list[tuple[str, str, int]]:
    with reading(engine) as connection:
        rows = connection.execute(select(Artifact.uri, Artifact.state, Artifact.n_bytes))
        return [(row.uri, row.state, row.n_bytes) for row in rows]
