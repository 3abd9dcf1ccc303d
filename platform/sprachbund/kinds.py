"""Job kinds: name, version, order. Runners implement them and claim only versions they have.

Count a version up when a kind's results change for the same inputs: old results then keep their keys and
new ones are computed beside them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """What the planner and the queue must know of a job kind. Smaller `priority` is claimed earlier.

    `needs_model`: it runs sentences through a model. `layered`: its subject has layers, which several jobs
    may share out among them.
    """

    name: str
    version: int
    priority: int
    description: str
    needs_model: bool = False
    layered: bool = False


UNIT_STATISTICS = Kind(
    "unit_statistics",
    1,
    10,
    "pooled responses and moments of every unit over one language's fit text",
    needs_model=True,
)
EXPERT_SET = Kind("expert_set", 1, 20, "all units ranked by one scorer for one target language")
INTERVENTION = Kind("intervention", 1, 30, "the edits of one intervention, made from its inputs")
SNAPSHOT = Kind(
    "snapshot", 1, 40, "embeddings of one corpus language under one setting", needs_model=True, layered=True
)
PAIR_EVALUATION = Kind(
    "pair_evaluation", 1, 50, "retrieval in both directions and distances of one language pair", layered=True
)
SPACE_EVALUATION = Kind(
    "space_evaluation", 1, 55, "medoid, spread and distances of all languages of one setting", layered=True
)
COMPARISON = Kind("comparison", 1, 70, "settings against baselines and controls, with intervals and tests")
CHOICE = Kind("choice", 1, 80, "the setting and layer that is best on the select role")
EXPERT_OVERLAP = Kind("expert_overlap", 1, 90, "units that expert sets share among their top k")

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        UNIT_STATISTICS,
        EXPERT_SET,
        INTERVENTION,
        SNAPSHOT,
        PAIR_EVALUATION,
        SPACE_EVALUATION,
        COMPARISON,
        CHOICE,
        EXPERT_OVERLAP,
    )
}

# Scorers by name and version; runners hold the implementations (a test keeps the two in step).
SCORERS: dict[str, int] = {"auroc": 1, "average_precision": 1, "cohens_d": 1}
