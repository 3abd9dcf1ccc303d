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
from sprachbund.work.keys import content_key
from sprachbund.work.kinds import PAIR_EVALUATION, SNAPSHOT, SPACE_EVALUATION
from sprachbund.work.plan import NONE, PlanCorpus, PlanModel, PlannedSetting, Want, kind_key, setting_key


@dataclass(frozen=True, slots=True)
class Side:
    """Snapshots by language, and those a transform is fitted on where it is not on the evaluated text."""

    snapshots: Mapping[str, str]
    fitted: Mapping[str, str]
    # The transform is fitted on all languages together, so that a pair needs all of them.
    pooled: bool = False

    def of(self, pair: tuple[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        """Both for the languages of a pair."""
        return (
            {language: self.snapshots[language] for language in pair},
            {each: subject for each, subject in self.fitted.items() if self.pooled or each in pair},
        )


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
                    self.wants.append(choice_want(self.spec, self.settings, self.layers, comparison))
        return self.wants

    def _evaluate(self, setting: PlannedSetting, corpus: PlanCorpus) -> list[str]:
        """Wants of one setting on one corpus; the subjects of its pair evaluations."""
        pairs = language_pairs(self.spec, corpus)
        languages = sorted({language for pair in pairs for language in pair})
        steered = self._side(setting, corpus, languages)
        plain: Side | None = None
        if setting.side != "both":
            plain = self._side(replace(self.planner.none, transform=setting.transform), corpus, languages)
        subjects = [self._pair(setting, corpus, pair, steered, plain) for pair in pairs]
        if corpus.kind == "parallel" and len(languages) > 2 and plain is None:
            self._space(setting, corpus, steered.snapshots, steered.fitted)
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

    def _side(self, setting: PlannedSetting, corpus: PlanCorpus, languages: Sequence[str]) -> "Side":
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
        return Side(snapshots, fitted, setting.transform in POOLED_TRANSFORMS)

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
        payload = {
            "setting": plain,
            "text": corpus.texts[language].key,
            **(self.spec.embeddings.pooled if pooled is None else pooled),
            "dtype": self.spec.embeddings.dtype,
        }
        subject = kind_key(SNAPSHOT, **payload)
        label = setting.label if setting.key == plain else self.planner.underlying[plain].label
        self.wants.append(
            Want(
                kind=SNAPSHOT,
                subject=subject,
                label=f"{label} on {'' if pooled is None else 'words of '}{corpus.name} {language}",
                # All settings of a model: their texts go through it together.
                bundle=content_key(
                    "bundle",
                    1,
                    kind="snapshot",
                    model=[self.model.fingerprint, self.model.dtype, self.model.attention],
                    corpus=corpus.group,
                    split=corpus.split,
                ),
                payload={
                    **payload,
                    "key": subject,
                    "model": self.model.fingerprint,
                    "model_dtype": self.model.dtype,
                    "attention": self.model.attention,
                    "intervention": setting.intervention.key,
                    "imported": bool(self.model.imported_layers),
                    "language": corpus.texts[language].language,
                },
                model=self.model.fingerprint,
                layers=self.layers,
                needs=() if setting.intervention.key == NONE.key else (setting.intervention.key,),
            )
        )
        return subject

    def _pair(
        self,
        setting: PlannedSetting,
        corpus: PlanCorpus,
        pair: tuple[str, str],
        steered: "Side",
        plain: "Side | None",
    ) -> str:
        own, fitted = steered.of(pair)
        sides: dict[str, Any] = {}
        plain_needs: tuple[str, ...] = ()
        if plain is not None:
            plain_own, plain_fitted = plain.of(pair)
            sides = {"side": setting.side, "plain_snapshots": plain_own, "plain_fit_snapshots": plain_fitted}
            plain_needs = (*plain_own.values(), *plain_fitted.values())
        above = self.spec.evaluations.approximate_above
        if above is not None and corpus.texts[pair[0]].n_items > above:
            sides["approximate_above"] = above
        subject = kind_key(
            PAIR_EVALUATION,
            query=setting.key,
            candidate=setting.key,
            snapshots=own,
            fit_snapshots=fitted,
            **sides,
            measures={
                name: each.version for name, each in MEASURES.items() if each.extent == "pair" and not each.optional
            },
        )
        self.wants.append(
            Want(
                kind=PAIR_EVALUATION,
                subject=subject,
                label=f"{setting.label} on {corpus.name} {pair[0]} and {pair[1]}",
                bundle=content_key(
                    "bundle", 1, kind="pair", setting=setting.key, corpus=corpus.group, split=corpus.split
                ),
                payload={
                    "query_setting": setting.key,
                    "candidate_setting": setting.key,
                    "corpus": corpus.key,
                    "languages": list(pair),
                    "texts": {language: corpus.texts[language].key for language in pair},
                    "snapshots": own,
                    "fit_snapshots": fitted,
                    **sides,
                    "transform": setting.transform,
                    "components": setting.transform_parameters.get("components"),
                    **self.spec.embeddings.pooled,
                },
                layers=self.layers,
                needs=(*own.values(), *fitted.values(), *plain_needs),
            )
        )
        return subject

    def _space(
        self,
        setting: PlannedSetting,
        corpus: PlanCorpus,
        snapshots: Mapping[str, str],
        fit_snapshots: Mapping[str, str],
    ) -> None:
        languages = sorted(snapshots)
        baseline = self.planner.settings[setting.baseline] if setting.baseline else setting
        frozen = {language: self._snapshot(baseline, corpus, language) for language in languages}
        target = setting.intervention.target if setting.intervention.target in languages else None
        subject = kind_key(
            SPACE_EVALUATION,
            setting=setting.key,
            snapshots=dict(snapshots),
            fit_snapshots=dict(fit_snapshots),
            frozen=frozen,
            target=target,
            measures={
                name: measure.version
                for name, measure in MEASURES.items()
                if measure.extent in ("language", "space") and not measure.optional
            },
        )
        self.wants.append(
            Want(
                kind=SPACE_EVALUATION,
                subject=subject,
                label=f"space of {setting.label} on {corpus.name}",
                bundle=content_key("bundle", 1, kind="space", corpus=corpus.key),
                payload={
                    "setting": setting.key,
                    "corpus": corpus.key,
                    "languages": languages,
                    "target": target,
                    "snapshots": dict(snapshots),
                    "fit_snapshots": dict(fit_snapshots),
                    "frozen_snapshots": frozen,
                    "transform": setting.transform,
                    "components": setting.transform_parameters.get("components"),
                    **self.spec.embeddings.pooled,
                    "scope": content_key("scope", 1, languages=languages),
                },
                layers=self.layers,
                needs=(*snapshots.values(), *fit_snapshots.values(), *frozen.values()),
            )
        )
