"""Wants of what a model writes and predicts, one setting at a time: generation, perplexity, translation."""

from dataclasses import dataclass, field
from typing import Any

from sprachbund.measures.base import Measure
from sprachbund.work.kind import Kind
from sprachbund.work.payloads.base import Payload
from sprachbund.work.plan import PlanModel, PlannedSetting, Want


@dataclass(slots=True)
class Written:
    """The wants of one model, as they are found. confidence: of intervals."""

    model: PlanModel
    confidence: float
    found: list[Want] = field(default_factory=list)

    def want(self, kind: Kind, payload: Payload, label: str) -> str:
        """Want a job; its subject."""
        self.found.append(Want.of(kind, payload, label))
        return self.found[-1].subject

    def of(self, setting: PlannedSetting) -> dict[str, Any]:
        """The fields that everything a model writes or predicts has."""
        return {"setting": setting.key, "numerics": self.model.numerics, "intervention": setting.edits}


def versions(*measures: Measure) -> dict[str, int]:
    """Version by name: what a key has of the measures that a job makes."""
    return {measure.name: measure.version for measure in measures}
