"""Choices: the setting and layer that is best on the select role, in each group of settings.

Every member of a control distribution chooses too, among those of its own and by the same rule: a setting's p against
controls that did not choose would be too small.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from sqlalchemy import Connection, Select, delete, insert, select
from sqlalchemy.orm import aliased

from sprachbund.db import tables as t
from sprachbund.errors import ModelError
from sprachbund.measures import METRICS
from sprachbund.queue import Claim
from sprachbund.work.payloads.compare import COMPARISON, ChoicePayload, ComparisonPayload
from sprachbund.work.payloads.stored import from_json
from sprachbund_runners.jobs.compare.left_out import left_out
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.serving import one_by_one


def run(claims: Sequence[Claim[ChoicePayload]], context: Context) -> Iterator[Outcome]:
    """Made from the stored comparisons on `select`."""
    return one_by_one(claims, context, lambda claim: _choose(claim, context))


def _choose(claim: Claim[ChoicePayload], context: Context) -> Outcome:
    payload = claim.payload
    sign = 1.0 if METRICS[payload.metric].better == "higher" else -1.0
    statement = (
        select(t.Setting.id, t.Setting.key, t.Comparison.layer, t.Comparison.value, t.Intervention.k)
        .join(t.Setting, t.Setting.id == t.Comparison.setting_id)
        .join(t.Intervention, t.Intervention.id == t.Setting.intervention_id)
        .where(
            t.Comparison.job_id.in_(_comparisons(payload).where(t.Job.state == "done")),
            t.Comparison.metric == payload.metric,
            t.Comparison.scope == payload.scope,
        )
    )
    with context.reading() as connection:
        candidates = connection.execute(statement).all()
        missing = _missing(connection, payload)
    by_cell = {(each.key, each.layer): each for each in candidates}
    rows: list[dict[str, Any]] = []
    for group in payload.groups:
        best = _best(by_cell, group.settings, group.layers, sign)
        if best is None:
            # Settings without a target have no such scope; and of a group that failed there is nothing to choose.
            if payload.scope != "all" or missing.issuperset(group.settings):
                continue
            raise ModelError(f"choice '{group.name}': no value of {payload.metric} on the select role to choose by")
        among = {"job_id": claim.job_id, "choice_key": group.key, "label": group.name, "metric": payload.metric}
        rows.append({**among, "control": None, "member": None, **best})
        for control, members in group.controls.items():
            for member, settings in members.items():
                chosen = _best(by_cell, [each for each in settings if each not in missing], group.layers, sign)
                if chosen is not None:
                    rows.append({**among, "control": control, "member": member, **chosen})

    def write(connection: Connection) -> None:
        connection.execute(delete(t.Choice).where(t.Choice.job_id == claim.job_id))
        if rows:
            connection.execute(insert(t.Choice), rows)

    return Outcome(claim, write)


def _best(
    by_cell: Mapping[tuple[str, str], Any], settings: Sequence[str], layers: Sequence[str], sign: float
) -> dict[str, Any] | None:
    """The best of some settings and layers; ties go to the earlier layer, then the smaller k. None if there is none."""
    order = {layer: place for place, layer in enumerate(layers)}
    among = [by_cell[cell] for cell in product(settings, layers) if cell in by_cell]
    if not among:
        return None
    best = max(among, key=lambda each: (sign * each.value, -order[each.layer], -(each.k or 0)))
    return {
        "setting_id": best.id,
        "layer": best.layer,
        "value": best.value,
        "n_candidates": len(among),
        "tied": sum(each.value == best.value for each in among) > 1,
    }


def _comparisons(payload: ChoicePayload) -> Select[int]:
    """The jobs of the comparisons that are chosen by: those that the adjustment went over."""
    adjustment = aliased(t.Job)
    return (
        select(t.JobEdge.needs_id)
        .join(adjustment, adjustment.id == t.JobEdge.job_id)
        .join(t.Job, t.Job.id == t.JobEdge.needs_id)
        .where(adjustment.subject == payload.adjustment, t.Job.kind == COMPARISON.name)
    )


def _missing(connection: Connection, payload: ChoicePayload) -> set[str]:
    """Settings without all their evaluations, and those whose comparison failed itself."""
    jobs = select(t.Job.id, t.Job.state, t.Job.payload).where(t.Job.id.in_(_comparisons(payload)))
    found: set[str] = set()
    for job, state, stored in connection.execute(jobs).all():
        if state == "done":
            found |= left_out(connection, job)
        else:
            found |= {each.setting for each in from_json(ComparisonPayload, stored, f"job {job}").settings}
    return found
