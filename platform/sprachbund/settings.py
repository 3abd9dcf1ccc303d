"""From the interventions of a spec to settings with keys, baselines and controls."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sprachbund.architectures import SITES
from sprachbund.errors import SpecError, nearest
from sprachbund.keys import content_key
from sprachbund.kinds import EXPERT_SET, INTERVENTION, SCORERS, UNIT_STATISTICS
from sprachbund.plan import (
    PlanCorpus,
    PlanModel,
    PlannedIntervention,
    PlannedSetting,
    Want,
    kind_key,
    setting_key,
)
from sprachbund.spec import MLP_SITES, InterventionSpec, Spec
from sprachbund.spec_controls import ControlSpec

MOST_DEFAULT_NEGATIVES = 12
NONE = PlannedIntervention(key=content_key("intervention", 1, method="none"), method="none")


@dataclass(slots=True)
class SettingPlanner:
    """Settings of one model, and the wants (statistics, expert sets, edits) that make them possible."""

    spec: Spec
    model: PlanModel
    fit: PlanCorpus | None
    wants: list[Want] = field(default_factory=list)
    settings: dict[str, PlannedSetting] = field(default_factory=dict)
    # Settings nobody compares, whose snapshots a transform is applied to.
    underlying: dict[str, PlannedSetting] = field(default_factory=dict)

    @property
    def sites(self) -> tuple[str, ...]:
        """Where units are scored in this model; SpecError for a site it does not have."""
        had = {site for _, site, _ in self.model.units}
        chosen: set[str] = set()
        for site in self.spec.experts.sites:
            if site == "mlp":
                chosen.update(each for each in MLP_SITES if each in had)
            elif site in had:
                chosen.add(site)
            else:
                available = [each for each in SITES if each in had]
                raise SpecError(
                    f"experts.sites: {self.model.name} has no {site}; available: {', '.join(available)}, and mlp for"
                    " all outputs of its MLP's linear modules"
                )
        return tuple(sorted(chosen, key=SITES.index))

    def run(self) -> None:
        """Fill `settings` in the order of the spec, the unsteered baseline first, and `wants`."""
        self._add(NONE, "none", None, None)
        for index, row in enumerate(self.spec.interventions):
            if row.method == "none":
                self._add(NONE, row.transform, None, None)
                continue
            for planned, base_label in self._steered(row, f"interventions.{index}"):
                setting = self._add(planned, row.transform, None, base_label)
                for control in row.controls:
                    for seeded, label in self._controls(row, planned, control, f"interventions.{index}"):
                        self._add(seeded, row.transform, setting.key, f"{label} of {setting.label}")

    def _steered(self, row: InterventionSpec, where: str) -> Iterator[tuple[PlannedIntervention, str]]:
        targets = row.targets or self.spec.targets
        scorers = row.scorers or self.spec.experts.scorers
        for target in targets:
            for scorer in scorers:
                for value in row.value:
                    for k in row.k:
                        yield self._intervention(row, where, target, scorer, value, k)

    def _intervention(
        self, row: InterventionSpec, where: str, target: str, scorer: str, value: str, k: int | float
    ) -> tuple[PlannedIntervention, str]:
        self._check_language(target, f"{where}.targets")
        languages = [target] if row.method == "experts" else self.fit_languages(target)
        count, fraction = self._count(row, k, where)
        planned = self._planned(
            row,
            method=row.method,
            target=target,
            scorer=scorer,
            value=value,
            count=count,
            fraction=fraction,
            select=languages,
            values=target,
            reference=target,
        )
        label = f"{row.method} {target} k={k}"
        if value != "mean":
            label += f" {value}"
        if row.value_from != "pooled":
            label += f" from {row.value_from}"
        every = {each for other in self.spec.interventions for each in other.scorers or self.spec.experts.scorers}
        if len(every) > 1:
            label += f" {scorer}"
        if row.sites is not None:
            label += f" at {'+'.join(row.sites)}"
        if row.blocks is not None:
            label += f" blocks {','.join(map(str, row.blocks))}"
        if row.tokens != "all":
            label += f" on {row.tokens}"
        return planned, label

    def _controls(
        self, row: InterventionSpec, base: PlannedIntervention, control: ControlSpec, where: str
    ) -> Iterator[tuple[PlannedIntervention, str]]:
        assert base.target is not None and base.scorer is not None and base.value is not None
        select = [base.target] if row.method == "experts" else self.fit_languages(base.target)
        common: dict[str, Any] = {
            "target": base.target,
            "scorer": base.scorer,
            "value": base.value,
            "count": base.k,
            "fraction": base.k_fraction,
            "reference": base.target,
        }
        if control.random:
            for seed in control.seeds:
                planned = self._planned(
                    row,
                    method="random",
                    select=select,
                    values=base.target,
                    control=control,
                    seed=seed,
                    **common,
                )
                yield planned, f"{control.label} seed={seed}"
            return
        if control.variant == "wrong_language" and row.method == "union":
            raise SpecError(
                f"{where}.controls: 'wrong_language' has no meaning for a union of all languages' experts;"
                " use 'wrong_values'"
            )
        others = control.languages or [each for each in self.fit_languages(base.target) if each != base.target]
        for other in others:
            self._check_language(other, f"{where}.controls.languages")
            planned = self._planned(
                row,
                method=control.variant,
                select=[other] if control.variant == "wrong_language" else select,
                values=other,
                control=control,
                **common,
            )
            yield planned, f"{control.label} {other}"

    def _planned(
        self,
        row: InterventionSpec,
        *,
        method: str,
        target: str,
        scorer: str,
        value: str,
        count: int | None,
        fraction: float | None,
        select: Sequence[str],
        values: str,
        reference: str,
        control: ControlSpec | None = None,
        seed: int | None = None,
    ) -> PlannedIntervention:
        """An intervention's identity; its edits are wanted along with the expert sets they need."""
        experts = {language: self._expert_set(language, scorer) for language in select}
        source = {language: self._statistics(language) for language in self.fit_languages(reference)}
        sites = row.sites or self.sites
        variant = None
        if control is not None:
            variant = {"variant": control.variant, "values": control.values, "label": control.label}
        payload: dict[str, Any] = {
            "method": method,
            "base_method": row.method,
            "target": target,
            "k": count,
            "sites": list(sites),
            "blocks": row.blocks,
            "value": value,
            "value_from": row.value_from,
            "tokens": row.tokens,
            "control": variant,
            "seed": None if seed is None else [self.spec.seed, seed],
            "experts": experts,
            "values": self._statistics(values),
            "source": source,
        }
        key = kind_key(INTERVENTION, **payload)
        needs = (*experts.values(), *source.values(), payload["values"])
        self.wants.append(
            Want(
                kind=INTERVENTION,
                subject=key,
                label=f"{method} {target} k={count}" + ("" if seed is None else f" seed={seed}"),
                bundle=content_key("bundle", 1, kind="intervention", experts=experts),
                payload={**payload, "intervention": key, "model": self.model.fingerprint},
                needs=needs,
            )
        )
        inputs = [("select", subject, "expert_set") for subject in experts.values()]
        inputs.append(("values", payload["values"], "unit_statistics"))
        inputs += [("source", subject, "unit_statistics") for subject in source.values()]
        return PlannedIntervention(
            key=key,
            method=row.method if control is None else ("random" if control.random else control.variant),
            target=target,
            k=count,
            k_fraction=fraction,
            control=None if control is None else control.label,
            seed=seed,
            scorer=scorer,
            score_site="+".join(self.sites),
            edit_site="+".join(sites),
            edit_tokens=row.tokens,
            value=value,
            value_from=row.value_from,
            parameters={"base_method": row.method, "blocks": row.blocks, "values_language": values},
            inputs=tuple(inputs),
        )

    def _count(self, row: InterventionSpec, k: int | float, where: str) -> tuple[int, float | None]:
        sites = row.sites or self.sites
        outside = [site for site in sites if site not in self.sites]
        if outside:
            raise SpecError(
                f"{where}.sites: '{outside[0]}' is not among experts.sites"
                f" ({', '.join(self.sites)}), where units are scored"
            )
        wrong = [block for block in row.blocks or () if not 1 <= block <= self.model.n_blocks]
        if wrong:
            raise SpecError(
                f"{where}.blocks: block {wrong[0]} does not exist; {self.model.name} has blocks 1 to"
                f" {self.model.n_blocks}"
            )
        n_units = self.model.n_units(sites, row.blocks)
        count = max(1, math.floor(k * n_units + 0.5)) if isinstance(k, float) else k
        if count > n_units:
            raise SpecError(
                f"{where}.k: {k} is more than the {n_units} units of {self.model.name} at"
                f" {', '.join(sites)}; give at most {n_units}"
            )
        return count, k if isinstance(k, float) else None

    def fit_languages(self, target: str) -> list[str]:
        """The target and its negatives."""
        return [target, *self.negatives(target)]

    def negatives(self, target: str) -> list[str]:
        """The stated negatives of a language (its own left out), or all other languages of `fit`."""
        assert self.fit is not None
        stated = self.spec.experts.negatives
        if stated is None:
            if len(self.fit.texts) > MOST_DEFAULT_NEGATIVES:
                raise SpecError(
                    f"experts.negatives is missing: {self.fit.name} has {len(self.fit.texts)} languages; list those"
                    " that the target is told from (the default, all of them, ends at"
                    f" {MOST_DEFAULT_NEGATIVES} languages)"
                )
            pool = list(self.fit.texts)
        else:
            pool = list(stated)
        chosen = [language for language in dict.fromkeys(pool) if language != target]
        for language in chosen:
            self._check_language(language, "experts.negatives")
        if not chosen:
            raise SpecError(f"experts.negatives: no language is left to tell {target} from")
        return sorted(chosen)

    def _check_language(self, language: str, where: str) -> None:
        assert self.fit is not None
        if language not in self.fit.texts:
            raise SpecError(
                f"{where}: '{language}' is not a language of the fit corpus {self.fit.name}"
                f" ({', '.join(sorted(self.fit.texts))}){nearest(language, self.fit.texts)}"
            )

    def _statistics(self, language: str) -> str:
        assert self.fit is not None
        experts, text = self.spec.experts, self.fit.texts[language]
        payload = {
            "model": self.model.fingerprint,
            "dtype": self.model.dtype,
            "attention": self.model.attention,
            "text": text.key,
            "sites": list(self.sites),
            "pooling": experts.pooling,
            "tokens": experts.tokens,
        }
        subject = kind_key(UNIT_STATISTICS, **payload)
        self.wants.append(
            Want(
                kind=UNIT_STATISTICS,
                subject=subject,
                label=f"units of {self.model.name} on {self.fit.name} {language}",
                bundle=content_key("bundle", 1, **{**payload, "text": self.fit.key}),
                payload={**payload, "key": subject, "language": language},
                model=self.model.fingerprint,
            )
        )
        return subject

    def _expert_set(self, language: str, scorer: str) -> str:
        if scorer not in SCORERS:
            raise SpecError(
                f"experts.scorers: found '{scorer}', expected one of {', '.join(SCORERS)}{nearest(scorer, SCORERS)}"
            )
        target = self._statistics(language)
        negatives = {each: self._statistics(each) for each in self.negatives(language)}
        subject = kind_key(
            EXPERT_SET,
            scorer=scorer,
            scorer_version=SCORERS[scorer],
            target=target,
            negatives=sorted(negatives.values()),
        )
        self.wants.append(
            Want(
                kind=EXPERT_SET,
                subject=subject,
                label=f"{scorer} experts of {language}",
                bundle=content_key("bundle", 1, kind="expert_set", texts=sorted([target, *negatives.values()])),
                payload={
                    "key": subject,
                    "model": self.model.fingerprint,
                    "target": language,
                    "scorer": scorer,
                    "scorer_version": SCORERS[scorer],
                    "statistics": {language: target, **negatives},
                    "negatives": sorted(negatives),
                    "sites": list(self.sites),
                    "pooling": self.spec.experts.pooling,
                    "tokens": self.spec.experts.tokens,
                },
                needs=(target, *negatives.values()),
            )
        )
        return subject

    def _add(
        self,
        intervention: PlannedIntervention,
        transform: str,
        control_of: str | None,
        label: str | None,
    ) -> PlannedSetting:
        """Put one setting into the comparison, once."""
        parameters: dict[str, Any] = {}
        if transform == "centring":
            assert self.fit is not None
            parameters = {"corpus": self.fit.key}
        key = setting_key(self.model, intervention.key, transform, parameters)
        plain_label = label or "none"
        if transform != "none":
            label = transform if label is None else f"{label} + {transform}"
        label = label or "none"
        if len(self.spec.models) > 1:
            label, plain_label = f"{label} ({self.model.name})", f"{plain_label} ({self.model.name})"
        baseline = setting_key(self.model, NONE.key, "none", {})
        setting = PlannedSetting(
            key=key,
            label=label,
            model=self.model,
            intervention=intervention,
            transform=transform,
            transform_parameters=parameters,
            baseline=None if key == baseline else baseline,
            control_of=control_of,
            choice_group=self._choice_group(intervention, transform, control_of),
        )
        if transform != "none":
            plain = setting_key(self.model, intervention.key, "none", {})
            self.underlying[plain] = PlannedSetting(
                plain, plain_label, self.model, intervention, "none", {}, None, None, None
            )
        for other in self.settings.values():
            if other.label == label and other.key != key:
                raise SpecError(f"interventions: two different settings are both called '{label}'; list one only")
        return self.settings.setdefault(key, setting)

    def _choice_group(self, intervention: PlannedIntervention, transform: str, control_of: str | None) -> str | None:
        if self.spec.choose is None or control_of is not None:
            return None
        parts = [self.model.name, intervention.method]
        blocks = intervention.parameters.get("blocks")
        distinguishing = (
            intervention.target,
            intervention.scorer,
            intervention.value,
            intervention.value_from,
            intervention.edit_site,
            intervention.edit_tokens,
            blocks and "blocks " + ",".join(map(str, blocks)),
        )
        parts += [part for part in distinguishing if part]
        if transform != "none":
            parts.append(transform)
        if "k" not in self.spec.choose.over and intervention.k is not None:
            parts.append(f"k={intervention.k}")
        return " ".join(parts)
