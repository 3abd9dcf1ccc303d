"""Wants of what a model writes and predicts, one setting at a time: generation, perplexity, translation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sprachbund.measures.base import Measure
from sprachbund.work.keys import content_key
from sprachbund.work.kinds import Kind
from sprachbund.work.plan import NONE, PlanModel, PlannedSetting, Want, kind_key


@dataclass(slots=True)
class Written:
    """The wants of one model, as they are found. confidence: of intervals."""

    model: PlanModel
    confidence: float
    found: list[Want] = field(default_factory=list)

    def add(
        self,
        kind: Kind,
        setting: PlannedSetting,
        label: str,
        identity: Mapping[str, Any],
        more: Mapping[str, Any],
        needs: Sequence[str] = (),
    ) -> str:
        """A want of a setting: `identity` makes its key, `more` only travels along."""
        subject = kind_key(kind, setting=setting.key, **identity)
        if kind.needs_model and setting.intervention.key != NONE.key:
            needs = (*needs, setting.intervention.key)
        self.found.append(
            Want(
                kind=kind,
                subject=subject,
                label=label,
                bundle=content_key("bundle", 1, kind=kind.name, setting=setting.key),
                payload={
                    **identity,
                    **more,
                    "key": subject,
                    "setting": setting.key,
                    "model": self.model.fingerprint,
                    "model_dtype": self.model.dtype,
                    "attention": self.model.attention,
                    "intervention": setting.intervention.key,
                },
                model=self.model.fingerprint if kind.needs_model else None,
                needs=tuple(needs),
            )
        )
        return subject


def versions(*measures: Measure) -> dict[str, int]:
    """Version by name: what a key has of the measures that a job makes."""
    return {measure.name: measure.version for measure in measures}
