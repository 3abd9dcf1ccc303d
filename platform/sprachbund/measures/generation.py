"""Free generation: what may be asked of it."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from sprachbund.corpora.source import Code
from sprachbund.fields import Strict, as_list, numbered_seeds
from sprachbund.languages.identifier import labels_of


class GenerationSpec(Strict):
    """Texts written freely under each setting, and what language they are in."""

    protocol: Literal["study"] | None = None
    samples: Annotated[int, Field(ge=1, le=100_000)] = 256
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], BeforeValidator(numbered_seeds)] = Field(
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
