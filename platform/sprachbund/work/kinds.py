"""Job kinds: name, version, order. Runners implement them and claim only versions they have.

Count a version up when a kind's results change for the same inputs: old results then keep their keys and
new ones are computed beside them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """What the planner and the queue must know of a job kind. Smaller `priority` is claimed earlier.

    `needs_model`: it runs sentences through a model. `layered`: its subject has layers, which several jobs
    may share out among them. `lenient`: it goes on without what failed among its needs.
    """

    name: str
    version: int
    priority: int
    description: str
    needs_model: bool = False
    layered: bool = False
    lenient: bool = False


UNIT_STATISTICS = Kind(
    "unit_statistics",
    2,
    10,
    "pooled responses and moments of every unit over one language's fit text",
    needs_model=True,
)
EXPERT_SET = Kind("expert_set", 1, 20, "all units ranked by one scorer for one target language")
DIRECTION = Kind("direction", 1, 25, "a direction at one site of one block that tells languages apart")
INTERVENTION = Kind("intervention", 3, 30, "the edits of one intervention, made from its inputs")
SNAPSHOT = Kind(
    "snapshot", 1, 40, "embeddings of one corpus language under one setting", needs_model=True, layered=True
)
PAIR_EVALUATION = Kind(
    "pair_evaluation", 2, 50, "retrieval in both directions and distances of one language pair", layered=True
)
OWN_MEASURES = Kind("own_measures", 2, 52, "a registered measure of one language pair", layered=True)
MINING = Kind("mining", 1, 58, "pairs of one language pair mined above a threshold tuned on select", layered=True)
SPACE_EVALUATION = Kind(
    "space_evaluation", 1, 55, "medoid, spread and distances of all languages of one setting", layered=True
)
GENERATION = Kind("generation", 1, 60, "texts written freely under one setting from one seed", needs_model=True)
GENERATION_EVALUATION = Kind("generation_evaluation", 2, 62, "languages, repetition and variety of one setting's texts")
PERPLEXITY = Kind(
    "perplexity", 2, 64, "perplexity and bits per byte of one language's text under one setting", needs_model=True
)
TRANSLATION = Kind("translation", 2, 66, "translations of one pair by prompting under one setting", needs_model=True)
GEOMETRY_EVALUATION = Kind(
    "geometry_evaluation", 2, 56, "a measure of likeness, isotropy, hubs or languages of one setting", layered=True
)
ABX_EVALUATION = Kind("abx_evaluation", 1, 57, "one ABX task over label columns under one setting", layered=True)
PROBE = Kind("probe", 2, 58, "logistic probes for one label under one setting", layered=True)
COMPARISON = Kind(
    "comparison", 3, 70, "settings against baselines and controls, with intervals and tests", lenient=True
)
CHOICE = Kind("choice", 1, 80, "the setting and layer that is best on the select role")
EXPERT_OVERLAP = Kind("expert_overlap", 1, 90, "units that expert sets share among their top k")

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        UNIT_STATISTICS,
        EXPERT_SET,
        DIRECTION,
        INTERVENTION,
        SNAPSHOT,
        PAIR_EVALUATION,
        MINING,
        OWN_MEASURES,
        SPACE_EVALUATION,
        GEOMETRY_EVALUATION,
        ABX_EVALUATION,
        PROBE,
        GENERATION,
        GENERATION_EVALUATION,
        PERPLEXITY,
        TRANSLATION,
        COMPARISON,
        CHOICE,
        EXPERT_OVERLAP,
    )
}
