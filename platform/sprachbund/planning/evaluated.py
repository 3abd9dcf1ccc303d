"""What one model's settings need on the corpora of one reported role: snapshots, evaluations, comparisons."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sprachbund.corpora.corpus import code_of
from sprachbund.errors import SpecError
from sprachbund.measures import MEASURES, REQUESTS
from sprachbund.measures.requested import WORD_FIELDS, Requested
from sprachbund.planning.compared import Comparing, Refits, language_pairs
from sprachbund.planning.drawn import drawn_unit
from sprachbund.planning.halves import HALF
from sprachbund.planning.settings import SettingPlanner
from sprachbund.spec.experiment import Spec
from sprachbund.vocabulary import FITTED_TRANSFORMS, POOLED_TRANSFORMS
from sprachbund.work.keys import content_key
from sprachbund.work.payloads.embed import SNAPSHOT, SnapshotPayload
from sprachbund.work.payloads.measure import SPACE_EVALUATION, SideSnapshots, SpaceEvaluationPayload
from sprachbund.work.payloads.pairs import PAIR_EVALUATION, PairEvaluationPayload, pair_key
from sprachbund.work.payloads.star import Pair
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
    # Of the select role, once it is drawn.
    choices: list[Want] = field(default_factory=list)
    # The same settings fitted on halves of the fit text: pairs are all that is evaluated of them, on `test`.
    refits: Sequence[SettingPlanner] = ()
    wants: list[Want] = field(default_factory=list)
    refit_wants: list[Want] = field(default_factory=list)
    # Subjects of snapshots that are wanted already, by what they are of: many settings read the same.
    _embedded: dict[tuple[str, ...], str] = field(default_factory=dict)

    @property
    def settings(self) -> list[PlannedSetting]:
        """Controls are evaluated where results are reported, and where they choose as their settings do."""
        choose = self.spec.choose
        controls = self.role == "test" or (choose is not None and choose.controls)
        return [each for each in self.planner.settings.values() if controls or each.control_of is None]

    def draw(self) -> list[Want]:
        evaluated = self._evaluated(self.settings)
        refits = self._refitted(evaluated) if self.role == "test" else {}
        for group, evaluations in evaluated.items():
            corpus = next(corpus for corpus in self.corpora if corpus.group == group)
            self._compare(corpus, evaluations, refits)
        return self.wants

    def _evaluated(self, settings: Iterable[PlannedSetting]) -> dict[str, dict[str, dict[str, str]]]:
        """Subjects of the pair evaluations with digests of their pairs, by group of corpora and setting."""
        pairs_of = {corpus.key: language_pairs(self.spec, corpus) for corpus in self.corpora}
        evaluated: dict[str, dict[str, dict[str, str]]] = {}
        for setting in settings:
            for corpus in self.corpora:
                if pairs_of[corpus.key]:
                    subject, pairs = self._evaluate(setting, corpus, pairs_of[corpus.key])
                    evaluated.setdefault(corpus.group, {}).setdefault(setting.key, {})[subject] = pairs
        return evaluated

    def _refitted(self, evaluated: dict[str, dict[str, dict[str, str]]]) -> Refits:
        """Every setting's refits; their evaluations are put beside the others."""
        found: dict[str, dict[str, str]] = {}
        for number, refit in enumerate(self.refits):
            anew = self.planner.fitted_anew(refit)
            wants = RoleWants(self.spec, self.model, HALF, self.corpora, refit, refit.fit, self.layers)
            for group, evaluations in wants._evaluated(anew.values()).items():
                evaluated[group] |= evaluations
            self.refit_wants += wants.wants
            for key, setting in anew.items():
                found.setdefault(key, {})[str(number)] = setting.key
        return found

    def _compare(self, corpus: PlanCorpus, evaluated: Mapping[str, Mapping[str, str]], refits: Refits) -> None:
        """Wants of what all settings' evaluations on the group of a corpus come to."""
        unit = drawn_unit(self.spec, [each for each in self.corpora if each.group == corpus.group])
        comparing = Comparing(self.spec, self.role, corpus, unit, self.settings, self.layers, evaluated, refits)
        comparisons = comparing.comparisons()
        adjustment = comparing.adjustment(comparisons)
        self.wants += [*comparisons, adjustment]
        if self.role == "select" and self.spec.choose is not None:
            self.choices.append(comparing.choice(adjustment))
            self.wants.append(self.choices[-1])
        if self.role == "test":
            self.wants += [*comparing.asked(), *(want for choice in self.choices for want in comparing.best(choice))]

    def _evaluate(
        self, setting: PlannedSetting, corpus: PlanCorpus, pairs: Sequence[tuple[str, str]]
    ) -> tuple[str, str]:
        """Wants of one setting on one corpus; the subject of its pair evaluations, and a digest of all their keys."""
        languages = sorted({language for pair in pairs for language in pair})
        steered = self._side(setting, corpus, languages)
        plain: SideSnapshots | None = None
        if setting.side != "both":
            plain = self._side(replace(self.planner.none, transform=setting.transform), corpus, languages)
        evaluations = self._pairs(setting, corpus, pairs, steered, plain)
        if self.role != HALF and corpus.kind == "parallel" and len(languages) > 2 and plain is None:
            self._space(setting, corpus, steered)
        if self.role == "test" and plain is None:
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
                drawn_unit(self.spec, [corpus]),
                self.spec.statistics.confidence,
            )
            for request in REQUESTS:
                self.wants += request.wants(requested, getattr(self.spec.evaluations, request.field))
        return evaluations

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
        how = self.spec.embeddings.pooled if pooled is None else pooled
        known = (setting.intervention.key, corpus.key, language, *how.values())
        if known not in self._embedded:
            self._embedded[known] = self._new_snapshot(setting, corpus, language, how)
        return self._embedded[known]

    def _new_snapshot(self, setting: PlannedSetting, corpus: PlanCorpus, language: str, how: Mapping[str, str]) -> str:
        plain = setting_key(self.model, setting.intervention.key, "none", {}, "both")
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
        words = "words of " if how == WORD_FIELDS else ""
        return self._want(Want.of(SNAPSHOT, payload, f"{label} on {words}{corpus.name} {language}", self.layers))

    def _pairs(
        self,
        setting: PlannedSetting,
        corpus: PlanCorpus,
        pairs: Sequence[tuple[str, str]],
        steered: SideSnapshots,
        plain: SideSnapshots | None,
    ) -> tuple[str, str]:
        """All pairs of a setting on a corpus, one want: `work.jobs` cuts it into stars."""
        above = self.spec.evaluations.approximate_above
        texts = corpus.texts
        payload = PairEvaluationPayload(
            **self._of(setting, corpus),
            pairs=(),
            steered=steered,
            plain=plain,
            group=corpus.group,
            split=corpus.split,
            texts={each: texts[each].key for each in steered.snapshots},
            side=setting.side,
            approximate_above=above if above is not None and texts[pairs[0][0]].n_items > above else None,
            measures=_versions("pair"),
        )
        keyed = replace(payload, pairs=tuple(_keyed(payload, pairs, corpus)))
        subject = self._want(Want.of(PAIR_EVALUATION, keyed, f"{setting.label} on {corpus.name}", self.layers))
        return subject, content_key("pairs", 1, keys=[pair.key for pair in keyed.pairs])

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


