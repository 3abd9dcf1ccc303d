"""What jobs that compare settings, and choose among them, are asked."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sprachbund.work.kind import Kind
from sprachbund.work.payloads.base import Layered, Part, Payload
from sprachbund.work.payloads.stored import NOT_STORED


@dataclass(frozen=True, slots=True)
class ComparedSetting(Part):
    """A setting, its baseline, the language it steers towards, and its controls by variant."""

    setting: str
    baseline: str | None
    target: str | None
    controls: Mapping[str, tuple[str, ...]]

    @property
    def reference(self) -> str:
        """The baseline; of a baseline, itself."""
        return self.baseline or self.setting


@dataclass(frozen=True, slots=True)
class ForeignPair(Part):
    """A pair of an existing job that is used for others of its pairs: unasked, or of texts that have changed since."""

    job: str
    first: str
    second: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomesPayload(Layered):
    """What is asked of outcomes item by item on the corpora of one group.

    evaluations: subjects of the pair evaluations that are read, with digests of their pairs; the job's edges have them.
    foreign: pairs of these jobs that are not to be read. refits: by setting, and by half of the fit text, the setting
    that is it fitted on that half.
    """

    group: str
    split: str
    role: str
    metrics: tuple[str, ...]
    resamples: int
    confidence: float
    unit: str
    seed: int
    foreign: tuple[ForeignPair, ...] = ()
    refits: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    evaluations: Mapping[str, str] = field(default_factory=dict, metadata=NOT_STORED)

    @property
    def inputs(self) -> dict[str, Any]:
        asked = asdict(self)
        del asked["foreign"], asked["layers"]
        return {**asked, "evaluations": sorted(self.evaluations.items())}

    @property
    def needs(self) -> tuple[str, ...]:
        return tuple(self.evaluations)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonPayload(OutcomesPayload):
    """One setting, with its controls, against its baseline; or a baseline alone."""

    settings: tuple[ComparedSetting, ...]

    @property
    def shared(self) -> dict[str, Any]:
        """What is read of the baseline serves all that are compared with it."""
        return {"baseline": self.settings[0].reference, "corpus": self.group, "split": self.split}

    @property
    def claimed(self) -> list[ComparedSetting]:
        """Settings that are claims of their own: neither the baseline nor a control of another."""
        controls = {key for each in self.settings for members in each.controls.values() for key in members}
        return [each for each in self.settings if each.baseline and each.setting not in controls]


COMPARISON = Kind(
    "comparison", 5, 70, "one setting and its controls against its baseline, with intervals and tests",
    ComparisonPayload, run="sprachbund_runners.jobs.compare.comparison:run", lenient=True,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjustmentPayload(Payload):
    """The tests of comparisons of one model, group and role, adjusted for how many they are, at `layers`.

    settings: claims of their own, which the families are over. comparisons: subjects of all that are compared.
    confidence: 1 less the share of false discoveries, or the chance of any. resamples: of the comparisons, and of
    max-T. unit, seed: of max-T. evaluations: subjects of what that rule, and no other, reads again.
    """

    role: str
    settings: tuple[str, ...]
    layers: tuple[str, ...]
    comparisons: tuple[str, ...]
    multiplicity: str
    confidence: float
    resamples: int
    unit: str
    seed: int
    evaluations: tuple[str, ...] = field(default=(), metadata=NOT_STORED)

    @property
    def inputs(self) -> dict[str, Any]:
        asked = asdict(self)
        # Those of the comparisons, whose keys have them.
        del asked["evaluations"]
        return asked

    @property
    def needs(self) -> tuple[str, ...]:
        return (*self.comparisons, *self.evaluations)


ADJUSTMENT = Kind(
    "adjustment", 2, 75, "p-values of all comparisons of a model, corpus and role adjusted within their families",
    AdjustmentPayload, run="sprachbund_runners.jobs.compare.adjustment:run", lenient=True,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Contrast(Part):
    """A setting against any other, and the language that is steered towards by either."""

    setting: str
    reference: str
    target: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastPayload(OutcomesPayload):
    """Settings against others that a user named, at every layer; q within the family of all of them."""

    contrasts: tuple[Contrast, ...]
    multiplicity: str


CONTRAST = Kind(
    "contrast", 2, 72, "any two settings against each other, with intervals, tests and q",
    ContrastPayload, run="sprachbund_runners.jobs.compare.contrast:run", lenient=True,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Candidates(Part):
    """Settings and layers that one is chosen among.

    key: of the settings that compete. controls: by variant and member (a seed, a language), that member of every
    setting's controls.
    """

    key: str
    name: str
    settings: tuple[str, ...]
    layers: tuple[str, ...]
    controls: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoicePayload(Payload):
    """The best setting and layer of every group, by one metric and scope of the comparisons of an adjustment.

    So does every member of a control distribution choose among those of its own.
    """

    adjustment: str
    metric: str
    scope: str
    groups: tuple[Candidates, ...]

    @property
    def inputs(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def needs(self) -> tuple[str, ...]:
        return (self.adjustment,)


CHOICE = Kind(
    "choice", 2, 80, "the setting and layer that is best on the select role",
    ChoicePayload, run="sprachbund_runners.jobs.compare.choice:run",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Chosen(Part):
    """What is chosen from (by the key of its candidates), against what was chosen from each of the references."""

    candidates: str
    target: str | None
    references: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BestPayload(OutcomesPayload):
    """Best against best: what was chosen on `select` against what was chosen from others, each at its own layer.

    choice: subject of the choice. candidates: what is compared. multiplicity: of q over all of them.
    """

    choice: str
    candidates: tuple[Chosen, ...]
    multiplicity: str

    @property
    def needs(self) -> tuple[str, ...]:
        return (self.choice, *self.evaluations)


BEST = Kind(
    "best", 2, 85, "what was chosen against what was chosen of the baselines and of the controls",
    BestPayload, run="sprachbund_runners.jobs.compare.best:run", lenient=True,
)  # fmt: skip
