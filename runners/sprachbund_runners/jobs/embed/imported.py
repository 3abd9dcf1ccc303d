"""Snapshots of encoders that ran elsewhere: their vectors are looked up, nothing is computed."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from sqlalchemy import select

from sprachbund.db import tables as t
from sprachbund.errors import ModelError
from sprachbund.files.tensors import load_tensors
from sprachbund.models.architectures import VECTORS
from sprachbund.models.fingerprints import fingerprint as folder_fingerprint
from sprachbund.models.imported import vectors_key
from sprachbund.queue import Claim
from sprachbund.work.payloads.embed import SnapshotPayload
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.embed.stored_snapshot import store_snapshot
from sprachbund_runners.jobs.serving import one_by_one


def imported_snapshots(claims: Sequence[Claim[SnapshotPayload]], context: Context) -> Iterator[Outcome]:
    """One outcome per claim; raises ModelError where the folder is gone or has changed since submission."""
    model = claims[0].payload.numerics.model
    with context.reading() as connection:
        row = connection.execute(select(t.Model).where(t.Model.fingerprint == model)).one()
    folder = Path(row.path)
    if not folder.is_dir() or folder_fingerprint(folder) != model:
        raise ModelError(
            f"encoder '{row.name}' at {folder} is gone or has changed since submission: submit the experiment again"
        )

    def look_up(claim: Claim[SnapshotPayload]) -> Outcome:
        key = vectors_key(context.text(claim.payload.text.key).sentences)
        names = {layer: f"{key}/{layer}" for layer in claim.payload.layers}
        tensors = load_tensors(folder / VECTORS, names.values())
        return store_snapshot(
            claim, context, {layer: tensors[name].astype(np.float32) for layer, name in names.items()}
        )

    return one_by_one(claims, context, look_up)
