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
    averages = (func.avg(getattr(t.PairResult, name)) for name in names)
    place = t.Evaluand.setting_id, t.Evaluand.corpus_id, t.PairResult.layer
    results = _of_jobs(experiment_id, t.PairResult).join(t.Evaluand, t.Evaluand.id == t.PairResult.evaluand_id)
    for setting_id, role, corpus, layer, at_ms, *values in connection.execute(
        _averaged(results, place, experiment_id, setting_ids, *averages)
    ):
        for name, value in zip(names, values, strict=True):
            if value is not None:
                yield Mean(setting_id, (role, corpus), PAIR_EVALUATION.name, layer, name, value, at_ms)


def _of_others(
    connection: Connection, experiment_id: int, setting_ids: Sequence[int], names: Sequence[str]
) -> Iterator[Mean]:
    kind = case((t.Evaluation.candidate_language.is_not(None), PAIR_EVALUATION.name), else_=SPACE_EVALUATION.name)
    place = t.Evaluation.setting_id, t.Evaluation.corpus_id, t.Evaluation.layer
    results = _of_jobs(experiment_id, t.Evaluation).join(t.Metric, t.Metric.evaluation_id == t.Evaluation.id)
    asked = results.where(t.Metric.name.in_(names)).group_by(kind, t.Metric.name)
    for setting_id, role, corpus, layer, at_ms, of_kind, name, value in connection.execute(
        _averaged(asked, place, experiment_id, setting_ids, kind, t.Metric.name, func.avg(t.Metric.value))
    ):
        yield Mean(setting_id, (role, corpus), of_kind, layer, name, value, at_ms)


def _of_jobs(experiment_id: int, results: Any) -> Select[Any]:
    """SELECT nothing yet of results that the experiment asked for."""
    return (
        select()
        .select_from(t.ExperimentJob)
        .join(t.Job, t.Job.id == t.ExperimentJob.job_id)
        .join(results, results.job_id == t.Job.id)
        .where(t.ExperimentJob.experiment_id == experiment_id, asked_for(results))
    )


def _averaged(
    results: Select[Any], place: tuple[Any, Any, Any], experiment_id: int, setting_ids: Sequence[int], *columns: Any
) -> Select[Any]:
    """Columns by setting, role, corpus and layer, on the experiment's own. place: columns of setting, corpus, layer."""
    setting, of_corpus, layer = place
    by = setting, t.ExperimentCorpus.role, func.coalesce(t.Corpus.collection, t.Corpus.name), layer
    layers, corpora = t.ExperimentLayer, t.ExperimentCorpus
    return (
        results.join(layers, (layers.experiment_id == experiment_id) & (layers.layer == layer))
        .join(corpora, (corpora.experiment_id == experiment_id) & (corpora.corpus_id == of_corpus))
        .join(t.Corpus, t.Corpus.id == of_corpus)
        .where(setting.in_(setting_ids))
        .group_by(*by)
        .add_columns(*by, func.max(t.Job.finished_ms), *columns)
    )
