"""Choices: the setting and layer that is best on the select role, in each group of settings."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from sprachbund.db import tables as t
from sprachbund.errors import ModelError
from sprachbund.measures import METRICS
from sprachbund.queue import Claim
from sprachbund.work.payloads.compare import ChoicePayload
from sprachbund_runners.jobs.compare.left_out import left_out
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.serving import one_by_one


def run(claims: Sequence[Claim[ChoicePayload]], context: Context) -> Iterator[Outcome]:
    """Made from the stored comparison on `select`; ties go to the earlier layer, then the smaller k."""
    return one_by_one(claims, context, lambda claim: _choose(claim, context))


def _choose(claim: Claim[ChoicePayload], context: Context) -> Outcome:
    payload = claim.payload
    sign = 1.0 if METRICS[payload.metric].better == "higher" else -1.0
    statement = (
        select(t.Setting.id, t.Setting.key, t.Comparison.layer, t.Comparison.value, t.Intervention.k)
        .join(t.Setting, t.Setting.id == t.Comparison.setting_id)
        .join(t.Intervention, t.Intervention.id == t.Setting.intervention_id)
        .join(t.Job, t.Job.id == t.Comparison.job_id)
        .where(
            t.Job.subject == payload.comparison,
            t.Comparison.metric == payload.metric,
            t.Comparison.scope == payload.scope,
        )
    )
    with context.reading() as connection:
        candidates = connection.execute(statement).all()
        missing = left_out(connection, payload.comparison)
    rows: list[dict[str, Any]] = []
    for group in payload.groups:
        name = group.name
        order = {layer: place for place, layer in enumerate(group.layers)}
        among = [each for each in candidates if each.key in group.settings and each.layer in order]
        if not among:
            # Settings without a target have no such scope; and of a group that failed there is nothing to choose.
            if payload.scope != "all" or missing.issuperset(group.settings):
                continue
            raise ModelError(f"choice '{name}': no value of {payload.metric} on the select role to choose by")
        best = max(among, key=lambda each: (sign * each.value, -order[each.layer], -(each.k or 0)))
        rows.append(
            {
                "job_id": claim.job_id,
                "label": name,
                "setting_id": best.id,
                "layer": best.layer,
                "metric": payload.metric,
                "value": best.value,
                "n_candidates": len(among),
                "tied": sum(each.value == best.value for each in among) > 1,
            }
        )

    def write(connection: Connection) -> None:
        connection.execute(delete(t.Choice).where(t.Choice.job_id == claim.job_id))
        if rows:
            connection.execute(insert(t.Choice), rows)

    return Outcome(claim, write)
