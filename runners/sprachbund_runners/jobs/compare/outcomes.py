"""Per-item outcomes of finished pair evaluations, read back for comparisons."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, Select, select

from sprachbund.db import tables as t
from sprachbund.errors import CorpusError
from sprachbund.files.tensors import open_tensors
from sprachbund.measures import MEASURES, OF_PAIRS
from sprachbund.vocabulary import LanguageSide
from sprachbund.work.payloads.compare import OutcomesPayload
from sprachbund.work.payloads.pairs import PairEvaluationPayload
from sprachbund.work.payloads.stored import from_json
from sprachbund_runners.evaluation.retrieval import RetrievalOutcome
from sprachbund_runners.evaluation.retrieval_scores import COUNTS, RANK_METRICS, retrieval_items
from sprachbund_runners.jobs.compare.left_out import check_ready
from sprachbund_runners.jobs.context import Context
from sprachbund_runners.jobs.evaluation_rows import whole
from sprachbund_runners.jobs.serving import numbered, tensor_prefix


@dataclass(frozen=True, slots=True)
class Cell:
    """One evaluation, item by item: float64 [n] by metric; `groups` per item where the text has them."""

    corpus: str
    query: str | None
    candidate: str | None
    directed: bool
    items: Mapping[str, NDArray[np.float64]]
    groups: Sequence[str] | None
    result_id: int

    @property
    def sides(self) -> Iterator[tuple[str, str, LanguageSide]]:
        """(language, its partner, the side it is on); none where they are one, or there are no two."""
        if self.query is None or self.candidate is None or self.query == self.candidate:
            return
        yield self.query, self.candidate, "query" if self.directed else "either"
        yield self.candidate, self.query, "candidate" if self.directed else "either"


@dataclass(frozen=True, slots=True)
class _Star:
    """The file of a job, the numbers of its pairs, and the keys of their sides' texts."""

    path: Path
    numbers: Mapping[tuple[str, str], int]
    texts: Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class _Place:
    """An ordered pair at a layer. `number`: the pair's in its job; `forward`: its first side asks.

    text_key: of one side, which has the items and groups of both.
    """

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


@contextmanager
def needed_results(
    connection: Connection,
    job: int,
    payload: OutcomesPayload,
    layers: Collection[str],
    metrics: Iterable[str] = (),
    settings: Collection[str] | None = None,
) -> Iterator[Iterator[Row[Any]]]:
    """The results of pairs that a comparison needs at some layers (of some settings), with columns of these metrics.

    Raises NotReady where an evaluation was queued again since the comparison was claimed.
    """
    check_ready(connection, job)
    foreign = {(each.job, frozenset((each.first, each.second))) for each in payload.foreign}
    needs = select(t.JobEdge.needs_id).where(t.JobEdge.job_id == job)
    with results_of(connection, needs, foreign, layers, metrics, settings) as rows:
        yield rows


@contextmanager
def results_of(
    connection: Connection,
    jobs: Select[int],
    foreign: Collection[tuple[str, frozenset[str]]],
    layers: Collection[str],
    metrics: Iterable[str] = (),
    settings: Collection[str] | None = None,
) -> Iterator[Iterator[Row[Any]]]:
    """The results of pairs by some jobs, but for the foreign ones (key of the job, the pair's languages).

    One statement for all, so that items and values are of the same results. settings: keys; None for all.
    """
    statement = (
        select(
            t.PairResult.id, t.Setting.key.label("setting"), t.PairResult.layer, t.Corpus.key.label("corpus"),
            t.PairResult.query_language, t.PairResult.candidate_language, t.PairEvaluation.outcomes_id,
            t.PairResult.job_id, t.Job.key.label("job_key"), *(getattr(t.PairResult, name) for name in metrics),
        )
        .join(t.Job, t.Job.id == t.PairResult.job_id)
        .join(t.PairEvaluation, t.PairEvaluation.job_id == t.PairResult.job_id)
        .join(t.Evaluand, t.Evaluand.id == t.PairResult.evaluand_id)
        .join(t.Setting, t.Setting.id == t.Evaluand.setting_id)
        .join(t.Corpus, t.Corpus.id == t.Evaluand.corpus_id)
        .where(t.PairResult.job_id.in_(jobs), t.PairResult.layer.in_(layers))
        .order_by(t.PairResult.id)
    )  # fmt: skip
    if settings is not None:
        statement = statement.where(t.Setting.key.in_(settings))
    with connection.execute(statement, execution_options={"yield_per": 10_000}) as rows:
        yield (
            row for row in rows if (row.job_key, frozenset((row.query_language, row.candidate_language))) not in foreign
        )


