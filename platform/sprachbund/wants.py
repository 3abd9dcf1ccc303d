"""Everything an experiment wants done: its settings crossed with the corpora of its roles."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from sprachbund.errors import SpecError, nearest
from sprachbund.keys import content_key
from sprachbund.kinds import (
    CHOICE,
    COMPARISON,
    EXPERT_OVERLAP,
    EXPERT_SET,
    PAIR_EVALUATION,
    SNAPSHOT,
    SPACE_EVALUATION,
)
from sprachbund.metrics import MEASURES
from sprachbund.plan import (
    PlanCorpus,
    PlanModel,
    PlannedSetting,
    Want,
    kind_key,
    layer_order,
    setting_key,
    unique_wants,
)
from sprachbund.settings import NONE, SettingPlanner
from sprachbund.spec import Spec

REPORTED_ROLES = ("select", "test")


@dataclass(frozen=True, slots=True)
class Blueprint:
    """All settings of an experiment, those underneath transformed ones, its layers and wants.

    `n_pairs`: unordered language pairs per reported role, for counting the cells a table must have.
    """

    settings: tuple[PlannedSetting, ...]
    underlying: tuple[PlannedSetting, ...]
    layers: tuple[str, ...]
    wants: tuple[Want, ...]
    n_pairs: Mapping[str, int]


def draw_up(spec: Spec, models: Sequence[PlanModel], corpora: Mapping[str, Sequence[PlanCorpus]]) -> Blueprint:
    """Settings and wants of `spec` given its resolved models and the corpora per role.

    Raises SpecError where the spec asks for something the models or corpora do not have.
    """
    fit = _fit_corpus(corpora)
    settings: list[PlannedSetting] = []
    underlying: list[PlannedSetting] = []
    wants: list[Want] = []
    layers: set[str] = set()
    for model in models:
        planner = SettingPlanner(spec, model, fit)
        planner.run()
        settings += planner.settings.values()
        underlying += [each for key, each in planner.underlying.items() if key not in planner.settings]
        wants += planner.wants
        wants += _overlaps(planner.wants, planner.settings.values())
        chosen = _layers(spec, model)
        layers.update(chosen)
        for role in REPORTED_ROLES:
            if corpora.get(role):
                wants += _Role(spec, model, role, corpora[role], planner, fit, chosen).draw()
    ordered = tuple(sorted(layers, key=layer_order))
    n_pairs = {
        role: sum(len(language_pairs(spec, corpus)) for corpus in corpora.get(role, ())) for role in REPORTED_ROLES
    }
    return Blueprint(tuple(settings), tuple(underlying), ordered, tuple(unique_wants(wants)), n_pairs)


def _fit_corpus(corpora: Mapping[str, Sequence[PlanCorpus]]) -> PlanCorpus | None:
    fit = corpora.get("fit", ())
    if len(fit) > 1:
        raise SpecError(
            f"corpora.fit: found a collection of {len(fit)} bilingual corpora; expected one corpus with all"
            " languages, since experts tell languages apart on comparable text"
        )
    return fit[0] if fit else None


def _layers(spec: Spec, model: PlanModel) -> tuple[str, ...]:
    asked = spec.embeddings.layers
    if asked == "all":
        return model.layers
    for layer in asked:
        if layer not in model.layers:
            raise SpecError(
                f"embeddings.layers: layer {layer} does not exist; {model.name} has 0 to {model.n_blocks} and final"
            )
    return tuple(sorted(set(asked), key=layer_order))


def language_pairs(spec: Spec, corpus: PlanCorpus) -> list[tuple[str, str]]:
    """Unordered pairs to evaluate in a corpus, each sorted by code."""
    languages = sorted(corpus.texts)
    if corpus.kind == "parallel" and spec.languages is not None:
        languages = [language for language in languages if language in spec.languages]
    pairs = list(combinations(languages, 2))
    if spec.evaluations.pairs == "all":
        return pairs
    asked = {tuple(sorted(pair)) for pair in spec.evaluations.pairs}
    for language in sorted({language for pair in asked for language in pair}):
        if corpus.kind == "parallel" and language not in languages:
            raise SpecError(
                f"evaluations.pairs: '{language}' is not evaluated in {corpus.name}{nearest(language, languages)}"
            )
    return [pair for pair in pairs if pair in asked]


def _overlaps(wants: Sequence[Want], settings: Iterable[PlannedSetting]) -> list[Want]:
    """Overlap of expert sets at every k in use, one want per scorer."""
    by_scorer: dict[str, list[Want]] = {}
    for want in unique_wants(wants):
        if want.kind is EXPERT_SET:
            by_scorer.setdefault(str(want.payload["scorer"]), []).append(want)
    ks = sorted({each.intervention.k for each in settings if each.intervention.k is not None})
    found = []
    for scorer, sets in by_scorer.items():
        if len(sets) < 2:
            continue
        subjects = sorted(want.subject for want in sets)
        key = kind_key(EXPERT_OVERLAP, sets=subjects, ks=ks)
        found.append(
            Want(
                kind=EXPERT_OVERLAP,
                subject=key,
                label=f"overlap of {scorer} experts",
                bundle=key,
                payload={"sets": subjects, "ks": ks},
                needs=tuple(subjects),
            )
        )
    return found


@dataclass(slots=True)
class _Role:
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
                comparison = self._comparison(group, subjects)
                self.wants.append(comparison)
                if self.role == "select" and self.spec.choose is not None:
                    self.wants.append(self._choice(comparison))
        return self.wants

    def _evaluate(self, setting: PlannedSetting, corpus: PlanCorpus) -> list[str]:
        """Wants of one setting on one corpus; the subjects of its pair evaluations."""
        pairs = language_pairs(self.spec, corpus)
        languages = sorted({language for pair in pairs for language in pair})
        snapshots = {language: self._snapshot(setting, corpus, language) for language in languages}
        fitted: dict[str, str] = {}
        if setting.transform == "centring":
            assert self.fit is not None
            for language in languages:
                if language not in self.fit.texts:
                    raise SpecError(
                        f"interventions: centring needs text of {language} in corpora.fit ({self.fit.name}),"
                        f" which has {', '.join(sorted(self.fit.texts))}"
                    )
                fitted[language] = self._snapshot(setting, self.fit, language)
        subjects = [self._pair(setting, corpus, pair, snapshots, fitted) for pair in pairs]
        if corpus.kind == "parallel" and len(languages) > 2:
            self._space(setting, corpus, snapshots, fitted)
        return subjects

    def _embedding_fields(self) -> dict[str, str]:
        return {"pooling": self.spec.embeddings.pooling, "tokens": self.spec.embeddings.tokens}

    def _snapshot(self, setting: PlannedSetting, corpus: PlanCorpus, language: str) -> str:
        plain = setting_key(self.model, setting.intervention.key, "none", {})
        payload = {
            "setting": plain,
            "text": corpus.texts[language].key,
            **self._embedding_fields(),
            "dtype": self.spec.embeddings.dtype,
        }
        subject = kind_key(SNAPSHOT, **payload)
        label = self.planner.underlying[plain].label if setting.transform != "none" else setting.label
        self.wants.append(
            Want(
                kind=SNAPSHOT,
                subject=subject,
                label=f"{label} on {corpus.name} {language}",
                bundle=content_key("bundle", 1, setting=plain, corpus=corpus.group, split=corpus.split),
                payload={
                    **payload,
                    "key": subject,
                    "model": self.model.fingerprint,
                    "model_dtype": self.model.dtype,
                    "attention": self.model.attention,
                    "intervention": setting.intervention.key,
                    "language": language,
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
        snapshots: Mapping[str, str],
        fit_snapshots: Mapping[str, str],
    ) -> str:
        own = {language: snapshots[language] for language in pair}
        fitted = {language: fit_snapshots[language] for language in pair if language in fit_snapshots}
        subject = kind_key(
            PAIR_EVALUATION,
            query=setting.key,
            candidate=setting.key,
            snapshots=own,
            fit_snapshots=fitted,
            measures={name: measure.version for name, measure in MEASURES.items() if measure.scope == "pair"},
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
                    "transform": setting.transform,
                    **self._embedding_fields(),
                },
                layers=self.layers,
                needs=(*own.values(), *fitted.values()),
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
            measures={name: measure.version for name, measure in MEASURES.items() if measure.scope != "pair"},
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
                    **self._embedding_fields(),
                    "scope": content_key("scope", 1, languages=languages),
                },
                layers=self.layers,
                needs=(*snapshots.values(), *fit_snapshots.values(), *frozen.values()),
            )
        )

    def _comparison(self, group: str, needed: Sequence[str]) -> Want:
        members = [corpus for corpus in self.corpora if corpus.group == group]
        controls: dict[str, dict[str, list[str]]] = {}
        for setting in self.settings:
            if setting.control_of is not None:
                variants = controls.setdefault(setting.control_of, {})
                variants.setdefault(str(setting.intervention.control), []).append(setting.key)
        statistics = self.spec.statistics
        metrics = list(statistics.metrics)
        if self.spec.choose is not None and self.spec.choose.metric not in metrics:
            metrics.append(self.spec.choose.metric)
        payload: dict[str, Any] = {
            "group": group,
            "split": members[0].split,
            "role": self.role,
            "settings": [
                {
                    "setting": setting.key,
                    "baseline": setting.baseline,
                    "target": setting.intervention.target,
                    "controls": controls.get(setting.key, {}),
                }
                for setting in self.settings
            ],
            "pairs": [[corpus.key, *pair] for corpus in members for pair in language_pairs(self.spec, corpus)],
            "layers": list(self.layers),
            "metrics": metrics,
            "resamples": statistics.resamples,
            "confidence": statistics.confidence,
            "unit": statistics.unit,
            "multiplicity": statistics.multiplicity,
            "seed": self.spec.seed,
        }
        subject = kind_key(COMPARISON, **payload, evaluations=sorted(needed))
        return Want(
            kind=COMPARISON,
            subject=subject,
            label=f"comparison on {group} ({self.role}) for {self.model.name}",
            bundle=subject,
            payload={**payload, "key": subject},
            needs=tuple(needed),
            needs_layers=self.layers,
        )

    def _choice(self, comparison: Want) -> Want:
        choose = self.spec.choose
        assert choose is not None
        groups: dict[str, list[str]] = {}
        for setting in self.settings:
            if setting.choice_group is not None:
                groups.setdefault(setting.choice_group, []).append(setting.key)
        # Where the layer is not chosen over, one choice is made at every layer.
        layers = [list(self.layers)] if "layer" in choose.over else [[layer] for layer in self.layers]
        payload = {
            "comparison": comparison.subject,
            "metric": choose.metric,
            "scope": choose.scope,
            "groups": [
                {"name": name, "settings": settings, "layers": among}
                for name, settings in groups.items()
                for among in layers
            ],
        }
        subject = kind_key(CHOICE, **payload)
        return Want(
            kind=CHOICE,
            subject=subject,
            label=f"choice by {choose.metric} on {comparison.payload['group']}",
            bundle=subject,
            payload=payload,
            needs=(comparison.subject,),
        )
