"""The planner: content keys at the finest grain, and nothing computed twice."""

from collections import Counter
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sprachbund.errors import SpecError
from sprachbund.planning.blueprint import Blueprint, draw_up
from sprachbund.spec.experiment import Spec, parse
from sprachbund.work.jobs import jobs_for
from sprachbund.work.plan import JobPlan, KnownJob, PlanCorpus, PlanModel, PlanText, unique_wants

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
            pairs = {pair.key: pair.sides for pair in job.payload.pairs} if job.kind.starred else None
            known.setdefault(job.subject, []).append(KnownJob(job.key, layers, pairs))
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
    # One star of four new pairs for every setting on test, and for every setting that may be chosen on select.
    assert counted["pair_evaluation"] == n_all + n_plain
    for job in more.new:
        if job.kind.name == "pair_evaluation":
            assert [pair.sides for pair in job.payload.pairs] == [
                tuple(sorted((each, "jpn_Jpan"))) for each in sorted(LANGUAGES[:4])
            ]
            assert job.label.endswith(" on book jpn_Jpan and 4 others")
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
            assert job.kind.name in ("adjustment", "choice")
    fewer = jobs_for(blueprint(spec(embeddings={"layers": ["final"]})).wants, as_known(first, more))
    assert kinds(fewer).keys() <= {"adjustment", "choice"}


def experts(k: list[int]) -> Spec:
    return spec(interventions=["none", {"method": "experts", "k": k, "controls": ["profile x2"]}])


def test_one_more_setting_is_compared_alone() -> None:
    first = jobs_for(blueprint(experts([5])).wants, {})
    more = jobs_for(blueprint(experts([5, 10])).wants, as_known(first))
    compared = [job for job in more.new if job.kind.name == "comparison"]
    # Two targets, on select and on test; there with two controls.
    assert sorted(len(job.payload.settings) for job in compared) == [1, 1, 3, 3]
    assert {job.payload.settings[0].setting for job in compared} <= {
        setting.key for setting in blueprint(experts([10])).settings
    }
    # What is read of the baseline serves all.
    old = {job.bundle for job in first.new if job.kind.name == "comparison"}
    assert {job.bundle for job in compared} == old
    # The families are others, over what was there too.
    adjusted = [job for job in more.new if job.kind.name == "adjustment"]
    assert sorted(len(job.needs) for job in adjusted) == [1 + 4, 1 + 4]
    known = {job.key for job in first.new if job.kind.name == "comparison"}
    assert known <= {need for job in adjusted for need in job.needs}


def drawn_by(plan: JobPlan) -> set[tuple[int, str]]:
    return {(job.payload.resamples, job.payload.unit) for job in plan.new if job.kind.name == "comparison"}


def test_families_of_steered_settings_begin_at_the_first_edit() -> None:
    """Three steered settings for each of two targets at layers 1, 2, 3 and final; centring at 0 too."""
    assert blueprint(spec()).drawn["largest_family"] == 6 * 4
    late = [{"method": "experts", "k": 5, "blocks": [3]}, {"method": "experts", "k": 5, "transform": "centring"}]
    # From block 3 on layers 3 and final, else four; before its first edit the transformed one is centring's fellow.
    planned = blueprint(spec(interventions=["none", *late], targets=["en"]))
    assert planned.drawn["largest_family"] == 2 + 4
    planned = blueprint(spec(interventions=["none", "centring", "whitening", late[1]], targets=["en"]))
    assert planned.drawn["largest_family"] == 5 + 5 + 1
    assert blueprint(spec(interventions=["none"])).drawn["largest_family"] == 0


def test_draws_are_as_many_as_the_largest_family_needs() -> None:
    few = blueprint(spec())
    assert few.drawn["resamples_needed"] == 2 * 24 / 0.05 - 1
    assert (few.drawn["resamples"], few.warnings) == (1000, ())
    first = jobs_for(few.wants, {})
    assert drawn_by(first) == {(1000, "item")}
    # 4 k for each of two targets, and the union: 40 tests.
    rows = ["none", {"method": "experts", "k": [1, 2, 3, 4]}, {"method": "union", "k": 3}]
    more = blueprint(spec(interventions=rows))
    assert (more.drawn["largest_family"], more.drawn["resamples"]) == (40, 2000)
    # One more setting is within the same step: nothing is compared anew.
    again = jobs_for(
        blueprint(spec(interventions=[*rows, {"method": "union", "k": 4}])).wants, as_known(jobs_for(more.wants, {}))
    )
    assert kinds(again)["comparison"] == 2 * 2
    asked = blueprint(spec(interventions=rows, statistics={"resamples": 1000}))
    assert asked.drawn["resamples"] == 1000
    (line,) = asked.warnings
    assert "cannot reach q <= 0.05" in line and "40 tests" in line and "statistics.resamples: 1599 would do" in line
    by = blueprint(spec(statistics={"multiplicity": "by", "resamples": 100, "confidence": 0.99}))
    assert "cannot reach q <= 0.01" in by.warnings[0]
    hardly = spec(
        interventions=["none", {"method": "experts", "k": list(range(1, 151))}],
        statistics={"multiplicity": "by"},
    )
    planned = blueprint(hardly)
    assert planned.drawn["resamples"] == 20_000
    assert "more than statistics.resamples may be" in planned.warnings[0]


