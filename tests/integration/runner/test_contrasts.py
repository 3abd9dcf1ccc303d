"""Contrasts end to end: best against best, controls that choose, any two settings, experiments and models."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats
from scipy.stats import false_discovery_control

from sprachbund.errors import ArtifactError, QueryError, SpecError
from sprachbund.progress import Silent
from sprachbund.report import rendering
from sprachbund.results.across import across
from sprachbund_runners.jobs.registry import JOBS
from sprachbund_runners.statistics.bootstrap import bootstrap_mean
from sprachbund_runners.statistics.crossed import crossed_effects
from support.hits import hits

SMALL, LARGE = "experts eng_Latn k=4", "experts eng_Latn k=12"
SEEDS = (0, 1)


@pytest.fixture
def database_url(_sqlite_template, tmp_path):
    """What is tested here does not depend on the database's engine."""
    return f"sqlite:///{tmp_path / 'sprachbund.db'}"


@pytest.fixture
def content(experiment):
    return experiment(
        interventions=["none", "centring", {"method": "experts", "k": [4, 12], "controls": ["profile x2"]}],
        embeddings={"layers": [1, "final"]},
        statistics={"resamples": 200, "unit": "item", "metrics": ["top1", "distance_gap"]},
        compare=[[LARGE, SMALL], [SMALL, "centring"]],
    )


@pytest.fixture
def done(space, content):
    space.submit(content)
    assert space.run().failed == 0
    return space


def values(space, role: str) -> dict[tuple[str, str], float]:
    """top1 by setting and layer, over all pairs."""
    frame = space.query(
        "SELECT setting, layer, value FROM setting_comparison WHERE role = :role AND metric = 'top1' AND scope = 'all'",
        params={"role": role},
    )
    return {(setting, layer): value for setting, layer, value in frame.iter_rows()}


def control(seed: int, of: str) -> str:
    return f"random:profile seed={seed} of {of}"


def best(values: dict[tuple[str, str], float], settings: list[str]) -> tuple[str, str]:
    """The slow way: the highest value, ties to the earlier layer, then to the smaller k, which is listed first."""
    cells = [(setting, layer) for layer in ("1", "final") for setting in settings]
    top = max(values[cell] for cell in cells)
    return next(cell for cell in cells if values[cell] == top)


def difference(space, after: tuple[str, str], before: tuple[str, str]) -> np.ndarray[Any, Any]:
    """What every item gains, mean over all ordered pairs."""
    own, other = (hits(space, *cell) for cell in (after, before))
    return np.mean([own[pair] - other[pair] for pair in own], axis=0)


def by_student(gains: np.ndarray[Any, Any]) -> tuple[float, float, float]:
    """Interval and p of the mean gain of thirty items: Student's t, its error by the draws."""
    error = float(bootstrap_mean(gains, resamples=200, seed=0).standard_error) * np.sqrt(199 / 200 * 30 / 29)
    low, high = stats.t.interval(0.95, 29, loc=gains.mean(), scale=error)
    return low, high, max(2 / 201, 2 * stats.t.sf(abs(gains.mean()) / error, 29))


def check(space, row: dict[str, Any], after: tuple[str, str], before: tuple[str, str]) -> None:
    """A row's numbers are those of its two cells, from the outcomes item by item and pair by pair."""
    gains = difference(space, after, before)
    assert row["delta"] == pytest.approx(gains.mean(), abs=1e-12)
    assert (row["delta_ci_low"], row["delta_ci_high"], row["p"]) == pytest.approx(by_student(gains), abs=1e-9)
    own, other = (hits(space, *cell) for cell in (after, before))
    pairs = sorted(own)
    by_pair = np.array([np.mean(own[pair] - other[pair]) for pair in pairs])
    crossed = crossed_effects(by_pair, *(np.array([pair[side] for pair in pairs]) for side in (0, 1)))
    assert row["mean_gain"] == pytest.approx(crossed.coefficients[0])
    assert row["n_gaining"] == int((by_pair > 0).sum())
    # With items the interval is at least as wide as over languages alone.
    half = (row["population_high"] - row["population_low"]) / 2
    assert half >= (crossed.high[0] - crossed.low[0]) / 2 - 1e-12


def test_best_against_best_is_what_select_says(done):
    select, test = values(done, "select"), values(done, "test")
    steered, none, centring = (best(select, each) for each in ([SMALL, LARGE], ["none"], ["centring"]))
    rows = done.query(
        "SELECT * FROM contrasts WHERE contrast = 'best' AND metric = 'top1' AND scope = 'all'"
    ).to_dicts()
    found = {(row["setting"], row["against"]): row for row in rows}
    assert set(found) == {("centring", "none"), (steered[0], "none"), (steered[0], "centring")}
    for (setting, against), row in found.items():
        after = steered if setting == steered[0] else centring
        before = none if against == "none" else centring
        assert (row["layer"], row["against_layer"]) == (after[1], before[1])
        assert (row["value"], row["baseline"]) == pytest.approx((test[after], test[before]))
        check(done, row, after, before)
    q = false_discovery_control([row["p"] for row in rows])
    assert [row["q"] for row in rows] == pytest.approx(list(q))


