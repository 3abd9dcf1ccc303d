"""Per-item outcomes of finished pair evaluations, read back for comparisons."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from sprachbund.db import tables as t
from sprachbund.files.tensors import open_tensors
from sprachbund.measures import MEASURES, OF_PAIRS, measure_of
from sprachbund.queue import Claim
from sprachbund.work.payloads.compare import ComparisonPayload
from sprachbund.work.payloads.pairs import PairEvaluationPayload
from sprachbund.work.payloads.stored import from_json
from sprachbund_runners.evaluation.retrieval import RetrievalOutcome
from sprachbund_runners.evaluation.retrieval_scores import COUNTS, RANK_METRICS, retrieval_items
from sprachbund_runners.jobs.context import Context
from sprachbund_runners.jobs.evaluation_rows import whole
from sprachbund_runners.jobs.serving import numbered, tensor_prefix


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
    """An ordered pair at a layer. `number`: the pair's in its job; `forward`: its first side asks."""

    corpus: str
    query: str
    candidate: str
    path: Path
    number: int
    forward: bool
    text_key: str
    result_id: int

    def tensor(self, layer: str, measure: str) -> str | None:
        """Where the file has a measure's outcomes; what has no direction is had with the first side's."""
        if not MEASURES[measure].directed:
            return f"{tensor_prefix(self.number, layer, measure)}/both" if self.forward else None
        return f"{tensor_prefix(self.number, layer, measure)}/{'forward' if self.forward else 'backward'}"


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
    _read: dict[tuple[Path, str | None], dict[str, NDArray[np.float64]]] = field(default_factory=dict)
    _opened: set[Path] = field(default_factory=set)
    _layer: str = ""

    @classmethod
    def of(cls, context: Context, claim: Claim[ComparisonPayload], metrics: Iterable[str]) -> "Outcomes":
        """The outcomes of the evaluations that this comparison needs."""
        found = cls(context, frozenset(metrics))
        wanted = Wanted.of(claim.payload)
        statement = (
            select(
                t.PairResult.id, t.Setting.key, t.PairResult.layer, t.Corpus.key.label("corpus"),
                t.PairResult.query_language, t.PairResult.candidate_language, t.PairEvaluation.outcomes_id,
                t.PairResult.job_id, t.Job.key.label("job_key"),
            )
            .join(t.JobEdge, t.JobEdge.needs_id == t.PairResult.job_id)
            .join(t.Job, t.Job.id == t.PairResult.job_id)
            .join(t.PairEvaluation, t.PairEvaluation.job_id == t.PairResult.job_id)
            .join(t.Evaluand, t.Evaluand.id == t.PairResult.evaluand_id)
            .join(t.Setting, t.Setting.id == t.Evaluand.setting_id)
            .join(t.Corpus, t.Corpus.id == t.Evaluand.corpus_id)
            .where(
                t.JobEdge.job_id == claim.job_id, t.Job.state == "done", t.PairEvaluation.outcomes_id.is_not(None)
            )
            .order_by(t.PairResult.id)
        )  # fmt: skip
        with context.reading() as connection:
            paths: dict[int, Path] = {}
            texts: dict[int, str] = {}
            numbers: dict[int, dict[tuple[str, str], int]] = {}
            for row in connection.execute(statement):
                pair = (row.query_language, row.candidate_language)
                if not wanted.has(row.job_key, row.corpus, *pair):
                    continue
                if row.job_id not in paths:
                    paths[row.job_id] = context.artifact(connection, row.outcomes_id, row.job_id)
                    payload = _payload(connection, row.job_id)
                    numbers[row.job_id], texts[row.job_id] = numbered(payload), payload.text_keys[0]
                forward = pair in numbers[row.job_id]
                place = _Place(
                    row.corpus, *pair, paths[row.job_id], numbers[row.job_id][pair if forward else pair[::-1]],
                    forward, texts[row.job_id], row.id,
                )  # fmt: skip
                found._places.setdefault((row.key, row.layer), []).append(place)
                found._files.setdefault((place.path, row.layer), []).append(place)
        return found

    def cells(self, setting: str, layer: str, metric: str) -> list[Cell]:
        """Every pair of a setting at a layer, by the measure that has this metric."""
        measure = measure_of(metric).name
        if layer != self._layer:
            self._read.clear()
            self._opened.clear()
            self._layer = layer
        found = []
        for place in self._places.get((setting, layer), ()):
            items = self._items(place, layer, measure, metric)
            if items is not None:
                groups = self.context.text(place.text_key).groups
                directed = MEASURES[measure].directed
                found.append(Cell(place.corpus, place.query, place.candidate, directed, items, groups, place.result_id))
        return found

    def _items(self, place: _Place, layer: str, measure: str, metric: str) -> NDArray[np.float64] | None:
        """None of a measure that the pair does not have: language ABX of paraphrases, or of a steered side."""
        if place.path not in self._opened:
            self._load(place.path, layer)
        read = self._read.get((place.path, place.tensor(layer, measure)))
        if read is not None and metric not in read:
            with open_tensors(place.path) as file:
                read[metric] = self._whole(file, place, f"{place.tensor(layer, measure)}/{metric}").astype(np.float64)
        return None if read is None else read[metric]

    def _load(self, path: Path, layer: str) -> None:
        """All outcomes of a file at a layer, of every measure and direction."""
        self._opened.add(path)
        with open_tensors(path) as file:
            names = set(file.keys())
            there = {name.rpartition("/")[0] for name in names}
            for place, measure in product(self._files[path, layer], OF_PAIRS):
                tensor = place.tensor(layer, measure)
                if tensor is None or tensor not in there:
                    continue
                found = self._read.setdefault((path, tensor), {})
                wanted = self.metrics.intersection(MEASURES[measure].metrics)
                # Approximate search has hits, but no counts to rank by.
                counted = measure == "retrieval" and f"{tensor}/{COUNTS[0]}" in names
                if counted and wanted.intersection(RANK_METRICS):
                    counts = (self._whole(file, place, f"{tensor}/{name}").astype(np.int32) for name in COUNTS)
                    items = retrieval_items(RetrievalOutcome(*counts))
                    found.update({metric: values for metric, values in items.items() if metric in wanted})
                for metric in sorted(wanted.difference(found)):
                    if f"{tensor}/{metric}" in names:
                        found[metric] = self._whole(file, place, f"{tensor}/{metric}").astype(np.float64)

    def _whole(self, file: Any, place: _Place, name: str) -> NDArray[Any]:
        return whole(file.get_tensor(name), len(self.context.text(place.text_key).sentences))


def _payload(connection: Connection, job_id: int) -> PairEvaluationPayload:
    stored = connection.execute(select(t.Job.payload).where(t.Job.id == job_id)).scalar_one()
    return from_json(PairEvaluationPayload, stored, f"job {job_id}")
