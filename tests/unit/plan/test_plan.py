"""The planner: content keys at the finest grain, and nothing computed twice."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sprachbund.errors import SpecError
from sprachbund.planning.blueprint import Blueprint, draw_up
from sprachbund.spec.experiment import Spec, parse
from sprachbund.work.plan import JobPlan, KnownJob, PlanCorpus, PlanModel, PlanText, jobs_for, unique_wants

LANGUAGES = ("eng_Latn", "spa_Latn", "deu_Latn", "fra_Latn", "jpn_Jpan")
MODEL = PlanModel(
    "fingerprint",
    "tiny",
    3,
    tuple((block, site, width) for block in (1, 2, 3) for site, width in (("mlp.up", 40), ("mlp.down", 10))),
    "float32",
    "eager",
)


def corpus(split: str, languages: tuple[str, ...] = LANGUAGES) -> PlanCorpus:
    texts = {
        code: PlanText(*(f"{part} {split} {code}" for part in ("text", "sentences", "documents")), code, 10)
        for code in languages
    }
    return PlanCorpus(f"corpus {split}", "book", "book", "parallel", split, texts)


def spec(**fields: object) -> Spec:
    content = {
        "name": "x",
        "corpora": {"fit": "phrasebook/fit", "select": "phrasebook/select", "test": "phrasebook/test"},
        "targets": ["en", "de"],
        "interventions": [
            "none",
            "centring",
            {"method": "experts", "k": [5, 0.1], "controls": ["profile x3", "wrong_language"]},
            {"method": "union", "k": 0.05},
        ],
    }
    return parse(content | fields)


def blueprint(asked: Spec, model: PlanModel = MODEL, languages: tuple[str, ...] = LANGUAGES) -> Blueprint:
    roles = {role: [corpus(role, LANGUAGES if role == "fit" else languages)] for role in ("fit", "select", "test")}
    return draw_up(asked, [model], roles)


def as_known(*plans: JobPlan) -> dict[str, list[KnownJob]]:
    known: dict[str, list[KnownJob]] = {}
    for plan in plans:
        for job in plan.new:
            layers = job.payload.layers if job.kind.layered else None
            known.setdefault(job.subject, []).append(KnownJob(job.key, layers))
    return known


def kinds(plan: JobPlan) -> Counter[str]:
    return Counter(job.kind.name for job in plan.new)


def test_needs_come_first_and_are_all_planned() -> None:
    plan = jobs_for(blueprint(spec()).wants, {})
    seen: set[str] = set()
    for job in plan.new:
        assert set(job.needs) <= seen
        seen.add(job.key)
    assert len(seen) == len(plan.new)


def test_the_same_spec_again_plans_nothing() -> None:
    wants = blueprint(spec()).wants
    first = jobs_for(wants, {})
    second = jobs_for(wants, as_known(first))
    assert second.new == ()
    assert set(second.existing) == {job.key for job in first.new}


def test_one_more_language_costs_its_own_snapshots_and_pairs() -> None:
    asked = spec()
    first = jobs_for(blueprint(asked, languages=LANGUAGES[:4]).wants, {})
    more = jobs_for(blueprint(asked).wants, as_known(first))
    counted = kinds(more)
    drawn = blueprint(asked)
    n_all = len(drawn.settings)
    n_plain = sum(setting.control_of is None for setting in drawn.settings)
    assert "unit_statistics" not in counted
    assert "expert_set" not in counted
    assert "intervention" not in counted
    # Four new pairs for every setting on test, and for every setting that may be chosen on select.
    assert counted["pair_evaluation"] == 4 * (n_all + n_plain)
    # One language, untransformed settings only (centring reads the snapshots of `none`), plus its fit text.
    assert counted["snapshot"] == (n_all - 1) + (n_plain - 1) + 1
    assert all(job.payload.language == LANGUAGES[4] for job in more.new if job.kind.name == "snapshot")


def test_one_more_layer_costs_that_layer_only() -> None:
    first = jobs_for(blueprint(spec(embeddings={"layers": [1, "final"]})).wants, {})
    more = jobs_for(blueprint(spec(embeddings={"layers": [1, 2, "final"]})).wants, as_known(first))
    for job in more.new:
        if job.kind.layered:
            assert job.payload.layers == ("2",)
        else:
            assert job.kind.name in ("comparison", "choice")
    fewer = jobs_for(blueprint(spec(embeddings={"layers": ["final"]})).wants, as_known(first, more))
    assert kinds(fewer).keys() <= {"comparison", "choice"}


def test_one_more_target_costs_no_pass_over_the_fit_text() -> None:
    first = jobs_for(blueprint(spec()).wants, {})
    more = jobs_for(blueprint(spec(targets=["en", "de", "ja"])).wants, as_known(first))
    assert "unit_statistics" not in kinds(more)


def test_changing_numerics_or_seed_changes_what_depends_on_it() -> None:
    first = jobs_for(blueprint(spec()).wants, {})
    seeded = jobs_for(blueprint(spec(seed=1)).wants, as_known(first))
    assert "unit_statistics" not in kinds(seeded)
    assert {job.payload.control.variant for job in seeded.new if job.kind.name == "intervention"} == {"profile"}
    half = PlanModel(MODEL.fingerprint, MODEL.name, MODEL.n_blocks, MODEL.units, "float16", MODEL.attention)
    assert jobs_for(blueprint(spec(), half).wants, as_known(first)).existing == ()


def test_negatives_are_stated_and_never_follow_the_evaluated_languages() -> None:
    one = blueprint(spec(languages=["en", "de"]))
    other = blueprint(spec(languages=["en", "de", "fr"]))

    def sets(drawn: Blueprint) -> set[str]:
        return {want.subject for want in drawn.wants if want.kind.name == "expert_set"}

    assert sets(one) == sets(other)
    stated = blueprint(spec(experts={"negatives": ["fr", "ja"]}, interventions=[{"method": "experts", "k": 5}]))
    for want in stated.wants:
        if want.kind.name == "expert_set":
            assert want.payload.negatives == ["fra_Latn", "jpn_Jpan"]


def test_controls_stand_beside_their_setting_and_are_not_chosen_from() -> None:
    drawn = blueprint(spec(choose={"metric": "top1"}))
    labels = {setting.key: setting.label for setting in drawn.settings}
    controls = [setting for setting in drawn.settings if setting.control_of]
    # Two targets × two k × (three seeds + four other languages of the fit corpus).
    assert len(controls) == 2 * 2 * (3 + 4)
    for setting in controls:
        assert setting.choice is None
        assert labels[setting.control_of].startswith("experts")
        assert setting.baseline is not None
    chosen = next(want for want in drawn.wants if want.kind.name == "choice")
    listed = {key for group in chosen.payload.groups for key in group.settings}
    assert not listed & {setting.key for setting in controls}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"interventions": [{"method": "experts", "k": 151}]}, "151 is more than the 150 units"),
        ({"interventions": [{"method": "experts", "blocks": [4]}]}, "block 4 does not exist"),
        ({"interventions": [{"method": "experts", "sites": ["mlp.hidden"]}]}, "not among experts.sites"),
        ({"interventions": [{"method": "experts", "scorers": ["aurok"]}]}, "did you mean 'auroc'"),
        ({"embeddings": {"layers": [4]}}, "layer 4 does not exist"),
        ({"targets": ["it"], "interventions": [{"method": "experts"}]}, "'ita_Latn' is not a language of the fit"),
        ({"interventions": [{"method": "union", "controls": ["wrong_language"]}]}, "no meaning for method 'union'"),
        ({"experts": {"negatives": ["en"]}, "targets": ["en"]}, "no language is left"),
        ({"evaluations": {"pairs": [["en", "it"]]}}, "'ita_Latn' is not evaluated"),
    ],
)
def test_what_model_or_corpus_do_not_have_is_refused(fields: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        blueprint(spec(**fields))


def controlled(k: object, control: str, method: str = "experts", how: str = "top") -> list[dict[str, object]]:
    return [{"method": method, "k": k, "selection": how, "controls": [f"{control} x1"]}]


# The model has 150 units: three blocks with sites of 40 and 10.
@pytest.mark.parametrize(
    ("most", "control", "method", "how"),
    [
        (75, "uniform", "experts", "top"),
        (75, "profile", "experts", "top"),
        (75, "shift", "union", "top"),
        (37, "uniform", "experts", "top_and_bottom"),
        (5, "profile", "experts", "per_block"),
    ],
)
def test_a_control_that_cannot_be_drawn_is_refused(most: int, control: str, method: str, how: str) -> None:
    blueprint(spec(interventions=controlled(most, control, method, how)))
    with pytest.raises(SpecError, match=rf"interventions.0.controls: 'random:{control}' draws as many units as"):
        blueprint(spec(interventions=controlled(most + 1, control, method, how)))


def test_controls_of_a_share_of_units_are_counted_per_site() -> None:
    """Half of 10 is still possible; .54 of 10 is 5, of 40 it is 22."""
    blueprint(spec(interventions=controlled(0.5, "profile", how="per_block")))
    with pytest.raises(SpecError, match=r"k: 0.54 makes at least 22 of 40 units of tiny experts; expected at most 20"):
        blueprint(spec(interventions=controlled(0.54, "profile", how="per_block")))
    with pytest.raises(SpecError, match=r"at least 81 of 150 units"):
        blueprint(spec(interventions=controlled(0.54, "uniform", how="per_block")))


@pytest.mark.parametrize("method", ["intersection", "difference"])
def test_controls_of_sets_that_may_be_small_are_not_refused(method: str) -> None:
    blueprint(spec(interventions=controlled(100, "uniform", method)))


_LAYERS = st.lists(st.sampled_from(["0", "1", "2", "3", "final"]), min_size=1, max_size=5, unique=True)


@settings(max_examples=40, deadline=None)
@given(st.lists(_LAYERS, min_size=1, max_size=4))
def test_any_history_covers_every_layer_exactly_once(history: list[list[str]]) -> None:
    plans: list[JobPlan] = []
    interventions = [{"method": "experts", "k": 5}]
    for layers in history:
        wants = blueprint(spec(targets=["en"], interventions=interventions, embeddings={"layers": layers})).wants
        plan = jobs_for(wants, as_known(*plans))
        known = as_known(*plans, plan)
        for want in wants:
            if want.layers is None:
                continue
            covering = [job for job in known[want.subject] if job.key in plan.keys]
            covered = [layer for job in covering for layer in job.layers or () if layer in want.layers]
            assert sorted(covered) == sorted(want.layers)
        plans.append(plan)
    jobs = [job for plan in plans for job in plan.new]
    assert len({job.key for job in jobs}) == len(jobs)
    per_layer = Counter((job.subject, layer) for job in jobs if job.kind.layered for layer in job.payload.layers)
    assert set(per_layer.values()) <= {1}


def test_wants_of_one_subject_unite_their_layers() -> None:
    few = blueprint(spec(embeddings={"layers": ["final"]})).wants
    many = blueprint(spec(embeddings={"layers": [0, "final"]})).wants
    united = {want.subject: want for want in unique_wants([*few, *many])}
    assert {want.layers for want in united.values() if want.layers} == {("0", "final")}