def test_every_control_chooses_by_the_same_rule(done):
    select, test = values(done, "select"), values(done, "test")
    own = best(select, [SMALL, LARGE])
    chosen = {seed: best(select, [control(seed, each) for each in (SMALL, LARGE)]) for seed in SEEDS}
    members = done.query("SELECT * FROM chosen_controls ORDER BY member").to_dicts()
    assert [(row["setting"], row["layer"]) for row in members] == [chosen[seed] for seed in SEEDS]
    assert [row["n_candidates"] for row in members] == [4, 4]
    (row,) = done.query("SELECT * FROM contrast_controls WHERE metric = 'top1' AND scope = 'all'").to_dicts()
    at_best = [test[chosen[seed]] for seed in SEEDS]
    assert (row["setting"], row["layer"], row["against"], row["n_controls"]) == (*own, "none", 2)
    assert (row["baseline"], row["control_low"], row["control_high"]) == pytest.approx(
        (np.mean(at_best), min(at_best), max(at_best))
    )
    assert row["p"] == pytest.approx((1 + sum(value >= test[own] for value in at_best)) / 3)
    # What was chosen among settings is as before; controls are none of it.
    assert done.query("SELECT count(*) AS n FROM chosen_settings").item() == 3


def test_controls_may_stay_where_they_were(space, content):
    space.submit({**content, "choose": {"metric": "top1", "controls": False}})
    assert space.run().failed == 0
    assert space.query("SELECT count(*) AS n FROM chosen_controls").item() == 0
    assert space.query("SELECT count(*) AS n FROM contrast_controls").item() == 0
    planned = space.query("SELECT DISTINCT setting FROM retrieval_results WHERE role = 'select'")["setting"]
    assert sorted(planned) == sorted(["none", "centring", SMALL, LARGE])


def test_one_choice_at_every_layer_is_compared_layer_by_layer(space, content):
    space.submit({**content, "choose": {"metric": "top1", "over": ["k"]}})
    assert space.run().failed == 0
    rows = space.query(
        "SELECT * FROM contrasts WHERE contrast = 'best' AND metric = 'top1' AND scope = 'all'"
    ).to_dicts()
    assert sorted(row["layer"] for row in rows) == ["1"] * 3 + ["final"] * 3
    assert all(row["layer"] == row["against_layer"] for row in rows)


def test_what_failed_has_no_contrast_until_it_is_there(space, content, monkeypatch):
    """A side without its evaluation is left out of best against best; tried again, all is as if it had never failed."""
    make, broken = JOBS["pair_evaluation"], []

    def fails(claims, context):
        for claim in claims:
            if claim.payload.split == "test" and claim.label.startswith("centring on"):
                broken.append(claim.label)
                raise SpecError("it broke")
            yield from make([claim], context)

    monkeypatch.setitem(JOBS, "pair_evaluation", fails)
    space.submit(content)
    assert space.run().failed == len(set(broken)) > 0
    rows = "SELECT contrast, setting, against FROM contrasts WHERE metric = 'top1' AND scope = 'all'"
    found = space.query(rows).unique().rows()
    assert {against for contrast, _, against in found if contrast == "best"} == {"none"}
    assert [pair for contrast, *pair in found if contrast == "asked"] == [[LARGE, SMALL]]
    monkeypatch.undo()
    space.queue.retry("tiny")
    assert space.run().failed == 0
    found = space.query(rows).unique().rows()
    assert {against for contrast, _, against in found if contrast == "best"} == {"none", "centring"}
    assert ("asked", SMALL, "centring") in found


def test_named_settings_are_compared_at_every_layer(done):
    rows = done.query(
        "SELECT * FROM contrasts WHERE contrast = 'asked' AND metric = 'top1' AND scope = 'all'"
    ).to_dicts()
    assert {(row["setting"], row["against"], row["layer"]) for row in rows} == {
        (*pair, layer) for pair in ((LARGE, SMALL), (SMALL, "centring")) for layer in ("1", "final")
    }
    for row in rows:
        check(done, row, (row["setting"], row["layer"]), (row["against"], row["layer"]))
    assert [row["q"] for row in rows] == pytest.approx(list(false_discovery_control([row["p"] for row in rows])))
    assert {row["family_size"] for row in rows} == {4}


