"""What one model's settings need on the corpora of one reported role: snapshots, evaluations, comparisons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sprachbund.corpora.corpus import code_of
from sprachbund.errors import SpecError
from sprachbund.measures import MEASURES, REQUESTS
from sprachbund.measures.requested import WORD_FIELDS, Requested
from sprachbund.planning.compared import choice_want, comparison_want, language_pairs
from sprachbund.planning.settings import SettingPlanner
from sprachbund.spec.experiment import Spec
from sprachbund.vocabulary import FITTED_TRANSFORMS, POOLED_TRANSFORMS
from sprachbund.work.payloads.embed import SNAPSHOT, SnapshotPayload
from sprachbund.work.payloads.measure import (
    PAIR_EVALUATION,
    SPACE_EVALUATION,
    PairEvaluationPayload,
    SideSnapshots,
    SpaceEvaluationPayload,
)
from sprachbund.work.plan import PlanCorpus, PlanModel, PlannedSetting, Want, setting_key


@dataclass(slots=True)
class RoleWants:
    """The wants of one model's settings on the corpora of one reported role."""

    spec: Spec
    model: PlanModel
    role: str
    corpora: Sequence[PlanCorpus]
    planner: SettingPlanner
    fit: PlanCorpus | None
    layers: tuple[str, ...]
    wants: list[Want] = field(default_factory=list)

    @property
    def settings(self) -> list[PlannedSetting]:
        """Nothing is chosen among controls: they are evaluated where results are reported."""
        return [each for each in self.planner.settings.values() if self.role == "test" or each.control_of is None]

    def draw(self) -> list[Want]:
        evaluated: dict[str, list[str]] = {}
        for setting in self.settings:
            for corpus in self.corpora:
                evaluated.setdefault(corpus.group, []).extend(self._evaluate(setting, corpus))
        for group, subjects in evaluated.items():
            if subjects:
                comparison = comparison_want(
                    self.spec, self.model, self.role, self.corpora, self.settings, self.layers, group, subjects
                )
                self.wants.append(comparison)
                if self.role == "select" and self.spec.choose is not None:
                    self.wants.append(choice_want(self.spec, self.settings, self.layers, comparison, group))
        return self.wants

    def _evaluate(self, setting: PlannedSetting, corpus: PlanCorpus) -> list[str]:
        """Wants of one setting on one corpus; the subjects of its pair evaluations."""
        pairs = language_pairs(self.spec, corpus)
        languages = sorted({language for pair in pairs for language in pair})
        steered = self._side(setting, corpus, languages)
        plain: SideSnapshots | None = None
        if setting.side != "both":
            plain = self._side(replace(self.planner.none, transform=setting.transform), corpus, languages)
        subjects = [self._pair(setting, corpus, pair, steered, plain) for pair in pairs]
        if corpus.kind == "parallel" and len(languages) > 2 and plain is None:
            self._space(setting, corpus, steered)
        if self.role == "test" and plain is None and languages:
            words = self._words(setting, corpus, languages)
            requested = Requested(
                setting,
                corpus,
                pairs,
                steered.snapshots,
                steered.fitted,
                self.layers,
                words,
                self.spec.embeddings.pooled,
                self.spec.seed,
                self.spec.statistics.unit,
                self.spec.statistics.confidence,
            )
            for request in REQUESTS:
                self.wants += request.wants(requested, getattr(self.spec.evaluations, request.field))
        return subjects

    def _words(self, setting: PlannedSetting, corpus: PlanCorpus, languages: Sequence[str]) -> dict[str, str]:
        """Snapshots with a row per word, by language, where a probe asks for them. Transforms are of sentences."""
        asked = [number for number, each in enumerate(self.spec.evaluations.probes) if each.level == "word"]
        if not asked or setting.transform != "none":
            return {}
        where = f"evaluations.probes.{asked[0]}.level"
        if not corpus.word_labels:
            raise SpecError(f"{where}: {corpus.name} has no words; expected a corpus of .conllu files")
        if self.model.imported_layers:
            raise SpecError(f"{where}: {self.model.name} ran elsewhere and has vectors of sentences only")
        return {language: self._snapshot(setting, corpus, language, WORD_FIELDS) for language in languages}

    def _side(self, setting: PlannedSetting, corpus: PlanCorpus, languages: Sequence[str]) -> SideSnapshots:
        self._check_input_languages(setting, languages)
        snapshots = {language: self._snapshot(setting, corpus, language) for language in languages}
        fitted: dict[str, str] = {}
        if setting.transform in FITTED_TRANSFORMS:
            assert self.fit is not None
            for language in languages:
                if code_of(language) not in self.fit.texts:
                    raise SpecError(
                        f"interventions: {setting.transform} needs text of {code_of(language)} in corpora.fit"
                        f" ({self.fit.name}), which has {', '.join(sorted(self.fit.texts))}"
                    )
                fitted[language] = self._snapshot(setting, self.fit, code_of(language))
        return SideSnapshots(snapshots, fitted)

    def _check_input_languages(self, setting: PlannedSetting, languages: Sequence[str]) -> None:
        """Edits that differ by input language must exist for every one, or some would silently go unsteered."""
        parameters = setting.intervention.parameters
        known = parameters.get("input_languages")
        if known is None:
            return
        codes = [code_of(language) for language in languages]
        missing = [each for each in codes if each not in known and each != parameters.get("values_language")]
        if missing:
            raise SpecError(
                f"interventions: '{setting.label}' has edits for each input language, but none for {missing[0]};"
                f" expected it among experts.negatives and corpora.fit ({', '.join(sorted(known))})"
            )

    def _snapshot(
        self, setting: PlannedSetting, corpus: PlanCorpus, language: str, pooled: Mapping[str, str] | None = None
    ) -> str:
        plain = setting_key(self.model, setting.intervention.key, "none", {}, "both")
        how = self.spec.embeddings.pooled if pooled is None else pooled
        payload = SnapshotPayload(
            setting=plain,
            numerics=self.model.numerics,
            intervention=setting.edits,
            group=corpus.group,
            split=corpus.split,
            text=corpus.texts[language].as_sentences,
            language=corpus.texts[language].language,
            pooling=how["pooling"],
            tokens=how["tokens"],
            stored_dtype=self.spec.embeddings.dtype,
            imported=bool(self.model.imported_layers),
        )
        label = setting.label if setting.key == plain else self.planner.underlying[plain].label
        what = f"{label} on {'' if pooled is None else 'words of '}{corpus.name} {language}"
        return self._want(Want.of(SNAPSHOT, payload, what, self.layers))

    def _pair(
        self,
        setting: PlannedSetting,
        corpus: PlanCorpus,
        pair: tuple[str, str],
        steered: SideSnapshots,
        plain: SideSnapshots | None,
    ) -> str:
        above = self.spec.evaluations.approximate_above
        payload = PairEvaluationPayload(
            **self._of(setting, corpus),
            languages=pair,
            steered=_of_pair(steered, setting, pair),
            plain=None if plain is None else _of_pair(plain, setting, pair),
            group=corpus.group,
            split=corpus.split,
            texts={language: corpus.texts[language].as_documents for language in pair},
            side=setting.side,
            approximate_above=above if above is not None and corpus.texts[pair[0]].n_items > above else None,
            measures=_versions("pair"),
        )
        label = f"{setting.label} on {corpus.name} {pair[0]} and {pair[1]}"
        return self._want(Want.of(PAIR_EVALUATION, payload, label, self.layers))

    def _space(self, setting: PlannedSetting, corpus: PlanCorpus, steered: SideSnapshots) -> None:
        languages = sorted(steered.snapshots)
        baseline = self.planner.settings[setting.baseline] if setting.baseline else setting
        payload = SpaceEvaluationPayload(
            **self._of(setting, corpus),
            languages=tuple(languages),
            steered=steered,
            target=setting.intervention.target if setting.intervention.target in languages else None,
            frozen={language: self._snapshot(baseline, corpus, language) for language in languages},
            measures=_versions("language", "space"),
        )
        self._want(Want.of(SPACE_EVALUATION, payload, f"space of {setting.label} on {corpus.name}", self.layers))

    def _of(self, setting: PlannedSetting, corpus: PlanCorpus) -> dict[str, Any]:
        """The fields that evaluations of embeddings share."""
        return {
            "setting": setting.key,
            "corpus": corpus.key,
            "transform": setting.transform,
            "components": setting.transform_parameters.get("components"),
            **self.spec.embeddings.pooled,
        }

    def _want(self, want: Want) -> str:
        self.wants.append(want)
        return want.subject


def _of_pair(side: SideSnapshots, setting: PlannedSetting, pair: tuple[str, str]) -> SideSnapshots:
    """What a pair needs; a transform that is fitted on all languages together needs all of them."""
    pooled = setting.transform in POOLED_TRANSFORMS
    return SideSnapshots(
        {language: side.snapshots[language] for language in pair},
        {each: subject for each, subject in side.fitted.items() if pooled or each in pair},
    )


def _versions(*extents: str) -> dict[str, int]:
    """Versions of the measures that are made unasked."""
    return {name: each.version for name, each in MEASURES.items() if each.extent in extents and not each.optional}
