"""Stored embeddings, read back for people: figures and explained items."""

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from sprachbund.db import tables as t
from sprachbund.errors import LostArtifactError, QueryError
from sprachbund.files.artifacts import ArtifactStore
from sprachbund.files.tensors import load_tensors


def snapshot_layer(
    connection: Connection, store: ArtifactStore, key: str, layer: str, language: str
) -> NDArray[np.float32]:
    """float32 [n, d] of the snapshot with this key, whose language errors name.

    Raises QueryError if the layer was not computed or its file is not there any more.
    """
    statement = (
        select(t.SnapshotPart.layer, t.SnapshotPart.tensor, t.Artifact.uri, t.Artifact.digest, t.Artifact.state)
        .join(t.Snapshot, t.Snapshot.id == t.SnapshotPart.snapshot_id)
        .join(t.Artifact, t.Artifact.id == t.SnapshotPart.artifact_id)
        .where(t.Snapshot.key == key)
    )
    parts = {row.layer: row for row in connection.execute(statement)}
    if layer not in parts:
        have = ", ".join(sorted(parts)) or "none; run the experiment first"
        raise QueryError(f"no embeddings of {language} at layer {layer}, layers there are: {have}")
    part = parts[layer]
    try:
        if part.state != "present":
            raise LostArtifactError(part.uri)
        path = store.fetch(part.uri, part.digest)
    except LostArtifactError:
        raise QueryError(
            f"the embeddings of {language} at layer {layer} were evicted; submit and run the experiment again"
        ) from None
    return load_tensors(path, [part.tensor])[part.tensor].astype(np.float32)
