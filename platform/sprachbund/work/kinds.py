"""Job kinds: each is declared here, once; the table KINDS, and what runners run, follow.

Count a version up when a kind's results change for the same inputs: old results then keep their keys and
new ones are computed beside them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sprachbund.work.payloads import compare, embed, fit, measure, write
from sprachbund.work.payloads.base import Layered, Payload
from sprachbund.work.payloads.stored import from_json


@dataclass(frozen=True, slots=True)
class Kind:
    """What the planner, the queue and runners must know of a job kind. Smaller `priority` is claimed earlier.

    payload: what its jobs are asked. run: the runners' function, `module:name`; runners claim only versions they have.
    needs_model: it runs sentences through a model. lenient: it goes on without what failed among its needs.
    """

    name: str
    version: int
    priority: int
    description: str
    payload: type[Payload] = field(repr=False)
    run: str
    needs_model: bool = False
    lenient: bool = False

    @property
    def layered(self) -> bool:
        """Whether its subject has layers, which several jobs may share out among them."""
        return issubclass(self.payload, Layered)


UNIT_STATISTICS = Kind(
    "unit_statistics", 2, 10, "pooled responses and moments of every unit over one language's fit text",
    fit.UnitStatisticsPayload, run="sprachbund_runners.jobs.fit.unit_statistics:run", needs_model=True,
)  # fmt: skip
EXPERT_SET = Kind(
    "expert_set", 1, 20, "all units ranked by one scorer for one target language",
    fit.ExpertSetPayload, run="sprachbund_runners.jobs.fit.expert_set:run",
)  # fmt: skip
DIRECTION = Kind(
    "direction", 1, 25, "a direction at one site of one block that tells languages apart",
    fit.DirectionPayload, run="sprachbund_runners.jobs.fit.direction:run",
)  # fmt: skip
INTERVENTION = Kind(
    "intervention", 3, 30, "the edits of one intervention, made from its inputs",
    fit.InterventionPayload, run="sprachbund_runners.jobs.fit.intervention:run",
)  # fmt: skip
SNAPSHOT = Kind(
    "snapshot", 1, 40, "embeddings of one corpus language under one setting",
    embed.SnapshotPayload, run="sprachbund_runners.jobs.embed.snapshot:run", needs_model=True,
)  # fmt: skip
PAIR_EVALUATION = Kind(
    "pair_evaluation", 2, 50, "retrieval in both directions and distances of one language pair",
    measure.PairEvaluationPayload, run="sprachbund_runners.jobs.measure.pair_evaluation:run",
)  # fmt: skip
MINING = Kind(
    "mining", 1, 58, "pairs of one language pair mined above a threshold tuned on select",
    measure.MiningPayload, run="sprachbund_runners.jobs.measure.mining:run",
)  # fmt: skip
OWN_MEASURES = Kind(
    "own_measures", 2, 52, "a registered measure of one language pair",
    measure.OwnMeasuresPayload, run="sprachbund_runners.jobs.measure.own_measures:run",
)  # fmt: skip
SPACE_EVALUATION = Kind(
    "space_evaluation", 1, 55, "medoid, spread and distances of all languages of one setting",
    measure.SpaceEvaluationPayload, run="sprachbund_runners.jobs.measure.space_evaluation:run",
)  # fmt: skip
GEOMETRY_EVALUATION = Kind(
    "geometry_evaluation", 2, 56, "a measure of likeness, isotropy, hubs or languages of one setting",
    measure.GeometryEvaluationPayload, run="sprachbund_runners.jobs.measure.geometry_evaluation:run",
)  # fmt: skip
ABX_EVALUATION = Kind(
    "abx_evaluation", 1, 57, "one ABX task over label columns under one setting",
    measure.AbxEvaluationPayload, run="sprachbund_runners.jobs.measure.abx_evaluation:run",
)  # fmt: skip
PROBE = Kind(
    "probe", 2, 58, "logistic probes for one label under one setting",
    measure.ProbePayload, run="sprachbund_runners.jobs.measure.probe:run",
)  # fmt: skip
GENERATION = Kind(
    "generation", 1, 60, "texts written freely under one setting from one seed",
    write.GenerationPayload, run="sprachbund_runners.jobs.write.generation:run", needs_model=True,
)  # fmt: skip
GENERATION_EVALUATION = Kind(
    "generation_evaluation", 2, 62, "languages, repetition and variety of one setting's texts",
    write.GenerationEvaluationPayload, run="sprachbund_runners.jobs.write.generation_evaluation:run",
)  # fmt: skip
PERPLEXITY = Kind(
    "perplexity", 2, 64, "perplexity and bits per byte of one language's text under one setting",
    write.PerplexityPayload, run="sprachbund_runners.jobs.write.perplexity:run", needs_model=True,
)  # fmt: skip
TRANSLATION = Kind(
    "translation", 2, 66, "translations of one pair by prompting under one setting",
    write.TranslationPayload, run="sprachbund_runners.jobs.write.translation:run", needs_model=True,
)  # fmt: skip
COMPARISON = Kind(
    "comparison", 3, 70, "settings against baselines and controls, with intervals and tests",
    compare.ComparisonPayload, run="sprachbund_runners.jobs.compare.comparison:run", lenient=True,
)  # fmt: skip
CHOICE = Kind(
    "choice", 1, 80, "the setting and layer that is best on the select role",
    compare.ChoicePayload, run="sprachbund_runners.jobs.compare.choice:run",
)  # fmt: skip
EXPERT_OVERLAP = Kind(
    "expert_overlap", 1, 90, "units that expert sets share among their top k",
    fit.ExpertOverlapPayload, run="sprachbund_runners.jobs.fit.expert_overlap:run",
)  # fmt: skip

KINDS: dict[str, Kind] = {kind.name: kind for kind in list(vars().values()) if isinstance(kind, Kind)}
"""Every kind by its name, in the order in which they are declared."""


def read_payload(kind: str, stored: Mapping[str, Any], what: str) -> Payload:
    """The payload of a stored job of a kind, called `what` where it raises DatabaseError: its fields are others."""
    return from_json(KINDS[kind].payload, stored, what)
