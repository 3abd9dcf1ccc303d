"""Stored embeddings, read back for people as evaluations see them: figures and explained items."""

from collections.abc import Collection, Iterable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, select

from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.db.names import find_experiment
from sprachbund.db.rows import foreign_pairs
from sprachbund.embeddings.transforms import Fitted, fit_transform, transformed
from sprachbund.errors import QueryError
from sprachbund.files.artifacts import ArtifactStore
from sprachbund.files.tensors import load_tensors
from sprachbund.queue import Queue
from sprachbund.work.payloads.measure import SideSnapshots
from sprachbund.work.payloads.pairs import PAIR_EVALUATION, PairEvaluationPayload
from sprachbund.work.payloads.stored import from_json


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


def embedded(
    connection: Connection,
    store: ArtifactStore,
    side: SideSnapshots,
    languages: Iterable[str],
    layer: str,
    transform: str,
    components: int | None,
) -> dict[str, NDArray[np.float32]]:
    """float32 [n, d] per language as evaluations see it: read, and transformed as the runners do.

    Raises QueryError if a layer was not computed, LostArtifactError if its file is damaged.
    """
    read = partial(_read_layer, connection, store, layer)

    def fitted() -> Fitted:
        on = {language: read(key, language) for language, key in side.fitted.items()}
        return fit_transform(transform, on, components)

    return transformed(transform, {each: read(side.snapshots[each], each) for each in languages}, fitted)


def planned_pairs(
    connection: Connection, experiment: str, setting_key: str, corpus_key: str
) -> list[PairEvaluationPayload]:
    """What the pair evaluations of a setting on a corpus are asked, done or not: where its embeddings are."""
    experiment_id = find_experiment(connection, experiment)
    foreign = foreign_pairs(connection, experiment_id)
    rows = connection.execute(
        select(t.Job.id, t.Job.payload)
        .join(t.ExperimentJob, t.ExperimentJob.job_id == t.Job.id)
        .where(
            t.ExperimentJob.experiment_id == experiment_id,
            t.Job.kind == PAIR_EVALUATION.name,
            t.Job.payload["setting"].as_string() == setting_key,
            t.Job.payload["corpus"].as_string() == corpus_key,
        )
        .order_by(t.Job.id)
    )
    return [
        from_json(PairEvaluationPayload, payload, f"job {job_id}").without(foreign.get(job_id, ()))
        for job_id, payload in rows
    ]


def _read_layer(
    connection: Connection, store: ArtifactStore, layer: str, key: str, language: str
) -> NDArray[np.float32]:
    """float32 [n, d] of the snapshot with this key, whose language errors name."""
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
