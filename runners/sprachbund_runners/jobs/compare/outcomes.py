"""Per-item outcomes of finished pair evaluations, read back for comparisons."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from sprachbund.db import tables as t
from sprachbund.files.tensors import open_tensors
from sprachbund.measures import MEASURES
from sprachbund.queue import Claim
from sprachbund.work.kinds import read_payload
from sprachbund.work.payloads.compare import ComparisonPayload
from sprachbund_runners.evaluation.retrieval import RetrievalOutcome
from sprachbund_runners.evaluation.retrieval_scores import COUNTS, RANK_METRICS, retrieval_items
from sprachbund_runners.jobs.context import Context
from sprachbund_runners.jobs.evaluation_rows import whole


@dataclass(frozen=True, slots=True)
class Cell:
    """One metric of one evaluation, item by item: float64 [n]; `groups` per item where the text has them."""

    corpus: str
    query: str | None
    candidate: str | None
    directed: bool
    items: NDArray[np.float64]
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
    """The pairs that a comparison reads; a job may have others, and some of other texts."""

    pairs: frozenset[tuple[str, frozenset[str]]]
    foreign: frozenset[tuple[str, frozenset[str]]]

    @classmethod
    def of(cls, payload: ComparisonPayload) -> "Wanted":
        pairs = frozenset((corpus, frozenset(pair)) for corpus, *pair in payload.pairs)
        return cls(pairs, frozenset((each.job, frozenset((each.first, each.second))) for each in payload.foreign))

    def has(self, job: str, corpus: str, query: str, candidate: str) -> bool:
        """Whether an evaluation that the job (its key) made is read."""
        pair = frozenset((query, candidate))
        return (corpus, pair) in self.pairs and (job, pair) not in self.foreign


@dataclass(slots=True)
class Outcomes:
    """Where the outcomes of every (setting, layer) are, found once for a comparison job.

    metrics: those that will be asked for. A file has all layers and measures of a pair, so that opening it costs more
    than reading from it: what they need of a layer is read from it in one go.
    """

    context: Context
    metrics: frozenset[str]
    _places: dict[tuple[str, str], list[_Place]] = field(default_factory=dict)
    _files: dict[tuple[Path, str], list[_Place]] = field(default_factory=dict)
    # The last layer read is kept.
    _read: dict[tuple[Path, str], dict[str, NDArray[np.float64]]] = field(default_factory=dict)
    _layer: str = ""

    @classmethod
    def of(cls, context: Context, claim: Claim[ComparisonPayload], metrics: Iterable[str]) -> "Outcomes":
        """The outcomes of the evaluations that this comparison needs."""
        found = cls(context, frozenset(metrics))
        wanted = Wanted.of(claim.payload)
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
                t.JobEdge.job_id == claim.job_id, t.Job.state == "done", t.Evaluation.outcomes_id.is_not(None)
            )
            .order_by(t.Evaluation.id)
        )  # fmt: skip
        with context.reading() as connection:
            paths: dict[int, Path] = {}
            texts: dict[int, str] = {}
            for row in connection.execute(statement):
                if not wanted.has(row.job_key, row.corpus, row.query_language, row.candidate_language):
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
                found._files.setdefault((place.path, row.layer), []).append(place)
        return found

    def cells(self, setting: str, layer: str, metric: str) -> list[Cell]:
        """Every pair of a setting at a layer, by the measure that has this metric."""
        measure = next(name for name, each in MEASURES.items() if metric in each.metrics)
        if layer != self._layer:
            self._read.clear()
            self._layer = layer
        return [
            Cell(
                place.corpus,
                place.query,
                place.candidate,
                MEASURES[measure].directed,
                self._items(place, layer, metric),
                self.context.text(place.text_key).groups,
                place.evaluation_id,
            )
            for place in self._places.get((setting, layer), ())
            if place.measure == measure
        ]

    def _items(self, place: _Place, layer: str, metric: str) -> NDArray[np.float64]:
        key = (place.path, place.tensor)
        if key not in self._read:
            self._load(place.path, layer)
        if metric not in self._read[key]:
            with open_tensors(place.path) as file:
                self._read[key][metric] = self._whole(file, place, metric).astype(np.float64)
        return self._read[key][metric]

    def _load(self, path: Path, layer: str) -> None:
        """All outcomes of a file at a layer, of every measure and direction."""
        with open_tensors(path) as file:
            names = set(file.keys())
            for place in self._files[path, layer]:
                found = self._read.setdefault((path, place.tensor), {})
                wanted = self.metrics.intersection(MEASURES[place.measure].metrics)
                # Approximate search has hits, but no counts to rank by.
                counted = place.measure == "retrieval" and f"{place.tensor}/{COUNTS[0]}" in names
                if counted and wanted.intersection(RANK_METRICS):
                    counts = (self._whole(file, place, name).astype(np.int32) for name in COUNTS)
                    items = retrieval_items(RetrievalOutcome(*counts))
                    found.update({metric: values for metric, values in items.items() if metric in wanted})
                for metric in sorted(wanted.difference(found)):
                    if f"{place.tensor}/{metric}" in names:
                        found[metric] = self._whole(file, place, metric).astype(np.float64)

    def _whole(self, file: Any, place: _Place, name: str) -> NDArray[Any]:
        return whole(file.get_tensor(f"{place.tensor}/{name}"), len(self.context.text(place.text_key).sentences))


def _text_key(connection: Connection, job_id: int) -> str:
    """A text of the job's corpus: all have the same items and groups."""
    row = connection.execute(select(t.Job.kind, t.Job.payload).where(t.Job.id == job_id)).one()
    return read_payload(row.kind, row.payload, f"job {job_id}").text_keys[0]
