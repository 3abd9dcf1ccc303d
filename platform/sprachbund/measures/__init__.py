"""Every number an evaluation may store, and the measures that yield them: names, bounds, directions, sources.

The planner and the views read this without the runner's libraries. A measure's home is one module of this folder: its
`METRICS` and `MEASURES`, what the spec may ask (`REQUEST`, or a class that `spec` names), and what is wanted then. A
module here that has `MEASURES` is a home: nothing else lists it.
"""

from collections.abc import Sequence
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from sprachbund.measures.base import Measure, Metric
from sprachbund.measures.requested import Request

__all__ = [
    "CHOSEN_BY",
    "COMPARED",
    "MEASURES",
    "METRICS",
    "METRICS_OF_PAIRS",
    "OF_PAIRS",
    "RATIO_FLOOR",
    "REQUESTS",
    "WITH_RATIO",
    "Measure",
    "Metric",
    "measure_of",
    "random_levels",
]

# The order in which tables show them; further homes follow by name.
_ORDER = (
    "retrieval", "mining", "distances", "generation", "perplexity", "translation", "geometry", "abx", "probing", "own"
)  # fmt: skip


def _place(name: str) -> tuple[int, str]:
    return (_ORDER.index(name) if name in _ORDER else len(_ORDER), name)


def _homes() -> tuple[ModuleType, ...]:
    names = sorted((each.name for each in iter_modules(__path__)), key=_place)
    modules = [import_module(f"{__name__}.{name}") for name in names]
    return tuple(module for module in modules if hasattr(module, "MEASURES"))


_HOMES = _homes()

METRICS: dict[str, Metric] = {metric.name: metric for home in _HOMES for metric in home.METRICS}
COMPARED = tuple(metric.name for metric in METRICS.values() if metric.use != "shown")
"""What `statistics.metrics` may name."""
CHOSEN_BY = tuple(metric.name for metric in METRICS.values() if metric.use == "chosen_by")
"""What `choose.metric` may name."""
WITH_RATIO = tuple(metric.name for metric in METRICS.values() if metric.low is not None and metric.low >= 0)
"""Those that are never negative: a value may be shown as so many times its baseline."""
RATIO_FLOOR = 0.05
"""A ratio to a baseline below this says nothing: it is left out."""
MEASURES: dict[str, Measure] = {measure.name: measure for home in _HOMES for measure in home.MEASURES}
OF_PAIRS: dict[str, Measure] = {
    measure.name: measure
    for measure in MEASURES.values()
    if measure.extent == "pair" and not measure.optional and measure.function
}
"""What every evaluated pair is measured by: their metrics are the columns of the table `pair_results`."""
METRICS_OF_PAIRS = tuple(name for measure in OF_PAIRS.values() for name in measure.metrics)
_MEASURE_OF = {name: measure for measure in MEASURES.values() for name in measure.metrics}
REQUESTS: tuple[Request, ...] = tuple(home.REQUEST for home in _HOMES if hasattr(home, "REQUEST"))
"""The fields of the spec's `evaluations` that measures add."""


def measure_of(metric: str) -> Measure:
    """The measure that yields a metric. Raises KeyError for a metric of nobody's, or of a registered measure."""
    return _MEASURE_OF[metric]


def random_levels(sizes: Sequence[int]) -> dict[str, float]:
    """By metric what a random ranking of candidates gives, of which so many have equal texts each.

    Only metrics whose level depends on the candidates.
    """
    levels = {name: metric.chance(sizes) for name, metric in METRICS.items() if callable(metric.chance)}
    return {name: level for name, level in levels.items() if level is not None}
