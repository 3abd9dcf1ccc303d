"""What jobs that measure the embeddings of all languages of a setting are asked; of pairs: `pairs`."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sprachbund.vocabulary import Distance
from sprachbund.work.keys import content_key
from sprachbund.work.kind import Kind
from sprachbund.work.payloads.base import Evaluand, Layered, Part, TextInput


@dataclass(frozen=True, slots=True)
class SideSnapshots(Part):
    """Snapshots by language, and those that a transform is fitted on."""

    snapshots: Mapping[str, str]
    fitted: Mapping[str, str]

    @property
    def keys(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.snapshots.values(), *self.fitted.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationPayload(Layered):
    """Evaluations of one setting on one corpus."""

    setting: str
    corpus: str
    pooling: str
    tokens: str

    @property
    def evaluand(self) -> Evaluand:
        return Evaluand(self.setting, self.corpus, self.pooling, self.tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingsPayload(EvaluationPayload):
    """Evaluations of a setting's embeddings. `components`: how many the transform takes out, where it takes any.

    plain: snapshots of the side that is not steered, of a setting that steers one side of a pair only.
    """

    steered: SideSnapshots
    plain: SideSnapshots | None = None
    transform: str
    components: int | None = None

    def side_of(self, plain: bool) -> SideSnapshots:
        """The snapshots of the setting or, where it steers one side only, of the side that it does not."""
        if not plain:
            return self.steered
        assert self.plain is not None
        return self.plain

    @property
    def needs(self) -> tuple[str, ...]:
        return (*self.steered.keys, *(() if self.plain is None else self.plain.keys))

    @property
    def snapshot_keys(self) -> tuple[str, ...]:
        return tuple(self.steered.snapshots.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceEvaluationPayload(EmbeddingsPayload):
    """Medoid, spread and distances of all languages. `frozen`: the baseline's snapshots, untransformed."""

    languages: tuple[str, ...]
    target: str | None
    frozen: Mapping[str, str]
    measures: Mapping[str, int]

    @property
    def inputs(self) -> dict[str, Any]:
        return {
            "setting": self.setting,
            "snapshots": dict(self.steered.snapshots),
            "fit_snapshots": dict(self.steered.fitted),
            "frozen": dict(self.frozen),
            "target": self.target,
            "measures": dict(self.measures),
        }

    @property
    def needs(self) -> tuple[str, ...]:
        return (*self.steered.keys, *self.frozen.values())

    @property
    def shared(self) -> dict[str, Any]:
        return {"corpus": self.corpus}

    @property
    def scope_digest(self) -> str:
        """What its numbers depend on beside the setting and corpus: the languages."""
        return content_key("scope", 1, languages=self.languages)


SPACE_EVALUATION = Kind(
    "space_evaluation", 1, 55, "medoid, spread and distances of all languages of one setting",
    SpaceEvaluationPayload, run="sprachbund_runners.jobs.measure.space_evaluation:run",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedPayload(EmbeddingsPayload):
    """What is evaluated on request, of all languages of a setting together. `unit`: what intervals draw."""

    languages: tuple[str, ...]
    texts: Mapping[str, TextInput]
    seed: int
    unit: str
    confidence: float
    version: int

    @property
    @abstractmethod
    def asked(self) -> dict[str, Any]:
        """What is asked for."""

    @property
    def inputs(self) -> dict[str, Any]:
        return {
            "setting": self.setting,
            "snapshots": dict(self.steered.snapshots),
            "fit_snapshots": dict(self.steered.fitted),
            "seed": self.seed,
            "unit": self.unit,
            "confidence": self.confidence,
            "version": self.version,
            **self.asked,
            "texts": {language: text.identity for language, text in self.texts.items()},
        }

    @property
    def shared(self) -> dict[str, Any]:
        return {"setting": self.setting, "corpus": self.corpus}

    @property
    def scope_digest(self) -> str:
        """What its numbers depend on beside the setting and corpus."""
        return content_key("scope", 1, languages=self.languages, seed=self.seed, **self.asked)

    @property
    def text_keys(self) -> tuple[str, ...]:
        return tuple(text.key for text in self.texts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class GeometryEvaluationPayload(RequestedPayload):
    """One measure of geometry."""

    measure: str
    pairs: tuple[tuple[str, str], ...]

    @property
    def asked(self) -> dict[str, Any]:
        return {"measure": self.measure, "pairs": self.pairs}


GEOMETRY_EVALUATION = Kind(
    "geometry_evaluation", 2, 56, "a measure of likeness, isotropy, hubs or languages of one setting",
    GeometryEvaluationPayload, run="sprachbund_runners.jobs.measure.geometry_evaluation:run",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class AbxTaskInputs(Part):
    """An ABX task over label columns; `triples` None: all of them."""

    on: str
    by: tuple[str, ...]
    across: tuple[str, ...]
    distance: Distance
    triples: int | None
    resamples: int

    @property
    def parameters(self) -> dict[str, Any]:
        """What is asked for."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class AbxEvaluationPayload(RequestedPayload):
    """One ABX task, by its name in tables."""

    task: AbxTaskInputs
    task_name: str

    @property
    def asked(self) -> dict[str, Any]:
        return {"task": self.task.parameters}


ABX_EVALUATION = Kind(
    "abx_evaluation", 2, 57, "one ABX task over label columns under one setting",
    AbxEvaluationPayload, run="sprachbund_runners.jobs.measure.abx_evaluation:run",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeInputs(Part):
    """Logistic probes for a label of sentences or of words."""

    label: str
    level: str
    folds: int
    seeds: int
    regularisation: float

    @property
    def parameters(self) -> dict[str, Any]:
        """What is asked for. The level goes without saying where it is the sentence's."""
        asked = asdict(self)
        return asked if self.level == "word" else {name: asked[name] for name in asked if name != "level"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbePayload(RequestedPayload):
    """One probe, by its name in tables."""

    task: ProbeInputs
    task_name: str

    @property
    def asked(self) -> dict[str, Any]:
        return {"task": self.task.parameters}


PROBE = Kind(
    "probe", 3, 58, "logistic probes for one label under one setting",
    ProbePayload, run="sprachbund_runners.jobs.measure.probe:run",
)  # fmt: skip
