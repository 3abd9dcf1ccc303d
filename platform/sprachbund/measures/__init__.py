"""Every number an evaluation may store, and the measures that yield them: names, bounds, directions, sources.

The planner and the views read this without the runner's libraries; `sprachbund_runners.evaluation` has the
functions, under the same names. One module per family; to add one, name it in `_FAMILIES`.
"""

from sprachbund.measures import abx, distances, geometry, own, perplexity, probing, retrieval
from sprachbund.measures.base import Measure, Metric

__all__ = ["CHOSEN_BY", "COMPARED", "MEASURES", "METRICS", "Measure", "Metric"]

_FAMILIES = (retrieval, distances, perplexity, geometry, abx, probing, own)

METRICS: dict[str, Metric] = {metric.name: metric for family in _FAMILIES for metric in family.METRICS}
COMPARED = tuple(metric.name for metric in METRICS.values() if metric.use != "shown")
"""What `statistics.metrics` may name."""
CHOSEN_BY = tuple(metric.name for metric in METRICS.values() if metric.use == "chosen_by")
"""What `choose.metric` may name."""
MEASURES: dict[str, Measure] = {measure.name: measure for family in _FAMILIES for measure in family.MEASURES}
