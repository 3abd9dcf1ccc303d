"""Per-item outcomes of finished pair evaluations, read back for comparisons."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from sprachbund.db import tables as t
from sprachbund.files.tensors import open_tensors
from sprachbund.measures import MEASURES
from sprachbund.work.kinds import read_payload
from sprachbund.work.payloads.compare import ComparisonPayload
from sprachbund_runners.evaluation.retrieval import RetrievalOutcome
from sprachbund_runners.evaluation.retrieval_scores import RANK_METRICS, retrieval_items
from sprachbund_runners.jobs.context import Context


@dataclass(frozen=True, slots=True)
class Cell:
    """One evaluation, item by item: float64 [n] by metric; `groups` per item where the text has them."""

    corpus: str
    query: str | None
    candidate: str | None
    directed: bool
    items: Mapping[str, NDArray[np.float64]]
    groups: Sequence[str] | None
    evaluation_id: int


@dataclass(frozen=True, slots=True)
class _Place:
    measure: str
    corpus: str
    query: str | None
    candidate: str | None
    path: Path
    tensor: str
    text_key: str
    evaluation_id: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """The pairs that a comparison reads: those of its jobs but the foreign ones."""

    foreign: frozenset[tuple[str, frozenset[str]]]

    @classmethod
    def of(cls, payload: ComparisonPayload) -> "Wanted":
        return cls(frozenset((each.job, frozenset((each.first, each.second))) for each in payload.foreign))

    def has(self, job: str, query: str, candidate: str) -> bool:
        """Whether an evaluation that the job (its key) made is read."""
        return not self.foreign or (job, frozenset((query, candidate))) not in self.foreign


@dataclass(slots=True)
class Outcomes:
    """Where the outcomes of every (setting, layer) are, found once for some layers of a comparison job."""

    context: Context
    _places: dict[tuple[str, str], list[_Place]] = field(default_factory=dict)

    @classmethod
    def of(cls, context: Context, job: int, payload: ComparisonPayload, layers: Collection[str]) -> "Outcomes":
        """The outcomes of the evaluations that this comparison needs."""
        found = cls(context)
        wanted = Wanted.of(payload)
        statement = (
            select(
                t.Evaluation.id.label("evaluation_id"), t.Setting.key, t.Evaluation.layer,
                t.Evaluation.measure, t.Corpus.key.label("corpus"),
                t.Evaluation.query_language, t.Evaluation.candidate_language, t.Evaluation.outcomes_tensor,
                t.Evaluation.outcomes_id, t.Evaluation.job_id, t.Job.key.label("job_key"),
            )
            .join(t.JobEdge, t.JobEdge.needs_id == t.Evaluation.job_id)
            .join(t.Job, t.Job.id == t.Evaluation.job_id)
            .join(t.Setting, t.Setting.id == t.Evaluation.setting_id)
            .join(t.Corpus, t.Corpus.id == t.Evaluation.corpus_id)
            .where(
                t.JobEdge.job_id == job, t.Job.state == "done", t.Evaluation.outcomes_id.is_not(None),
                t.Evaluation.layer.in_(layers),
            )
            .order_by(t.Evaluation.id)
        )  # fmt: skip
        with context.reading() as connection:
            paths: dict[int, Path] = {}
            texts: dict[int, str] = {}
            for row in connection.execute(statement):
                if not wanted.has(row.job_key, row.query_language, row.candidate_language):
                    continue
                if row.outcomes_id not in paths:
                    paths[row.outcomes_id] = context.artifact(connection, row.outcomes_id, row.job_id)
                if row.job_id not in texts:
                    texts[row.job_id] = _text_key(connection, row.job_id)
                place = _Place(
                    row.measure, row.corpus, row.query_language, row.candidate_language, paths[row.outcomes_id],
                    row.outcomes_tensor, texts[row.job_id], row.evaluation_id,
                )  # fmt: skip
                found._places.setdefault((row.key, row.layer), []).append(place)
        return found

    def cells(self, setting: str, layers: Iterable[str], metrics: Collection[str]) -> Iterator[tuple[str, Cell]]:
        """(layer, pair) of a setting by each measure that has some of the metrics.

        A file has all layers and measures of a star, so that opening it costs more than reading from it: each is
        opened once, and only one file's worth is in memory at a time.
        """
        files: dict[Path, list[tuple[str, _Place]]] = {}
        for layer in layers:
            for place in self._places.get((setting, layer), ()):
                if not set(metrics).isdisjoint(MEASURES[place.measure].metrics):
                    files.setdefault(place.path, []).append((layer, place))
        for path, places in files.items():
            for (layer, place), items in zip(places, _load(path, [place for _, place in places], metrics), strict=True):
                directed, groups = MEASURES[place.measure].directed, self.context.text(place.text_key).groups
                evaluation = place.evaluation_id
                yield layer, Cell(place.corpus, place.query, place.candidate, directed, items, groups, evaluation)

    def ids(self, setting: str, layer: str) -> tuple[int, ...]:
        """The evaluations of a setting at a layer, which tell all of its outcomes."""
        return tuple(place.evaluation_id for place in self._places.get((setting, layer), ()))


def _load(path: Path, places: Sequence[_Place], metrics: Collection[str]) -> list[dict[str, NDArray[np.float64]]]:
    """Values item by item of the metrics that each place's measure has."""
    with open_tensors(path) as file:
        names = set(file.keys())
        return [_items(file, names, place, metrics) for place in places]


def _items(
    file: Any, names: Collection[str], place: _Place, metrics: Collection[str]
) -> dict[str, NDArray[np.float64]]:
    wanted = [metric for metric in metrics if metric in MEASURES[place.measure].metrics]
    found: dict[str, NDArray[np.float64]] = {}
    counts = [f"{place.tensor}/{name}" for name in ("greater", "ties", "n_candidates")]
    # Approximate search has hits, but no counts to rank by.
    if place.measure == "retrieval" and counts[0] in names and set(RANK_METRICS).intersection(wanted):
        items = retrieval_items(RetrievalOutcome(*map(file.get_tensor, counts)))
        found.update({metric: items[metric] for metric in wanted if metric in items})
    for metric in wanted:
        if metric not in found:
            found[metric] = file.get_tensor(f"{place.tensor}/{metric}").astype(np.float64)
    return found


def _text_key(connection: Connection, job_id: int) -> str:
    """A text of the job's corpus: all have the same items and groups."""
    row = connection.execute(select(t.Job.kind, t.Job.payload).where(t.Job.id == job_id)).one()
    return read_payload(row.kind, row.payload, f"job {job_id}").text_keys[0]
