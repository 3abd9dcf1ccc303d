"""Best against best: what was chosen on `select` against what was chosen of the baselines, each at its own layer.

Beside it stand the controls, every member at the setting and layer that it chose itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection, select

from sprachbund.db import tables as t
from sprachbund.queue import Claim
from sprachbund.work.payloads.compare import BestPayload
from sprachbund_runners.jobs.compare.cells import Against, Cell
from sprachbund_runners.jobs.compare.contrast import Contrasts
from sprachbund_runners.jobs.compare.left_out import check_ready, left_out, present_refits
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.serving import one_by_one

Chooser = tuple[str, str | None, str | None]  # key of the candidates, variant and member of a control
Choices = Mapping[Chooser, Mapping[str, Cell]]
"""What was chosen, by the layer that was chosen at; under "" where layers competed too, so that there is but one."""


def run(claims: Sequence[Claim[BestPayload]], context: Context) -> Iterator[Outcome]:
    return one_by_one(claims, context, lambda claim: _best(claim, context))


def _best(claim: Claim[BestPayload], context: Context) -> Outcome:
    with context.reading() as connection:
        check_ready(connection, claim.job_id)
        missing = left_out(connection, claim.job_id)
        choices = _choices(connection, claim.payload.choice)
    contrasts = list(contrasts_of(claim.payload, choices, missing))
    refits = present_refits(claim.payload.refits, missing)
    found = Contrasts(replace(claim.payload, refits=refits), "best")
    if contrasts:
        found.add(context, claim.job_id, contrasts)
    return Outcome(claim, lambda connection: found.write(connection, claim))


def _choices(connection: Connection, subject: str) -> Choices:
    statement = (
        select(t.Choice.choice_key, t.Choice.control, t.Choice.member, t.Choice.layer, t.Setting.key)
        .join(t.Job, t.Job.id == t.Choice.job_id)
        .join(t.Setting, t.Setting.id == t.Choice.setting_id)
        .where(t.Job.subject == subject, t.Job.state == "done")
        .order_by(t.Choice.id)
    )
    found: dict[Chooser, dict[str, Cell]] = {}
    for row in connection.execute(statement):
        found.setdefault((row.choice_key, row.control, row.member), {})[row.layer] = (row.key, row.layer)
    # One choice at every layer, or over all of them.
    if any(len(cells) > 1 for cells in found.values()):
        return found
    return {who: {"": next(iter(cells.values()))} for who, cells in found.items()}


def contrasts_of(payload: BestPayload, choices: Choices, missing: frozenset[str]) -> Iterator[Against]:
    """What was chosen against each reference; the controls stand beside the first of them.

    Where a choice was made at every layer, cells of the same layer are compared.
    """
    for candidate in payload.candidates:
        for layer, own in choices.get((candidate.candidates, None, None), {}).items():
            members: dict[str, list[Cell]] = {}
            for (key, control, _), cells in choices.items():
                if key == candidate.candidates and control is not None and layer in cells:
                    members.setdefault(control, []).append(cells[layer])
            for number, each in enumerate(candidate.references):
                reference = choices.get((each, None, None), {}).get(layer)
                if reference is None or not missing.isdisjoint((own[0], reference[0])):
                    continue
                beside = {} if number else {
                    variant: [cell for cell in cells if cell[0] not in missing] for variant, cells in members.items()
                }  # fmt: skip
                yield Against(own, reference, candidate.target, beside)
