"""Translation by prompting."""

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from sprachbund.corpora.source import Code
from sprachbund.fields import Source, Strict
from sprachbund.measures.base import Measure, Metric
from sprachbund.measures.written import Written, versions
from sprachbund.work.payloads.write import TRANSLATION, TranslationPayload
from sprachbund.work.plan import PlanCorpus, PlannedSetting

METRICS: tuple[Metric, ...] = (
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
        "translation", 1, "output", True, ("chrf", "bleu"),
        "translations by prompting against references",
    ),
)  # fmt: skip


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


def translation_wants(written: Written, setting: PlannedSetting, asked: TranslationSpec, corpus: PlanCorpus) -> None:
    """One job per ordered pair."""
    how = asked.model_dump(include={"template", "shots", "max_new_tokens", "limit"})
    for source, target in asked.pairs:
        payload = TranslationPayload(
            **written.of(setting),
            **how,
            corpus=corpus.key,
            languages=(source, target),
            texts=(corpus.texts[source].as_sentences, corpus.texts[target].as_sentences),
            confidence=written.confidence,
            measures=versions(*MEASURES),
        )
        label = f"translation of {setting.label} on {corpus.name} {source} to {target}"
        written.want(TRANSLATION, payload, label)
