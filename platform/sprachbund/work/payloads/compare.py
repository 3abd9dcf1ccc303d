"""What jobs that compare settings, and choose among them, are asked."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sprachbund.work.kind import Kind
from sprachbund.work.payloads.base import Part, Payload
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
class ComparisonPayload(Payload):
    """Settings against their baselines and controls, on the corpora of one group.

    pairs: (corpus, language, language). evaluations: subjects of the pair evaluations that are read, with digests of
    their pairs; the job's edges have them. foreign: pairs of these jobs that are not to be read.
    """

    group: str
    split: str
    role: str
    settings: tuple[ComparedSetting, ...]
    pairs: tuple[tuple[str, str, str], ...]
    layers: tuple[str, ...]
    metrics: tuple[str, ...]
    resamples: int
    confidence: float
    unit: str
    multiplicity: str
    seed: int
    foreign: tuple[ForeignPair, ...] = ()
    evaluations: Mapping[str, str] = field(default_factory=dict, metadata=NOT_STORED)

    @property
    def inputs(self) -> dict[str, Any]:
        asked = asdict(self)
        del asked["foreign"]
        return {**asked, "evaluations": sorted(self.evaluations.items())}

    @property
    def needs(self) -> tuple[str, ...]:
        return tuple(self.evaluations)

    def without(self, pairs: Iterable[ForeignPair]) -> "ComparisonPayload":
        """The payload where of its jobs' pairs these are not to be read, though they may be of languages it names."""
        named = {(first, second) for _, first, second in self.pairs}
        return replace(self, foreign=tuple(each for each in pairs if (each.first, each.second) in named))

    @property
    def claimed(self) -> list[ComparedSetting]:
        """Settings that are claims of their own: neither the baseline nor a control of another."""
        controls = {key for each in self.settings for members in each.controls.values() for key in members}
        return [each for each in self.settings if each.baseline and each.setting not in controls]


COMPARISON = Kind(
    "comparison", 3, 70, "settings against baselines and controls, with intervals and tests",
    ComparisonPayload, run="sprachbund_runners.jobs.compare.comparison:run", lenient=True,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Candidates(Part):
    """Settings and layers that one is chosen among."""

    name: str
    settings: tuple[str, ...]
    layers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoicePayload(Payload):
    """The best setting and layer of every group, by one metric and scope of a comparison."""

    comparison: str
    metric: str
    scope: str
    groups: tuple[Candidates, ...]

    @property
    def inputs(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def needs(self) -> tuple[str, ...]:
        return (self.comparison,)


CHOICE = Kind(
    "choice", 1, 80, "the setting and layer that is best on the select role",
    ChoicePayload, run="sprachbund_runners.jobs.compare.choice:run",
)  # fmt: skip
