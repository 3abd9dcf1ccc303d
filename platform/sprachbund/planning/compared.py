"""Comparisons of settings over language pairs, and choices made by them, as wants."""

from collections.abc import Mapping, Sequence
from itertools import combinations

from sprachbund.corpora.corpus import code_of
from sprachbund.errors import SpecError, nearest
from sprachbund.spec.experiment import Spec
from sprachbund.work.payloads.compare import (
    CHOICE,
    COMPARISON,
    Candidates,
    ChoicePayload,
    ComparedSetting,
    ComparisonPayload,
)
from sprachbund.work.plan import ChoiceGroup, PlanCorpus, PlanModel, PlannedSetting, Want


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


def comparison_want(
    spec: Spec,
    model: PlanModel,
    role: str,
    corpora: Sequence[PlanCorpus],
    settings: Sequence[PlannedSetting],
    layers: tuple[str, ...],
    group: str,
    evaluations: Mapping[str, str],
) -> Want:
    """All settings of a role on one group of corpora against their baselines and controls.

    evaluations: subjects of their pair evaluations, with digests of the pairs.
    """
    members = [corpus for corpus in corpora if corpus.group == group]
    controls: dict[str, dict[str, list[str]]] = {}
    for setting in settings:
        if setting.control_of is not None:
            variants = controls.setdefault(setting.control_of, {})
            variants.setdefault(str(setting.intervention.control), []).append(setting.key)
    statistics = spec.statistics
    metrics = list(statistics.metrics)
    if spec.choose is not None and spec.choose.metric not in metrics:
        metrics.append(spec.choose.metric)
    payload = ComparisonPayload(
        group=group,
        split=members[0].split,
        role=role,
        settings=tuple(
            ComparedSetting(
                setting.key, setting.baseline, setting.intervention.target, _as_tuples(controls.get(setting.key, {}))
            )
            for setting in settings
        ),
        pairs=tuple(
            (corpus.key, code_of(first), code_of(second))
            for corpus in members
            for first, second in language_pairs(spec, corpus)
        ),
        layers=layers,
        metrics=tuple(metrics),
        resamples=statistics.resamples,
        confidence=statistics.confidence,
        unit=statistics.unit,
        multiplicity=statistics.multiplicity,
        seed=spec.seed,
        evaluations=evaluations,
    )
    return Want.of(COMPARISON, payload, f"comparison on {group} ({role}) for {model.name}", needs_layers=layers)


def _as_tuples(controls: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    return {variant: tuple(members) for variant, members in controls.items()}


def choice_want(
    spec: Spec, settings: Sequence[PlannedSetting], layers: tuple[str, ...], comparison: Want, group: str
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
        comparison=comparison.subject,
        metric=choose.metric,
        scope=choose.scope,
        groups=tuple(
            Candidates(group.name, tuple(members), tuple(among))
            for group, members in groups.items()
            for among in choices
        ),
    )
    return Want.of(CHOICE, payload, f"choice by {choose.metric} on {group}")
