"""Contrasts that a spec asks for: any two settings of a model against each other, at every layer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from sqlalchemy import Connection, delete, insert

from sprachbund.db import tables as t
from sprachbund.db.rows import insert_many
from sprachbund.queue import Claim
from sprachbund.vocabulary import ContrastKind
from sprachbund.work.payloads.compare import BestPayload, ContrastPayload
from sprachbund_runners.jobs.compare import families
from sprachbund_runners.jobs.compare.cells import Against, Cells, Contrasted, contrasted
from sprachbund_runners.jobs.compare.comparison import blocks
from sprachbund_runners.jobs.compare.families import Family, FamilyName, Items, SwappedFamily, alpha_of
from sprachbund_runners.jobs.compare.left_out import check_ready, left_out, present_refits
from sprachbund_runners.jobs.compare.levels import Corpora
from sprachbund_runners.jobs.compare.outcomes import Outcomes, needed_results
from sprachbund_runners.jobs.compare.pair_statistics import PairValues
from sprachbund_runners.jobs.compare.refits import refits_of
from sprachbund_runners.jobs.compare.rows import ComparedRows
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.serving import one_by_one
from sprachbund_runners.statistics.bootstrap import least_p
from sprachbund_runners.statistics.comparisons import Swaps


def run(claims: Sequence[Claim[ContrastPayload]], context: Context) -> Iterator[Outcome]:
    return one_by_one(claims, context, lambda claim: _contrast(claim, context))


def _contrast(claim: Claim[ContrastPayload], context: Context) -> Outcome:
    payload = claim.payload
    with context.reading() as connection:
        check_ready(connection, claim.job_id)
        missing = left_out(connection, claim.job_id)
    asked = [each for each in payload.contrasts if missing.isdisjoint((each.setting, each.reference))]
    found = Contrasts(replace(payload, refits=present_refits(payload.refits, missing)), "asked")
    for layers in blocks(payload.layers):
        context.check_stop()
        cells = [
            Against((each.setting, layer), (each.reference, layer), each.target) for layer in layers for each in asked
        ]
        found.add(context, claim.job_id, cells)
    return Outcome(claim, lambda connection: found.write(connection, claim))


@dataclass(slots=True)
class Contrasts:
    """What a job's contrasts come to so far."""

    payload: ContrastPayload | BestPayload
    kind: ContrastKind
    found: list[Contrasted] = field(default_factory=list)
    corpora: dict[str, tuple[int, Sequence[str] | None]] = field(default_factory=dict)

    def add(self, context: Context, job: int, contrasts: Sequence[Against]) -> None:
        """More of them, read together."""
        settings = {setting for each in contrasts for setting, _ in each.cells}
        read = {*settings, *refits_of(self.payload.refits, sorted(settings))}
        layers = {layer for each in contrasts for _, layer in each.cells}
        outcomes, values = Outcomes(context), PairValues(frozenset(settings), self.payload.metrics)
        with (
            context.reading() as connection,
            needed_results(connection, job, self.payload, layers, values.metrics, read) as rows,
        ):
            for row in rows:
                outcomes.add(connection, row)
                values.add(row)
        cells = Cells.read(outcomes, self.payload, contrasts)
        self.corpora |= cells.corpora
        self.found += contrasted(cells, values, self.payload, contrasts, self.kind)

    def write(self, connection: Connection, claim: Claim[ContrastPayload] | Claim[BestPayload]) -> None:
        """Rows, and q within the families of each metric and scope."""
        rows = ComparedRows()
        for each in self.found:
            rows.add(each.row, each.controls)
        ids = np.array(rows.write(connection, claim), np.int64)
        connection.execute(delete(t.Family).where(t.Family.job_id == claim.job_id))
        for family in adjusted(self.found, self.corpora, self.payload):
            row = {"job_id": claim.job_id, "role": self.payload.role, **families.row_of(family)}
            number = connection.execute(insert(t.Family).values(**row).returning(t.Family.id)).scalar_one()
            tests = replace(family, ids=ids[family.ids])
            insert_many(connection, t.AdjustedComparison, families.rows(tests, number, "comparison_id"))


def adjusted(found: Sequence[Contrasted], corpora: Corpora, payload: ContrastPayload | BestPayload) -> list[Family]:
    """Families of each metric and scope, whose ids are places in `found`."""
    members: dict[FamilyName, list[int]] = {}
    for place, each in enumerate(found):
        if each.row["p"] is not None:
            members.setdefault(FamilyName(each.row["metric"], each.row["scope"], "contrasts"), []).append(place)
    alpha = alpha_of(payload.confidence)
    families_of = []
    for name, places in members.items():
        if payload.multiplicity == "max_t":
            items = Items.of(corpora, payload.unit)
            family = SwappedFamily(name, items, Swaps(items.groups, payload.resamples, payload.seed), len(places))
            for place in places:
                family.add(place, found[place].differences)
            families_of.append(family.adjusted(alpha))
        else:
            p = [found[place].row["p"] for place in places]
            floor = least_p(payload.resamples)
            families_of.append(Family.by_p(name, places, p, payload.multiplicity, alpha, floor))
    return families_of
