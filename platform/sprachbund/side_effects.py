"""What steering does beside its aim, as the experiment file asks for it: generation, perplexity, translation."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from sprachbund.corpora.source import Code
from sprachbund.errors import nearest
from sprachbund.identifier import labels_of
from sprachbund.spec_base import Source, Strict, as_list

# Sundar et al., ACL 2025: how k was chosen. Windows as long as the model reads.
PROTOCOLS: dict[str, dict[str, dict[str, Any]]] = {
    "study": {
        "generation": {"samples": 256, "seeds": 8, "temperature": 1.0, "top_p": 0.9, "identify": "all"},
        "perplexity": {"window": None, "stride": 512, "min_characters": 100, "max_tokens": 10_000_000},
    }
}
# Window of models whose input has no limit (Bloom).
DEFAULT_WINDOW = 2048


def _filled(part: str) -> Any:
    """A mapping with its protocol's fields below its own; `study` may stand for the mapping."""

    def fill(value: Any) -> Any:
        if isinstance(value, str):
            value = {"protocol": value}
        if not isinstance(value, dict) or value.get("protocol") is None:
            return value
        name = value["protocol"]
        if name not in PROTOCOLS:
            raise ValueError(
                f"protocol is {name!r}; expected one of {', '.join(PROTOCOLS)}{nearest(str(name), PROTOCOLS)}"
            )
        return {**PROTOCOLS[name][part], **value}

    return fill


def _seeds(value: Any) -> Any:
    """`seeds: 8` means seeds 0 … 7."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not 1 <= value <= 10_000:
            raise ValueError(f"seeds is {value}; expected 1 to 10000, or a list of seeds")
        return list(range(value))
    return value


class GenerationSpec(Strict):
    """Texts written freely under each setting, and what language they are in."""

    protocol: Literal["study"] | None = None
    samples: Annotated[int, Field(ge=1, le=100_000)] = 256
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], BeforeValidator(_seeds)] = Field(
        default=list(range(8)), min_length=1
    )
    temperature: Annotated[float, Field(ge=0, le=10)] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.9
    max_new_tokens: Annotated[int, Field(ge=1, le=100_000)] = 64
    prompt: Annotated[str, Field(min_length=1)] | None = None
    identify: Literal["all", "studied"] | list[Code] = "all"
    repetition_limit: Annotated[float, Field(ge=0, le=1)] = 0.5

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("seeds holds a seed twice; it would count the same samples twice")
        return sorted(seeds)

    @field_validator("identify", mode="before")
    @classmethod
    def _list(cls, value: Any) -> Any:
        return value if value in ("all", "studied") else as_list(value)

    @field_validator("identify")
    @classmethod
    def _known(cls, value: Any) -> Any:
        if isinstance(value, list):
            if len(set(value)) < 2:
                raise ValueError("identify lists fewer than two languages; nothing could be told apart")
            for code in value:
                if not labels_of(code):
                    raise ValueError(f"identify has '{code}', which the language identifier does not know")
        return value

    @model_validator(mode="after")
    def _drawn(self) -> "GenerationSpec":
        if self.temperature == 0 and self.samples * len(self.seeds) > 1:
            raise ValueError("temperature is 0, which writes the same text every time; use samples: 1 and seeds: 1")
        return self


class StopSpec(Strict):
    """Stop reading once the interval of bits per byte is this narrow."""

    half_width: Annotated[float, Field(gt=0)]
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95


class PerplexitySpec(Strict):
    """Perplexity and bits per byte of a corpus, language by language."""

    corpus: Source
    protocol: Literal["study"] | None = None
    languages: Annotated[list[Code] | None, BeforeValidator(as_list)] = None
    documents: Literal["item", "group"] = "item"
    window: Annotated[int, Field(ge=2)] | None = None
    stride: Annotated[int, Field(ge=1)] = 512
    min_characters: Annotated[int, Field(ge=0)] = 0
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    stop: StopSpec | None = None

    @model_validator(mode="after")
    def _overlapping(self) -> "PerplexitySpec":
        if self.window is not None and self.stride >= self.window:
            raise ValueError(
                f"stride is {self.stride}, but must be smaller than window ({self.window}): a token at the start of"
                " a window would have nothing to be predicted from"
            )
        if self.corpus.kind == "bilingual":
            raise ValueError("corpus is bilingual; expected one whose languages stand for themselves")
        return self


class TranslationSpec(Strict):
    """Translation by prompting, scored by chrF and BLEU."""

    corpus: Source
    pairs: Annotated[list[tuple[Code, Code]], Field(min_length=1)]
    template: str = "{source_language}: {source}\n{target_language}: {target}\n\n"
    shots: Annotated[int, Field(ge=0, le=100)] = 4
    max_new_tokens: Annotated[int, Field(ge=1, le=100_000)] = 128
    limit: Annotated[int, Field(ge=1)] | None = None

    @field_validator("template")
    @classmethod
    def _fillable(cls, template: str) -> str:
        try:
            parts = template.format(source="\0", target="\1", source_language="", target_language="")
        except (KeyError, IndexError, ValueError, AttributeError):
            parts = ""
        if parts.count("\0") != 1 or parts.count("\1") != 1 or parts.index("\0") > parts.index("\1"):
            raise ValueError(
                "template: expected {source} and, after it, {target}, once each; it may also name"
                " {source_language} and {target_language}"
            )
        return template

    @field_validator("pairs")
    @classmethod
    def _of_two(cls, pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
        for source, target in pairs:
            if source == target:
                raise ValueError(f"pairs has ['{source}', '{target}']; expected two different languages")
        return list(dict.fromkeys(pairs))

    @model_validator(mode="after")
    def _parallel(self) -> "TranslationSpec":
        if self.corpus.kind == "bilingual":
            raise ValueError("corpus is a bilingual collection; expected one parallel corpus")
        return self


class SideEffectsSpec(Strict):
    """Which side effects are measured, and of which settings."""

    settings: Literal["all", "steered"] = "all"
    controls: bool = False
    generation: Annotated[GenerationSpec | None, BeforeValidator(_filled("generation"))] = None
    perplexity: Annotated[PerplexitySpec | None, BeforeValidator(_filled("perplexity"))] = None
    translation: TranslationSpec | None = None

    @model_validator(mode="after")
    def _something(self) -> "SideEffectsSpec":
        if self.generation is None and self.perplexity is None and self.translation is None:
            raise ValueError("side_effects is empty; expected generation, perplexity or translation")
        return self

    def expanded(self) -> dict[str, Any]:
        """Every field with its default; of corpora only those that were given, since they refuse each other's."""
        content = self.model_dump(mode="json", exclude_none=True)
        for name in ("perplexity", "translation"):
            part = getattr(self, name)
            if part is not None:
                content[name]["corpus"] = part.corpus.model_dump(mode="json", exclude_unset=True, exclude_none=True)
        return content
