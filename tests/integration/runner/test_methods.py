"""Every method from a spec to results, and the edits of each against a plain computation from what was stored."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from sqlalchemy import select

from sprachbund import workspace
from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.errors import SpecError
from sprachbund.files.tensors import load_tensors
from sprachbund.progress import Silent
from sprachbund.workspace import Workspace
from sprachbund_runners.interventions.edits import UnitAffine
from sprachbund_runners.interventions.low_rank import LowRank
from sprachbund_runners.jobs.context import Context
from sprachbund_runners.jobs.fit.expert_set import find_ranking
from sprachbund_runners.jobs.fit.intervention import find_edits

Make = Callable[..., dict[str, Any]]
LANGUAGES = ("deu_Latn", "eng_Latn", "fra_Latn", "spa_Latn")

EXPERTS_MAPS = {"variant": "profile", "values": "experts", "seeds": 1}
ROWS: list[Any] = [
    "none",
    {"method": "experts", "k": 5, "controls": ["profile x2", "shift x1", "wrong_language", "wrong_values"]},
    {"method": "experts", "k": 5, "value": "zero"},
    {"method": "experts", "k": 3, "selection": "top_and_bottom"},
    {"method": "experts", "k": 1, "selection": "per_block"},
    {"method": "experts", "selection": {"how": "threshold", "q": 0.5, "effect": 0.1}, "controls": ["uniform x1"]},
    {"method": "union", "k": 3},
    {"method": "intersection", "k": 0.9},
    {"method": "difference", "k": 20},
    {"method": "own", "k": 5, "value": "zero", "controls": ["profile x1", "shift x1"]},
    {"method": "own", "k": 5, "edit": "gaussian_act"},
    {"method": "experts", "k": 5, "edit": "interpolate", "strength": [0.25, 0.75]},
    {"method": "experts", "k": 5, "edit": "scale"},
    {"method": "experts", "k": 1.0, "edit": "aura"},
    {
        "method": "experts",
        "k": 8,
        "edit": "aura",
        "controls": [{"variant": "profile", "values": "experts", "seeds": 1}],
    },
    {"method": "experts", "k": 5, "edit": "shift", "strength": 2, "controls": ["profile x1", "wrong_values"]},
    {"method": "experts", "k": 5, "edit": "mean_act"},
    {"method": "experts", "k": 5, "edit": "gaussian_act", "value_from": "tokens"},
    {"method": "experts", "k": 5, "edit": "linear_act", "strength": [0.5, 1]},
    {"method": "experts", "k": 5, "edit": "linear_act", "fit": "incremental"},
    {"method": "experts", "k": 5, "edit": "mean_act", "source": "input"},
    {"method": "direction", "controls": ["uniform x1", "wrong_language"]},
    {"method": "direction", "source": "input"},
    {"method": "direction", "direction": "pca", "rank": 2, "edit": "project_out"},
    {"method": "direction", "direction": "lda", "sites": ["mlp.down"], "blocks": [1]},
    {"method": "direction", "direction": "probe", "strength": 3},
    {"method": "direction", "direction": "leace"},
    {"method": "direction", "direction": "leace", "fit": "incremental", "controls": ["uniform x1"]},
    {"method": "direction", "source": "input", "blocks": [1, 2], "fit": "incremental"},
    {"method": "direction", "direction": "language_means", "rank": 2, "tokens": "content"},
    {"method": "experts", "k": 5, "side": "query"},
    {"method": "experts", "k": 5, "side": "candidate", "transform": "centring"},
]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, experiment: Make) -> Iterator[Workspace]:
    """All rows, run once: what differs between engines is tested elsewhere."""
    spec = experiment(
        interventions=ROWS, choose=None, embeddings={"layers": [0, 1, "final"]}, statistics={"resamples": 100}
    )
    del spec["corpora"]["select"]
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SPRACHBUND_DATABASE_URL", raising=False)
        with workspace.init(tmp_path_factory.mktemp("methods")) as space:
            submitted = space.submit(spec)
            tally = space.run()
            assert tally.failed == 0, tally.errors
            assert len(submitted.settings) > len(ROWS)
            # As comparisons average them: ordered.
            assert (submitted.n_pairs, submitted.pairs_per_item) == (6, 6)
            yield space


def _context(space: Workspace) -> Context:
    return Context(space.engine, space.store, Silent())


def intervention(space: Workspace, label: str) -> Any:
    with reading(space.engine) as connection:
        return connection.execute(
            select(t.Intervention)
            .join(t.Setting, t.Setting.intervention_id == t.Intervention.id)
            .join(t.ExperimentSetting, t.ExperimentSetting.setting_id == t.Setting.id)
            .where(t.ExperimentSetting.label == label)
        ).one()


def edits(space: Workspace, label: str) -> dict[str, Any]:
    return find_edits(_context(space), intervention(space, label).key)


def pooled(space: Workspace, language: str, pooling: str, block: int, site: str) -> NDArray[np.float64]:
    """Stored responses of a language at one place, float64 [sentences, width]."""
    with reading(space.engine) as connection:
        rows = connection.execute(
            select(t.UnitStatistics)
            .join(t.CorpusText, t.CorpusText.id == t.UnitStatistics.corpus_text_id)
            .where(t.CorpusText.language == language, t.UnitStatistics.pooling == pooling)
        ).all()
        for row in rows:
            if site in row.sites:
                path = _context(space).artifact(connection, row.responses_id, row.job_id)
                return load_tensors(path)[f"{block}.{site}"].astype(np.float64)
    raise AssertionError("no such statistics")


def test_every_method_runs_and_is_compared(done: Workspace) -> None:
    frame = done.results("tiny").filter(pl.col("metric") == "top1")
    per_setting = frame.filter(pl.col("role") == "test").group_by("setting").len()
    # Six ordered pairs of three languages at three layers, whatever is steered.
    assert set(per_setting["len"]) == {6 * 3}
    assert per_setting.height == len(set(done.query("select label from experiment_settings")["label"]))
    comparison = done.query("select distinct setting from setting_comparison where experiment = 'tiny'")
    assert comparison.height >= len(ROWS)


def test_edits_are_what_the_stored_statistics_say(done: Workspace) -> None:
    others = [language for language in LANGUAGES if language != "eng_Latn"]

    def each(label: str) -> list[tuple[UnitAffine, NDArray[np.float64], NDArray[np.float64]]]:
        found = edits(done, label)
        assert set(found) == {"*"}
        return [
            (
                edit,
                pooled(done, "eng_Latn", "mean", edit.block, edit.site)[:, edit.unit],
                np.concatenate([pooled(done, other, "mean", edit.block, edit.site)[:, edit.unit] for other in others]),
            )
            for edit in found["*"]
        ]

    for edit, target, source in each("experts eng_Latn k=5 shift strength=2"):
        np.testing.assert_allclose(edit.b, 2 * (target.mean(axis=0) - source.mean(axis=0)), rtol=1e-4, atol=1e-6)
        assert (edit.a == 1).all()
    for edit, target, source in each("experts eng_Latn k=5 mean_act"):
        np.testing.assert_allclose(edit.b, target.mean(axis=0) - source.mean(axis=0), rtol=1e-4, atol=1e-6)
    whole, half = (each(f"experts eng_Latn k=5 linear_act strength={strength}") for strength in ("1", "0.5"))
    for (edit, _, source), (part, _, _) in zip(whole, half, strict=True):
        np.testing.assert_allclose(edit.lo, source.min(axis=0), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(edit.hi, source.max(axis=0), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(part.a, 0.5 + edit.a / 2, rtol=1e-4)
        np.testing.assert_allclose(part.b, edit.b / 2, rtol=1e-4, atol=1e-6)
    for edit in edits(done, "experts eng_Latn k=5 scale")["*"]:
        assert (edit.a == 0.5).all()
        assert not edit.b.any()


def test_values_are_set_and_interpolated(done: Workspace) -> None:
    for edit in edits(done, "experts eng_Latn k=5")["*"]:
        mean = pooled(done, "eng_Latn", "max", edit.block, edit.site)[:, edit.unit].mean(axis=0)
        np.testing.assert_allclose(edit.b, mean, rtol=1e-5, atol=1e-6)
        assert edit.sets
    for edit in edits(done, "experts eng_Latn k=5 interpolate strength=0.25")["*"]:
        mean = pooled(done, "eng_Latn", "max", edit.block, edit.site)[:, edit.unit].mean(axis=0)
        np.testing.assert_allclose(edit.b, mean / 4, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(edit.a, 0.75)


def test_units_are_those_the_rankings_say(done: Workspace) -> None:
    context = _context(done)
    with reading(done.engine) as connection:
        sets = dict(connection.execute(select(t.ExpertSet.target, t.ExpertSet.key)).all())
    tops = {language: find_ranking(context, key).order for language, key in sets.items()}

    def flat(label: str, language: str = "*") -> set[int]:
        ranking = find_ranking(context, sets["eng_Latn"])
        start, offsets = 0, {}
        for block, site, width in ranking.axis:
            offsets[block, site] = start
            start += width
        found = edits(done, label)[language]
        return {offsets[edit.block, edit.site] + int(unit) for edit in found for unit in edit.unit}

    english = tops["eng_Latn"]
    assert flat("experts eng_Latn k=5") == set(english[:5])
    assert flat("experts eng_Latn top_and_bottom k=3") == {*english[:3], *english[-3:]}
    assert flat("union eng_Latn k=3") == {unit for order in tops.values() for unit in order[:3]}
    others = {unit for language, order in tops.items() if language != "eng_Latn" for unit in order[:20]}
    assert flat("difference eng_Latn k=20") == set(english[:20]) - others
    n = int(np.floor(0.9 * len(english) + 0.5))
    assert flat("intersection eng_Latn k=0.9") == set.intersection(*(set(order[:n]) for order in tops.values()))
    per_block = edits(done, "experts eng_Latn per_block k=1")["*"]
    assert [len(edit) for edit in per_block] == [1] * 4
    own = edits(done, "own k=5 zero")
    assert set(own) == set(LANGUAGES)
    for language in LANGUAGES:
        assert flat("own k=5 zero", language) == set(tops[language][:5])
    random = flat("random:profile seed=0 of own k=5 zero", "deu_Latn")
    assert not random & set(tops["deu_Latn"][:5])
    # Towards English every other language has edits of its own, English none.
    toward = edits(done, "own eng_Latn k=5 gaussian_act")
    assert set(toward) == set(LANGUAGES) - {"eng_Latn"}


def test_directions_move_and_erase(done: Workspace) -> None:
    (edit,) = edits(done, "diff_mean eng_Latn")["*"]
    assert isinstance(edit, LowRank)
    assert (edit.site, edit.block, edit.rank) == ("block", 1, 0)
    (english, *rest) = (
        pooled(done, each, "mean", 1, "block") for each in ("eng_Latn", "deu_Latn", "fra_Latn", "spa_Latn")
    )
    shift = english.mean(axis=0) - np.mean([each.mean(axis=0) for each in rest], axis=0)
    np.testing.assert_allclose(edit.c, shift, rtol=1e-4, atol=1e-6)
    (random,) = edits(done, "random:uniform seed=0 of diff_mean eng_Latn")["*"]
    assert np.linalg.norm(random.c) == pytest.approx(np.linalg.norm(edit.c), rel=1e-5)
    assert abs(random.c @ edit.c) < 0.99 * edit.c @ edit.c
    per_language = edits(done, "diff_mean eng_Latn from each language")
    assert set(per_language) == set(LANGUAGES) - {"eng_Latn"}
    (german,) = per_language["deu_Latn"]
    np.testing.assert_allclose(german.c, english.mean(axis=0) - rest[0].mean(axis=0), rtol=1e-4, atol=1e-6)
    assert [each.block for each in edits(done, "leace project_out")["*"]] == [1, 2]


def test_columns_say_what_was_done(done: Workspace) -> None:
    row = intervention(done, "experts eng_Latn k=5 linear_act strength=0.5")
    assert (row.edit, row.strength, row.selection, row.k, row.per_language) == ("linear_act", 0.5, "top", 5, False)
    row = intervention(done, "leace project_out")
    assert (row.method, row.direction, row.edit, row.target, row.k) == ("direction", "leace", "project_out", None, None)
    assert intervention(done, "experts eng_Latn k=5 mean_act from each language").per_language


def token_moments(space: Workspace, language: str, block: int, site: str) -> tuple[Any, Any]:
    """Mean and variance over one language's fitted tokens, by unit."""
    with reading(space.engine) as connection:
        rows = connection.execute(
            select(t.UnitStatistics)
            .join(t.CorpusText, t.CorpusText.id == t.UnitStatistics.corpus_text_id)
            .where(t.CorpusText.language == language, t.UnitStatistics.pooling == "max")
        ).all()
        row = next(row for row in rows if site in row.sites)
        tensors = load_tensors(_context(space).artifact(connection, row.moments_id, row.job_id))
    name = f"{block}.{site}"
    return tensors[f"{name}/mean"], tensors[f"{name}/m2"] / tensors[f"{name}/count"]


