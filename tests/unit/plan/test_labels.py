"""Labels of any spec that is accepted: unique, each transform and model in them once, and read by nobody."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from sprachbund.errors import SpecError
from sprachbund.planning.blueprint import Blueprint, draw_up
from sprachbund.spec.experiment import parse
from sprachbund.work.plan import PlanCorpus, PlanModel, PlanText

LANGUAGES = ("eng_Latn", "deu_Latn", "fra_Latn")
TRANSFORMS = ("none", "centring", "centring_transductive", "top_pc_removal", "whitening")
UNITS = tuple((block, site, 40) for block in (1, 2, 3) for site in ("mlp.up", "mlp.down"))
MODELS = tuple(
    PlanModel(f"fingerprint of {name}", name, 3, UNITS, "float32", "eager") for name in ("one-model", "other-model")
)
CONTROLS = ("profile x2", "shift x2", "uniform x1", "wrong_language", "wrong_values")

rows = st.one_of(
    st.fixed_dictionaries({"transform": st.sampled_from(TRANSFORMS)}),
    st.fixed_dictionaries(
        {
            "method": st.sampled_from(["experts", "union", "intersection", "own"]),
            "k": st.lists(st.sampled_from([2, 5, 0.1]), min_size=1, max_size=2, unique=True),
            "transform": st.sampled_from(TRANSFORMS),
        },
        optional={
            "controls": st.lists(st.sampled_from(CONTROLS), max_size=3, unique=True),
            "scorers": st.sampled_from(["auroc", "lape"]),
            "edit": st.sampled_from(["set", "interpolate", "aura"]),
            "side": st.sampled_from(["both", "query"]),
            "tokens": st.sampled_from(["all", "last"]),
            "blocks": st.sampled_from([[1], [2, 3]]),
        },
    ),
    st.fixed_dictionaries(
        {
            "method": st.just("direction"),
            "direction": st.sampled_from(["diff_mean", "leace"]),
            "transform": st.sampled_from(TRANSFORMS),
        },
        optional={"controls": st.just(["uniform x2"])},
    ),
)


def drawn(interventions: list[object], models: tuple[PlanModel, ...] = MODELS, **fields: object) -> Blueprint:
    roles = ("fit", "select", "test")
    corpora = {
        role: [
            PlanCorpus(
                role, "book", "book", "parallel", role,
                {code: PlanText(*(f"{part} {role} {code}" for part in "tsd"), code, 10) for code in LANGUAGES},
            )
        ]
        for role in roles
    }  # fmt: skip
    content = {
        "name": "x", "models": [model.name for model in models], "targets": ["en", "de"],
        "corpora": {role: f"phrasebook/{role}" for role in roles}, "interventions": interventions,
    }  # fmt: skip
    return draw_up(parse(content | fields), models, corpora)


def check(blueprint: Blueprint, models: tuple[PlanModel, ...]) -> None:
    labels = [setting.label for setting in blueprint.settings]
    assert len(set(labels)) == len(labels)
    by_key = {setting.key: setting for setting in blueprint.settings}
    for setting in (*blueprint.settings, *blueprint.underlying):
        words = setting.label.replace("(", " ").replace(")", " ").split()
        for transform in TRANSFORMS[1:]:
            assert words.count(transform) == int(setting.transform == transform), setting.label
        for model in MODELS:
            assert setting.label.count(model.name) == int(len(models) > 1 and model == setting.model), setting.label
    for setting in blueprint.settings:
        assert all(model.name not in setting.name for model in MODELS)
        if setting.control_of is not None:
            steered = by_key[setting.control_of]
            assert steered.control_of is None and steered.model == setting.model
            assert steered.transform == setting.transform
            assert setting.label.endswith(f" of {steered.label}")
    for model in models:
        names = [setting.name for setting in blueprint.settings if setting.model == model]
        assert len(set(names)) == len(names)


@given(st.lists(rows, min_size=1, max_size=3), st.sampled_from([MODELS[:1], MODELS]))
@settings(max_examples=150)
def test_labels_of_any_accepted_spec(interventions: list[object], models: tuple[PlanModel, ...]) -> None:
    try:
        blueprint = drawn(interventions, models)
    except SpecError:
        return
    check(blueprint, models)


def test_two_models_a_transform_and_controls() -> None:
    rows = ["none", {"method": "experts", "k": 5, "transform": "centring", "controls": ["profile x2"]}]
    blueprint = drawn(rows)
    check(blueprint, MODELS)
    steered = "experts eng_Latn k=5 + centring"
    labels = [setting.label for setting in blueprint.settings]
    assert labels[:4] == [
        "none (one-model)", f"{steered} (one-model)",
        *(f"random:profile seed={seed} of {steered} (one-model)" for seed in range(2)),
    ]  # fmt: skip
    assert {setting.name for setting in blueprint.settings if setting.model == MODELS[0]} == {
        setting.name for setting in blueprint.settings if setting.model == MODELS[1]
    }
    # What was said of jobs: the embeddings are of the untransformed setting.
    snapshots = {want.label for want in blueprint.wants if want.kind.name == "snapshot"}
    assert "random:profile seed=0 of experts eng_Latn k=5 (one-model) on book eng_Latn" in snapshots


def test_groups_that_are_chosen_from_are_told_apart_by_what_they_are_not_by_their_names() -> None:
    rows = [{"transform": "top_pc_removal", "components": number} for number in (1, 2)]
    rows.append({"method": "experts", "k": [2, 5], "transform": "top_pc_removal", "controls": ["profile x1"]})
    blueprint = drawn(rows, MODELS[:1], choose={"metric": "top1"})
    groups: dict[str, list[str]] = {}
    for setting in blueprint.settings:
        assert (setting.choice is None) == (setting.control_of is not None)
        if setting.choice is not None:
            groups.setdefault(setting.choice.key, []).append(setting.label)
    assert sorted(groups.values()) == [
        ["experts deu_Latn k=2 + top_pc_removal r=1", "experts deu_Latn k=5 + top_pc_removal r=1"],
        ["experts eng_Latn k=2 + top_pc_removal r=1", "experts eng_Latn k=5 + top_pc_removal r=1"],
        ["none"],
        ["top_pc_removal r=1"],
        ["top_pc_removal r=2"],
    ]
    renamed = drawn(rows, (replace(MODELS[0], name="renamed"),), choose={"metric": "top1"})
    assert {each.choice.key for each in renamed.settings if each.choice} == set(groups)