def _keyed(payload: PairEvaluationPayload, pairs: Sequence[tuple[str, str]], corpus: PlanCorpus) -> Iterator[Pair]:
    """The pairs with their keys. What they share, and each side, is put into a key once: pairs are many."""
    sides = [side for side in (payload.steered, payload.plain) if side is not None]
    pooled = payload.transform in POOLED_TRANSFORMS
    shared = content_key(
        "pairs of a setting", 1, setting=payload.setting, side=payload.side, above=payload.approximate_above,
        measures=dict(payload.measures), fitted=[dict(side.fitted) for side in sides] if pooled else None,
    )  # fmt: skip
    identities = {
        each: content_key(
            "side of a pair", 1, language=each, text=corpus.texts[each].documents,
            snapshots=[side.snapshots[each] for side in sides],
            fitted=None if pooled else [side.fitted.get(each) for side in sides],
        )
        for each in payload.steered.snapshots
    }  # fmt: skip
    for first, second in pairs:
        key = pair_key(PAIR_EVALUATION, of=shared, sides=[identities[first], identities[second]])
        yield Pair(first, second, key)


def _versions(*extents: str) -> dict[str, int]:
    """Versions of the measures that are made unasked."""
    return {name: each.version for name, each in MEASURES.items() if each.extent in extents and not each.optional}
