"""Settings fitted anew on halves of the fit text: which halves, what is planned, and that they stay out of the rest."""

from collections import Counter

import numpy as np
import polars as pl
import pytest

from sprachbund.errors import SpecError
from sprachbund.planning.blueprint import draw_up
from sprachbund.planning.halves import HALF, fit_halves
from sprachbund.planning.resolve import resolve
from sprachbund.spec.experiment import parse
from sprachbund.work.jobs import jobs_for

N_ITEMS = 9


@pytest.fixture
def table(tmp_path):
    """Fit text in articles of two sentences, and test text."""
    for role in ("fit", "test"):
        rows = [
            {"item": f"{role}{item}", "language": language, "text": f"{role} {language} words {item}",
             "article": f"{role} {item // 2}"}
            for item in range(N_ITEMS)
            for language in ("eng_Latn", "deu_Latn", "fra_Latn")
        ]  # fmt: skip
        pl.DataFrame(rows).write_parquet(tmp_path / f"{role}.parquet")
    return tmp_path


def resolved(folder, n=3, interventions=("none", "centring", {"method": "experts", "k": 5}), **more):
    columns = {"group": "article"}
    content = {
        "name": "x",
        "models": ["phrasebook-bloom"],
        "corpora": {role: {"path": f"{role}.parquet", "columns": columns} for role in ("fit", "test")},
        "targets": ["en"],
        "interventions": list(interventions),
        "statistics": {"fit_resamples": n, "unit": "item", **more.pop("statistics", {})},
        **more,
    }
    return resolve(parse(content), folder)


def drawn(folder, *arguments, **more):
    found = resolved(folder, *arguments, **more)
    return draw_up(found.spec, [model.plan for model in found.models], found.plan_corpora())


def halves(found):
    return [each.corpus for each in found.corpora if each.role == HALF]


def test_a_half_has_the_same_items_in_every_language(table):
    found = resolved(table)
    (fit,) = [each.corpus for each in found.corpora if each.role == "fit"]
    assert len(halves(found)) == 3
    for half in halves(found):
        texts = list(half.texts.values())
        assert len(texts[0]) == N_ITEMS // 2
        assert all(text.items == texts[0].items for text in texts)
        for language, text in half.texts.items():
            # As they stand in the whole, in its order.
            assert [each for each in fit.texts[language].texts if each in text.texts] == text.texts
    # Which half depends on the seed and on nothing else.
    items = [half.texts["eng_Latn"].items for half in halves(found)]
    assert items == [half.texts["eng_Latn"].items for half in halves(resolved(table))]
    assert items != [half.texts["eng_Latn"].items for half in halves(resolved(table, seed=1))]
    assert len({tuple(each) for each in items}) > 1


def test_groups_stay_whole_where_they_are_resampled(table):
    for half in halves(resolved(table, statistics={"unit": "group"})):
        groups = Counter(half.texts["eng_Latn"].groups)
        # Of five articles two, each as long as it is.
        assert len(groups) == 2
        assert all(size == (1 if group == "fit 4" else 2) for group, size in groups.items())
    by_item = [tuple(half.texts["eng_Latn"].items) for half in halves(resolved(table, 20))]
    assert len({*by_item}) > len({tuple(h.texts["eng_Latn"].items) for h in halves(
        resolved(table, 20, statistics={"unit": "group"}))})  # fmt: skip


def test_every_item_is_drawn_about_half_the_time(table):
    found = resolved(table, 400)
    counts = Counter(item for half in halves(found) for item in half.texts["eng_Latn"].items)
    shares = np.array([counts[f"fit{item}"] / 400 for item in range(N_ITEMS)])
    # Standard error .025.
    assert shares == pytest.approx(np.full(N_ITEMS, 4 / 9), abs=0.1)


