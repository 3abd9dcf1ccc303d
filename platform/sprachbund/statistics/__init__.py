"""What reading results needs of statistics: Pareto fronts, and how many items a difference takes to be seen."""

from sprachbund.statistics.pareto import may_be_front, pareto_front
from sprachbund.statistics.power import detectable_after, detectable_before

__all__ = ["detectable_after", "detectable_before", "may_be_front", "pareto_front"]
