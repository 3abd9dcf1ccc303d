"""What reading results needs of statistics: Pareto fronts, and how many items a difference takes to be seen."""

from sprachbund.statistics.pareto import pareto_front
from sprachbund.statistics.power import detectable_after, detectable_before

__all__ = ["detectable_after", "detectable_before", "pareto_front"]
