"""What a model writes and predicts: free generation, perplexity, translation."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from sprachbund.corpora.source import Code
from sprachbund.fields import Source, Strict, as_list
from sprachbund.measures.base import SUNDAR, Measure, Metric
from sprachbund.vocabulary import DrawnUnit

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
    Metric(
        "chrf", "chrF", "higher", 0.0, 100.0, "bootstrap",
        "character F-score (chrF2) of translations by prompting; the signature stands in table generations",
        "Popović, WMT 2015; sacrebleu",
    ),
    Metric(
        "bleu", "BLEU", "higher", 0.0, 100.0, "bootstrap",
        "BLEU of translations by prompting; the signature stands in table generations",
        "Papineni et al., ACL 2002; sacrebleu",
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
    Measure(
        "perplexity", 2, "output", False,
        ("perplexity", "bits_per_byte", "scored_share", "looks", "stopped_early"),
        "how well text of a language is predicted",
    ),
    Measure(
        "translation", 1, "output", True, ("chrf", "bleu"),
        "translations by prompting against references",
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
