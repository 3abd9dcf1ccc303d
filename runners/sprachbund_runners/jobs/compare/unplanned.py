"""Contrasts that no plan has, from stored outcomes: for whoever asks now. Nothing is stored."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection, Engine, Row, Select, func, select

from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.db.names import find_experiment
from sprachbund.db.rows import foreign_pairs, one_of
from sprachbund.errors import ArtifactError, QueryError
from sprachbund.files.artifacts import ArtifactStore
from sprachbund.progress import Silent
from sprachbund.work.payloads.compare import COMPARISON, ComparisonPayload, ContrastPayload
from sprachbund.work.payloads.stored import from_json
from sprachbund_runners.jobs.compare.cells import Against, Cell, Cells, Contrasted, contrasted
from sprachbund_runners.jobs.compare.contrast import adjusted
from sprachbund_runners.jobs.compare.levels import ROUNDING, ResampledLevel
from sprachbund_runners.jobs.compare.outcomes import Outcomes, results_of
from sprachbund_runners.jobs.compare.pair_statistics import Pair, PairValues, gains_of
from sprachbund_runners.jobs.compare.scopes import scope_of
from sprachbund_runners.jobs.context import Context
from sprachbund_runners.statistics.arms import arms
from sprachbund_runners.statistics.bootstrap import summarise_mean
from sprachbund_runners.statistics.population import item_error, population_mean

# Outcomes of so many settings are read together.
_TOGETHER = 32


class _Reading(Context):
    """A context that changes nothing: a file that is gone is not made again, but said."""

    def artifact(self, connection: Connection, artifact_id: int, made_by: int | None = None) -> Path:
        row = connection.execute(select(t.Artifact).where(t.Artifact.id == artifact_id)).one()
        if row.state != "present" or not self.store.exists(row.uri):
            raise ArtifactError(
                f"outcomes of job {made_by} are not kept any more: name the settings under `compare` in the experiment"
                " file and submit it again, which makes them anew"
            )
        return self.store.fetch(row.uri, row.digest)


@dataclass(slots=True)
class Unplanned:
    """Contrasts between settings of some experiments, on the corpora of one group that all of them have."""

    engine: Engine
    store: ArtifactStore
    experiments: tuple[str, ...]
    role: str
    group: str
    metric: str
    progress: Any = field(default_factory=Silent)
    _payload: ContrastPayload = field(init=False)

    def __post_init__(self) -> None:
        with reading(self.engine) as connection:
            self._payload = self._asked(connection)

    def against(self, asked: Sequence[tuple[Cell, Cell, str | None]], scope: str) -> list[dict[str, Any]]:
        """Rows of cells against others (with the target of either) over a scope's pairs, with q over all of them."""
        contrasts = [Against(own, reference, target) for own, reference, target in asked]
        found: list[Contrasted] = []
        corpora: dict[str, tuple[int, Sequence[str] | None]] = {}
        step = self.progress.start("comparing settings", len(contrasts))
        for start in range(0, len(contrasts), _TOGETHER):
            some = contrasts[start : start + _TOGETHER]
            cells, values = self._read(some)
            corpora |= cells.corpora
            of_some = contrasted(cells, values, self._payload, some, "asked")
            found += [each for each in of_some if each.row["scope"] == scope]
            step(len(some))
        for family in adjusted(found, corpora, self._payload):
            for place, q in zip(family.ids.tolist(), family.q.tolist(), strict=True):
                found[place].row["q"] = q
        return [each.row for each in found]

    @property
    def confidence(self) -> float:
        """Of intervals, as the first experiment asks."""
        return self._payload.confidence

    def levels(
        self, asked: Sequence[tuple[Cell, Cell, str | None]], scope: str
    ) -> dict[tuple[Cell, str | None], ResampledLevel]:
        """Levels of cells and of those beside them, by cell and target, over a scope's pairs and by the same draws."""
        contrasts = [Against(own, reference, target) for own, reference, target in asked]
        cells, _ = self._read(contrasts)
        wanted = {(cell, each.target) for each in contrasts for cell in each.cells}
        places = {(cell, target): (cell, self.metric, scope_of(scope, target)) for cell, target in wanted}
        return {key: cells.levels[place] for key, place in places.items() if place in cells.levels}

    def over_models(self, asked: Sequence[tuple[Cell, Cell, str | None]], scope: str) -> dict[str, Any] | None:
        """What the same contrast comes to over several models; None where the metric is undefined for one of them."""
        members = [Against(own, reference, target) for own, reference, target in asked]
        cells, values = self._read(members)
        gains, replicates, pairs = [], [], []
        levels = []
        for each in members:
            place = self.metric, scope_of(scope, each.target)
            own, reference = cells.levels.get((each.own, *place)), cells.levels.get((each.reference, *place))
            if own is None or reference is None:
                return None
            levels.append(own)
            gains.append(own.value - reference.value)
            replicates.append(own.replicates - reference.replicates)
            after, before = (values.cells(*cell, self.metric) for cell in (each.own, each.reference))
            pairs.append({pair: after[pair] - before[pair] for pair in after if pair in before})
        draws = np.stack(replicates, axis=1)
        draws[np.abs(draws) < ROUNDING] = 0.0
        level, confidence = levels[0], self._payload.confidence
        n, degrees = level.n_drawn, level.degrees
        summary = arms(gains, draws, n, confidence)
        pooled = draws.mean(axis=1)
        items = summarise_mean(
            summary.mean, pooled, confidence=confidence, n_items=level.n_items, n_groups=n, strata=level.strata
        )
        mean_gain = {pair: float(np.mean([each[pair] for each in pairs])) for pair in pairs[0]}
        zero = dict.fromkeys(mean_gain, 0.0)
        # The scope's target is the same in all.
        over = gains_of(mean_gain, zero, self.metric, scope_of(scope, members[0].target), self._payload)
        row = {
            "n_models": len(members), "delta": summary.mean, "delta_ci_low": float(items.low),
            "delta_ci_high": float(items.high), "p": float(items.p), "differ_p": summary.differ_p,
            "models_low": summary.low, "models_high": summary.high, "models_p": summary.p, "gains": gains,
            "n_pairs": level.n_pairs, "n_items": level.n_items, "n_groups": level.n_groups,
            "population_low": None, "population_high": None, "population_p": None,
        }  # fmt: skip
        error = item_error(pooled, n, degrees)
        if over is not None and over["mean_error"] is not None and error is not None:
            freedom = min(over["mean_degrees"], degrees)
            both = population_mean(over["mean_gain"], over["mean_error"], error, freedom, confidence)
            row |= {"population_low": both.low, "population_high": both.high, "population_p": both.p}
        return row

    def _read(self, contrasts: Sequence[Against]) -> tuple[Cells, PairValues]:
        """Cells over the pairs that all of them have."""
        wanted = {cell for each in contrasts for cell in each.cells}
        outcomes = Outcomes(_Reading(self.engine, self.store, self.progress))
        values = PairValues(frozenset(setting for setting, _ in wanted), self._payload.metrics)
        with reading(self.engine) as connection:
            rows = self._results(connection, wanted)
            for row in _common(rows, wanted):
                outcomes.add(connection, row)
                values.add(row)
        return Cells.read(outcomes, self._payload, contrasts), values

    def _results(self, connection: Connection, wanted: Collection[Cell]) -> list[Row[Any]]:
        """Results of the cells in any of the experiments, each once, of the pairs that all of these ask for."""
        found: dict[int, Row[Any]] = {}
        asked: list[set[Pair]] = []
        corpora = set(connection.execute(_corpora(self.group, self._payload.split)).scalars())
        settings, layers = {setting for setting, _ in wanted}, {layer for _, layer in wanted}
        for name in self.experiments:
            experiment = find_experiment(connection, name)
            jobs = select(t.ExperimentJob.job_id).where(t.ExperimentJob.experiment_id == experiment)
            shared = foreign_pairs(connection, experiment)
            of_shared = select(t.Job.id, t.Job.key).where(one_of(connection, t.Job.id, list(shared)))
            keys = dict(connection.execute(of_shared).all())
            foreign = {(keys[job], frozenset(pair)) for job, pairs in shared.items() for pair in pairs}
            with results_of(connection, jobs, foreign, layers, self._payload.metrics, settings) as rows:
                own = [row for row in rows if row.corpus in corpora and (row.setting, row.layer) in wanted]
            found |= {row.id: row for row in own}
            asked.append({_pair(row) for row in own})
        everywhere = set.intersection(*asked)
        return [row for row in found.values() if _pair(row) in everywhere]

    def _asked(self, connection: Connection) -> ContrastPayload:
        """As the first experiment compares on this role and group, of the one metric."""
        experiment = find_experiment(connection, self.experiments[0])
        statement = (
            select(t.Job.id, t.Job.payload)
            .join(t.ExperimentJob, t.ExperimentJob.job_id == t.Job.id)
            .where(t.ExperimentJob.experiment_id == experiment, t.Job.kind == COMPARISON.name)
            .order_by(t.Job.id)
        )
        spec = connection.execute(select(t.Experiment.spec).where(t.Experiment.id == experiment)).scalar_one()
        for job, stored in connection.execute(statement):
            payload = from_json(ComparisonPayload, stored, f"job {job}")
            if (payload.role, payload.group) == (self.role, self.group):
                return ContrastPayload(
                    group=payload.group, split=payload.split, role=payload.role, metrics=(self.metric,),
                    resamples=payload.resamples, confidence=payload.confidence, unit=payload.unit, seed=payload.seed,
                    contrasts=(), multiplicity=spec["statistics"]["multiplicity"],
                )  # fmt: skip
        raise QueryError(f"{self.experiments[0]} compares nothing on {self.group} (role {self.role})")


def _corpora(group: str, split: str) -> Select[str]:
    """Keys of the corpora of a group."""
    name = func.coalesce(t.Corpus.collection, t.Corpus.name)
    return select(t.Corpus.key).where(name == group, t.Corpus.split == split)


def _common(rows: Sequence[Row[Any]], wanted: Collection[Cell]) -> list[Row[Any]]:
    """Rows of the pairs that every cell has: experiments may have other languages."""
    pairs: dict[Cell, set[Pair]] = {cell: set() for cell in wanted}
    for row in rows:
        pairs[row.setting, row.layer].add(_pair(row))
    common = set.intersection(*pairs.values()) if pairs else set()
    return [row for row in rows if _pair(row) in common]


def _pair(row: Row[Any]) -> Pair:
    return row.corpus, row.query_language, row.candidate_language
