"""Stored embeddings, read back for people: figures and explained items."""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, select

from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.errors import QueryError
from sprachbund.files.artifacts import ArtifactStore
from sprachbund.files.tensors import load_tensors
from sprachbund.queue import Queue


def require_snapshots(engine: Engine, store: ArtifactStore, keys: Collection[str], layer: str) -> None:
    """Have the files of these snapshots made again that are not there; QueryError says so in that case."""
    statement = (
        select(t.SnapshotPart.job_id, t.Artifact.uri, t.Artifact.state)
        .join(t.Snapshot, t.Snapshot.id == t.SnapshotPart.snapshot_id)
        .join(t.Artifact, t.Artifact.id == t.SnapshotPart.artifact_id)
        .where(t.Snapshot.key.in_(keys), t.SnapshotPart.layer == layer)
    )
    with reading(engine) as connection:
        rows = connection.execute(statement).all()
    makers = sorted({row.job_id for row in rows if row.state == "evicted" or not store.exists(row.uri)})
    if makers:
        Queue(engine).reopen(makers)
        raise QueryError(
            f"{len(makers)} of {len(rows)} files of embeddings at layer {layer} were not kept; the jobs that make them"
            " are queued again: `sprachbund run --keep all`, then repeat this command"
        )


def snapshot_layer(
    connection: Connection, store: ArtifactStore, key: str, layer: str, language: str
) -> NDArray[np.float32]:
    """float32 [n, d] of the snapshot with this key, whose language errors name.

    Raises QueryError if the layer was not computed, LostArtifactError if its file is damaged.
    """
    statement = (
        select(t.SnapshotPart.layer, t.SnapshotPart.tensor, t.Artifact.uri, t.Artifact.digest)
        .join(t.Snapshot, t.Snapshot.id == t.SnapshotPart.snapshot_id)
        .join(t.Artifact, t.Artifact.id == t.SnapshotPart.artifact_id)
        .where(t.Snapshot.key == key)
    )
    parts = {row.layer: row for row in connection.execute(statement)}
    if layer not in parts:
        have = ", ".join(sorted(parts)) or "none; run the experiment first"
        raise QueryError(f"no embeddings of {language} at layer {layer}, layers there are: {have}")
    part = parts[layer]
    return load_tensors(store.fetch(part.uri, part.digest), [part.tensor])[part.tensor].astype(np.float32)
