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
from sprachbund.work.keys import content_key
from sprachbund.work.kinds import GENERATION, GENERATION_EVALUATION, PERPLEXITY, TRANSLATION, Kind
from sprachbund.work.plan import NONE, PlanCorpus, PlanModel, PlannedSetting, Want, kind_key


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
        and (asked.settings == "all" or each.intervention.key != NONE.key)
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

    def _add(
        self,
        kind: Kind,
        setting: PlannedSetting,
        label: str,
        identity: Mapping[str, Any],
        more: Mapping[str, Any],
        needs: Sequence[str] = (),
    ) -> str:
        """A want of a setting: `identity` makes its key, `more` only travels along."""
        subject = kind_key(kind, setting=setting.key, **identity)
        if kind.needs_model and setting.intervention.key != NONE.key:
            needs = (*needs, setting.intervention.key)
        self.found.append(
            Want(
                kind=kind,
                subject=subject,
                label=label,
                bundle=content_key("bundle", 1, kind=kind.name, setting=setting.key),
                payload={
                    **identity,
                    **more,
                    "key": subject,
                    "setting": setting.key,
                    "model": self.model.fingerprint,
                    "model_dtype": self.model.dtype,
                    "attention": self.model.attention,
                    "intervention": setting.intervention.key,
                },
                model=self.model.fingerprint if kind.needs_model else None,
                needs=tuple(needs),
            )
        )
        return subject

    def generation(self, setting: PlannedSetting, asked: GenerationSpec, studied: Sequence[str]) -> None:
        """One job per seed, and one that looks at all their texts."""
        how = asked.model_dump(include={"samples", "temperature", "top_p", "max_new_tokens", "prompt"})
        written = [
            self._add(
                GENERATION,
                setting,
                f"texts of {setting.label} seed={seed}",
                {**how, "seed": seed},
                {"sentences": asked.samples},
            )
            for seed in asked.seeds
        ]
        among = None
        if asked.identify != "all":
            codes = studied if asked.identify == "studied" else asked.identify
            among = sorted({label for code in codes for label in labels_of(code)})
        reported = {code: list(labels_of(code)) for code in studied if labels_of(code)}
        self._add(
            GENERATION_EVALUATION,
            setting,
            f"languages of texts of {setting.label}",
            {
                "generations": written,
                "identifier": f"{NAME} {VERSION}",
                "among": among,
                "languages": reported,
                "repetition_limit": asked.repetition_limit,
                "confidence": self.confidence,
                "measures": _versions("generation", "generated_language"),
            },
            {},
            written,
        )

    def perplexity(self, setting: PlannedSetting, asked: PerplexitySpec, corpus: PlanCorpus) -> None:
        how = asked.model_dump(include={"window", "stride", "max_tokens", "stop"})
        # A reading that stops at an interval has that interval's confidence.
        confidence = self.confidence if asked.stop is None else asked.stop.confidence
        for language, text in corpus.texts.items():
            self._add(
                PERPLEXITY,
                setting,
                f"perplexity of {setting.label} on {corpus.name} {language}",
                {**how, "text": text.key, "confidence": confidence, "measures": _versions("perplexity")},
                {"language": language, "corpus": corpus.key},
            )

    def translation(self, setting: PlannedSetting, asked: TranslationSpec, corpus: PlanCorpus) -> None:
        how = asked.model_dump(include={"template", "shots", "max_new_tokens", "limit"})
        for source, target in asked.pairs:
            texts = [corpus.texts[source].key, corpus.texts[target].key]
            n_items = corpus.texts[source].n_items - asked.shots
            self._add(
                TRANSLATION,
                setting,
                f"translation of {setting.label} on {corpus.name} {source} to {target}",
                {**how, "texts": texts, "confidence": self.confidence, "measures": _versions("translation")},
                {
                    "languages": [source, target],
                    "corpus": corpus.key,
                    "sentences": n_items if asked.limit is None else min(n_items, asked.limit),
                },
            )


def _versions(*measures: str) -> dict[str, int]:
    return {name: MEASURES[name].version for name in measures}