def test_a_setting_asked_for_now_has_what_a_plan_would_have_given(done):
    found = done.compare("tiny", vs="centring", layer="final")
    rows = {row["setting"]: row for row in found.rows.filter(metric="top1", kind="setting").to_dicts()}
    for setting in ("none", SMALL, LARGE):
        check(done, rows[setting], (setting, "final"), ("centring", "final"))
    assert rows["centring"]["p"] is None
    tested = [rows[setting]["p"] for setting in ("none", SMALL, LARGE)]
    q = list(false_discovery_control(tested))
    assert [rows[setting]["q"] for setting in ("none", SMALL, LARGE)] == pytest.approx(q)


def test_tables_have_what_was_asked_for_at_their_layer(done):
    titles = [table.title for table in rendering.tables_of(done.compare("tiny", layer="final"))]
    assert titles[:2] == ["tiny: top1, best against best on words", "tiny: top1, as the spec asks on words"]
    asked = done.compare("tiny", layer="final").contrasts.of("asked")
    assert asked["layer"].to_list() == ["final", "final"]
    # By language there are other rows.
    assert "best" not in "".join(table.title for table in rendering.tables_of(done.compare("tiny", by=("pair",))))


def test_outcomes_that_are_gone_are_said_and_nothing_changes(done):
    before = done.query("SELECT count(*) AS n FROM jobs WHERE state = 'done'").item()
    for file in (done.root / "artifacts").rglob("*.safetensors"):
        file.unlink()
    with pytest.raises(ArtifactError, match=r"outcomes of job \d+ are not kept any more: .*under `compare`"):
        done.compare("tiny", vs="centring", layer="final")
    assert done.query("SELECT count(*) AS n FROM jobs WHERE state = 'done'").item() == before


def test_two_experiments_are_compared_over_the_pairs_that_both_have(done, content):
    other = {**content, "name": "other", "languages": ["eng_Latn", "deu_Latn"], "compare": []}
    other["statistics"] = {**content["statistics"], "metrics": ["top1"]}
    done.submit({**other, "choose": None, "corpora": {each: content["corpora"][each] for each in ("fit", "test")}})
    assert done.run().failed == 0
    found = across(done.engine, done.store, ["tiny", "other"], layer="final", progress=Silent())
    # The same settings on the same items: no difference, on the two pairs that the second has.
    assert found.rows["n_pairs"].unique().to_list() == [2]
    assert found.rows["delta"].to_list() == pytest.approx([0.0] * found.rows.height)
    assert set(found.rows["setting"]) == {"none", "centring", SMALL, LARGE}


def test_gains_over_models_and_whether_they_differ(space, content):
    path = content["models"]["path"]
    several = [{"path": path, "name": "plain"}, {"path": path, "name": "half", "dtype": "bfloat16"}]
    space.submit({**content, "models": several, "compare": []})
    assert space.run().failed == 0
    found = across(space.engine, space.store, ["tiny"], models=True, layer="final", progress=Silent())
    row = found.rows.filter(pl.col("setting") == LARGE).row(0, named=True)
    assert (row["n_models"], row["models"]) == (2, ["plain", "half"])
    each = [
        difference(space, (f"{LARGE} ({model})", "final"), (f"none ({model})", "final")) for model in ("plain", "half")
    ]
    assert row["gains"] == pytest.approx([gains.mean() for gains in each])
    low, high, _ = by_student(np.mean(each, axis=0))
    assert (row["delta"], row["delta_ci_low"], row["delta_ci_high"]) == pytest.approx((np.mean(each), low, high))
    assert 0 <= row["differ_p"] <= 1
    assert row["models_p"] != row["models_p"]  # of two models as a sample nothing is said


@pytest.mark.parametrize(
    ("compare", "message"),
    [
        ([["union eng_Latn k=4", "none"]], r"compare.0: no setting is called 'union eng_Latn k=4'"),
        ([[SMALL, "none"], ["centrin", "none"]], "compare.1: no setting is called 'centrin'; did you mean 'centring'"),
        ([["none", "none"]], "compare.0: 'none' is compared with itself"),
        ([[SMALL, "none"], [LARGE, "none"], [SMALL, "none"]], "compare.2: '.*' and 'none' are listed twice"),
    ],
)
def test_a_comparison_of_what_is_not_there_is_refused(space, content, compare, message):
    with pytest.raises(SpecError, match=message):
        space.submit({**content, "compare": compare}, dry_run=True)


def test_what_cannot_be_held_against_each_other_is_refused(done, content):
    for several in (["tiny"], ["tiny", "tiny"], ["tiny", "a", "b"]):
        with pytest.raises(QueryError, match=f"expected two different experiments, found {', '.join(several)};"):
            across(done.engine, done.store, several, progress=Silent())
    with pytest.raises(QueryError, match="no setting has the same label in two models; there are: "):
        across(done.engine, done.store, ["tiny"], models=True, progress=Silent())
    with pytest.raises(QueryError, match="unknown experiment 'tinny'; did you mean 'tiny'"):
        across(done.engine, done.store, ["tiny", "tinny"], progress=Silent())
