"""What measures say of a pair, item by item, and the levels with intervals that follow."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprachbund.measures import METRICS
from sprachbund_runners.evaluation.distances import LanguageVectors
from sprachbund_runners.statistics.bootstrap import bootstrap_mean
from sprachbund_runners.statistics.intervals import wilson

Items = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class PairScores:
    """What a measure says of one unordered pair (x, y). Keys are metric names.

    forward: float64 [n] per item, x asking for y; backward: y asking for x. Empty if the measure has no direction.
    both: float64 [n] per item, of the pair as such.
    values: numbers with no per-item outcome.
    arrays: what is worth keeping in a file, by tensor name.
    notes: metric → why it is undefined (NaN) here, or how it was approximated.
    """

    forward: Items = field(default_factory=dict)
    backward: Items = field(default_factory=dict)
    both: Items = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)


PairMeasure = Callable[[LanguageVectors, LanguageVectors], PairScores]


@dataclass(frozen=True, slots=True)
class Level:
    """One metric's value with its interval. NaN: undefined here (the metric's description says when)."""

    value: float
    low: float
    high: float
    n_items: int
    n_groups: int


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
