"""Geometry evaluations: a measure of every pair and language of one setting, layer by layer."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pkgutil import resolve_name

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from sprachbund.measures import MEASURES
from sprachbund.measures.base import Measure
from sprachbund.queue import Claim
from sprachbund.vocabulary import layer_order
from sprachbund.work.payloads.measure import GeometryEvaluationPayload
from sprachbund_runners.evaluation.distances import LanguageVectors, centroid_distance, item_distances
from sprachbund_runners.evaluation.geometry import (
    CentredSpace,
    centred_space,
    effective_rank,
    isoscore,
    linear_cka,
    procrustes_residual,
    quantiles,
    silhouettes,
    spectrum,
)
from sprachbund_runners.evaluation.hubness import K, mutual_neighbours, nearest_items, occurrence_skewness
from sprachbund_runners.evaluation.precision import resolved
from sprachbund_runners.evaluation.probing import probe
from sprachbund_runners.evaluation.scores import Items, Level, PairScores, levels
from sprachbund_runners.evaluation.similarity import unit_vectors
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.embed.embedded import Embedded
from sprachbund_runners.jobs.evaluation_rows import RESAMPLES, SEED, EvaluationRow, write_evaluations
from sprachbund_runners.jobs.measure.labelled import Labelled
from sprachbund_runners.jobs.measure.probe import accuracy_level
from sprachbund_runners.jobs.serving import together

PROBE_FOLDS = 5


def run(claims: Sequence[Claim[GeometryEvaluationPayload]], context: Context) -> Iterator[Outcome]:
    """Claims of one setting and corpus, a measure each; those of the same embeddings share what several need."""
    embedded = Embedded(context)
    step = context.progress.start("measuring geometry", sum(len(claim.payload.layers) for claim in claims))
    for members in together(claims, _without_question):
        table = Labelled.of(members[0].payload, context)
        rows: list[list[EvaluationRow]] = [[] for _ in members]
        for layer in sorted({layer for claim in members for layer in claim.payload.layers}, key=layer_order):
            space = _Space(members[0].payload, embedded, table, layer)
            for place, claim in enumerate(members):
                if layer in claim.payload.layers:
                    context.check_stop()
                    rows[place] += _rows(claim.payload, space)
                    step(1)
        for place, claim in enumerate(members):
            yield _outcome(claim, rows[place])


def _without_question(payload: GeometryEvaluationPayload) -> GeometryEvaluationPayload:
    """What measures of the same embeddings have in common."""
    return replace(payload, measure="", version=0, layers=())


def _rows(payload: GeometryEvaluationPayload, space: "_Space") -> Iterator[EvaluationRow]:
    """Of a pair the languages say it all; anything else is of this choice of languages."""
    measure = MEASURES[payload.measure]
    for row in _of_vectors(measure, space) if measure.function else _SHARING[measure.name](space):
        yield row if row.candidate else replace(row, scope=payload.scope_digest)


def _outcome(claim: Claim[GeometryEvaluationPayload], rows: Sequence[EvaluationRow]) -> Outcome:
    def write(connection: Connection) -> None:
        write_evaluations(connection, claim, rows)

    return Outcome(claim, write)


@dataclass
class _Space:
    """One layer of one setting; what several measures need is computed once."""

    payload: GeometryEvaluationPayload
    embedded: Embedded
    table: Labelled
    layer: str
    n_items: int = field(init=False)

    def __post_init__(self) -> None:
        self.n_items = len(set(self.table.labels["item"]))

    @cached_property
    def stacked(self) -> NDArray[np.float32]:
        """float32 [n, d]: all languages."""
        return self.table.embeddings(self.payload, self.embedded, self.layer)

    @cached_property
    def vectors(self) -> dict[str, LanguageVectors]:
        texts = self.payload.texts
        return {
            each: self.embedded.vectors(self.payload, each, self.layer, texts[each].key)
            for each in self.table.languages
        }

    @cached_property
    def centred(self) -> dict[str, CentredSpace]:
        return {
            each: centred_space(self.stacked[self.table.language == each], f"{each} at layer {self.layer}")
            for each in self.table.languages
        }

    @cached_property
    def nearest(self) -> dict[str, NDArray[np.int64]]:
        return {each: nearest_items(one.unit, one.groups, self._k(one.groups)) for each, one in self.vectors.items()}

    def _k(self, groups: NDArray[np.int64]) -> int:
        """The usual 10, or what a smaller corpus has."""
        return max(1, min(K, len(groups) - int(np.unique(groups, return_counts=True)[1].max())))

    def levels(self, items: Items, language: str) -> dict[str, Level]:
        """Means with intervals over items of a pair, which are those of either of its languages."""
        units = np.asarray(self.table.unit)[self.table.language == language]
        confidence = self.payload.confidence
        return levels(items, groups=units, resamples=RESAMPLES, seed=SEED, confidence=confidence)

    def row(self, measure: str, x: str | None, y: str | None, values: Mapping[str, float | Level]) -> EvaluationRow:
        found = {
            name: value if isinstance(value, Level) else Level(value, np.nan, np.nan, self.n_items, self.n_items)
            for name, value in values.items()
        }
        return EvaluationRow(measure, x, y, self.layer, found)


def _cka(space: _Space) -> Iterator[EvaluationRow]:
    for x, y in space.payload.pairs:
        found = linear_cka(space.centred[x], space.centred[y])
        yield space.row("cka", x, y, {"cka": found.biased, "cka_debiased": found.debiased})


def _mutual_knn(space: _Space) -> Iterator[EvaluationRow]:
    for x, y in space.payload.pairs:
        near_x, near_y = space.nearest[x], space.nearest[y]
        k = min(near_x.shape[1], near_y.shape[1])
        if near_x.shape != near_y.shape:
            # Equal texts leave one side fewer others: both get what both have.
            near_x, near_y = (nearest_items(space.vectors[z].unit, space.vectors[z].groups, k) for z in (x, y))
        items = {"mutual_knn": mutual_neighbours(near_x, near_y)}
        yield space.row("mutual_knn", x, y, space.levels(items, x))


def _procrustes(space: _Space) -> Iterator[EvaluationRow]:
    for x, y in space.payload.pairs:
        residual = procrustes_residual(space.centred[x], space.centred[y])
        yield space.row("procrustes", x, y, {"procrustes_residual": residual})


def _isotropy(space: _Space) -> Iterator[EvaluationRow]:
    everything = centred_space(space.stacked, f"all languages at layer {space.layer}")
    for language, one in [*space.centred.items(), (None, everything)]:
        variances = spectrum(one)
        values = {"isoscore": isoscore(variances), "effective_rank": effective_rank(variances)}
        yield space.row("isotropy", language, None, values)


def _hubness(space: _Space) -> Iterator[EvaluationRow]:
    for language, nearest in space.nearest.items():
        yield space.row("hubness", language, None, {"hubness": occurrence_skewness(nearest)})
    unit = unit_vectors(space.stacked, f"all languages at layer {space.layer}")
    # Translations may be each other's nearest: only the very same row is left out.
    rows = np.arange(unit.n)
    together = nearest_items(unit, rows, space._k(rows))
    yield space.row("hubness", None, None, {"hubness": occurrence_skewness(together)})


def _silhouette(space: _Space) -> Iterator[EvaluationRow]:
    unit = unit_vectors(space.stacked, f"all languages at layer {space.layer}")
    labels = np.unique(space.table.language, return_inverse=True)[1].reshape(-1).astype(np.int64)
    values = silhouettes(unit.resolved().rows, labels)
    yield space.row("silhouette", None, None, {"language_silhouette": float(values.mean())})
    for language in space.table.languages:
        mean = float(values[space.table.language == language].mean())
        yield space.row("silhouette", language, None, {"language_silhouette": mean})


def _language_probe(space: _Space) -> Iterator[EvaluationRow]:
    payload, table = space.payload, space.table
    folds = min(PROBE_FOLDS, len(np.unique(table.folds)))
    found = probe(space.stacked, table.labels["language"], table.folds, folds=folds, seeds=[payload.seed])
    for language in (None, *table.languages):
        rows = np.arange(table.n) if language is None else np.flatnonzero(table.language == language)
        level = accuracy_level(found, table, rows, "language_probe", payload.confidence)
        yield space.row("language_probe", language, None, {"language_probe": level})


def _distance_quantiles(space: _Space) -> Iterator[EvaluationRow]:
    centroids = [centroid_distance(space.vectors[x], space.vectors[y]) for x, y in space.payload.pairs]
    paired = [item_distances(*resolved(space.vectors[x], space.vectors[y])[:2]).paired for x, y in space.payload.pairs]
    values = {
        f"{name}_{level}": value
        for name, of in (("centroid_distance", np.array(centroids)), ("paired_distance", np.concatenate(paired)))
        for level, value in quantiles(of).items()
    }
    yield space.row("distance_quantiles", None, None, values)


def _of_vectors(measure: Measure, space: _Space) -> Iterator[EvaluationRow]:
    """A measure that is a function of vectors: called for what it looks at."""
    function = resolve_name(measure.function)
    if measure.extent == "pair":
        for x, y in space.payload.pairs:
            yield from _of_pair(measure, space, x, y, function(space.vectors[x], space.vectors[y]))
    elif measure.extent == "language":
        for language, vectors in space.vectors.items():
            yield space.row(measure.name, language, None, function(vectors))
    else:
        yield space.row(measure.name, None, None, function(space.vectors))


def _of_pair(measure: Measure, space: _Space, x: str, y: str, scores: PairScores) -> Iterator[EvaluationRow]:
    if measure.directed:
        yield space.row(measure.name, x, y, space.levels(scores.forward, x))
        yield space.row(measure.name, y, x, space.levels(scores.backward, y))
    else:
        yield space.row(measure.name, x, y, {**space.levels(scores.both, x), **scores.values})


_SHARING: dict[str, Callable[[_Space], Iterator[EvaluationRow]]] = {
    "cka": _cka,
    "mutual_knn": _mutual_knn,
    "procrustes": _procrustes,
    "isotropy": _isotropy,
    "hubness": _hubness,
    "silhouette": _silhouette,
    "language_probe": _language_probe,
    "distance_quantiles": _distance_quantiles,
}
"""Measures that share what one of them has computed of a space."""
