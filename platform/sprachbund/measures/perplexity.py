"""Perplexity and bits per byte of text."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from sprachbund.corpora.source import Code
from sprachbund.fields import Source, Strict, as_list
from sprachbund.measures.base import SUNDAR, Measure, Metric
from sprachbund.measures.written import Written, versions
from sprachbund.vocabulary import DrawnUnit
from sprachbund.work.payloads.write import PERPLEXITY, PerplexityPayload, Stop
from sprachbund.work.plan import PlanCorpus, PlannedSetting

METRICS: tuple[Metric, ...] = (
    Metric(
        "perplexity", "perplexity", "lower", 1.0, None, "bootstrap",
        "exp of the mean negative log-likelihood of a token; depends on the tokenizer",
        f"{SUNDAR}, choosing k",
    ),
    Metric(
        "bits_per_byte", "bits", "lower", 0.0, None, "bootstrap",
        "bits to encode the text / its UTF-8 bytes: perplexity that tokenizers do not change",
        "standard",
    ),
    Metric(
        "scored_share", "share", "none", 0.0, 1.0, "none",
        "tokens that were scored / tokens there were to score: under 1 where reading stopped at a narrow interval",
        "ours",
    ),
    Metric(
        "looks", "count", "none", 1.0, None, "none",
        "how often the interval of bits per byte was looked at while reading; 1 where all was read at once",
        "ours",
    ),
    Metric(
        "stopped_early", "share", "none", 0.0, 1.0, "none",
        "1 where reading stopped at a narrow interval, 0 where it went to the end",
        "ours",
    ),
)  # fmt: skip

MEASURES: tuple[Measure, ...] = (
    Measure(
        "perplexity", 2, "output", False,
        ("perplexity", "bits_per_byte", "scored_share", "looks", "stopped_early"),
        "how well text of a language is predicted",
    ),
)  # fmt: skip


# Window of models whose input has no limit (Bloom).
DEFAULT_WINDOW = 2048


class StopSpec(Strict):
    """Stop reading once the interval of bits per byte is this narrow."""

    half_width: Annotated[float, Field(gt=0)]
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95


class PerplexitySpec(Strict):
    """Perplexity and bits per byte of a corpus, language by language."""

    corpus: Source
    protocol: Literal["study"] | None = None
    languages: Annotated[list[Code] | None, BeforeValidator(as_list)] = None
    documents: DrawnUnit = "item"
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


def perplexity_wants(written: Written, setting: PlannedSetting, asked: PerplexitySpec, corpus: PlanCorpus) -> None:
    """One job per language."""
    stop = None if asked.stop is None else Stop(asked.stop.half_width, asked.stop.confidence)
    for language, text in corpus.texts.items():
        payload = PerplexityPayload(
            **written.of(setting),
            corpus=corpus.key,
            language=language,
            text=text.as_documents,
            window=asked.window,
            stride=asked.stride,
            max_tokens=asked.max_tokens,
            stop=stop,
            # A reading that stops at an interval has that interval's confidence.
            confidence=written.confidence if stop is None else stop.confidence,
            measures=versions(*MEASURES),
        )
        written.want(PERPLEXITY, payload, f"perplexity of {setting.label} on {corpus.name} {language}")
