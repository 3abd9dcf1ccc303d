"""Everything an experiment wants done: its settings crossed with the corpora of its roles."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sprachbund.errors import SpecError
from sprachbund.measures.mining import mining_wants
from sprachbund.measures.own import measure_wants
from sprachbund.planning.compared import check_named, language_pairs
from sprachbund.planning.evaluated import RoleWants
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
        choices: list[Want] = []
        for role in REPORTED_ROLES:
            if corpora.get(role):
                wants += RoleWants(spec, model, role, corpora[role], planner, fit, chosen, choices).draw()
        wants += side_effect_wants(spec, model, list(planner.settings.values()), corpora)
    check_named(spec.compare, settings)
    if spec.evaluations.mining:
        wants += mining_wants(wants, corpora)
    if spec.evaluations.measures:
        wants += measure_wants(wants, spec.evaluations.measures, spec.statistics.unit, spec.statistics.confidence)
    ordered = tuple(sorted(layers, key=layer_order))
    n_pairs = {
        role: sum(len(language_pairs(spec, corpus)) for corpus in corpora.get(role, ())) for role in REPORTED_ROLES
    }
    return Blueprint(tuple(settings), tuple(underlying), ordered, tuple(unique_wants(wants)), n_pairs)


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
