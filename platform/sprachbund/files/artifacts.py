"""Content-addressed files: a file's name is the digest of its bytes, its place relative to a named store.

Local stores write into a temporary file, fsync and rename: a reader sees a whole file or none. Remote
stores (any fsspec URL) upload, and read through a local cache. Every file is checked against its digest the
first time a process reads it, and again when it has changed since.
"""

import contextlib
import errno
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import fsspec
from fsspec.implementations.local import LocalFileSystem
from sqlalchemy import Connection, Engine, select, update
from sqlalchemy.dialects import postgresql, sqlite

from sprachbund.db.engine import now_ms, writing
from sprachbund.db.rows import chunks
from sprachbund.db.tables import Artifact
from sprachbund.errors import ArtifactError, LostArtifactError
from sprachbund.files.tensors import TensorSpool, load_tensors, save_tensors

__all__ = ["ArtifactStore", "Stored", "TensorSpool", "load_tensors", "save_tensors"]

TEMPORARY = ".temporary"
_URI = re.compile(r"[0-9a-f]{2}/[0-9a-f]{62}(\.\w+)?")


@dataclass(frozen=True, slots=True)
class Stored:
    """A file in a store: sha256 in hexadecimal, `uri` relative to the store's root, size in bytes."""

    store: str
    uri: str
    digest: str
    n_bytes: int


