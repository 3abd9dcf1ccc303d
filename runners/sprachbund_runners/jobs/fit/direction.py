"""Directions: found from stored pooled responses of one block and site, and made into edits of whole vectors."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from sprachbund.db import tables as t
from sprachbund.db.rows import upsert
from sprachbund.files.tensors import load_tensors, read_metadata
from sprachbund.queue import Claim
from sprachbund.vocabulary import SITES
from sprachbund_runners.directions import Found, edit_of, find, random_like
from sprachbund_runners.interventions.low_rank import Edit
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.fit.expert_set import find_statistics
from sprachbund_runners.jobs.fit.unit_statistics import place_name

_ARRAYS = ("reads", "writes", "mean", "shift")


def run(claims: Sequence[Claim], context: Context) -> Iterator[Outcome]:
    """One direction per claim."""
    step = context.progress.start("finding directions", len(claims))
    for claim in claims:
        context.check_stop()
        yield _find(claim, context)
        step(1)


def _find(claim: Claim, context: Context) -> Outcome:
    payload = claim.payload
    statistics = find_statistics(context, [payload["target"], *payload["others"].values()])
    name = place_name(payload["block"], payload["site"])

    def pooled(key: str) -> NDArray[np.float32]:
        return load_tensors(statistics[key].responses, [name])[name]

    others = {language: pooled(key) for language, key in payload["others"].items()}
    found = find(payload["method"], pooled(payload["target"]), others, payload["rank"])
    arrays = {name: getattr(found, name) for name in _ARRAYS if getattr(found, name) is not None}
    stored = context.save(arrays, {"key": claim.subject, "method": found.method, "shrinkage": found.shrinkage})

    def write(connection: Connection) -> None:
        row = {
            "key": claim.subject,
            "job_id": claim.job_id,
            "model_id": select(t.Model.id).where(t.Model.fingerprint == payload["model"]).scalar_subquery(),
            "target": payload["target_language"],
            "others": sorted(payload["others"]),
            "method": payload["method"],
            "rank": found.rank,
            "site": payload["site"],
            "block": payload["block"],
            "artifact_id": context.store.record(connection, stored),
        }
        upsert(connection, t.Direction, row, ["key"], ["artifact_id"])

    return Outcome(claim, write)


def find_direction(context: Context, key: str) -> Found:
    """The stored direction with this key."""
    with context.reading() as connection:
        row = connection.execute(select(t.Direction).where(t.Direction.key == key)).one()
        path = context.artifact(connection, row.artifact_id, row.job_id)
    arrays, metadata = load_tensors(path), read_metadata(path)
    return Found(
        str(metadata["method"]),
        arrays["reads"],
        arrays["writes"],
        arrays["mean"],
        arrays.get("shift"),
        metadata["shrinkage"],
    )


def direction_edits(context: Context, payload: Mapping[str, Any]) -> dict[str, list[Edit]]:
    """The edits of an intervention along directions, by input language; a control's directions are random."""
    made: dict[str, list[Edit]] = {}
    for number, (language, places) in enumerate(payload["directions"].items()):
        made[language] = []
        for site, block, key in places:
            found = find_direction(context, key)
            if payload["seed"] is not None:
                # Every place draws for itself.
                found = random_like(found, [*payload["seed"], number, block, SITES.index(site)])
            made[language].append(edit_of(found, payload["edit"], payload["strength"], site, block, payload["tokens"]))
    return made
