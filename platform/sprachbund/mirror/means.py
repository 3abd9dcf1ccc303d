"""Means over language pairs, or languages, of what no comparison has: read from results themselves."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, case, func, select

from sprachbund.db import tables as t
from sprachbund.db.rows import asked_for
from sprachbund.measures import METRICS_OF_PAIRS
from sprachbund.mirror.records import Group
from sprachbund.work.payloads.measure import SPACE_EVALUATION
from sprachbund.work.payloads.pairs import PAIR_EVALUATION


@dataclass(frozen=True, slots=True)
class Mean:
    """A metric's mean under a setting at a layer; `kind` of the jobs that made it, `at_ms` when the last one ended."""

    setting_id: int
    group: Group
    kind: str
    layer: str
    metric: str
    value: float
    at_ms: int


def means(connection: Connection, experiment_id: int, setting_ids: Sequence[int], names: Sequence[str]) -> list[Mean]:
    """The means of these metrics of an experiment's settings, over whatever is there."""
    asked = [name for name in names if name in METRICS_OF_PAIRS]
    found = list(_of_pairs(connection, experiment_id, setting_ids, asked)) if asked else []
    return [*found, *_of_others(connection, experiment_id, setting_ids, names)]


def _of_pairs(
    connection: Connection, experiment_id: int, setting_ids: Sequence[int], names: Sequence[str]
) -> Iterator[Mean]:
    columns = _planned(
        experiment_id, setting_ids, t.PairResult, t.Evaluand,
        *(func.avg(getattr(t.PairResult, name)) for name in names),
    ).join(t.Evaluand, t.Evaluand.id == t.PairResult.evaluand_id)  # fmt: skip
    for setting_id, role, corpus, layer, at_ms, *values in connection.execute(_of_layers(columns, t.PairResult)):
        for name, value in zip(names, values, strict=True):
            if value is not None:
                yield Mean(setting_id, (role, corpus), PAIR_EVALUATION.name, layer, name, value, at_ms)


def _of_others(
    connection: Connection, experiment_id: int, setting_ids: Sequence[int], names: Sequence[str]
) -> Iterator[Mean]:
    kind = case((t.Evaluation.candidate_language.is_not(None), PAIR_EVALUATION.name), else_=SPACE_EVALUATION.name)
    columns = (
        _planned(experiment_id, setting_ids, t.Evaluation, t.Evaluation, kind, t.Metric.name, func.avg(t.Metric.value))
        .join(t.Metric, t.Metric.evaluation_id == t.Evaluation.id)
        .where(t.Metric.name.in_(names))
        .group_by(kind, t.Metric.name)
    )
    for setting_id, role, corpus, layer, at_ms, of_kind, name, value in connection.execute(
        _of_layers(columns, t.Evaluation)
    ):
        yield Mean(setting_id, (role, corpus), of_kind, layer, name, value, at_ms)


def _planned(experiment_id: int, setting_ids: Sequence[int], results: Any, place: Any, *columns: Any) -> Select[Any]:
    """SELECT of results that the experiment planned, by setting, role, corpus and layer. place: has their setting."""
    corpus = func.coalesce(t.Corpus.collection, t.Corpus.name)
    of = (place.setting_id, t.ExperimentCorpus.role, corpus, results.layer)
    return (
        select(*of, func.max(t.Job.finished_ms), *columns)
        .select_from(t.ExperimentJob)
        .join(t.Job, t.Job.id == t.ExperimentJob.job_id)
        .join(results, results.job_id == t.Job.id)
        .where(
            t.ExperimentJob.experiment_id == experiment_id, place.setting_id.in_(setting_ids), asked_for(results)
        )
        .group_by(*of)
    )  # fmt: skip


def _of_layers(found: Select[Any], results: Any) -> Select[Any]:
    """Those on the experiment's corpora and layers."""
    place = t.Evaluand if results is t.PairResult else t.Evaluation
    return (
        found.join(
            t.ExperimentLayer,
            (t.ExperimentLayer.experiment_id == t.ExperimentJob.experiment_id)
            & (t.ExperimentLayer.layer == results.layer),
        )
        .join(
            t.ExperimentCorpus,
            (t.ExperimentCorpus.experiment_id == t.ExperimentJob.experiment_id)
            & (t.ExperimentCorpus.corpus_id == place.corpus_id),
        )
        .join(t.Corpus, t.Corpus.id == t.ExperimentCorpus.corpus_id)
    )