def test_groups_are_drawn_where_the_text_has_them() -> None:
    roles = {role: [corpus(role)] for role in ("fit", "select", "test")}
    roles["test"] = [replace(corpus("test"), labels=("item", "language", "group"))]
    for unit, expected in ((None, {"group", "item"}), ("item", {"item"})):
        asked = spec(statistics={} if unit is None else {"unit": unit})
        planned = draw_up(asked, [MODEL], roles)
        assert {of for _, of in drawn_by(jobs_for(planned.wants, {}))} == expected
        assert planned.drawn["unit"] == {"select:book": "item", "test:book": "item" if unit else "group"}


def test_another_rule_of_multiplicity_compares_nothing_anew() -> None:
    first = jobs_for(blueprint(spec(statistics={"resamples": 1000})).wants, {})
    for rule in ("by", "max_t"):
        asked = spec(statistics={"resamples": 1000, "multiplicity": rule})
        other = jobs_for(blueprint(asked).wants, as_known(first))
        assert kinds(other) == {"adjustment": 2}
    # Max-T swaps items: it reads what the comparisons read.
    evaluations = {job.key for job in first.new if job.kind.name == "pair_evaluation"}
    assert evaluations <= {need for job in other.new for need in job.needs}


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


def test_pairs_are_cut_into_a_star_per_language_but_one() -> None:
    asked = spec(interventions=["none"])
    plan = jobs_for(blueprint(asked).wants, {})
    stars = [job.payload for job in plan.new if job.kind.name == "pair_evaluation" and job.payload.split == "test"]
    assert [star.whose for star in stars] == [
        "deu_Latn and 4 others", "eng_Latn and 3 others", "fra_Latn and 2 others", "jpn_Jpan and spa_Latn",
    ]  # fmt: skip
    assert sorted(pair.sides for star in stars for pair in star.pairs) == list(combinations(sorted(LANGUAGES), 2))
    for job in plan.new:
        if job.kind.name == "pair_evaluation":
            # An edge per language, not per pair.
            assert len(job.needs) == len(job.payload.pairs) + 1
    comparisons = [job for job in plan.new if job.kind.name == "comparison"]
    assert {len(job.needs) for job in comparisons} == {len(LANGUAGES) - 1}


@pytest.mark.parametrize("new", ["deu_Latn", "fra_Latn", "spa_Latn"])
def test_one_more_language_is_one_star_wherever_it_sorts(new: str) -> None:
    before = tuple(each for each in LANGUAGES if each != new)
    asked = spec(interventions=["none", "centring"])
    first = jobs_for(blueprint(asked, languages=before).wants, {})
    more = jobs_for(blueprint(asked).wants, as_known(first))
    assert kinds(more)["pair_evaluation"] == 2 * 2
    assert more.foreign == ()


def test_one_more_layer_is_as_many_stars_again() -> None:
    few, many = (spec(interventions=["none"], embeddings={"layers": layers}) for layers in ([1], [1, 2]))
    more = jobs_for(blueprint(many).wants, as_known(jobs_for(blueprint(few).wants, {})))
    assert kinds(more)["pair_evaluation"] == 2 * (len(LANGUAGES) - 1)


def test_fewer_languages_share_stars_and_say_which_pairs_are_not_theirs() -> None:
    asked = spec(interventions=["none"])
    whole = jobs_for(blueprint(asked).wants, {})
    few = jobs_for(blueprint(asked, languages=("deu_Latn", "fra_Latn", "spa_Latn")).wants, as_known(whole))
    assert kinds(few).keys() == {"space_evaluation", "comparison", "adjustment"}
    stars = {job.key: job for job in whole.new if job.kind.name == "pair_evaluation" and job.key in few.existing}
    foreign = Counter(pair.job for pair in few.foreign)
    # Of German's four pairs two are asked for; of French's two one. The other stars have none of them.
    assert {(stars[key].payload.whose, n) for key, n in foreign.items()} == {
        ("deu_Latn and 4 others", 2), ("fra_Latn and 2 others", 1),
    }  # fmt: skip
    assert len(stars) == 2 * 2
    # Comparisons read all else of these stars.
    listed = [pair for job in few.new if job.kind.name == "comparison" for pair in job.payload.foreign]
    assert sorted(listed, key=repr) == sorted(few.foreign, key=repr)


