"""Per-item outcomes of finished pair evaluations, read back for comparisons."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from sprachbund.db import tables as t
from sprachbund.metrics import MEASURES
from sprachbund.queue import Claim
from sprachbund.tensors import load_tensors, shapes
from sprachbund_runners.evaluation import RANK_METRICS, retrieval_items
from sprachbund_runners.evaluation.retrieval import RetrievalOutcome
from sprachbund_runners.jobs.context import Context


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


@dataclass(slots=True)
class Outcomes:
    """Where the outcomes of every (setting, layer) are, found once for a comparison job."""

    context: Context
    _places: dict[tuple[str, str], list[_Place]] = field(default_factory=dict)
    # The retrieval metrics all come from one reading; the last layer read is kept.
    _read: dict[tuple[str, str, str], dict[str, NDArray[np.float64]]] = field(default_factory=dict)
    _layer: str = ""

    @classmethod
    def of(cls, context: Context, claim: Claim) -> "Outcomes":
        """The outcomes of the evaluations that this comparison needs."""
        found = cls(context)
        wanted = {(corpus, frozenset(pair)) for corpus, *pair in claim.payload["pairs"]}
        statement = (
            select(
                t.Evaluation.id.label("evaluation_id"), t.Setting.key, t.Evaluation.query_layer,
                t.Evaluation.measure, t.Corpus.key.label("corpus"),
                t.Evaluation.query_language, t.Evaluation.candidate_language, t.Evaluation.outcomes_tensor,
                t.Evaluation.outcomes_id, t.Evaluation.job_id, t.Job.payload,
            )
            .join(t.JobEdge, t.JobEdge.needs_id == t.Evaluation.job_id)
            .join(t.Job, t.Job.id == t.Evaluation.job_id)
            .join(t.Setting, t.Setting.id == t.Evaluation.query_setting_id)
            .join(t.Corpus, t.Corpus.id == t.Evaluation.corpus_id)
            .where(t.JobEdge.job_id == claim.job_id, t.Evaluation.outcomes_id.is_not(None))
            .order_by(t.Evaluation.id)
        )  # fmt: skip
        with context.reading() as connection:
            paths: dict[int, Path] = {}
            for row in connection.execute(statement):
                if (row.corpus, frozenset((row.query_language, row.candidate_language))) not in wanted:
                    continue
                if row.outcomes_id not in paths:
                    paths[row.outcomes_id] = context.artifact(connection, row.outcomes_id, row.job_id)
                place = _Place(
                    row.measure, row.corpus, row.query_language, row.candidate_language, paths[row.outcomes_id],
                    row.outcomes_tensor, next(iter(row.payload["texts"].values())), row.evaluation_id,
                )  # fmt: skip
                found._places.setdefault((row.key, row.query_layer), []).append(place)
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
                self._items(place, metric),
                self.context.text(place.text_key).groups,
                place.evaluation_id,
            )
            for place in self._places.get((setting, layer), ())
            if place.measure == measure
        ]

    def _items(self, place: _Place, metric: str) -> NDArray[np.float64]:
        key = (str(place.path), place.tensor, place.measure)
        if metric not in self._read.get(key, {}):
            names = [f"{place.tensor}/{name}" for name in ("greater", "ties", "n_candidates")]
            # Approximate search has hits, but no counts to rank by.
            if place.measure == "retrieval" and metric in RANK_METRICS and names[0] in shapes(place.path):
                tensors = load_tensors(place.path, names)
                counts = RetrievalOutcome(*(tensors[name] for name in names))
                self._read.setdefault(key, {}).update(retrieval_items(counts))
            else:
                name = f"{place.tensor}/{metric}"
                values: NDArray[Any] = load_tensors(place.path, [name])[name]
                self._read.setdefault(key, {})[metric] = values.astype(np.float64)
        return self._read[key][metric]
