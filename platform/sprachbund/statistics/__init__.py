"""What reading results needs of statistics: Pareto fronts, and how many items a difference takes to be seen."""

from sprachbund.statistics.draws import default_resamples, least_q, resamples_needed
from sprachbund.statistics.pareto import may_be_front, pareto_front
from sprachbund.statistics.power import ENOUGH, detectable_after, detectable_before, rule_of_three
from sprachbund.statistics.student import FEW

__all__ = [
    "ENOUGH",
    "FEW",
    "default_resamples",
    "detectable_after",
    "detectable_before",
    "least_q",
    "may_be_front",
    "pareto_front",
    "resamples_needed",
    "rule_of_three",
]
