"""Snapshots: all languages of one setting in one pass, all requested layers, one file per language."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from sprachbund.db import tables as t
from sprachbund.errors import ModelError
from sprachbund.queue import Claim
from sprachbund.submission import upsert
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.intervention import find_edits
from sprachbund_runners.models.batches import PassReport, tokenise
from sprachbund_runners.models.embed import embed

# Embeddings of one pass are held until its languages are written.
PASS_BYTES = 1 << 30


def tensor_name(layer: str) -> str:
    """The tensor that holds a layer in a snapshot's file."""
    return f"layer.{layer}"


def run(claims: Sequence[Claim], context: Context) -> Iterator[Outcome]:
    """Claims that share setting, layers and pooling go through the model together, sorted by length."""
    groups: dict[tuple[object, ...], list[Claim]] = {}
    for claim in claims:
        payload = claim.payload
        same = (payload["setting"], tuple(payload["layers"]), payload["pooling"], payload["tokens"], payload["dtype"])
        groups.setdefault(same, []).append(claim)
    for group in groups.values():
        for part in _parts(group, context):
            yield from _pass(part, context)


def _parts(claims: Sequence[Claim], context: Context) -> Iterator[list[Claim]]:
    """Claims whose embeddings together stay within the memory set aside for them."""
    payload = claims[0].payload
    width = context.model(payload["model"], payload["model_dtype"], payload["attention"]).architecture.hidden_size
    part: list[Claim] = []
    held = 0
    for claim in claims:
        size = 4 * width * len(payload["layers"]) * len(context.text(claim.payload["text"]).sentences)
        if part and held + size > PASS_BYTES:
            yield part
            part, held = [], 0
        part.append(claim)
        held += size
    if part:
        yield part


def _pass(claims: Sequence[Claim], context: Context) -> Iterator[Outcome]:
    payload = claims[0].payload
    loaded = context.model(payload["model"], payload["model_dtype"], payload["attention"])
    edits = find_edits(context, payload["intervention"])
    texts = [context.text(claim.payload["text"]) for claim in claims]
    sentences = [sentence for text in texts for sentence in text.sentences.texts]
    step = context.progress.start(f"embedding {claims[0].label.split(' on ')[0]}", len(sentences))

    def advance(count: int) -> None:
        context.check_stop()
        step(count)

    embeddings = embed(
        loaded,
        tokenise(loaded, sentences),
        payload["layers"],
        payload["pooling"],
        payload["tokens"],
        edits,
        max_tokens_per_batch=context.max_tokens,
        progress=advance,
    )
    start = 0
    for claim, text in zip(claims, texts, strict=True):
        rows = slice(start, start + len(text.sentences))
        start = rows.stop
        layers = {layer: embeddings[layer][rows] for layer in payload["layers"]}
        yield _finish(claim, context, text.id, layers, embeddings.report)


def _finish(
    claim: Claim, context: Context, text_id: int, layers: dict[str, NDArray[np.float32]], report: PassReport
) -> Outcome:
    payload = claim.payload
    dtype = np.dtype(payload["dtype"])
    tensors = {tensor_name(layer): values.astype(dtype) for layer, values in layers.items()}
    for name, values in tensors.items():
        if not np.isfinite(values).all():
            raise ModelError(f"{claim.label}: {name} overflows {dtype}; use embeddings.dtype: float32")
    n_items, dimension = next(iter(tensors.values())).shape
    stored = context.save(tensors, {"key": claim.subject})

    def write(connection: Connection) -> None:
        row = {
            "key": claim.subject,
            "setting_id": connection.execute(
                select(t.Setting.id).where(t.Setting.key == payload["setting"])
            ).scalar_one(),
            "corpus_text_id": text_id,
            "pooling": payload["pooling"],
            "tokens": payload["tokens"],
            "dtype": payload["dtype"],
            "n_items": n_items,
            "dimension": dimension,
        }
        upsert(connection, t.Snapshot, row, ["key"], [])
        snapshot_id = connection.execute(select(t.Snapshot.id).where(t.Snapshot.key == claim.subject)).scalar_one()
        artifact_id = context.store.record(connection, stored)
        for layer in payload["layers"]:
            part = {
                "snapshot_id": snapshot_id,
                "layer": layer,
                "job_id": claim.job_id,
                "artifact_id": artifact_id,
                "tensor": tensor_name(layer),
            }
            upsert(connection, t.SnapshotPart, part, ["snapshot_id", "layer"], ["artifact_id"])

    return Outcome(claim, write, report.digest, report.n_truncated)


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
