"""Free generation: in what language texts are, and how they repeat themselves."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from sprachbund.corpora.source import Code
from sprachbund.fields import Strict, as_list, numbered_seeds
from sprachbund.languages.identifier import NAME, VERSION, labels_of
from sprachbund.measures.base import SUNDAR, Measure, Metric
from sprachbund.measures.written import Written, versions
from sprachbund.work.payloads.write import (
    GENERATION,
    GENERATION_EVALUATION,
    GenerationEvaluationPayload,
    GenerationPayload,
)
from sprachbund.work.plan import PlannedSetting

METRICS: tuple[Metric, ...] = (
    Metric(
        "language_share", "share", "none", 0.0, 1.0, "wilson",
        "free generations that the language identifier puts into a language; of the target's, the target share",
        f"{SUNDAR}, choosing k",
    ),
    Metric(
        "language_share_nondegenerate", "share", "none", 0.0, 1.0, "wilson",
        "the same among samples that are not degenerate; undefined where all are",
        "language_share without degenerate samples",
    ),
    Metric(
        "degenerate_share", "share", "lower", 0.0, 1.0, "wilson",
        "free generations without a letter, or with more repeated 4-grams than repetition_limit",
        "ours",
    ),
    Metric(
        "repetition", "share", "lower", 0.0, 1.0, "bootstrap",
        "1 - different 4-grams / 4-grams of token ids, mean over samples of at least four tokens",
        "seq-rep-4, Welleck et al., ICLR 2020",
    ),
    Metric(
        "distinct_1", "share", "higher", 0.0, 1.0, "bootstrap",
        "different token ids / token ids over the samples of one seed, mean over seeds; falls with the number of"
        " samples",
        "distinct-1, Li et al., NAACL 2016",
    ),
    Metric(
        "distinct_2", "share", "higher", 0.0, 1.0, "bootstrap",
        "the same for pairs of neighbouring tokens",
        "distinct-2, Li et al., NAACL 2016",
    ),
    Metric(
        "sample_tokens", "tokens", "none", 0.0, None, "bootstrap",
        "mean length of free generations in tokens, without the end token",
        "standard",
    ),
)  # fmt: skip

MEASURES: tuple[Measure, ...] = (
    Measure(
        "generated_language", 1, "output", False, ("language_share", "language_share_nondegenerate"),
        "in what language free generations are",
    ),
    Measure(
        "generation", 1, "output", False,
        ("degenerate_share", "repetition", "distinct_1", "distinct_2", "sample_tokens"),
        "how free generations repeat themselves and each other",
    ),
)  # fmt: skip


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


def generation_wants(written: Written, setting: PlannedSetting, asked: GenerationSpec, studied: Sequence[str]) -> None:
    """One job per seed, and one that looks at all their texts."""
    how = asked.model_dump(include={"samples", "temperature", "top_p", "max_new_tokens", "prompt"})
    texts = [
        written.want(
            GENERATION,
            GenerationPayload(**written.of(setting), **how, seed=seed),
            f"texts of {setting.label} seed={seed}",
        )
        for seed in asked.seeds
    ]
    among = None
    if asked.identify != "all":
        codes = studied if asked.identify == "studied" else asked.identify
        among = tuple(sorted({label for code in codes for label in labels_of(code)}))
    payload = GenerationEvaluationPayload(
        setting=setting.key,
        generations=tuple(texts),
        identifier=f"{NAME} {VERSION}",
        among=among,
        languages={code: tuple(labels_of(code)) for code in studied if labels_of(code)},
        repetition_limit=asked.repetition_limit,
        confidence=written.confidence,
        measures=versions(*MEASURES),
    )
    written.want(GENERATION_EVALUATION, payload, f"languages of texts of {setting.label}")
