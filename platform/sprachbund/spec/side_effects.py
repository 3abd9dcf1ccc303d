"""What steering does beside its aim, as the experiment file asks for it: generation, perplexity, translation."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, StrictBool, model_validator

from sprachbund.errors import nearest
from sprachbund.fields import Strict
from sprachbund.measures.generation import GenerationSpec
from sprachbund.measures.perplexity import PerplexitySpec
from sprachbund.measures.translation import TranslationSpec

# Sundar et al., ACL 2025: how k was chosen. Windows as long as the model reads.
PROTOCOLS: dict[str, dict[str, dict[str, Any]]] = {
    "study": {
        "generation": {"samples": 256, "seeds": 8, "temperature": 1.0, "top_p": 0.9, "identify": "all"},
        "perplexity": {"window": None, "stride": 512, "min_characters": 100, "max_tokens": 10_000_000},
    }
}


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


class SideEffectsSpec(Strict):
    """Which side effects are measured, and of which settings."""

    settings: Literal["all", "steered"] = "all"
    controls: StrictBool = False
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
