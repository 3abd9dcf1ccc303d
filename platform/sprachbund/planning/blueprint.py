"""Everything an experiment wants done: its settings crossed with the corpora of its roles."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sprachbund.errors import SpecError
from sprachbund.measures.mining import mining_wants
from sprachbund.measures.own import measure_wants
from sprachbund.planning.compared import check_named, language_pairs
from sprachbund.planning.differences import difference_wants
from sprachbund.planning.drawn import described, drawn_unit, largest_family, settled, warnings
from sprachbund.planning.evaluated import RoleWants
from sprachbund.planning.halves import HALF
from sprachbund.planning.settings import SettingPlanner
from sprachbund.planning.side_effects import side_effect_wants
from sprachbund.spec.experiment import Spec
from sprachbund.vocabulary import layer_order
from sprachbund.work.payloads.fit import EXPERT_OVERLAP, ExpertOverlapPayload, ExpertSetPayload
from sprachbund.work.plan import PlanCorpus, PlanModel, PlannedSetting, Want, unique_wants

REPORTED_ROLES = ("select", "test")


@dataclass(frozen=True, slots=True)
class Blueprint:
    """All settings of an experiment, those underneath transformed ones, its layers and wants.

    n_pairs: unordered language pairs per reported role, for counting the cells a table must have. drawn: what
    comparisons draw, and how often (`drawn.described`); warnings: lines on what they cannot find. n_refits: how often a
    setting is fitted anew, on a half of the fit text.
    """

    settings: tuple[PlannedSetting, ...]
    underlying: tuple[PlannedSetting, ...]
    layers: tuple[str, ...]
    wants: tuple[Want, ...]
    n_pairs: Mapping[str, int]
    drawn: Mapping[str, Any]
    warnings: tuple[str, ...]
    n_refits: int


def draw_up(spec: Spec, models: Sequence[PlanModel], corpora: Mapping[str, Sequence[PlanCorpus]]) -> Blueprint:
    """Settings and wants of `spec` given its resolved models and the corpora per role.

    Raises SpecError where the spec asks for something the models or corpora do not have.
    """
    fit = _fit_corpus(corpora)
    settings: list[PlannedSetting] = []
    underlying: list[PlannedSetting] = []
    wants: list[Want] = []
    refit_wants: list[Want] = []
    layers: set[str] = set()
    n_refits = 0
    planners = [SettingPlanner(spec, model, fit) for model in models]
    for planner in planners:
        planner.run()
    asked = [_layers(spec, each.model) for each in planners]
    n_tests = max(largest_family(each.settings.values(), on) for each, on in zip(planners, asked, strict=True))
    n_tests = max(n_tests, len(spec.compare) * max(map(len, asked)))
    spec = settled(spec, n_tests)
    for planner in planners:
        model = planner.model
        settings += planner.settings.values()
        underlying += [each for key, each in planner.underlying.items() if key not in planner.settings]
        refits = _refits(spec, model, corpora.get(HALF, ()))
        for refit in refits:
            anew = {**refit.underlying, **refit.settings}
            underlying += [each for key, each in anew.items() if key not in planner.settings]
            refit_wants += refit.wants
            n_refits += len(planner.fitted_anew(refit))
        wants += planner.wants
        wants += _overlaps(planner.wants, planner.settings.values())
        chosen = _layers(spec, model)
        layers.update(chosen)
        choices: list[Want] = []
        for role in REPORTED_ROLES:
            if corpora.get(role):
                drawn = RoleWants(spec, model, role, corpora[role], planner, fit, chosen, choices, refits)
                wants += drawn.draw()
                refit_wants += drawn.refit_wants
        wants += side_effect_wants(spec, model, list(planner.settings.values()), corpora)
    check_named(spec.compare, settings)
    if spec.evaluations.mining:
        wants += mining_wants(wants, corpora)
    if spec.evaluations.measures:
        units = {each.key: drawn_unit(spec, [each]) for of_role in corpora.values() for each in of_role}
        wants += measure_wants(wants, spec.evaluations.measures, units, spec.statistics.confidence)
    wants += difference_wants(spec, settings, list(wants), corpora)
    ordered = tuple(sorted(layers, key=layer_order))
    n_pairs = {
        role: sum(len(language_pairs(spec, corpus)) for corpus in corpora.get(role, ())) for role in REPORTED_ROLES
    }
    reported = {role: corpora[role] for role in REPORTED_ROLES if corpora.get(role)}
    return Blueprint(
        settings=tuple(settings),
        underlying=tuple(underlying),
        layers=ordered,
        # What refits share with the rest is wanted by both; what reads them comes after them.
        wants=tuple(unique_wants((*refit_wants, *wants))),
        n_pairs=n_pairs,
        drawn=described(spec, n_tests, reported),
        warnings=tuple(warnings(spec, n_tests)),
        n_refits=n_refits,
    )


def _fit_corpus(corpora: Mapping[str, Sequence[PlanCorpus]]) -> PlanCorpus | None:
    fit = corpora.get("fit", ())
    if fit and fit[0].kind == "paraphrase":
        raise SpecError(f"corpora.fit: {fit[0].group} has paraphrases; expected a corpus with several languages")
    if len(fit) > 1:
        raise SpecError(
            f"corpora.fit: found a collection of {len(fit)} bilingual corpora; expected one corpus with all"
            " languages, since experts tell languages apart on comparable text"
        )
    return fit[0] if fit else None


def _refits(spec: Spec, model: PlanModel, halves: Sequence[PlanCorpus]) -> list[SettingPlanner]:
    """The settings of a spec fitted on each half of the fit text."""
    found = [SettingPlanner(spec, model, half, f"half {number}") for number, half in enumerate(halves)]
    for each in found:
        each.run()
    return found


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


def _overlaps(wants: Sequence[Want], settings: Iterable[PlannedSetting]) -> list[Want]:
    """Overlap of expert sets at every k in use, one want per scorer and sites."""
    alike: dict[tuple[str, tuple[str, ...]], list[Want]] = {}
    for want in unique_wants(wants):
        if isinstance(want.payload, ExpertSetPayload):
            alike.setdefault((want.payload.scorer, want.payload.sites), []).append(want)
    ks = sorted(
        {
            each.intervention.k
            for each in settings
            if each.intervention.k is not None and each.intervention.selection in ("top", "top_and_bottom")
        }
    )
    found = []
    for (scorer, _), sets in alike.items():
        if len(sets) < 2 or not ks:
            continue
        payload = ExpertOverlapPayload(sets=tuple(sorted(want.subject for want in sets)), ks=tuple(ks))
        found.append(Want.of(EXPERT_OVERLAP, payload, f"overlap of {scorer} experts"))
    return found
