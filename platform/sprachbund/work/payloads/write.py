"""What jobs in which a model writes or predicts text are asked, and the one that looks at its texts."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sprachbund.work.kind import Kind
from sprachbund.work.payloads.base import Evaluand, Numerics, Part, Payload, TextInput


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputPayload(Payload):
    """What a setting writes or predicts. `intervention`: the edits that are on, None for none."""

    setting: str
    numerics: Numerics
    intervention: str | None

    @property
    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """How it is done; with the setting and the text it makes the key."""

    @property
    def inputs(self) -> dict[str, Any]:
        return {"setting": self.setting, **self.parameters}

    @property
    def needs(self) -> tuple[str, ...]:
        return () if self.intervention is None else (self.intervention,)

    @property
    def shared(self) -> dict[str, Any]:
        return {"setting": self.setting}

    @property
    def runs(self) -> Numerics:
        return self.numerics


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationPayload(OutputPayload):
    """Texts written freely from one seed."""

    samples: int
    temperature: float
    top_p: float
    max_new_tokens: int
    prompt: str | None
    seed: int

    @property
    def parameters(self) -> dict[str, Any]:
        return {
            "samples": self.samples,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_new_tokens": self.max_new_tokens,
            "prompt": self.prompt,
        }

    @property
    def inputs(self) -> dict[str, Any]:
        return {"setting": self.setting, **self.parameters, "seed": self.seed}

    def sentences(self, sizes: Mapping[str, int]) -> int:
        return self.samples


GENERATION = Kind(
    "generation", 1, 60, "texts written freely under one setting from one seed",
    GenerationPayload, run="sprachbund_runners.jobs.write.generation:run", needs_model=True,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationEvaluationPayload(Payload):
    """Languages, repetition and variety of the texts of some generations.

    languages: the identifier's labels of every language that is reported. among: the labels it may give, None for all.
    measures: their versions.
    """

    setting: str
    generations: tuple[str, ...]
    identifier: str
    among: tuple[str, ...] | None
    languages: Mapping[str, tuple[str, ...]]
    repetition_limit: float
    confidence: float
    measures: Mapping[str, int]

    @property
    def inputs(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def needs(self) -> tuple[str, ...]:
        return self.generations

    @property
    def shared(self) -> dict[str, Any]:
        return {"setting": self.setting}

    @property
    def evaluand(self) -> Evaluand:
        return Evaluand(self.setting)


GENERATION_EVALUATION = Kind(
    "generation_evaluation", 2, 62, "languages, repetition and variety of one setting's texts",
    GenerationEvaluationPayload, run="sprachbund_runners.jobs.write.generation_evaluation:run",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stop(Part):
    """Reading stops once the interval of bits per byte is this narrow."""

    half_width: float
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PerplexityPayload(OutputPayload):
    """Perplexity and bits per byte of one text. `stop`: None to read it all."""

    corpus: str
    language: str
    text: TextInput
    window: int | None
    stride: int
    max_tokens: int | None
    stop: Stop | None
    confidence: float
    measures: Mapping[str, int]

    @property
    def parameters(self) -> dict[str, Any]:
        return {
            "window": self.window,
            "stride": self.stride,
            "max_tokens": self.max_tokens,
            "stop": None if self.stop is None else asdict(self.stop),
        }

    @property
    def inputs(self) -> dict[str, Any]:
        return {
            "setting": self.setting,
            **self.parameters,
            "text": self.text.identity,
            "confidence": self.confidence,
            "measures": dict(self.measures),
        }

    @property
    def evaluand(self) -> Evaluand:
        return Evaluand(self.setting, self.corpus)

    @property
    def text_keys(self) -> tuple[str, ...]:
        return (self.text.key,)

    def sentences(self, sizes: Mapping[str, int]) -> int:
        return sizes[self.text.key]


PERPLEXITY = Kind(
    "perplexity", 2, 64, "perplexity and bits per byte of one language's text under one setting",
    PerplexityPayload, run="sprachbund_runners.jobs.write.perplexity:run", needs_model=True,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslationPayload(OutputPayload):
    """Translations from the first of two languages into the second. `limit`: items to translate, None for all."""

    corpus: str
    languages: tuple[str, str]
    texts: tuple[TextInput, TextInput]
    template: str
    shots: int
    max_new_tokens: int
    limit: int | None
    confidence: float
    measures: Mapping[str, int]

    @property
    def parameters(self) -> dict[str, Any]:
        return {
            "template": self.template,
            "shots": self.shots,
            "max_new_tokens": self.max_new_tokens,
            "limit": self.limit,
        }

    @property
    def inputs(self) -> dict[str, Any]:
        return {
            "setting": self.setting,
            **self.parameters,
            "texts": [text.identity for text in self.texts],
            "confidence": self.confidence,
            "measures": dict(self.measures),
        }

    @property
    def evaluand(self) -> Evaluand:
        return Evaluand(self.setting, self.corpus)

    @property
    def text_keys(self) -> tuple[str, ...]:
        return tuple(text.key for text in self.texts)

    def sentences(self, sizes: Mapping[str, int]) -> int:
        """The first items are the examples."""
        rest = sizes[self.texts[0].key] - self.shots
        return rest if self.limit is None else min(rest, self.limit)


TRANSLATION = Kind(
    "translation", 2, 66, "translations of one pair by prompting under one setting",
    TranslationPayload, run="sprachbund_runners.jobs.write.translation:run", needs_model=True,
)  # fmt: skip