@dataclass(slots=True)
class Outcomes:
    """Where the outcomes of every (setting, layer) are, found once for some layers of a comparison job."""

    context: Context
    _places: dict[tuple[str, str], list[_Place]] = field(default_factory=dict)
    # By the job that made them.
    _stars: dict[int, _Star] = field(default_factory=dict)
    # Keys of texts by corpus and side: items of one number have to be the same.
    _texts: dict[tuple[str, str], str] = field(default_factory=dict)

    @classmethod
    def of(cls, context: Context, job: int, payload: OutcomesPayload, layers: Collection[str]) -> "Outcomes":
        """The outcomes of the evaluations that this comparison needs. Raises NotReady as `needed_results`."""
        found = cls(context)
        with context.reading() as connection, needed_results(connection, job, payload, layers) as rows:
            for row in rows:
                found.add(connection, row)
        return found

    def add(self, connection: Connection, row: Row[Any]) -> None:
        """Note where the outcomes of a needed result are."""
        pair = (row.query_language, row.candidate_language)
        if row.job_id not in self._stars:
            path = self.context.artifact(connection, row.outcomes_id, row.job_id)
            asked = _payload(connection, row.job_id)
            texts = [{side: asked.texts[side] for side in each.sides} for each in asked.pairs]
            self._stars[row.job_id] = _Star(path, numbered(asked), texts)
        star = self._stars[row.job_id]
        forward = pair in star.numbers
        number = star.numbers[pair if forward else pair[::-1]]
        for side, text in star.texts[number].items():
            if self._texts.setdefault((row.corpus, side), text) != text:
                raise CorpusError(f"{side}: outcomes are of two different texts, whose items are not the same")
        place = _Place(row.corpus, *pair, star.path, number, forward, next(iter(star.texts[number].values())), row.id)
        self._places.setdefault((row.setting, row.layer), []).append(place)

    def cells(self, setting: str, layers: Iterable[str], metrics: Collection[str]) -> Iterator[tuple[str, Cell]]:
        """(layer, pair) of a setting by each measure that has some of the metrics.

        A file has all layers and measures of a star, so that opening it costs more than reading from it: each is
        opened once, and only one file's worth is in memory at a time.
        """
        files: dict[Path, list[tuple[str, _Place]]] = {}
        for layer in layers:
            for place in self._places.get((setting, layer), ()):
                files.setdefault(place.path, []).append((layer, place))
        for path, places in files.items():
            for layer, place, measure, items in self._load(path, places, metrics):
                directed, groups = MEASURES[measure].directed, self.context.text(place.text_key).groups
                yield layer, Cell(place.corpus, place.query, place.candidate, directed, items, groups, place.result_id)

    def ids(self, setting: str, layer: str) -> tuple[int, ...]:
        """The results of a setting at a layer, which tell all of its outcomes."""
        return tuple(place.result_id for place in self._places.get((setting, layer), ()))

    def _load(
        self, path: Path, places: Iterable[tuple[str, _Place]], metrics: Collection[str]
    ) -> list[tuple[str, _Place, str, dict[str, NDArray[np.float64]]]]:
        """Values item by item of the metrics by each measure of each pair: not all pairs have all measures."""
        asked = {
            name: [metric for metric in metrics if metric in measure.metrics] for name, measure in OF_PAIRS.items()
        }
        found = []
        with open_tensors(path) as file:
            names = set(file.keys())
            there = {name.rpartition("/")[0] for name in names}
            for (layer, place), measure in product(places, OF_PAIRS):
                tensor = place.tensor(layer, measure)
                # Paraphrases have no language ABX, nor has a pair of which one side is steered.
                if tensor is not None and tensor in there and asked[measure]:
                    n = len(self.context.text(place.text_key).sentences)
                    found.append((layer, place, measure, _items(file, names, tensor, asked[measure], n)))
        return found


def _items(
    file: Any, names: Collection[str], tensor: str, wanted: Sequence[str], n: int
) -> dict[str, NDArray[np.float64]]:
    def stored(name: str, dtype: type[Any]) -> NDArray[Any]:
        return whole(file.get_tensor(f"{tensor}/{name}"), n).astype(dtype)

    found: dict[str, NDArray[np.float64]] = {}
    # Approximate search has hits, but no counts to rank by.
    if f"{tensor}/{COUNTS[0]}" in names and set(RANK_METRICS).intersection(wanted):
        items = retrieval_items(RetrievalOutcome(*(stored(name, np.int32) for name in COUNTS)))
        found.update({metric: items[metric] for metric in wanted if metric in items})
    return found | {metric: stored(metric, np.float64) for metric in wanted if metric not in found}


def _payload(connection: Connection, job_id: int) -> PairEvaluationPayload:
    stored = connection.execute(select(t.Job.payload).where(t.Job.id == job_id)).scalar_one()
    return from_json(PairEvaluationPayload, stored, f"job {job_id}")