class ArtifactStore:
    """A folder of content-addressed files, local or behind fsspec.

    root: a path or an fsspec URL (`s3://bucket/folder`). options: what fsspec passes to the file system,
    such as credentials; never shown. cache: where copies of remote files go.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        name: str = "default",
        options: Mapping[str, Any] | None = None,
        cache: Path | None = None,
    ) -> None:
        self.name = name
        try:
            self._files, self._root = fsspec.url_to_fs(os.fspath(root), **dict(options or {}))
        except (ValueError, ImportError) as error:
            raise ArtifactError(f"artifact store '{name}' cannot be opened: {error}") from None
        self._local = isinstance(self._files, LocalFileSystem)
        self._cache = cache or Path(tempfile.gettempdir()) / f"sprachbund-cache-{os.getuid()}" / name
        self._checked: set[tuple[str, int, int, int]] = set()

    def __repr__(self) -> str:
        return f"ArtifactStore({self._root!r}, {self.name!r})"

    @property
    def scratch(self) -> Path:
        """A folder for unfinished files, on the same disk as the store where that is local."""
        folder = (Path(self._root) if self._local else self._cache) / TEMPORARY
        with self.clear_errors(f"{folder}"):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    @contextlib.contextmanager
    def unfinished(self, suffix: str) -> Iterator[Path]:
        """A path in `scratch` to write to; whatever is left there at the end is removed."""
        path = self.scratch / f"{uuid4().hex}{suffix}"
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def put_bytes(self, content: bytes, suffix: str) -> Stored:
        """Store `content`; `suffix` is the file name's end, as `.parquet`.

        Raises:
            ArtifactError: the disk is full, or the store may not be written; nothing is left behind.
        """
        with self.clear_errors(f"a file of {len(content)} bytes"), self.unfinished(suffix) as path:
            with path.open("wb") as handle:
                handle.write(content)
                flush(handle.fileno())
            return self._adopt(path, hashlib.sha256(content).hexdigest(), suffix)

    def put_file(self, source: Path, suffix: str | None = None, *, move: bool = False) -> Stored:
        """Store a file: a copy of it, or with `move` the file itself. Raises as `put_bytes`."""
        suffix = source.suffix if suffix is None else suffix
        with self.clear_errors(str(source)), self.unfinished(suffix) as path:
            if move:
                shutil.move(source, path)
            else:
                shutil.copyfile(source, path)
            with path.open("rb") as handle:
                digest = hashlib.file_digest(handle, "sha256").hexdigest()
                flush(handle.fileno())
            return self._adopt(path, digest, suffix)

    def _adopt(self, path: Path, digest: str, suffix: str) -> Stored:
        """Give a finished file its place. One that is there already is replaced: it may be damaged."""
        uri = f"{digest[:2]}/{digest[2:]}{suffix}"
        n_bytes = path.stat().st_size
        if self._local:
            target = Path(self._root) / uri
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, target)
            folder = os.open(target.parent, os.O_RDONLY)
            try:
                flush(folder)
            finally:
                os.close(folder)
        else:
            self._files.makedirs(f"{self._root}/{digest[:2]}", exist_ok=True)
            self._files.put_file(str(path), f"{self._root}/{uri}")
        return Stored(self.name, uri, digest, n_bytes)

    def fetch(self, uri: str, digest: str) -> Path:
        """A local path of the file, its bytes checked against `digest`.

        Raises:
            LostArtifactError: the file is missing or damaged.
            ArtifactError: it cannot be read or fetched just now.
        """
        if self._local:
            path = Path(self._root) / uri
        else:
            path = self._cache / uri
            if not path.is_file() or self._digest(path) != digest:
                self._download(uri, path)
        try:
            found = self._digest(path)
        except FileNotFoundError:
            raise LostArtifactError(f"artifact {uri} is missing from {self!r}") from None
        except OSError as error:
            raise ArtifactError(f"artifact {path} cannot be read: {error.strerror}") from None
        if found != digest:
            raise LostArtifactError(f"artifact {path} is damaged: its sha256 is {found[:12]}…, expected {digest[:12]}…")
        return path

    def _digest(self, path: Path) -> str:
        """The file's sha256; not read again while size, time and inode stay what they were when it was right."""
        state = path.stat()
        expected = path.parent.name + path.name.split(".")[0]
        mark = (expected, state.st_size, state.st_mtime_ns, state.st_ino)
        if mark in self._checked:
            return expected
        with path.open("rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
        if digest == expected:
            self._checked.add(mark)
        return digest

    def _download(self, uri: str, path: Path) -> None:
        with self.clear_errors(uri), self.unfinished(path.suffix) as part:
            try:
                self._files.get_file(f"{self._root}/{uri}", str(part))
            except FileNotFoundError:
                raise LostArtifactError(f"artifact {uri} is missing from {self!r}") from None
            path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(part, path)

    def exists(self, uri: str) -> bool:
        """Whether the store has this file; its bytes are not looked at."""
        return bool(self._files.exists(f"{self._root}/{uri}"))

    def record(self, connection: Connection, stored: Stored) -> int:
        """The id of the file's row in `artifacts`, made if there is none, present again if it was evicted.

        Raises:
            ArtifactError: the file was evicted between being stored and now.
        """
        build = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        place = {"store": stored.store, "uri": stored.uri, "state": "present"}
        insert = build(Artifact).values(
            digest=stored.digest, n_bytes=stored.n_bytes, created_ms=now_ms(connection), **place
        )
        upsert = insert.on_conflict_do_update(index_elements=["digest"], set_=place).returning(Artifact.id)
        artifact_id = int(connection.execute(upsert).scalar_one())
        if not self.exists(stored.uri):
            raise ArtifactError(f"artifact {stored.uri} was evicted while its job was finishing")
        return artifact_id

    def evict(self, engine: Engine, artifact_ids: Sequence[int]) -> int:
        """Delete files and mark their rows; returns the bytes freed. Metrics stay; needs are made anew.

        Rows of other stores, and rows evicted before, are left alone.
        """
        return sum(self._evict(engine, chunk) for chunk in chunks(artifact_ids))

    def _evict(self, engine: Engine, artifact_ids: Sequence[int]) -> int:
        """One transaction's part: no other writer waits for long."""
        freed = 0
        with writing(engine) as connection:
            # The file goes while the row is locked, so that `record` sees both or neither.
            chosen = select(Artifact.id, Artifact.uri, Artifact.n_bytes).where(
                Artifact.id.in_(artifact_ids), Artifact.store == self.name, Artifact.state == "present"
            )
            rows = connection.execute(chosen.order_by(Artifact.id).with_for_update()).all()
            connection.execute(
                update(Artifact).where(Artifact.id.in_([row.id for row in rows])).values(state="evicted")
            )
            for row in rows:
                freed += int(row.n_bytes) * self.remove(row.uri)
        return freed

    def remove(self, uri: str) -> bool:
        """Delete a file; False where there was none. For callers who hold its row's lock."""
        try:
            with self.clear_errors(uri):
                self._files.rm_file(f"{self._root}/{uri}")
        except FileNotFoundError:
            return False
        return True

    def remove_stale(self, uri: str, older_than_s: float) -> int:
        """Delete a file that has not been stored anew of late; returns its bytes, 0 if it stays or is gone.

        For callers who hold its row's lock, or that of one with its digest. A local file is looked at again once it is
        out of the way: one that a job stored in this very moment goes back.
        """
        name = f"{self._root}/{uri}"
        with contextlib.suppress(FileNotFoundError), self.clear_errors(uri):
            if not self._local:
                n_bytes = int(self._files.size(name) or 0)
                return n_bytes * (self._age(name) >= older_than_s and self.remove(uri))
            with self.unfinished(".stale") as aside:
                os.rename(name, aside)
                state = aside.stat()
                if time.time() - state.st_mtime >= older_than_s:
                    return state.st_size
                os.replace(aside, name)
        return 0

    def listing(self) -> dict[str, int]:
        """Size in bytes by uri of every file that looks like one of this store's; others are never touched."""
        self._files.invalidate_cache()
        found = self._files.find(self._root, detail=True)
        sizes = {name.removeprefix(f"{self._root}/"): int(info["size"]) for name, info in found.items()}
        return {uri: size for uri, size in sizes.items() if _URI.fullmatch(uri)}

    def age_s(self, uri: str) -> float:
        """Seconds since a file was stored; 0 where it is gone."""
        try:
            return self._age(f"{self._root}/{uri}")
        except FileNotFoundError:
            return 0.0

    def _age(self, name: str) -> float:
        return time.time() - float(self._files.modified(name).timestamp())

    def leftovers(self, older_than_s: float) -> dict[Path, int]:
        """Size in bytes of every unfinished file that nobody wrote to for so long."""
        found: dict[Path, int] = {}
        for path in self.scratch.iterdir():
            with contextlib.suppress(FileNotFoundError):
                state = path.stat()
                if time.time() - state.st_mtime >= older_than_s:
                    found[path] = state.st_size
        return found

    def sweep(self, older_than_s: float = 86_400) -> int:
        """Remove unfinished files that killed processes left behind; returns how many."""
        left = self.leftovers(older_than_s)
        for path in left:
            path.unlink(missing_ok=True)
        return len(left)

    @contextlib.contextmanager
    def clear_errors(self, what: str) -> Iterator[None]:
        """Turn failures of writing `what` into ArtifactError."""
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                reason = "the disk is full"
            else:
                reason = error.strerror or type(error).__name__
            raise ArtifactError(f"artifact store {self._root}: cannot write {what}: {reason}") from None


def flush(descriptor: int) -> None:
    """Have the kernel write a file or folder out before going on."""
    os.fsync(descriptor)
