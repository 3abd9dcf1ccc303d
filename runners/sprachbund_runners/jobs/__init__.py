"""Job kinds as runners implement them: the only place where numerics meet SQL and files."""

from sprachbund import kinds
from sprachbund_runners.jobs import (
    choice,
    comparison,
    expert_overlap,
    expert_set,
    intervention,
    pair_evaluation,
    snapshot,
    space_evaluation,
    unit_statistics,
)
from sprachbund_runners.jobs.context import Context, Evicted, Outcome, Progress, Run

__all__ = ["JOBS", "Context", "Evicted", "Outcome", "Progress", "Run"]

JOBS: dict[str, Run] = {
    kinds.UNIT_STATISTICS.name: unit_statistics.run,
    kinds.EXPERT_SET.name: expert_set.run,
    kinds.EXPERT_OVERLAP.name: expert_overlap.run,
    kinds.INTERVENTION.name: intervention.run,
    kinds.SNAPSHOT.name: snapshot.run,
    kinds.PAIR_EVALUATION.name: pair_evaluation.run,
    kinds.SPACE_EVALUATION.name: space_evaluation.run,
    kinds.COMPARISON.name: comparison.run,
    kinds.CHOICE.name: choice.run,
}
