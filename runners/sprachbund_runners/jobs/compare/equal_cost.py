"""Gains of sweeps at a stated cost, from stored outcomes and the draws of side effects: for whoever asks now."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.db.names import find_experiment
from sprachbund.files.tensors import load_tensors
from sprachbund_runners.jobs.compare.unplanned import Unplanned
from sprachbund_runners.statistics.equal_cost import AtCost, at_cost


@dataclass(frozen=True, slots=True)
class Sweep:
    """Settings in the order of what is swept, by key, and the one they start from; cost: that of the language."""

    baseline: str
    settings: tuple[str, ...]
    target: str


@dataclass(frozen=True, slots=True)
class Path:
    """Costs and gains [settings] along a sweep, its baseline first, with what they come to at the cost."""

    costs: list[float]
    gains: list[float]
    found: AtCost | None


@dataclass(frozen=True, slots=True)
class _Cost:
    """A setting's cost less its baseline's, and in every draw [resamples]; the baseline's alike."""

    delta: float
    baseline: float
    delta_draws: NDArray[np.float64]
    baseline_draws: NDArray[np.float64]


def paths(
    asking: Unplanned, sweeps: Sequence[Sweep], layer: str, scope: str, metric: str, of_target: bool, at: float
) -> Iterator[Path | None]:
    """Each sweep's; None where a setting's cost or gain is not there. metric: the cost's, of the target or of none."""
    asked = [((key, layer), (each.baseline, layer), each.target) for each in sweeps for key in each.settings]
    levels = asking.levels(asked, scope)
    with reading(asking.engine) as connection:
        costs = _costs(connection, asking, metric)
    for sweep in sweeps:
        language = sweep.target if of_target else None
        found = [costs.get((key, language)) for key in sweep.settings]
        gained = [levels.get(((key, layer), sweep.target)) for key in (sweep.baseline, *sweep.settings)]
        if None in found or None in gained:
            yield None
            continue
        yield _path([each for each in found if each], [each for each in gained if each], asking.confidence, at)


def _path(costs: Sequence[_Cost], levels: Sequence[Any], confidence: float, at: float) -> Path:
    # All on one scale: the baseline's own cost, and what each adds to it on what both read.
    start = costs[0]
    values = np.array([start.baseline, *(start.baseline + each.delta for each in costs)])
    draws = np.stack([start.baseline_draws, *(start.baseline_draws + each.delta_draws for each in costs)], axis=1)
    gains = np.array([each.value - levels[0].value for each in levels])
    drawn = np.stack([each.replicates - levels[0].replicates for each in levels], axis=1)
    n = min(len(draws), len(drawn))
    found = at_cost(values, gains, draws[:n], drawn[:n], at, confidence)
    return Path(values.tolist(), gains.tolist(), found)


def _costs(connection: Connection, asking: Unplanned, metric: str) -> Mapping[tuple[str, str | None], _Cost]:
    """By setting and language, where the draws are kept."""
    d = t.EvaluationDifference
    experiment = find_experiment(connection, asking.experiments[0])
    rows = connection.execute(
        select(
            t.Setting.key, d.query_language, d.value, d.baseline, d.replicates_tensor, t.Artifact.uri, t.Artifact.digest
        )
        .join(t.ExperimentJob, t.ExperimentJob.job_id == d.job_id)
        .join(t.Setting, t.Setting.id == d.setting_id)
        .join(t.Artifact, t.Artifact.id == d.replicates_id)
        .where(t.ExperimentJob.experiment_id == experiment, d.metric == metric)
    ).all()
    found = {}
    for row in rows:
        draws = load_tensors(asking.store.fetch(row.uri, row.digest), [row.replicates_tensor])[row.replicates_tensor]
        own, baseline = draws.astype(np.float64).T
        found[row.key, row.query_language] = _Cost(row.value - row.baseline, row.baseline, own - baseline, baseline)
    return found