def test_another_text_is_another_pair_and_a_comparison_knows_the_old_one() -> None:
    asked = spec(interventions=["none"])
    first = jobs_for(blueprint(asked).wants, {})

    def changed(code: str, text: PlanText) -> PlanText:
        return replace(text, key="k", sentences="s", documents="d") if code == "spa_Latn" else text

    test = corpus("test")
    test = replace(test, texts={code: changed(code, text) for code, text in test.texts.items()})
    roles = {"fit": [corpus("fit")], "select": [corpus("select")], "test": [test]}
    again = jobs_for(draw_up(asked, [MODEL], roles).wants, as_known(first))
    assert kinds(again)["pair_evaluation"] == 1
    (star,) = (job.payload for job in again.new if job.kind.name == "pair_evaluation")
    assert star.whose == "spa_Latn and 4 others"
    (comparison,) = (job.payload for job in again.new if job.kind.name == "comparison")
    # The star of Japanese and Spanish alone is not used any more.
    pairs = {("deu_Latn", "spa_Latn"), ("eng_Latn", "spa_Latn"), ("fra_Latn", "spa_Latn")}
    assert {(each.first, each.second) for each in comparison.foreign} == pairs
    assert set(comparison.foreign) == set(again.foreign)


_LAYERS = st.lists(st.sampled_from(["0", "1", "2", "3", "final"]), min_size=1, max_size=5, unique=True)
_SPOKEN = st.lists(st.sampled_from(LANGUAGES), min_size=2, max_size=5, unique=True)
_PAIRS = st.one_of(
    st.just("all"),
    st.lists(
        st.sampled_from([list(pair) for pair in combinations(LANGUAGES, 2)]), min_size=1, max_size=6, unique_by=tuple
    ),
)


@settings(max_examples=60)
@given(st.lists(st.tuples(_LAYERS, _SPOKEN, _PAIRS, st.integers(0, 2)), min_size=1, max_size=4))
def test_any_history_covers_every_pair_and_layer_exactly_once(
    history: list[tuple[list[str], list[str], str | list[list[str]], int]],
) -> None:
    """Layers, languages, pairs, and the text of one language (its edition) change from one experiment to the next."""
    plans: list[JobPlan] = []
    for layers, languages, pairs, edition in history:
        asked = spec(
            targets=["en"], interventions=[{"method": "experts", "k": 5}], embeddings={"layers": layers},
            evaluations={"pairs": pairs, "mining": True},
        )  # fmt: skip
        test = corpus("test", LANGUAGES if pairs != "all" else tuple(languages))
        edited = {
            code: replace(text, documents=f"{text.documents} {edition}") if code == "eng_Latn" else text
            for code, text in test.texts.items()
        }
        roles = {"fit": [corpus("fit")], "select": [corpus("select")], "test": [replace(test, texts=edited)]}
        wants = draw_up(asked, [MODEL], roles).wants
        plan = jobs_for(wants, as_known(*plans))
        known = as_known(*plans, plan)
        foreign = {(pair.job, pair.first, pair.second) for pair in plan.foreign}
        for want in wants:
            if want.layers is None:
                continue
            covering = [job for job in known[want.subject] if job.key in plan.keys]
            wanted, covered = (
                Counter(want.layers),
                Counter[object](layer for job in covering for layer in job.layers or () if layer in want.layers),
            )
            if want.kind.starred:
                wanted = Counter((pair.key, layer) for pair in want.payload.pairs for layer in want.layers)
                covered = Counter(
                    (key, layer) for job in covering for key, sides in (job.pairs or {}).items()
                    if (job.key, *sides) not in foreign for layer in job.layers or () if layer in want.layers
                )  # fmt: skip
            assert covered == wanted
        plans.append(plan)
    jobs = [job for plan in plans for job in plan.new]
    assert len({job.key for job in jobs}) == len(jobs)
    per_layer = Counter(
        (job.subject, pair, layer) for job in jobs if job.kind.layered for layer in job.payload.layers
        for pair in ([each.key for each in job.payload.pairs] if job.kind.starred else [None])
    )  # fmt: skip
    assert set(per_layer.values()) <= {1}


def test_wants_of_one_subject_unite_their_layers() -> None:
    few = blueprint(spec(embeddings={"layers": ["final"]})).wants
    many = blueprint(spec(embeddings={"layers": [0, "final"]})).wants
    united = {want.subject: want for want in unique_wants([*few, *many])}
    assert {want.layers for want in united.values() if want.layers} == {("0", "final")}
