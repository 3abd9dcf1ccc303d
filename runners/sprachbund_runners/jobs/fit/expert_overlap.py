"""Overlap of expert sets: how many of their top k units two languages share, at every k in use."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from sqlalchemy import Connection, delete, insert

from sprachbund.db import tables as t
from sprachbund.queue import Claim
from sprachbund.work.payloads.fit import ExpertOverlapPayload
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.fit.expert_set import find_ranking
from sprachbund_runners.jobs.serving import one_by_one
from sprachbund_runners.scorers.selection import tied_at


def run(claims: Sequence[Claim[ExpertOverlapPayload]], context: Context) -> Iterator[Outcome]:
    """Counts come from the whole rankings, not from the stored first 5,000 units."""
    return one_by_one(claims, context, lambda claim: _overlap(claim, context))


def _overlap(claim: Claim[ExpertOverlapPayload], context: Context) -> Outcome:
    rankings = [find_ranking(context, key) for key in claim.payload.sets]
    rows: list[dict[str, Any]] = []
    for first, second in combinations(sorted(rankings, key=lambda ranking: ranking.id), 2):
        for k in claim.payload.ks:
            if k > min(len(first.order), len(second.order)):
                continue
            shared = len(np.intersect1d(first.order[:k], second.order[:k], assume_unique=True))
            rows.append(
                {
                    "expert_set_id": first.id,
                    "other_set_id": second.id,
                    "k": k,
                    "job_id": claim.job_id,
                    "shared": shared,
                    "jaccard": shared / (2 * k - shared),
                    "tied_at_cut": max(tied_at(each.order, each.score, k) for each in (first, second)),
                }
            )

    def write(connection: Connection) -> None:
        connection.execute(delete(t.ExpertOverlap).where(t.ExpertOverlap.job_id == claim.job_id))
        if rows:
            connection.execute(insert(t.ExpertOverlap), rows)

    return Outcome(claim, write)
