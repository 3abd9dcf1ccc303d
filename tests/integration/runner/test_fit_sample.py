"""Settings fitted anew on halves of the fit text, end to end on a tiny model: what they add, and where they are not."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sqlalchemy import select
from typer.testing import CliRunner

from sprachbund import workspace
from sprachbund.cli.main import app
from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.db.views import VIEWS
from sprachbund.errors import SpecError
from sprachbund.mirror import reading as mirror_reading
from sprachbund.planning.deletion import delete_experiment
from sprachbund.progress import Silent
from sprachbund.report import document
from sprachbund.results.number import explain_number
from sprachbund.workspace import Workspace
from sprachbund_runners.jobs.registry import JOBS
from sprachbund_runners.statistics.population import population_mean

Make = Callable[..., dict[str, Any]]
STEERED = "experts eng_Latn k=4"
N = 4


def asked(experiment: Make, name: str = "tiny", n: int = N, rule: str = "bh") -> dict[str, Any]:
    content = experiment(
        name=name,
        interventions=["none", "centring", {"method": "experts", "k": 4, "controls": ["profile x1"]}],
        embeddings={"layers": ["final"]},
        statistics={"resamples": 100, "metrics": ["top1", "distance_gap"], "multiplicity": rule,
                    **({"fit_resamples": n} if n else {})},
    )  # fmt: skip
    del content["choose"], content["corpora"]["select"]
    return content


@pytest.fixture
def done(space: Workspace, experiment: Make) -> Workspace:
    space.submit(asked(experiment))
    assert space.run().failed == 0
    return space


def compared(space: Workspace, setting: str, metric: str = "top1", scope: str = "all") -> dict[str, Any]:
    (row,) = space.query(
        "SELECT * FROM setting_comparison WHERE experiment = 'tiny' AND setting = :s AND metric = :m AND scope = :c",
        params={"s": setting, "m": metric, "c": scope},
    ).to_dicts()  # fmt: skip
    return row


def refits(space: Workspace, setting: str) -> list[str]:
    """Keys of a setting's refits, half by half, from its comparison's job."""
    with reading(space.engine) as connection:
        key = connection.execute(
            select(t.Setting.key)
            .join(t.ExperimentSetting, t.ExperimentSetting.setting_id == t.Setting.id)
            .where(t.ExperimentSetting.label == setting)
        ).scalar_one()
        payloads = connection.execute(select(t.Job.payload).where(t.Job.kind == "comparison")).scalars()
        (found,) = [each["refits"] for each in payloads if each["settings"][0]["setting"] == key]
    assert list(found) == [key]
    return [found[key][str(number)] for number in range(len(found[key]))]


def means(space: Workspace, keys: list[str], query: str | None = None) -> list[float]:
    """Mean top1 over pairs by setting, from the results themselves."""
    with reading(space.engine) as connection:
        rows = connection.execute(
            select(t.Setting.key, t.PairResult.query_language, t.PairResult.top1)
            .join(t.Evaluand, t.Evaluand.id == t.PairResult.evaluand_id)
            .join(t.Setting, t.Setting.id == t.Evaluand.setting_id)
        ).all()
    return [float(np.mean([v for key, asks, v in rows if key == one and query in (None, asks)])) for one in keys]


def test_the_error_is_the_spread_over_refits(done: Workspace) -> None:
    for setting in (STEERED, "centring"):
        keys = refits(done, setting)
        assert len({*keys}) == N
        row, values = compared(done, setting), means(done, keys)
        assert row["n_fit_resamples"] == N
        assert row["fit_error"] == pytest.approx(np.std(values, ddof=1))
        half = stats.t.ppf(0.975, N - 1) * row["fit_error"]
        assert row["fit_low"] == pytest.approx(row["delta"] - np.hypot(row["delta"] - row["delta_ci_low"], half))
        assert row["fit_high"] == pytest.approx(row["delta"] + np.hypot(row["delta_ci_high"] - row["delta"], half))
        (gain,) = done.query(
            "SELECT * FROM gain_summary WHERE setting = :s AND metric = 'top1' AND scope = 'all'", params={"s": setting}
        ).to_dicts()
        errors = gain["mean_error"], gain["item_error"], gain["mean_degrees"]
        both = population_mean(gain["mean_gain"], *errors, fit_error=row["fit_error"])
        found = gain["population_low"], gain["population_high"], gain["population_p"]
        assert found == pytest.approx((both.low, both.high, both.p))
        assert gain["fit_error"] == row["fit_error"]
    # Something varies, or this tests nothing; and a scope has its own pairs.
    assert compared(done, STEERED)["fit_error"] > 0
    asks = means(done, refits(done, STEERED), "eng_Latn")
    assert compared(done, STEERED, scope="target_query")["fit_error"] == pytest.approx(np.std(asks, ddof=1))
    # What is fitted on nothing has none, nor have controls.
    for other in ("none", f"random:profile seed=0 of {STEERED}"):
        assert compared(done, other)["fit_error"] is None


def test_two_fitted_settings_are_compared_half_by_half(space: Workspace, experiment: Make) -> None:
    content = asked(experiment)
    corpora = {**content["corpora"], "select": experiment()["corpora"]["select"]}
    content |= {"compare": [[STEERED, "centring"]], "choose": {"metric": "top1"}, "corpora": corpora}
    space.submit(content)
    assert space.run().failed == 0
    values = {}
    with reading(space.engine) as connection:
        payloads = connection.execute(select(t.Job.payload).where(t.Job.kind == "contrast")).scalars()
        (halves,) = [each["refits"] for each in payloads]
        labels = select(t.ExperimentSetting.label, t.Setting.key)
        joined = labels.join(t.Setting, t.Setting.id == t.ExperimentSetting.setting_id)
        keys = dict(connection.execute(joined).all())
    for setting in (STEERED, "centring"):
        refitted = [halves[keys[setting]][str(number)] for number in range(N)]
        values[setting] = np.array(means(space, refitted))
    expected = {
        "none": {setting: values[setting] for setting in values},
        "centring": {STEERED: values[STEERED] - values["centring"]},
    }
    rows = space.query(
        "SELECT * FROM contrasts WHERE experiment = 'tiny' AND metric = 'top1' AND scope = 'all'"
    ).to_dicts()  # fmt: skip
    # The pair asked for; and best against best: experts against none and centring, centring against none.
    assert len(rows) == 4
    for row in rows:
        differences = expected[row["against"]][row["setting"]]
        assert row["n_fit_resamples"] == N
        assert row["fit_error"] == pytest.approx(np.std(differences, ddof=1), abs=1e-9)
        assert row["fit_low"] <= row["delta_ci_low"]
        assert row["fit_high"] >= row["delta_ci_high"]


def test_the_rest_is_what_it_is_without_them(done: Workspace, experiment: Make) -> None:
    done.submit(asked(experiment, "plain", 0))
    assert done.run().failed == 0
    new = {"n_fit_resamples", "fit_error", "fit_low", "fit_high", "population_low", "population_high", "population_p"}
    for name, view in VIEWS.items():
        # There are more jobs, and another spec, and these say so.
        if name in ("job_status", "attempts", "experiment_audit", "experiment_history", "planned_cells"):
            continue
        columns = [
            each.name for each in view.columns
            if each.name not in new | {"experiment", "job", "n_jobs", "revision"} and not each.name.endswith("_ms")
        ]  # fmt: skip
        if not columns or "experiment" not in {each.name for each in view.columns}:
            continue
        select_rows = f"SELECT {', '.join(columns)} FROM {name} WHERE experiment = "  # noqa: S608 - our own names
        rows = [done.query(f"{select_rows}'{each}'").rows() for each in ("tiny", "plain")]
        # Sums of rows in another order.
        told = [
            sorted(repr([round(each, 9) if isinstance(each, float) else each for each in row]) for row in of)
            for of in rows
        ]
        assert told[0] == told[1], name
    with reading(done.engine) as connection:
        ids = list(connection.execute(select(t.ExperimentSetting.setting_id).distinct()).scalars())
        mirrored = [
            {
                (run.label, point.name, point.step, round(point.value, 9))
                for run in found
                for point in run.points
                if "_population_" not in point.name
            }
            for found in (mirror_reading.read(connection, number, ids) for number in (1, 2))
        ]
    assert mirrored[0] == mirrored[1]


def test_tables_and_explanations_say_so(done: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "open", lambda: done)
    row = compared(done, STEERED)
    shown = CliRunner().invoke(app, ["compare", "tiny", "--markdown"]).output
    assert "with fit sample" in shown
    assert "| half" not in shown
    told = explain_number(done.engine, done.compare("tiny"), STEERED).parts["compared"]
    assert f"standard error {row['fit_error']:.4f} over {N} random halves" in dict(told)["with fit sample"]
    frame = done.compare("tiny").rows.filter(pl.col("setting") == STEERED, pl.col("metric") == "top1")
    assert frame["fit_low"].to_list() == [row["fit_low"]]
    page = document.report(done.engine, "tiny")
    assert "over fit samples where a setting was fitted anew" in page
    found = json.loads(CliRunner().invoke(app, ["compare", "tiny", "--json"]).output)
    assert "fit_low" in json.dumps(found)


def test_a_dry_run_counts_them(space: Workspace, experiment: Make) -> None:
    plain, more = (space.submit(asked(experiment, n=n), dry_run=True) for n in (0, N))
    assert (plain.n_refits, more.n_refits) == (0, 2 * N)
    assert more.settings == plain.settings
    extra = {kind: more.new[kind] - plain.new[kind] for kind in more.new}
    # Halves of four languages (negatives are all of fit), and of experts an edit each.
    assert extra["unit_statistics"] == 4 * N
    assert (extra["expert_set"], extra["intervention"]) == (extra["expert_set"], N)
    assert extra["snapshot"] == 2 * 3 * N  # three languages on test, and of centring's halves
    assert extra["pair_evaluation"] == 2 * 2 * N  # two stars of each refit
    assert extra["comparison"] == extra["adjustment"] == extra["space_evaluation"] == 0
    # 15 fit sentences in each half, 30 of each language on test.
    assert more.sentences - plain.sentences == N * (4 * 15 + 3 * 15 + 3 * 30)
    assert "comparison" in more.new


def test_a_refit_that_fails_is_left_out(space: Workspace, experiment: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    make = JOBS["intervention"]

    def fails(claims: Any, context: Any) -> Any:
        for claim in claims:
            if claim.label.endswith("half 2"):
                raise SpecError("it broke")
            yield from make([claim], context)

    monkeypatch.setitem(JOBS, "intervention", fails)
    space.submit(asked(experiment))
    assert space.run().failed == 1
    keys = refits(space, STEERED)
    row = compared(space, STEERED)
    assert row["n_fit_resamples"] == N - 1
    assert row["fit_error"] == pytest.approx(np.std(means(space, [*keys[:2], keys[3]]), ddof=1))
    # Nobody takes the comparison for whole.
    assert any("failed" in line for line in space.compare("tiny").missing)
    monkeypatch.undo()
    assert space.queue.retry("tiny") == 1
    assert space.run().failed == 0
    assert compared(space, STEERED)["n_fit_resamples"] == N
    assert space.compare("tiny").missing == []


def test_max_t_is_adjusted_over_settings_alone(space: Workspace, experiment: Make) -> None:
    space.submit(asked(experiment, rule="max_t"))
    assert space.run().failed == 0
    # Refits are in no family, nor is centring in this one.
    assert compared(space, STEERED)["family_size"] == 1


def test_a_deleted_experiment_leaves_none_of_it(done: Workspace) -> None:
    delete_experiment(done.engine, done.store, "tiny", Silent().start, dry_run=False)
    with reading(done.engine) as connection:
        for table in (t.Job, t.Setting, t.Intervention, t.CorpusText, t.Corpus, t.Artifact, t.ExpertSet):
            assert connection.execute(select(table.id)).all() == [], table
    assert done.store.listing() == {}