def squared_shift(space: Workspace, found: Any, languages: tuple[str, ...]) -> float:
    """Σ E(h' − h)², unit by unit, weighing languages by their tokens."""
    total = 0.0
    for edit in found:
        for place, unit in enumerate(edit.unit):
            mean, square, tokens = 0.0, 0.0, 0
            for language in languages:
                means, variances = token_moments(space, language, edit.block, edit.site)
                with reading(space.engine) as connection:
                    n = connection.execute(
                        select(t.UnitStatistics.n_tokens)
                        .join(t.CorpusText, t.CorpusText.id == t.UnitStatistics.corpus_text_id)
                        .where(t.CorpusText.language == language, t.UnitStatistics.pooling == "max")
                    ).scalars().first()  # fmt: skip
                mean += n * means[unit]
                square += n * (variances[unit] + means[unit] ** 2)
                tokens += n
            a, b = float(edit.a[place]) - 1, float(edit.b[place])
            total += a * a * square / tokens + 2 * a * b * mean / tokens + b * b
    return total


def test_random_units_may_carry_the_experts_maps(done: Workspace) -> None:
    experts = edits(done, "experts eng_Latn k=8 aura")["*"]
    control = edits(done, "random:profile:experts seed=0 of experts eng_Latn k=8 aura")["*"]
    assert [(edit.site, edit.block) for edit in control] == [(edit.site, edit.block) for edit in experts]
    for drawn, own in zip(control, experts, strict=True):
        assert not set(drawn.unit) & set(own.unit)
        assert sorted(drawn.a) == sorted(own.a)
        assert (own.a < 1).any()


