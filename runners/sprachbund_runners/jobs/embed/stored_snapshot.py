"""Snapshots as files and rows: how one is written, whoever made its vectors, and read back."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from sprachbund.db import tables as t
from sprachbund.db.rows import upsert
from sprachbund.errors import ModelError
from sprachbund.files.artifacts import Stored
from sprachbund.queue import Claim
from sprachbund.work.payloads.embed import SnapshotPayload
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.models.batches import TokenisedTexts


def tensor_name(layer: str) -> str:
    """The tensor that holds a layer in a snapshot's file."""
    return f"layer.{layer}"


def store_snapshot(
    claim: Claim[SnapshotPayload],
    context: Context,
    layers: Mapping[str, NDArray[np.float32]],
    batch_plan: str | None = None,
    texts: TokenisedTexts | None = None,
) -> Outcome:
    """The claim's outcome from its vectors, float32 [items, dimension] by layer; ModelError where they overflow.

    texts: what the model read; None of vectors that were imported.
    """
    dtype = np.dtype(claim.payload.stored_dtype)
    with np.errstate(over="ignore"):  # told below
        tensors = {tensor_name(layer): values.astype(dtype) for layer, values in layers.items()}
    for name, values in tensors.items():
        if not np.isfinite(values).all():
            raise ModelError(f"{claim.label}: {name} overflows {dtype}; use embeddings.dtype: float32")
    shape = next(iter(tensors.values())).shape
    return snapshot_outcome(
        claim, context, context.save(tensors, {"key": claim.subject}), (shape[0], shape[1]), batch_plan, texts
    )


def snapshot_outcome(
    claim: Claim[SnapshotPayload],
    context: Context,
    stored: Stored,
    shape: tuple[int, int],
    batch_plan: str | None,
    texts: TokenisedTexts | None,
) -> Outcome:
    """The claim's outcome from a stored file with its layers (`tensor_name`), each of that shape."""
    payload = claim.payload
    text_id = context.text(payload.text.key).id
    n_truncated = 0 if texts is None else texts.n_truncated
    n_tokens = None if texts is None or n_truncated else int(texts.counts("content").sum())

    def write(connection: Connection) -> None:
        row = {
            "key": claim.subject,
            "setting_id": connection.execute(select(t.Setting.id).where(t.Setting.key == payload.setting)).scalar_one(),
            "corpus_text_id": text_id,
            "pooling": payload.pooling,
            "tokens": payload.tokens,
            "dtype": payload.stored_dtype,
            "n_items": shape[0],
            "n_tokens": n_tokens,
            "dimension": shape[1],
        }
        upsert(connection, t.Snapshot, row, ["key"], [])
        snapshot_id = connection.execute(select(t.Snapshot.id).where(t.Snapshot.key == claim.subject)).scalar_one()
        artifact_id = context.store.record(connection, stored)
        for layer in payload.layers:
            part = {
                "snapshot_id": snapshot_id,
                "layer": layer,
                "job_id": claim.job_id,
                "artifact_id": artifact_id,
                "tensor": tensor_name(layer),
            }
            upsert(connection, t.SnapshotPart, part, ["snapshot_id", "layer"], ["artifact_id"])

    return Outcome(claim, write, batch_plan, n_truncated)


def read_layer(context: Context, key: str, layer: str) -> NDArray[np.float32]:
    """One layer of a stored snapshot, float32 [n, d]."""
    with context.reading() as connection:
        row = connection.execute(
            select(t.SnapshotPart)
            .join(t.Snapshot, t.Snapshot.id == t.SnapshotPart.snapshot_id)
            .where(t.Snapshot.key == key, t.SnapshotPart.layer == layer)
        ).one()
        tensors = context.tensors(connection, row.artifact_id, row.job_id, [row.tensor])
    return tensors[row.tensor].astype(np.float32)
