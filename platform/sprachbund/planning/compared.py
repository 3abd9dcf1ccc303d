"""Comparisons of settings over language pairs, their families of tests, and choices made by them, as wants."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from sprachbund.errors import SpecError, nearest
from sprachbund.spec.experiment import Spec
from sprachbund.work.payloads.compare import (
    ADJUSTMENT,
    BEST,
    CHOICE,
    COMPARISON,
    CONTRAST,
    AdjustmentPayload,
    BestPayload,
    Candidates,
    ChoicePayload,
    Chosen,
    ComparedSetting,
    ComparisonPayload,
    Contrast,
    ContrastPayload,
)
from sprachbund.work.plan import NONE, ChoiceGroup, PlanCorpus, PlannedSetting, Want

Refits = Mapping[str, Mapping[str, str]]
"""Keys by setting, and by half of the fit text: of the setting that is it but for being fitted on that half."""


def language_pairs(spec: Spec, corpus: PlanCorpus) -> list[tuple[str, str]]:
    """Unordered pairs to evaluate in a corpus, each sorted by code."""
    languages = sorted(corpus.texts)
    if corpus.kind == "parallel" and spec.languages is not None:
        languages = [language for language in languages if language in spec.languages]
    pairs = list(combinations(languages, 2))
    if spec.evaluations.pairs == "all" or corpus.kind == "paraphrase":
        return pairs
    asked = {tuple(sorted(pair)) for pair in spec.evaluations.pairs}
    for language in sorted({language for pair in asked for language in pair}):
        if corpus.kind == "parallel" and language not in languages:
            raise SpecError(
                f"evaluations.pairs: '{language}' is not evaluated in {corpus.name}{nearest(language, languages)}"
            )
    return [pair for pair in pairs if pair in asked]


@dataclass(frozen=True, slots=True)
class Comparing:
    """What the settings of one model are compared by, in one role on one group of corpora, `corpus` among them.

    unit: what is drawn. evaluated: by setting, the subjects of its pair evaluations with digests of their pairs.
    """

    spec: Spec
    role: str
    corpus: PlanCorpus
    unit: str
    settings: Sequence[PlannedSetting]
    layers: tuple[str, ...]
    evaluated: Mapping[str, Mapping[str, str]]
    refits: Refits

    @property
    def on(self) -> str:
        """Group, model and role, for labels."""
        return f"{self.corpus.group} for {self.settings[0].model.name} ({self.role})"

    def comparisons(self) -> list[Want]:
        """A want for each setting but controls."""
        controls: dict[str, dict[str, list[PlannedSetting]]] = {}
        for setting in self.settings:
            if setting.control_of is not None:
                variants = controls.setdefault(setting.control_of, {})
                variants.setdefault(str(setting.intervention.control), []).append(setting)
        found = []
        for setting in self.settings:
            if setting.control_of is None:
                payload = self._comparison(setting, controls.get(setting.key, {}))
                label = f"comparison of {setting.label} on {self.corpus.group} ({self.role})"
                found.append(Want.of(COMPARISON, payload, label, self.layers))
        return found

    def _comparison(
        self, setting: PlannedSetting, controls: Mapping[str, Sequence[PlannedSetting]]
    ) -> ComparisonPayload:
        """One setting with its controls, by variant."""
        variants = {variant: tuple(each.key for each in members) for variant, members in controls.items()}
        settings = (
            _compared(setting, variants),
            *(_compared(each, {}) for members in controls.values() for each in members),
        )
        read = dict.fromkeys(key for each in settings for key in (each.setting, each.reference))
        return ComparisonPayload(settings=settings, **self._resampled(read))

    def _resampled(self, read: Collection[str]) -> dict[str, Any]:
        """What is asked of outcomes whichever settings, those of the keys `read`, are compared."""
        fitted = {key: self.refits[key] for key in read if key in self.refits}
        outcomes = [*read, *(each for halves in fitted.values() for each in halves.values())]
        choose, statistics = self.spec.choose, self.spec.statistics
        assert statistics.resamples is not None  # settled before
        metrics = list(statistics.metrics)
        if choose is not None and choose.metric not in metrics:
            metrics.append(choose.metric)
        return {
            "group": self.corpus.group,
            "split": self.corpus.split,
            "role": self.role,
            "metrics": tuple(metrics),
            "resamples": statistics.resamples,
            "confidence": statistics.confidence,
            "unit": self.unit,
            "seed": self.spec.seed,
            "refits": fitted,
            "evaluations": {subject: pairs for key in outcomes for subject, pairs in self.evaluated[key].items()},
        }

    def adjustment(self, comparisons: Sequence[Want]) -> Want:
        """The families over all comparisons."""
        statistics = self.spec.statistics
        assert statistics.resamples is not None  # settled before
        evaluations: dict[str, None] = {}
        if statistics.multiplicity == "max_t":
            evaluations = dict.fromkeys(subject for each in comparisons for subject in each.payload.needs)
        payload = AdjustmentPayload(
            role=self.role,
            settings=tuple(each.key for each in self.settings if each.baseline and each.control_of is None),
            layers=self.layers,
            comparisons=tuple(each.subject for each in comparisons),
            multiplicity=statistics.multiplicity,
            confidence=statistics.confidence,
            resamples=statistics.resamples,
            unit=self.unit,
            seed=self.spec.seed,
            evaluations=tuple(evaluations),
        )
        return Want.of(ADJUSTMENT, payload, f"families of tests on {self.on}", needs_layers=self.layers)

    def choice(self, adjustment: Want) -> Want:
        """The best setting and layer of every group of settings, by the comparisons of an adjustment."""
        choose = self.spec.choose
        assert choose is not None
        controls = _competing_controls(self.settings)
        # Where the layer is not chosen over, one choice is made at every layer.
        choices = [list(self.layers)] if "layer" in choose.over else [[layer] for layer in self.layers]
        payload = ChoicePayload(
            adjustment=adjustment.subject,
            metric=choose.metric,
            scope=choose.scope,
            groups=tuple(
                Candidates(
                    group.key, group.name, tuple(each.key for each in members), tuple(among),
                    controls.get(group.key, {}),
                )
                for group, members in _competing(self.settings).items()
                for among in choices
            ),
        )  # fmt: skip
        return Want.of(CHOICE, payload, f"choice by {choose.metric} on {self.on}")

    def best(self, choice: Want) -> list[Want]:
        """Whatever was chosen against what was chosen of the settings that edit nothing; none without such a pair."""
        groups = _competing(self.settings)
        plain = [group.key for group, members in groups.items() if members[0].intervention.key == NONE.key]
        baseline = {group.key for group, members in groups.items() if members[0].baseline is None}
        candidates = tuple(
            Chosen(
                group.key,
                members[0].intervention.target,
                # What edits nothing itself is held against the baseline alone.
                tuple(each for each in plain if each in baseline or group.key not in plain),
            )
            for group, members in groups.items()
            if group.key not in baseline
        )
        if not candidates:
            return []
        payload = BestPayload(
            choice=choice.subject,
            candidates=candidates,
            multiplicity=self.spec.statistics.multiplicity,
            layers=self.layers,
            **self._resampled([each.key for each in self.settings]),
        )
        return [Want.of(BEST, payload, f"best against best on {self.on}", needs_layers=self.layers)]

    def asked(self) -> list[Want]:
        """The comparisons that the spec names; none where it names none of this model's settings."""
        by_name = {name: each for each in self.settings for name in (each.name, each.label)}
        pairs = [
            (by_name[first], by_name[second])
            for first, second in self.spec.compare
            if {first, second} <= by_name.keys()
        ]
        if not pairs:
            return []
        contrasts = tuple(
            Contrast(each.key, other.key, each.intervention.target or other.intervention.target)
            for each, other in pairs
        )
        payload = ContrastPayload(
            contrasts=contrasts,
            multiplicity=self.spec.statistics.multiplicity,
            **self._resampled(dict.fromkeys(each.key for pair in pairs for each in pair)),
        )
        return [Want.of(CONTRAST, payload, f"comparisons asked for on {self.on}", self.layers)]