def test_shifts_are_those_of_the_text_that_edits_act_on(done: Workspace) -> None:
    everywhere = edits(done, "experts eng_Latn k=5")["*"]
    stored = intervention(done, "experts eng_Latn k=5").shift_norm
    assert stored**2 == pytest.approx(squared_shift(done, everywhere, LANGUAGES), rel=1e-4)
    own = edits(done, "own k=5 zero")
    each = [squared_shift(done, own[language], (language,)) for language in own]
    assert intervention(done, "own k=5 zero").shift_norm ** 2 == pytest.approx(np.mean(each), rel=1e-4)
    # A control of kind `shift` moves each language's own text as far, where its units allow it.
    control = edits(done, "random:shift seed=0 of own k=5 zero")
    moved = [squared_shift(done, control[language], (language,)) for language in control]
    ratio = intervention(done, "random:shift seed=0 of own k=5 zero").shift_ratio
    assert ratio == pytest.approx(np.sum(moved) / np.sum(each), rel=1e-3)
    assert intervention(done, "experts eng_Latn k=5 linear_act incremental").shift_norm is None


def test_fitting_in_order_differs_only_after_the_first_edited_place(done: Workspace) -> None:
    at_once = edits(done, "experts eng_Latn k=5 linear_act strength=1")["*"]
    in_order = edits(done, "experts eng_Latn k=5 linear_act incremental")["*"]
    assert len(at_once) > 1
    for name in ("unit", "a", "b", "lo", "hi"):
        np.testing.assert_allclose(getattr(in_order[0], name), getattr(at_once[0], name), rtol=1e-4, atol=1e-5)
    assert not np.allclose(in_order[-1].b, at_once[-1].b, rtol=1e-6)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"method": "experts", "selection": "per_block", "k": 1000}, "selection per_block takes at most 16"),
        ({"method": "experts", "selection": "top_and_bottom", "k": 100}, "give at most"),
        ({"method": "direction", "sites": ["mlp.gate"]}, "has no mlp.gate"),
        ({"method": "direction", "direction": "pca", "rank": 17}, "found 17, expected at most 16"),
        ({"method": "direction", "direction": "language_means", "rank": 4}, "4 languages span no more"),
        ({"method": "direction", "blocks": [9]}, "block 9 does not exist"),
        ({"method": "direction", "direction": "leace", "targets": ["eng_Latn"]}, "has no target; leave targets out"),
    ],
)
def test_what_the_model_lacks_is_one_line(space: Workspace, experiment: Make, row: Any, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        space.submit(experiment(interventions=[row]))


def test_a_row_that_fails_is_named_where_its_comparison_is_missed(space: Workspace, experiment: Make) -> None:
    spec = experiment(interventions=["none", {"method": "intersection", "k": 1}], choose=None)
    del spec["corpora"]["select"]
    space.submit(spec)
    assert space.run().failed == 1
    missing = space.compare("tiny").missing
    assert any("left out: job" in line and "share no unit" in line for line in missing), missing
