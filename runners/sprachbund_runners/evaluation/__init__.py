"""Measures on embeddings: arrays in, numbers out. No SQL, jobs, files or torch.

A measure of scope `pair` is a function of two sides with aligned items that returns `PairScores`. To add one: a module
here, a line in `PAIR_MEASURES`, and its names in `sprachbund.metrics`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprachbund.metrics import METRICS
from sprachbund.statistics import bootstrap_mean, wilson
from sprachbund_runners.evaluation.distances import (
    LanguageVectors,
    centroid_distance,
    item_distances,
    spread,
    within_distance,
)
from sprachbund_runners.evaluation.language_abx import language_abx
from sprachbund_runners.evaluation.retrieval import (
    RetrievalOutcome,
    meaning_abx,
    reciprocal_rank,
    retrieve,
    top_k_credit,
)

Items = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class PairScores:
    """What a measure says of one unordered pair (x, y). Keys are metric names.

    forward: float64 [n] per item, x asking for y; backward: y asking for x. Empty if the measure has no direction.
    both: float64 [n] per item, of the pair as such.
    values: numbers with no per-item outcome.
    arrays: what is worth keeping in a file, by tensor name.
    """

    forward: Items = field(default_factory=dict)
    backward: Items = field(default_factory=dict)
    both: Items = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)


PairMeasure = Callable[[LanguageVectors, LanguageVectors], PairScores]


@dataclass(frozen=True, slots=True)
class Level:
    """One metric's value with its interval. NaN: undefined here (the metric's description says when)."""

    value: float
    low: float
    high: float
    n_items: int
    n_groups: int


def retrieval_items(outcome: RetrievalOutcome) -> dict[str, NDArray[np.float64]]:
    """The per-item retrieval metrics, float64 [n] each, from stored counts."""
    return {
        "top1": top_k_credit(outcome, 1),
        "top5": top_k_credit(outcome, 5),
        "top10": top_k_credit(outcome, 10),
        "mrr": reciprocal_rank(outcome),
        "meaning_abx": meaning_abx(outcome),
    }


def retrieval_scores(x: LanguageVectors, y: LanguageVectors) -> PairScores:
    """Retrieval in both directions. arrays: `forward_greater`, `forward_ties`, …, int32 [n] each."""
    pair = retrieve(x.unit, y.unit, groups_x=x.groups, groups_y=y.groups)
    arrays = {
        f"{direction}_{name}": getattr(getattr(pair, direction), name)
        for direction in ("forward", "backward")
        for name in ("greater", "ties", "n_candidates")
    }
    return PairScores(retrieval_items(pair.forward), retrieval_items(pair.backward), arrays=arrays)


def language_abx_scores(x: LanguageVectors, y: LanguageVectors) -> PairScores:
    """Language ABX in both orders."""
    return PairScores({"language_abx": language_abx(x, y)}, {"language_abx": language_abx(y, x)})


def distance_scores(x: LanguageVectors, y: LanguageVectors) -> PairScores:
    """Cosine distances between two languages."""
    items = item_distances(x, y)
    both = {"paired_distance": items.paired, "unpaired_distance": items.unpaired, "distance_gap": items.gap}
    return PairScores(both=both, values={"centroid_distance": centroid_distance(x, y)})


def spread_values(x: LanguageVectors) -> dict[str, float]:
    """Cosine distances within one language."""
    return {"spread": spread(x), "within_distance": within_distance(x)}


PAIR_MEASURES: dict[str, PairMeasure] = {
    "retrieval": retrieval_scores,
    "language_abx": language_abx_scores,
    "distances": distance_scores,
}


def levels(
    items: Items,
    *,
    groups: NDArray[Any] | None = None,
    resamples: int = 10_000,
    seed: int = 0,
    confidence: float = 0.95,
) -> dict[str, Level]:
    """The mean of each per-item metric with the interval its `Metric` asks for.

    groups: [n] documents; whole ones are drawn by the bootstrap (Wilson takes items as independent). A metric
    undefined for some item is NaN with no interval: a mean over the rest would be of other items.

    Raises KeyError for an unregistered metric name.
    """
    found: dict[str, Level] = {}
    drawn: list[str] = []
    n_groups = {name: len(values) if groups is None else len(np.unique(groups)) for name, values in items.items()}
    for name, values in items.items():
        n = len(values)
        if np.isnan(values).any() or METRICS[name].interval == "none":
            found[name] = Level(float(values.mean()), float("nan"), float("nan"), n, n_groups[name])
        elif METRICS[name].interval == "wilson":
            low, high = wilson(values.sum(), n, confidence)
            found[name] = Level(float(values.mean()), float(low), float(high), n, n_groups[name])
        else:
            drawn.append(name)
    if drawn:
        table = np.stack([items[name] for name in drawn], axis=1)
        result = bootstrap_mean(table, groups=groups, resamples=resamples, seed=seed, confidence=confidence)
        for place, name in enumerate(drawn):
            found[name] = Level(
                float(result.estimate[place]),
                float(result.low[place]),
                float(result.high[place]),
                result.n_items,
                result.n_groups,
            )
    return {name: found[name] for name in items}
