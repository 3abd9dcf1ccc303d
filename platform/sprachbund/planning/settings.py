"""From the interventions of a spec to settings with keys, baselines and controls."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from sprachbund.errors import SpecError
from sprachbund.planning.edits import ControlPoint, EditPlanner
from sprachbund.planning.fit_inputs import FitInputs
from sprachbund.planning.labels import Point, label_of
from sprachbund.spec.controls import ControlSpec
from sprachbund.spec.experiment import Spec
from sprachbund.spec.interventions import InterventionSpec
from sprachbund.vocabulary import FITTED_TRANSFORMS
from sprachbund.work.plan import NONE, PlanCorpus, PlanModel, PlannedIntervention, PlannedSetting, Want, setting_key


@dataclass(slots=True)
class SettingPlanner:
    """Settings of one model, and the wants (statistics, expert sets, edits) that make them possible."""

    spec: Spec
    model: PlanModel
    fit: PlanCorpus | None
    settings: dict[str, PlannedSetting] = field(default_factory=dict)
    # Settings nobody compares, whose snapshots a transform or one side is taken from.
    underlying: dict[str, PlannedSetting] = field(default_factory=dict)
    inputs: FitInputs = field(init=False)

    def __post_init__(self) -> None:
        self.inputs = FitInputs(self.spec, self.model, self.fit)

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
        self._add(NONE, InterventionSpec(), None, None, None)
        for index, row in enumerate(self.spec.interventions):
            if row.method == "none":
                self._add(NONE, row, None, None, None)
                continue
            for point in self._points(row, f"interventions.{index}"):
                setting = self._add(planner.plan(point), row, None, self._label(point), self._group(point))
                for control in row.controls:
                    for member, label in self._members(point, control):
                        planned = planner.plan(point, member)
                        self._add(planned, row, setting.key, f"{label} of {setting.label}", None)

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

    def _label(self, point: Point) -> str:
        every = {each for row in self.spec.interventions for each in row.scorers or self.spec.experts.scorers}
        return label_of(point, len(every) > 1)

    def _group(self, point: Point) -> str | None:
        """What this setting is chosen from: its label without the fields that are chosen over."""
        if self.spec.choose is None:
            return None
        return label_of(point, True, self.spec.choose.over)

    def _add(
        self,
        intervention: PlannedIntervention,
        row: InterventionSpec,
        control_of: str | None,
        label: str | None,
        group: str | None,
    ) -> PlannedSetting:
        """Put one setting into the comparison, once."""
        transform: str = row.transform
        named = transform
        parameters: dict[str, Any] = {}
        if transform in FITTED_TRANSFORMS:
            assert self.fit is not None
            parameters = {"corpus": self.fit.key}
        if row.components is not None:
            parameters["components"] = row.components
            named = f"{transform} r={row.components}"
        key = setting_key(self.model, intervention.key, transform, parameters, row.side)
        plain_label = label or "none"
        if transform != "none":
            label = named if label is None else f"{label} + {named}"
        label = label or "none"
        if len(self.spec.models) > 1:
            label, plain_label = f"{label} ({self.model.name})", f"{plain_label} ({self.model.name})"
        baseline = setting_key(self.model, NONE.key, "none", {}, "both")
        setting = PlannedSetting(
            key=key,
            label=label,
            model=self.model,
            intervention=intervention,
            transform=transform,
            transform_parameters=parameters,
            side=row.side,
            baseline=None if key == baseline else baseline,
            control_of=control_of,
            choice_group=None if control_of is not None else self._choice_group(group, transform),
        )
        plain = setting_key(self.model, intervention.key, "none", {}, "both")
        if plain != key:
            self.underlying[plain] = PlannedSetting(
                plain, plain_label, self.model, intervention, "none", {}, "both", None, None, None
            )
        for other in self.settings.values():
            if other.label == label and other.key != key:
                raise SpecError(f"interventions: two different settings are both called '{label}'; list one only")
        return self.settings.setdefault(key, setting)

    def _choice_group(self, group: str | None, transform: str) -> str | None:
        if self.spec.choose is None:
            return None
        parts = [self.model.name, group or "none"]
        if transform != "none":
            parts.append(transform)
        return " ".join(parts)
