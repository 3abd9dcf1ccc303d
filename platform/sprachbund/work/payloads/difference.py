"""What jobs that take a setting's evaluation less its baseline's are asked."""

from dataclasses import dataclass
from typing import Any

from sprachbund.work.kind import Kind
from sprachbund.work.payloads.base import Layered, TextInput
from sprachbund.work.payloads.compare import ForeignPair


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferencePayload(Layered):
    """One evaluation of a setting against the same of its baseline, on the items that both read.

    evaluation: the kind of both; of, reference: the setting's subject and the baseline's. units: the text whose groups
    are drawn, where the evaluations do not depend on groups. pairs: digest of the pairs of both, where they have any.
    foreign: pairs of their jobs that are not to be read.
    """

    evaluation: str
    setting: str
    baseline: str
    of: str
    reference: str
    units: TextInput | None = None
    pairs: str | None = None
    resamples: int
    confidence: float
    seed: int
    foreign: tuple[ForeignPair, ...] = ()

    @property
    def inputs(self) -> dict[str, Any]:
        return {
            "of": self.of,
            "reference": self.reference,
            "units": None if self.units is None else self.units.identity,
            "pairs": self.pairs,
            "resamples": self.resamples,
            "confidence": self.confidence,
            "seed": self.seed,
        }

    @property
    def needs(self) -> tuple[str, ...]:
        return (self.of, self.reference)

    @property
    def shared(self) -> dict[str, Any]:
        """Draws serve all that have as many items."""
        return {"baseline": self.baseline, "evaluation": self.evaluation}

    @property
    def text_keys(self) -> tuple[str, ...]:
        return () if self.units is None else (self.units.key,)


DIFFERENCE = Kind(
    "difference", 1, 68, "one evaluation of a setting against its baseline's, on the items that both read",
    DifferencePayload, run="sprachbund_runners.jobs.compare.difference:run",
)  # fmt: skip
