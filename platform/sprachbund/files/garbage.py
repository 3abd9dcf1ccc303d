"""Files that nobody refers to: what jobs left that never finished, what was evicted, what a deletion left behind.

Safe beside runners. A file is stored first and recorded in the transaction that finishes its job; what is younger than
a grace age is left alone, and nothing is removed without a lock under which no job can record it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, and_, delete, insert, select

from sprachbund.db import tables as t
from sprachbund.db.engine import now_ms, reading, writing
from sprachbund.db.rows import chunks
from sprachbund.files.artifacts import ArtifactStore
from sprachbund.files.bulk import columns_of_files

GRACE_S = 86_400.0
Start = Callable[[str, int], Callable[[int], None]]


@dataclass(frozen=True, slots=True)
class Heap:
    """So many files, and their bytes."""

    n_files: int = 0
    n_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Garbage:
    """unfinished: temporary files. unrecorded: files without a row, or whose row says that they were evicted.

    unreferenced: rows that nothing names, with their files.
    """

    unfinished: Heap
    unrecorded: Heap
    unreferenced: Heap

    @property
    def n_bytes(self) -> int:
        return self.unfinished.n_bytes + self.unrecorded.n_bytes + self.unreferenced.n_bytes


def find_garbage(engine: Engine, store: ArtifactStore, older_than_s: float = GRACE_S) -> Garbage:
    """What `collect_garbage` would remove now."""
    left = store.leftovers(older_than_s)
    strays = _strays(engine, store, older_than_s)
    with reading(engine) as connection:
        rows = _sizes(connection, _old_rows(connection, store, older_than_s))
    return Garbage(
        Heap(len(left), sum(left.values())), Heap(len(strays), sum(strays.values())), Heap(len(rows), sum(rows))
    )


def collect_garbage(engine: Engine, store: ArtifactStore, start: Start, older_than_s: float = GRACE_S) -> Garbage:
    """Remove temporary files, files without a row and rows that nothing names, all older than the grace age."""
    left = store.leftovers(older_than_s)
    store.sweep(older_than_s)
    with reading(engine) as connection:
        rows = list(connection.execute(_old_rows(connection, store, older_than_s)).scalars())
    unreferenced = drop_unreferenced(engine, store, rows, start("unreferenced files", len(rows)))
    strays = sorted(_strays(engine, store, older_than_s))
    step = start("unrecorded files", len(strays))
    freed: list[int] = []
    for chunk in chunks(strays):
        freed += _remove_strays(engine, store, chunk, older_than_s)
        step(len(chunk))
    return Garbage(Heap(len(left), sum(left.values())), Heap(len(freed), sum(freed)), unreferenced)


def drop_unreferenced(
    engine: Engine, store: ArtifactStore, artifacts: Sequence[int], step: Callable[[int], None]
) -> Heap:
    """Delete those of these rows that nothing names, and their files; a transaction per chunk."""
    freed: list[int] = []
    for chunk in chunks(artifacts):
        with writing(engine) as connection:
            # Locked first and looked at afterwards: whoever records one of them in the meantime is seen, or waits.
            locked = select(t.Artifact.id).where(t.Artifact.id.in_(chunk)).with_for_update(skip_locked=True)
            ids = list(connection.execute(locked).scalars())
            gone = connection.execute(
                delete(t.Artifact)
                .where(t.Artifact.id.in_(ids), unreferenced())
                .returning(t.Artifact.uri, t.Artifact.n_bytes, t.Artifact.store, t.Artifact.state)
            ).all()
            for row in gone:
                there = row.store == store.name and store.remove(row.uri)
                freed.append(row.n_bytes * there)
        step(len(chunk))
    return Heap(len(freed), sum(freed))


def unreferenced() -> Any:
    """SQL: nothing names the row of `artifacts`."""
    return and_(*(~select(1).where(column == t.Artifact.id).exists() for column in columns_of_files()))


def _old_rows(connection: Connection, store: ArtifactStore, older_than_s: float) -> Any:
    return select(t.Artifact.id).where(
        t.Artifact.store == store.name,
        t.Artifact.created_ms <= now_ms(connection) - int(older_than_s * 1000),
        unreferenced(),
    )


def _sizes(connection: Connection, ids: Any) -> list[int]:
    """Bytes that each of these rows takes up: none where its file was evicted."""
    rows = connection.execute(select(t.Artifact.n_bytes, t.Artifact.state).where(t.Artifact.id.in_(ids)))
    return [n_bytes * (state == "present") for n_bytes, state in rows]


def sizes_unreferenced(connection: Connection, artifacts: Iterable[int]) -> list[int]:
    """Bytes of those of these rows that nothing names, as this transaction sees it."""
    found: list[int] = []
    for chunk in chunks(sorted(artifacts)):
        found += _sizes(connection, select(t.Artifact.id).where(t.Artifact.id.in_(chunk), unreferenced()))
    return found


def _strays(engine: Engine, store: ArtifactStore, older_than_s: float) -> dict[str, int]:
    """Size by uri of the files without a row that says they are there."""
    # Listed first: what is recorded afterwards is no stray.
    listed = store.listing()
    with reading(engine) as connection:
        present = set(connection.execute(select(t.Artifact.uri).where(t.Artifact.state == "present")).scalars())
    return {uri: n for uri, n in listed.items() if uri not in present and store.age_s(uri) >= older_than_s}


def _remove_strays(engine: Engine, store: ArtifactStore, uris: Sequence[str], older_than_s: float) -> list[int]:
    """Bytes of each file that went: those that were recorded or stored anew since they were listed stay."""
    digests = {uri: uri.replace("/", "").partition(".")[0] for uri in uris}
    with writing(engine) as connection:
        known = select(t.Artifact.digest, t.Artifact.state).where(t.Artifact.digest.in_(digests.values()))
        states = dict(connection.execute(known.with_for_update()).all())
        # Whoever records such a file now waits for this transaction, and so comes after the look at the file.
        row = {"store": store.name, "n_bytes": 0, "state": "evicted", "created_ms": now_ms(connection)}
        fresh = [{**row, "uri": uri, "digest": digest} for uri, digest in digests.items() if digest not in states]
        made = [
            connection.execute(insert(t.Artifact).values(**each).returning(t.Artifact.id)).scalar_one()
            for each in fresh
        ]
        strays = [uri for uri, digest in digests.items() if states.get(digest) != "present"]
        freed = [n_bytes for uri in strays if (n_bytes := store.remove_stale(uri, older_than_s))]
        connection.execute(delete(t.Artifact).where(t.Artifact.id.in_(made)))
    return freed
