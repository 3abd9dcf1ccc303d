"""Adjustments: tests of finished comparisons, put into families and given q-values.

A family of comparisons is all claimed settings of a kind (that edit the model, or only transform its embeddings) and
layers of an experiment on one metric and scope; one of pair tests, all settings of a kind, layers and pairs. Layers
before the first edited block, where nothing can differ, are in none. By Benjamini's rules q follows from stored
p-values. By max-T all outcomes are read again and swapped together, in blocks of tests.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Select, String, delete, insert, literal_column, select

from sprachbund.db import tables as t
from sprachbund.db.rows import insert_many
from sprachbund.db.views.adjusted import family_kind
from sprachbund.measures.retrieval import TESTED
from sprachbund.queue import Claim
from sprachbund.vocabulary import FAMILY_KINDS
from sprachbund.work.payloads.compare import COMPARISON, AdjustmentPayload, ComparedSetting, ComparisonPayload
from sprachbund.work.payloads.stored import from_json
from sprachbund_runners.jobs.compare import families
from sprachbund_runners.jobs.compare.comparison import baselines_of, blocks
from sprachbund_runners.jobs.compare.families import Family, FamilyName, Items, SwappedFamily, alpha_of
from sprachbund_runners.jobs.compare.layer_outcomes import Baselines, Hits, LayerOutcomes, read_layers
from sprachbund_runners.jobs.compare.left_out import check_ready
from sprachbund_runners.jobs.compare.levels import differences
from sprachbund_runners.jobs.compare.outcomes import Outcomes
from sprachbund_runners.jobs.compare.pair_tests import tested
from sprachbund_runners.jobs.compare.scopes import TargetScope, scope_of
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.serving import one_by_one
from sprachbund_runners.statistics.bootstrap import least_p
from sprachbund_runners.statistics.comparisons import Swaps

_BLOCK_BYTES = 32 * 2**20  # differences of a family held at once

Compared = tuple[int, str, str, str, str, str]  # comparison, setting, layer, metric, scope, kind


def run(claims: Sequence[Claim[AdjustmentPayload]], context: Context) -> Iterator[Outcome]:
    return one_by_one(claims, context, lambda claim: _adjust(claim, context))


def _adjust(claim: Claim[AdjustmentPayload], context: Context) -> Outcome:
    with context.reading() as connection:
        check_ready(connection, claim.job_id)
        swapped = claim.payload.multiplicity == "max_t"
        found = [] if swapped else _by_p(connection, claim)
    if swapped:
        found = _Swapping(claim, context).families()
    return Outcome(claim, lambda connection: _write(connection, claim, found))


def _write(connection: Connection, claim: Claim[AdjustmentPayload], found: Sequence[Family]) -> None:
    connection.execute(delete(t.Family).where(t.Family.job_id == claim.job_id))
    of = {"job_id": claim.job_id, "role": claim.payload.role}
    for family in found:
        row = {**of, **families.row_of(family)}
        number = connection.execute(insert(t.Family).values(**row).returning(t.Family.id)).scalar_one()
        of_pairs = family.name.scope is None
        table = t.AdjustedPairTest if of_pairs else t.AdjustedComparison
        insert_many(connection, table, families.rows(family, number, "result_id" if of_pairs else "comparison_id"))


def _by_p(connection: Connection, claim: Claim[AdjustmentPayload]) -> list[Family]:
    rule, alpha = claim.payload.multiplicity, alpha_of(claim.payload.confidence)
    values: dict[FamilyName, list[tuple[int, float]]] = {}
    for row in connection.execute(_compared(claim).add_columns(t.Comparison.p)):
        values.setdefault(FamilyName(row.metric, row.scope, row.kind), []).append((row.id, row.p))
    found = []
    for name, tests in values.items():
        ids, p = zip(*tests, strict=True)
        found.append(Family.by_p(name, ids, p, rule, alpha, least_p(claim.payload.resamples)))
    for kind in FAMILY_KINDS:
        tests_of_pairs = _pair_tests(connection, claim, kind)
        if len(tests_of_pairs):
            name = FamilyName(TESTED, None, kind)
            found.append(Family.by_p(name, tests_of_pairs["id"], tests_of_pairs["p"], rule, alpha, 0.0))
    return found


def _kind(layer: ColumnElement[str]) -> ColumnElement[Any]:
    """What family a test at this layer is in."""
    return literal_column(family_kind(str(layer), "interventions", "settings"), String)


def _compared(claim: Claim[AdjustmentPayload]) -> Select[int, str, str, str, str, Any]:
    """Rows of the claimed settings that can differ: what the families are of."""
    kind = _kind(t.Comparison.layer.expression)
    return (
        select(
            t.Comparison.id, t.Setting.key, t.Comparison.layer, t.Comparison.metric, t.Comparison.scope,
            kind.label("kind"),
        )
        .join(t.JobEdge, t.JobEdge.needs_id == t.Comparison.job_id)
        .join(t.Job, t.Job.id == t.Comparison.job_id)
        .join(t.Setting, t.Setting.id == t.Comparison.setting_id)
        .join(t.Intervention, t.Intervention.id == t.Setting.intervention_id)
        .where(
            t.JobEdge.job_id == claim.job_id,
            # One that failed when it was made anew has rows of before.
            t.Job.state == "done",
            t.Setting.key.in_(claim.payload.settings),
            t.Comparison.layer.in_(claim.payload.layers),
            kind.is_not(None),
            # One item, or group, is no test.
            t.Comparison.p.is_not(None),
        )
        .order_by(t.Comparison.id)
    )  # fmt: skip


def _pair_tests(connection: Connection, claim: Claim[AdjustmentPayload], kind: str) -> NDArray[np.void]:
    """`id` of the result and `p` of every pair test of a kind."""
    statement = (
        select(t.PairTest.result_id, t.PairTest.p)
        .join(t.JobEdge, t.JobEdge.needs_id == t.PairTest.job_id)
        .join(t.Job, t.Job.id == t.PairTest.job_id)
        .join(t.PairResult, t.PairResult.id == t.PairTest.result_id)
        .join(t.Evaluand, t.Evaluand.id == t.PairResult.evaluand_id)
        .join(t.Setting, t.Setting.id == t.Evaluand.setting_id)
        .join(t.Intervention, t.Intervention.id == t.Setting.intervention_id)
        .where(
            t.JobEdge.job_id == claim.job_id, t.Job.state == "done", t.PairResult.layer.in_(claim.payload.layers),
            _kind(t.PairResult.layer.expression) == kind,
        )
        .order_by(t.PairTest.result_id)
    )  # fmt: skip
    rows = connection.execute(statement, execution_options={"yield_per": 10_000})
    return np.fromiter((tuple(row) for row in rows), np.dtype([("id", np.int64), ("p", np.float64)]))


@dataclass(slots=True)
class _Swapping:
    """One adjustment by max-T. Items are known once the first outcomes are read."""

    claim: Claim[AdjustmentPayload]
    context: Context
    _items: Items | None = None
    _families: dict[FamilyName, SwappedFamily] = field(default_factory=dict)
    _rows: dict[tuple[str, str], list[Compared]] = field(default_factory=dict)

    def families(self) -> list[Family]:
        jobs = self._comparisons()
        baselines = baselines_of([payload for _, payload in jobs])
        step = self.context.progress.start("swapping items", len(jobs))
        for job, payload in jobs:
            for setting in payload.claimed:
                self._add(job, payload, setting, baselines)
            step(1)
        return [family.adjusted(alpha_of(self.claim.payload.confidence)) for family in self._families.values()]

    def _comparisons(self) -> list[tuple[int, ComparisonPayload]]:
        """The finished comparisons with their jobs; their rows are noted."""
        statement = (
            select(t.Job.id, t.Job.payload)
            .join(t.JobEdge, t.JobEdge.needs_id == t.Job.id)
            .where(t.JobEdge.job_id == self.claim.job_id, t.Job.kind == COMPARISON.name, t.Job.state == "done")
            .order_by(t.Job.id)
        )
        with self.context.reading() as connection:
            for row in connection.execute(_compared(self.claim)):
                self._rows.setdefault((row.key, row.layer), []).append(tuple(row))
            return [
                (job, from_json(ComparisonPayload, stored, f"job {job}"))
                for job, stored in connection.execute(statement)
            ]

    def _add(self, job: int, payload: ComparisonPayload, setting: ComparedSetting, baselines: Baselines) -> None:
        """All tests of a setting."""
        asked = [each for each in payload.layers if each in self.claim.payload.layers]
        layers = [each for each in asked if (setting.setting, each) in self._rows]
        scopes: list[TargetScope] = [*{scope_of(row[4], setting.target): None for each in layers for row in
                                 self._rows[setting.setting, each]}]  # fmt: skip
        for block in blocks(layers):
            outcomes = Outcomes.of(self.context, job, payload, block)
            own = read_layers(outcomes, setting.setting, block, payload.metrics, scopes, tested=True)
            baseline = baselines.read(outcomes, setting.reference, block, payload.metrics)
            for layer in block:
                self.context.check_stop()
                if self._items is None:
                    self._items = Items.of(own[layer].corpora, self.claim.payload.unit)
                self._add_comparisons(self._rows[setting.setting, layer], setting, own[layer], baseline[layer])
                self._add_pairs(self._rows[setting.setting, layer][0][-1], own[layer].hits, baseline[layer].hits)

    def _add_comparisons(
        self, rows: Sequence[Compared], setting: ComparedSetting, own: LayerOutcomes, baseline: LayerOutcomes
    ) -> None:
        for number, _, _, metric, scope, kind in rows:
            key = metric, scope_of(scope, setting.target)
            self._family(metric, scope, kind).add(number, differences(own.means[key], baseline.means[key]))

    def _add_pairs(self, kind: str, own: Hits, baseline: Hits) -> None:
        for pair in tested(own, baseline):
            change = own.items(pair) - baseline.items(pair)
            self._family(TESTED, None, kind).add(own.ids[own.rows[pair]], {pair[0]: change})

    def _family(self, metric: str, scope: str | None, kind: str) -> SwappedFamily:
        name = FamilyName(metric, scope, kind)
        if name not in self._families:
            assert self._items is not None
            asked = self.claim.payload
            swaps = Swaps(self._items.groups, asked.resamples, asked.seed)
            most = max(1, _BLOCK_BYTES // (8 * self._items.n))
            self._families[name] = SwappedFamily(name, self._items, swaps, most)
        return self._families[name]
