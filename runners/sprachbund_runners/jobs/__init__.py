"""Job kinds as runners implement them: the only place where numerics meet SQL and files."""

from sprachbund.work import kinds
from sprachbund_runners.jobs.compare import choice, comparison
from sprachbund_runners.jobs.context import Context, Evicted, Outcome, Progress, Run
from sprachbund_runners.jobs.embed import snapshot
from sprachbund_runners.jobs.fit import direction, expert_overlap, expert_set, intervention, unit_statistics
from sprachbund_runners.jobs.measure import (
    abx_evaluation,
    geometry_evaluation,
    mining,
    own_measures,
    pair_evaluation,
    probe,
    space_evaluation,
)
from sprachbund_runners.jobs.write import generation, generation_evaluation, perplexity, translation

__all__ = ["JOBS", "Context", "Evicted", "Outcome", "Progress", "Run"]

JOBS: dict[str, Run] = {
    kinds.UNIT_STATISTICS.name: unit_statistics.run,
    kinds.EXPERT_SET.name: expert_set.run,
    kinds.EXPERT_OVERLAP.name: expert_overlap.run,
    kinds.DIRECTION.name: direction.run,
    kinds.INTERVENTION.name: intervention.run,
    kinds.SNAPSHOT.name: snapshot.run,
    kinds.PAIR_EVALUATION.name: pair_evaluation.run,
    kinds.MINING.name: mining.run,
    kinds.OWN_MEASURES.name: own_measures.run,
    kinds.SPACE_EVALUATION.name: space_evaluation.run,
    kinds.GEOMETRY_EVALUATION.name: geometry_evaluation.run,
    kinds.ABX_EVALUATION.name: abx_evaluation.run,
    kinds.PROBE.name: probe.run,
    kinds.GENERATION.name: generation.run,
    kinds.GENERATION_EVALUATION.name: generation_evaluation.run,
    kinds.PERPLEXITY.name: perplexity.run,
    kinds.TRANSLATION.name: translation.run,
    kinds.COMPARISON.name: comparison.run,
    kinds.CHOICE.name: choice.run,
}
