"""Garbage: what nobody refers to goes, what a job may still record stays."""

import os
import time
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, select

from sprachbund.db import tables as t
from sprachbund.db.engine import reading, writing
from sprachbund.files.artifacts import ArtifactStore, Stored
from sprachbund.files.bulk import columns_of_files
from sprachbund.files.garbage import collect_garbage, find_garbage
from sprachbund.progress import Silent

DAY = 86_400.0


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def aged(store: ArtifactStore, stored: Stored, tmp_path: Path) -> Stored:
    """The file as if stored two days ago."""
    path = tmp_path / "artifacts" / stored.uri
    os.utime(path, (time.time() - 2 * DAY,) * 2)
    return stored


def referred(engine: Engine, store: ArtifactStore, stored: Stored) -> int:
    """A row of the file, and a text that names it."""
    with writing(engine) as connection:
        artifact = store.record(connection, stored)
        connection.execute(insert(t.Language).values(code="eng_Latn", iso639_3="eng", name="English"))
        corpus = {"key": "c" * 40, "name": "c", "split": "test", "kind": "parallel", "source": {}}
        made = connection.execute(insert(t.Corpus).values(**corpus).returning(t.Corpus.id)).scalar_one()
        connection.execute(
            insert(t.CorpusText).values(
                key="t" * 40,
                corpus_id=made,
                language="eng_Latn",
                fingerprint="f",
                n_items=1,
                n_bytes=1,
                n_characters=1,
                chance={},
                artifact_id=artifact,
            )
        )
    return artifact


def rows(engine: Engine) -> dict[str, str]:
    with reading(engine) as connection:
        return dict(connection.execute(select(t.Artifact.uri, t.Artifact.state)).all())


def test_every_column_that_names_a_file_is_known() -> None:
    known = {f"{column.class_.__tablename__}.{column.key}" for column in columns_of_files()}
    named = {
        f"{table.name}.{key.parent.name}"
        for table in t.Base.metadata.sorted_tables
        for key in table.foreign_keys
        if key.column.table.name == "artifacts"
    }
    assert known == named


def test_what_nobody_refers_to_goes(engine: Engine, store: ArtifactStore, tmp_path: Path) -> None:
    kept = aged(store, store.put_bytes(b"kept", ".bin"), tmp_path)
    referred(engine, store, kept)
    stray = aged(store, store.put_bytes(b"a stray", ".bin"), tmp_path)
    young = store.put_bytes(b"of a job at work", ".bin")
    with writing(engine) as connection:
        unnamed = aged(store, store.put_bytes(b"unnamed", ".bin"), tmp_path)
        artifact = store.record(connection, unnamed)
        evicted = store.put_bytes(b"evicted", ".bin")
        gone = store.record(connection, evicted)
        connection.execute(t.Artifact.__table__.update().values(created_ms=0))
    store.evict(engine, [gone])
    back = aged(store, store.put_bytes(b"evicted", ".bin"), tmp_path)
    unfinished = store.scratch / "half.bin"
    unfinished.write_bytes(b"half")
    os.utime(unfinished, (0, 0))
    (store.scratch / "now.bin").write_bytes(b"now")
    others = tmp_path / "artifacts" / "README"
    others.write_text("mine")
    os.utime(others, (0, 0))

    found = find_garbage(engine, store)
    assert (found.unfinished.n_files, found.unfinished.n_bytes) == (1, 4)
    assert (found.unrecorded.n_files, found.unrecorded.n_bytes) == (2, stray.n_bytes + back.n_bytes)
    assert found.unreferenced.n_bytes == unnamed.n_bytes
    assert rows(engine).keys() == {kept.uri, unnamed.uri, evicted.uri} and artifact
    done = collect_garbage(engine, store, Silent().start)
    assert done.unfinished == found.unfinished
    assert done.n_bytes == found.n_bytes == 4 + stray.n_bytes + back.n_bytes + unnamed.n_bytes
    assert store.listing().keys() == {kept.uri, young.uri}
    assert rows(engine) == {kept.uri: "present"}
    assert others.exists() and (store.scratch / "now.bin").exists()
    assert find_garbage(engine, store).n_bytes == 0


def test_a_file_stored_anew_while_it_is_removed_stays(
    engine: Engine, store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stray = aged(store, store.put_bytes(b"again", ".bin"), tmp_path)
    rename = os.rename

    def late(source: str, target: Path) -> None:
        # A job stores the same bytes after the file was listed as old.
        store.put_bytes(b"again", ".bin")
        rename(source, target)

    monkeypatch.setattr(os, "rename", late)
    assert collect_garbage(engine, store, Silent().start).unrecorded.n_bytes == 0
    with writing(engine) as connection:
        store.record(connection, stray)
    assert rows(engine) == {stray.uri: "present"}
    assert store.fetch(stray.uri, stray.digest).read_bytes() == b"again"


def test_a_row_that_was_named_since_it_was_listed_stays(
    engine: Engine, store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = aged(store, store.put_bytes(b"named late", ".bin"), tmp_path)
    with writing(engine) as connection:
        store.record(connection, stored)
        connection.execute(t.Artifact.__table__.update().values(created_ms=0))

    def start(label: str, total: int) -> object:
        if label == "unreferenced files":
            assert total == 1
            referred(engine, store, stored)
        return lambda count: None

    assert collect_garbage(engine, store, start).n_bytes == 0  # type: ignore[arg-type]
    assert rows(engine) == {stored.uri: "present"}
    assert store.exists(stored.uri)


def test_a_store_that_is_not_local(sqlite_engine: Engine, tmp_path: Path) -> None:
    store = ArtifactStore("memory://garbage", cache=tmp_path / "cache")
    stored = store.put_bytes(b"far away", ".bin")
    assert find_garbage(sqlite_engine, store).n_bytes == 0
    assert collect_garbage(sqlite_engine, store, Silent().start, 0).n_bytes == stored.n_bytes
    assert store.listing() == {}
