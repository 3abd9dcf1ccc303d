"""Directions: found from stored pooled responses of one block and site, and made into edits of whole vectors."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from sprachbund.db import tables as t
from sprachbund.db.rows import upsert
from sprachbund.files.tensors import load_tensors, read_metadata
from sprachbund.models.architectures import UnitBlock
from sprachbund.queue import Claim
from sprachbund.vocabulary import SITES
from sprachbund.work.payloads.fit import DirectionPayload, DirectionsInOrder, EditedDirections, InterventionPayload
from sprachbund_runners.directions import Subspace, edit_of, find, random_like
from sprachbund_runners.interventions.low_rank import Edit
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.fit.expert_set import find_statistics
from sprachbund_runners.jobs.fit.steered_responses import steered_responses
from sprachbund_runners.jobs.fit.unit_statistics import place_name
from sprachbund_runners.jobs.serving import one_by_one

_ARRAYS = ("reads", "writes", "mean", "shift")


def run(claims: Sequence[Claim[DirectionPayload]], context: Context) -> Iterator[Outcome]:
    """One direction per claim."""
    return one_by_one(claims, context, lambda claim: _find(claim, context), "finding directions")


def _find(claim: Claim[DirectionPayload], context: Context) -> Outcome:
    payload = claim.payload
    statistics = find_statistics(context, list(payload.statistics.values()))
    name = place_name(payload.block, payload.site)

    def pooled(language: str) -> NDArray[np.float32]:
        return load_tensors(statistics[payload.statistics[language]].responses, [name])[name]

    others = {language: pooled(language) for language in payload.others}
    found = find(payload.method, pooled(payload.target), others, payload.rank)
    arrays = {name: getattr(found, name) for name in _ARRAYS if getattr(found, name) is not None}
    stored = context.save(arrays, {"key": claim.subject, "method": found.method, "shrinkage": found.shrinkage})

    def write(connection: Connection) -> None:
        row = {
            "key": claim.subject,
            "job_id": claim.job_id,
            "model_id": select(t.Model.id).where(t.Model.fingerprint == payload.model).scalar_subquery(),
            "target": payload.target,
            "others": payload.others,
            "method": payload.method,
            "rank": found.rank,
            "site": payload.site,
            "block": payload.block,
            "artifact_id": context.store.record(connection, stored),
        }
        upsert(connection, t.Direction, row, ["key"], ["artifact_id"])

    return Outcome(claim, write)


def find_direction(context: Context, key: str) -> Subspace:
    """The stored direction with this key."""
    with context.reading() as connection:
        row = connection.execute(select(t.Direction).where(t.Direction.key == key)).one()
        path = context.artifact(connection, row.artifact_id, row.job_id)
    arrays, metadata = load_tensors(path), read_metadata(path)
    return Subspace(
        str(metadata["method"]),
        arrays["reads"],
        arrays["writes"],
        arrays["mean"],
        arrays.get("shift"),
        metadata["shrinkage"],
    )


def direction_edits(
    context: Context, payload: InterventionPayload, edited: EditedDirections | DirectionsInOrder
) -> dict[str, list[Edit]]:
    """The edits of an intervention along directions, by input language; a control's directions are random."""
    made: dict[str, list[Edit]] = {}
    for number, language in enumerate(payload.maps):
        edits: list[Edit] = []
        if isinstance(edited, EditedDirections):
            for place in edited.places[language]:
                found = find_direction(context, place.direction)
                edits.append(_edit(payload, found, number, place.block, place.site))
        else:
            for block, site, width in edited.places:
                part = UnitBlock(block, site, width, 0)
                found = _find_in_order(context, edited, part, edited.others[language], edits)
                edits.append(_edit(payload, found, number, block, site))
        made[language] = edits
    return made


def _find_in_order(
    context: Context, edited: DirectionsInOrder, part: UnitBlock, others: Sequence[str], before: Sequence[Edit]
) -> Subspace:
    """The direction at a part with the edits of earlier places on (a control's own, for a control)."""

    def pooled(language: str) -> NDArray[np.float32]:
        return steered_responses(context, edited.incremental, part, [language], before)[0]

    return find(edited.method, pooled(edited.first), {each: pooled(each) for each in others}, edited.rank)


def _edit(payload: InterventionPayload, found: Subspace, number: int, block: int, site: str) -> Edit:
    """The edit of the map with this number at a place; every place of a control draws for itself."""
    assert payload.strength is not None
    if payload.seed is not None:
        found = random_like(found, [*payload.seed, number, block, SITES.index(site)])
    return edit_of(found, payload.edit, payload.strength, site, block, payload.tokens)