def test_more_halves_keep_those_that_are_there(table):
    few, more = (jobs_for(drawn(table, n).wants, {}) for n in (2, 3))
    of_comparisons = ("comparison", "adjustment")
    kept = {job.key for job in few.new if job.kind.name not in of_comparisons}
    assert kept < {job.key for job in more.new}


@pytest.mark.parametrize(
    ("row", "n_fitted"),
    [
        ("centring", 1),
        ("centring_transductive", 0),
        ({"method": "experts", "k": [5, 9], "controls": ["profile x2", "wrong_language"]}, 2),
        ({"method": "experts", "k": 5, "side": "query", "transform": "centring"}, 1),
        ({"method": "experts", "k": 5, "edit": "linear_act", "fit": "incremental"}, 1),
        ({"method": "own", "k": 5, "edit": "aura"}, 1),
        ({"method": "direction", "direction": "leace", "transform": "centring_transductive"}, 1),
    ],
)
def test_what_is_fitted_is_fitted_anew_and_evaluated_on_pairs_alone(table, row, n_fitted):
    rows = ("none", {"method": "union", "k": 3}, row)
    more = {"evaluations": {"geometry": True}}
    plain, again = drawn(table, 0, rows, **more), drawn(table, 3, rows, **more)
    n = 3 * (n_fitted + 1)
    assert again.n_refits == n
    # They are no settings of the experiment.
    assert again.settings == plain.settings
    compared = [want.payload for want in again.wants if want.kind.name == "comparison"]
    refits = {setting: halves for payload in compared for setting, halves in payload.refits.items()}
    assert [list(halves) for halves in refits.values()] == [["0", "1", "2"]] * (n_fitted + 1)
    named = {key for halves in refits.values() for key in halves.values()}
    assert len(named) == n
    assert not named & {each.key for each in again.settings}
    assert named <= {each.key for each in again.underlying}
    counts = [Counter(want.kind.name for want in each.wants) for each in (plain, again)]
    assert counts[1]["pair_evaluation"] - counts[0]["pair_evaluation"] == n
    for kind in ("comparison", "adjustment", "space_evaluation", "geometry_evaluation", "expert_overlap"):
        assert counts[0][kind] == counts[1][kind]
    # What is there without halves is there with them, but for what reads refits.
    subjects = [{want.subject for want in each.wants if want.kind.name not in ("comparison", "adjustment")}
                for each in (plain, again)]  # fmt: skip
    assert subjects[0] < subjects[1]
    # Needs come first, and nothing of the halves is called as the whole is.
    plan = jobs_for(again.wants, {})
    seen: set[str] = set()
    for job in plan.new:
        assert set(job.needs) <= seen
        seen.add(job.key)
    new = {want.label for want in again.wants if want.subject in subjects[1] - subjects[0]}
    assert all("half" in label for label in new)
    assert not any("half" in want.label for want in again.wants if want.subject in subjects[0])


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"n": 1}, "statistics.fit_resamples: fit_resamples is 1; expected 0 for none, or at least 2"),
        ({"n": -1}, "statistics.fit_resamples: Input should be greater than or equal to 0"),
        ({"interventions": ["none"]}, "statistics.fit_resamples is 3, but nothing is fitted"),
        ({"interventions": ["none", "centring_transductive"]}, "but nothing is fitted"),
    ],
)  # fmt: skip
def test_refusals(table, fields, says):
    with pytest.raises(SpecError, match=says):
        resolved(table, **fields)


def test_too_few_items_have_no_halves(table):
    found = resolved(table, 0)
    (fit,) = [each for each in found.corpora if each.role == "fit"]
    spec = found.spec.model_copy(update={"statistics": found.spec.statistics.model_copy(update={"fit_resamples": 2})})
    short = {side: type(text)(text.language, text.split, text.frame[:3]) for side, text in fit.corpus.texts.items()}
    fit.corpus.texts.update(short)
    with pytest.raises(SpecError, match=r"fit_resamples: fit \(fit\) has 3 items; expected at least 4"):
        list(fit_halves(spec, fit.corpus, fit.source))
