"""Evaluations of a setting and of its baseline side by side, with what their jobs kept of every item."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from sprachbund.db import tables as t
from sprachbund.queue import Claim
from sprachbund.work.kinds import read_payload
from sprachbund.work.payloads.difference import DifferencePayload
from sprachbund_runners.jobs.compare.levels import draws_seed
from sprachbund_runners.jobs.context import Context
from sprachbund_runners.statistics.paired import Paired, Statistic, paired_statistic


@dataclass(frozen=True, slots=True)
class Place:
    """What an evaluation is of."""

    measure: str
    query: str | None
    candidate: str | None
    layer: str | None


@dataclass(frozen=True, slots=True)
class Evaluated:
    """An evaluation as it is stored; `payload`: what its job was asked. sizes: n_items and n_groups by metric."""

    key: str
    job_id: int
    job_key: str
    payload: Any
    outcomes_id: int | None
    tensor: str | None
    metrics: Mapping[str, float]
    sizes: Mapping[str, tuple[int, int]]

    def tensors(self, context: Context, *names: str) -> dict[str, NDArray[Any]]:
        """Of its file, by names behind its own prefix."""
        assert self.outcomes_id is not None
        path = [f"{self.tensor}/{name}" for name in names]
        with context.reading() as connection:
            found = context.tensors(connection, self.outcomes_id, self.job_id, path)
        return {name: found[each] for name, each in zip(names, path, strict=True)}


@dataclass(frozen=True, slots=True)
class Found:
    """One difference, beside the evaluation with the key (None: beside none)."""

    place: Place
    metric: str
    key: str | None
    paired: Paired


@dataclass(frozen=True, slots=True)
class Sides:
    """A claim's evaluations of the setting and of its baseline, by place."""

    context: Context
    payload: DifferencePayload
    own: Mapping[Place, Evaluated]
    baseline: Mapping[Place, Evaluated]

    @classmethod
    def read(cls, claim: Claim[DifferencePayload], context: Context) -> "Sides":
        payload = claim.payload
        with context.reading() as connection:
            own, baseline = (
                _evaluations(connection, claim, subject, payload.layers) for subject in (payload.of, payload.reference)
            )
        return cls(context, payload, own, baseline)

    def both(self) -> Iterator[tuple[Place, Evaluated, Evaluated]]:
        """Places that both have."""
        return ((place, own, self.baseline[place]) for place, own in self.own.items() if place in self.baseline)

    def paired(
        self,
        own: NDArray[Any],
        baseline: NDArray[Any],
        statistic: Statistic,
        groups: Sequence[Any] | NDArray[Any] | None,
        of: str,
    ) -> Paired | None:
        """`paired_statistic` by the experiment's statistics; `of` names what is drawn, which has draws of its own."""
        payload = self.payload
        return paired_statistic(
            own, baseline, statistic, groups=groups, resamples=payload.resamples,
            seed=draws_seed(payload.seed, of), confidence=payload.confidence,
        )  # fmt: skip


def _evaluations(
    connection: Connection, claim: Claim[DifferencePayload], subject: str, layers: Sequence[str]
) -> dict[Place, Evaluated]:
    """Of the jobs of one subject that the claim needs; layers: empty for what has none."""
    e = t.Evaluation
    statement = (
        select(e, t.Job.key.label("job_key"), t.Job.kind, t.Job.payload)
        .join(t.Job, t.Job.id == e.job_id)
        .join(t.JobEdge, t.JobEdge.needs_id == e.job_id)
        .where(t.JobEdge.job_id == claim.job_id, t.Job.subject == subject)
        .order_by(e.id)
    )
    if layers:
        statement = statement.where(e.layer.in_(layers))
    rows = connection.execute(statement).all()
    values: dict[int, dict[str, float]] = {}
    sizes: dict[int, dict[str, tuple[int, int]]] = {}
    of_jobs = select(t.Metric.__table__).join(e, e.id == t.Metric.evaluation_id)
    for metric in connection.execute(of_jobs.where(e.job_id.in_({row.job_id for row in rows}))):
        values.setdefault(metric.evaluation_id, {})[metric.name] = metric.value
        sizes.setdefault(metric.evaluation_id, {})[metric.name] = metric.n_items, metric.n_groups
    payloads: dict[int, Any] = {}
    found = {}
    for row in rows:
        if row.job_id not in payloads:
            payloads[row.job_id] = read_payload(row.kind, row.payload, f"job {row.job_id}")
        place = Place(row.measure, row.query_language, row.candidate_language, row.layer)
        found[place] = Evaluated(
            row.key, row.job_id, row.job_key, payloads[row.job_id], row.outcomes_id, row.outcomes_tensor,
            values.get(row.id, {}), sizes.get(row.id, {}),
        )  # fmt: skip
    return found


def numbered(labels: Sequence[Any] | NDArray[Any]) -> NDArray[np.int64]:
    """int64 [n]: equal labels as one number from 0."""
    return np.unique(np.asarray(labels), return_inverse=True)[1].reshape(-1).astype(np.int64)