def _compared(setting: PlannedSetting, controls: Mapping[str, tuple[str, ...]]) -> ComparedSetting:
    return ComparedSetting(setting.key, setting.baseline, setting.intervention.target, controls)


def _competing(settings: Sequence[PlannedSetting]) -> dict[ChoiceGroup, list[PlannedSetting]]:
    groups: dict[ChoiceGroup, list[PlannedSetting]] = {}
    for setting in settings:
        if setting.choice is not None:
            groups.setdefault(setting.choice, []).append(setting)
    return groups


def _competing_controls(settings: Sequence[PlannedSetting]) -> dict[str, dict[str, dict[str, tuple[str, ...]]]]:
    """By the key of a choice, variant and member: a member competes with itself beside the other settings."""
    choice_of = {setting.key: setting.choice for setting in settings}
    found: dict[str, dict[str, dict[str, tuple[str, ...]]]] = {}
    for setting in settings:
        group = None if setting.control_of is None else choice_of[setting.control_of]
        if group is not None:
            members = found.setdefault(group.key, {}).setdefault(str(setting.intervention.control), {})
            members[str(setting.member)] = (*members.get(str(setting.member), ()), setting.key)
    return found


def check_named(compare: Sequence[tuple[str, str]], settings: Sequence[PlannedSetting]) -> None:
    """Raise SpecError for a comparison of settings that no model has, of one with itself, or listed twice."""
    by_model: dict[str, dict[str, str]] = {}
    for each in settings:
        by_model.setdefault(each.model.name, {}).update({each.name: each.key, each.label: each.key})
    names = sorted(set().union(*by_model.values()))
    seen: set[tuple[str, str]] = set()
    for place, (first, second) in enumerate(compare):
        for name in (first, second):
            if name not in names:
                raise SpecError(f"compare.{place}: no setting is called '{name}'{nearest(name, names)}")
        pairs = {(keys[first], keys[second]) for keys in by_model.values() if {first, second} <= keys.keys()}
        if not pairs:
            raise SpecError(f"compare.{place}: '{first}' and '{second}' are of two models; see `sprachbund compare`")
        if any(one == other for one, other in pairs):
            raise SpecError(f"compare.{place}: '{first}' is compared with itself; expected two settings")
        if not pairs.isdisjoint(seen):
            raise SpecError(f"compare.{place}: '{first}' and '{second}' are listed twice")
        seen |= pairs
