"""Comparisons of settings over language pairs, their families of tests, and choices made by them, as wants."""

from collections.abc import Mapping, Sequence
from itertools import combinations

from sprachbund.errors import SpecError, nearest
from sprachbund.spec.experiment import Spec
from sprachbund.work.payloads.compare import (
    ADJUSTMENT,
    CHOICE,
    COMPARISON,
    AdjustmentPayload,
    Candidates,
    ChoicePayload,
    ComparedSetting,
    ComparisonPayload,
)
from sprachbund.work.plan import ChoiceGroup, PlanCorpus, PlannedSetting, Want


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


def comparison_wants(
    spec: Spec,
    role: str,
    corpus: PlanCorpus,
    settings: Sequence[PlannedSetting],
    layers: tuple[str, ...],
    evaluated: Mapping[str, Mapping[str, str]],
    unit: str,
) -> list[Want]:
    """A want for each setting of a role but controls, on one group of corpora, `corpus` among them.

    unit: what is drawn of it. evaluated: by setting, the subjects of its pair evaluations with digests of their pairs.
    """
    controls: dict[str, dict[str, list[PlannedSetting]]] = {}
    for setting in settings:
        if setting.control_of is not None:
            variants = controls.setdefault(setting.control_of, {})
            variants.setdefault(str(setting.intervention.control), []).append(setting)
    found = []
    for setting in settings:
        if setting.control_of is None:
            payload = _comparison(spec, role, corpus, setting, controls.get(setting.key, {}), evaluated, unit)
            label = f"comparison of {setting.label} on {corpus.group} ({role})"
            found.append(Want.of(COMPARISON, payload, label, layers))
    return found


def _comparison(
    spec: Spec,
    role: str,
    corpus: PlanCorpus,
    setting: PlannedSetting,
    controls: Mapping[str, Sequence[PlannedSetting]],
    evaluated: Mapping[str, Mapping[str, str]],
    unit: str,
) -> ComparisonPayload:
    """One setting with its controls, by variant."""
    statistics = spec.statistics
    assert statistics.resamples is not None  # settled before
    metrics = list(statistics.metrics)
    if spec.choose is not None and spec.choose.metric not in metrics:
        metrics.append(spec.choose.metric)
    variants = {variant: tuple(each.key for each in members) for variant, members in controls.items()}
    settings = (
        _compared(setting, variants),
        *(_compared(each, {}) for members in controls.values() for each in members),
    )
    read = dict.fromkeys(key for each in settings for key in (each.setting, each.reference))
    return ComparisonPayload(
        group=corpus.group,
        split=corpus.split,
        role=role,
        settings=settings,
        metrics=tuple(metrics),
        resamples=statistics.resamples,
        confidence=statistics.confidence,
        unit=unit,
        seed=spec.seed,
        evaluations={subject: pairs for key in read for subject, pairs in evaluated[key].items()},
    )


def _compared(setting: PlannedSetting, controls: Mapping[str, tuple[str, ...]]) -> ComparedSetting:
    return ComparedSetting(setting.key, setting.baseline, setting.intervention.target, controls)


def adjustment_want(
    spec: Spec,
    role: str,
    on: str,
    settings: Sequence[PlannedSetting],
    layers: tuple[str, ...],
    comparisons: Sequence[Want],
    unit: str,
) -> Want:
    """The families over all comparisons of a model, group and role; `on` names model and group."""
    statistics = spec.statistics
    assert statistics.resamples is not None  # settled before
    evaluations: dict[str, None] = {}
    if statistics.multiplicity == "max_t":
        evaluations = dict.fromkeys(subject for each in comparisons for subject in each.payload.needs)
    payload = AdjustmentPayload(
        role=role,
        settings=tuple(each.key for each in settings if each.baseline and each.control_of is None),
        layers=layers,
        comparisons=tuple(each.subject for each in comparisons),
        multiplicity=statistics.multiplicity,
        confidence=statistics.confidence,
        resamples=statistics.resamples,
        unit=unit,
        seed=spec.seed,
        evaluations=tuple(evaluations),
    )
    return Want.of(ADJUSTMENT, payload, f"families of tests on {on} ({role})", needs_layers=layers)


def choice_want(
    spec: Spec, settings: Sequence[PlannedSetting], layers: tuple[str, ...], adjustment: Want, group: str
) -> Want:
    """The best setting and layer of every group by a comparison on `select`."""
    choose = spec.choose
    assert choose is not None
    groups: dict[ChoiceGroup, list[str]] = {}
    for setting in settings:
        if setting.choice is not None:
            groups.setdefault(setting.choice, []).append(setting.key)
    # Where the layer is not chosen over, one choice is made at every layer.
    choices = [list(layers)] if "layer" in choose.over else [[layer] for layer in layers]
    payload = ChoicePayload(
        adjustment=adjustment.subject,
        metric=choose.metric,
        scope=choose.scope,
        groups=tuple(
            Candidates(group.name, tuple(members), tuple(among))
            for group, members in groups.items()
            for among in choices
        ),
    )
    return Want.of(CHOICE, payload, f"choice by {choose.metric} on {group}")
