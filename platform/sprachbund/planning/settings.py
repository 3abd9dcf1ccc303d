"""From the interventions of a spec to settings with keys, baselines and controls."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from sprachbund.errors import SpecError
from sprachbund.planning.edits import ControlPoint, EditPlanner
from sprachbund.planning.fit_inputs import FitInputs
from sprachbund.planning.labels import Labels, Point
from sprachbund.spec.controls import ControlSpec
from sprachbund.spec.experiment import Spec
from sprachbund.spec.interventions import InterventionSpec
from sprachbund.vocabulary import FITTED_TRANSFORMS
from sprachbund.work.keys import content_key
from sprachbund.work.plan import (
    NONE,
    ChoiceGroup,
    PlanCorpus,
    PlanModel,
    PlannedIntervention,
    PlannedSetting,
    Want,
    setting_key,
)

# What a row sweeps, and the fields of a point that it sweeps over; controls are no part of what they stand beside.
_SWEPT = {"targets", "scorers", "value", "k", "strength", "controls"}
_SWEPT_TO = ("target", "scorer", "value", "k", "strength")


@dataclass(slots=True)
class SettingPlanner:
    """Settings of one model, and the wants (statistics, expert sets, edits) that make them possible."""

    spec: Spec
    model: PlanModel
    fit: PlanCorpus | None
    # The half of the fit text that all is fitted on, where it is not the whole: then there are no controls.
    half: str | None = None
    settings: dict[str, PlannedSetting] = field(default_factory=dict)
    # Settings nobody compares, whose snapshots a transform or one side is taken from.
    underlying: dict[str, PlannedSetting] = field(default_factory=dict)
    inputs: FitInputs = field(init=False)
    labels: Labels = field(init=False)

    def __post_init__(self) -> None:
        self.inputs = FitInputs(self.spec, self.model, self.fit)
        scorers = {each for row in self.spec.interventions for each in row.scorers or self.spec.experts.scorers}
        self.labels = Labels(self.model.name if len(self.spec.models) > 1 else None, len(scorers) > 1)

    @property
    def wants(self) -> list[Want]:
        return self.inputs.wants

    @property
    def none(self) -> PlannedSetting:
        """The unsteered, untransformed setting that all others are compared with."""
        return self.settings[setting_key(self.model, NONE.key, "none", {}, "both")]

    def run(self) -> None:
        """Fill `settings` in the order of the spec, the unsteered baseline first, and `wants`."""
        planner = EditPlanner(self.inputs)
        self._add(NONE, InterventionSpec(), None)
        for index, row in enumerate(self.spec.interventions):
            if row.method == "none":
                self._add(NONE, row, None)
                continue
            for point in self._points(row, f"interventions.{index}"):
                setting = self._add(planner.plan(point), row, point)
                for control in row.controls if self.half is None else ():
                    for member, name in self._members(point, control):
                        self._add(planner.plan(point, member), row, point, Beside(setting.key, name))

    def fitted_anew(self, refit: "SettingPlanner") -> dict[str, PlannedSetting]:
        """What `refit`, the same spec on a half of the fit text, makes of each setting that is fitted, by its key."""
        own = (each for each in self.settings.values() if each.control_of is None)
        pairs = zip(own, refit.settings.values(), strict=True)
        return {setting.key: anew for setting, anew in pairs if anew.key != setting.key}

    def _points(self, row: InterventionSpec, where: str) -> Iterator[Point]:
        targets: list[Any] = [None] if row.targetless else list(row.targets or self.spec.targets)
        if row.targetless and row.targets is not None:
            raise SpecError(f"{where}.targets: direction '{row.direction}' has no target; leave targets out")
        scorers: list[Any] = [None] if row.method == "direction" else list(row.scorers or self.spec.experts.scorers)
        if row.edit is not None and row.rule.reads == "auroc":
            scorers = ["auroc"]
        values: list[Any] = row.value or [None]
        ks: list[Any] = row.k or [None]
        strengths: list[Any] = row.strength or [None]
        for target in targets:
            if target is not None:
                self.inputs.check_language(target, f"{where}.targets")
            for scorer, value, k, strength in product(scorers, values, ks, strengths):
                yield Point(row, where, target, scorer, value, k, strength)

    def _members(self, point: Point, control: ControlSpec) -> Iterator[tuple[ControlPoint, str]]:
        if control.random:
            for seed in control.seeds:
                yield ControlPoint(control, seed=seed), f"{control.label} seed={seed}"
            return
        assert point.target is not None
        for other in control.languages or self.inputs.negatives(point.target):
            self.inputs.check_language(other, f"{point.where}.controls.languages")
            yield ControlPoint(control, language=other), f"{control.label} {other}"

    def _add(
        self,
        intervention: PlannedIntervention,
        row: InterventionSpec,
        point: Point | None,
        beside: "Beside | None" = None,
    ) -> PlannedSetting:
        """Put one setting into the comparison, once. `point`: None for no edits; `beside`: what a control controls."""
        member = self.half if beside is None else beside.name
        parameters = self._transform_parameters(row)
        key = setting_key(self.model, intervention.key, row.transform, parameters, row.side)
        baseline = setting_key(self.model, NONE.key, "none", {}, "both")
        setting = PlannedSetting(
            key=key,
            label=self.labels.setting(row, point, member),
            name=self.labels.within_model(row, point, member),
            model=self.model,
            intervention=intervention,
            transform=row.transform,
            transform_parameters=parameters,
            side=row.side,
            baseline=None if key == baseline else baseline,
            control_of=None if beside is None else beside.key,
            choice=None if beside is not None else self._choice(row, point),
            member=member,
        )
        self._underlie(setting, self.labels.untransformed(point, member))
        for other in self.settings.values():
            if other.label == setting.label and other.key != key:
                raise SpecError(f"interventions: two different settings are both called '{other.label}'; list one only")
        return self.settings.setdefault(key, setting)

    def _transform_parameters(self, row: InterventionSpec) -> dict[str, Any]:
        parameters: dict[str, Any] = {}
        if row.transform in FITTED_TRANSFORMS:
            assert self.fit is not None
            parameters["corpus"] = self.fit.key
        if row.components is not None:
            parameters["components"] = row.components
        return parameters

    def _underlie(self, setting: PlannedSetting, label: str) -> None:
        """Keep what a transformed or one-sided setting is made from."""
        key = setting_key(self.model, setting.intervention.key, "none", {}, "both")
        if key != setting.key:
            self.underlying[key] = replace(
                setting, key=key, label=label, name=label, transform="none", transform_parameters={}, side="both",
                baseline=None, control_of=None, choice=None,
            )  # fmt: skip

    def _choice(self, row: InterventionSpec, point: Point | None) -> ChoiceGroup | None:
        """What a setting is chosen from: all that differ from it only in the fields that are chosen over."""
        choose = self.spec.choose
        if choose is None:
            return None
        cell = row.model_dump(mode="json", exclude=_SWEPT)
        if point is not None:
            fields = {name: getattr(point, name) for name in _SWEPT_TO if name not in choose.over}
            cell = {**cell, "at": fields}
        key = content_key("choice_group", 1, model=self.model.fingerprint, cell=cell)
        return ChoiceGroup(key, self.labels.group(self.model.name, row, point, choose.over))


@dataclass(frozen=True, slots=True)
class Beside:
    """The setting that a control stands beside, and which of its controls it is."""

    key: str
    name: str
