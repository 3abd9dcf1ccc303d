"""What side effects an experiment wants measured: settings crossed with seeds, languages and pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sprachbund.corpora.corpus import code_of
from sprachbund.languages.identifier import NAME, VERSION, labels_of
from sprachbund.measures import MEASURES
from sprachbund.measures.generation import GenerationSpec
from sprachbund.measures.perplexity import PerplexitySpec
from sprachbund.measures.translation import TranslationSpec
from sprachbund.planning.side_texts import targets_of
from sprachbund.spec.experiment import Spec
from sprachbund.work.kinds import GENERATION, GENERATION_EVALUATION, PERPLEXITY, TRANSLATION, Kind
from sprachbund.work.payloads.base import Payload
from sprachbund.work.payloads.write import (
    GenerationEvaluationPayload,
    GenerationPayload,
    PerplexityPayload,
    Stop,
    TranslationPayload,
)
from sprachbund.work.plan import PlanCorpus, PlanModel, PlannedSetting, Want


def side_effect_wants(
    spec: Spec, model: PlanModel, settings: Sequence[PlannedSetting], corpora: Mapping[str, Sequence[PlanCorpus]]
) -> list[Want]:
    """Wants of one model's settings.

    Left out are settings with a transform, which changes embeddings only, and those that steer one side of a pair,
    which are the same model as where both are steered.
    """
    asked = spec.side_effects
    if asked is None:
        return []
    measured = [
        each
        for each in settings
        if each.transform == "none"
        and each.side == "both"
        and (asked.controls or each.control_of is None)
        and (asked.settings == "all" or each.edits is not None)
    ]
    wants = _Wants(model, spec.statistics.confidence)
    for setting in measured:
        # Texts written freely have no input language that could choose among an intervention's edits.
        if asked.generation is not None and not setting.intervention.per_language:
            wants.generation(setting, asked.generation, _studied(spec, corpora))
        if asked.perplexity is not None:
            wants.perplexity(setting, asked.perplexity, corpora["perplexity"][0])
        if asked.translation is not None:
            wants.translation(setting, asked.translation, corpora["translation"][0])
    return wants.found


def _studied(spec: Spec, corpora: Mapping[str, Sequence[PlanCorpus]]) -> list[str]:
    """The targets and the languages that results are reported on."""
    found = set(targets_of(spec))
    for corpus in corpora.get("test", ()):
        found.update(code for code in map(code_of, corpus.texts) if spec.languages is None or code in spec.languages)
    return sorted(found)


@dataclass(slots=True)
class _Wants:
    model: PlanModel
    confidence: float
    found: list[Want] = field(default_factory=list)

    def _want(self, kind: Kind, payload: Payload, label: str) -> str:
        self.found.append(Want.of(kind, payload, label))
        return self.found[-1].subject

    def _of(self, setting: PlannedSetting) -> dict[str, Any]:
        """The fields that everything a model writes or predicts has."""
        return {"setting": setting.key, "numerics": self.model.numerics, "intervention": setting.edits}

    def generation(self, setting: PlannedSetting, asked: GenerationSpec, studied: Sequence[str]) -> None:
        """One job per seed, and one that looks at all their texts."""
        how = asked.model_dump(include={"samples", "temperature", "top_p", "max_new_tokens", "prompt"})
        written = [
            self._want(
                GENERATION,
                GenerationPayload(**self._of(setting), **how, seed=seed),
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
            generations=tuple(written),
            identifier=f"{NAME} {VERSION}",
            among=among,
            languages={code: tuple(labels_of(code)) for code in studied if labels_of(code)},
            repetition_limit=asked.repetition_limit,
            confidence=self.confidence,
            measures=_versions("generation", "generated_language"),
        )
        self._want(GENERATION_EVALUATION, payload, f"languages of texts of {setting.label}")

    def perplexity(self, setting: PlannedSetting, asked: PerplexitySpec, corpus: PlanCorpus) -> None:
        stop = None if asked.stop is None else Stop(asked.stop.half_width, asked.stop.confidence)
        for language, text in corpus.texts.items():
            payload = PerplexityPayload(
                **self._of(setting),
                corpus=corpus.key,
                language=language,
                text=text.as_documents,
                window=asked.window,
                stride=asked.stride,
                max_tokens=asked.max_tokens,
                stop=stop,
                # A reading that stops at an interval has that interval's confidence.
                confidence=self.confidence if stop is None else stop.confidence,
                measures=_versions("perplexity"),
            )
            self._want(PERPLEXITY, payload, f"perplexity of {setting.label} on {corpus.name} {language}")

    def translation(self, setting: PlannedSetting, asked: TranslationSpec, corpus: PlanCorpus) -> None:
        how = asked.model_dump(include={"template", "shots", "max_new_tokens", "limit"})
        for source, target in asked.pairs:
            payload = TranslationPayload(
                **self._of(setting),
                **how,
                corpus=corpus.key,
                languages=(source, target),
                texts=(corpus.texts[source].as_sentences, corpus.texts[target].as_sentences),
                confidence=self.confidence,
                measures=_versions("translation"),
            )
            label = f"translation of {setting.label} on {corpus.name} {source} to {target}"
            self._want(TRANSLATION, payload, label)


def _versions(*measures: str) -> dict[str, int]:
    return {name: MEASURES[name].version for name in measures}
