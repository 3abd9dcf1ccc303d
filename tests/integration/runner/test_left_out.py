"""A setting that fails takes nobody with it: its row is left out, said so everywhere, and taken in when it comes."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from sqlalchemy import func, select
from typer.testing import CliRunner

from sprachbund import workspace
from sprachbund.cli.main import app
from sprachbund.db.engine import reading
from sprachbund.db.tables import JobAttempt, JobEdge
from sprachbund.errors import QueryError, SpecError
from sprachbund.mirror import reading as mirror_reading
from sprachbund.report import document
from sprachbund.results.number import explain_number, lines_of
from sprachbund.workspace import Workspace
from sprachbund_runners.jobs.registry import JOBS

Make = Callable[..., dict[str, Any]]
PLAIN = ["none", {"method": "experts", "k": 4, "controls": ["profile x2"]}, "centring"]
# No unit is the first of both targets.
FAILING = {"method": "intersection", "k": 1}
LABEL = "intersection eng_Latn k=1"
FIELDS = {"targets": ["eng_Latn"], "embeddings": {"layers": [1, "final"]}, "statistics": {"resamples": 100}}


def compared(space: Workspace, name: str) -> pl.DataFrame:
    """All numbers of a comparison but where its rows stand."""
    return space.compare(name).rows.drop("ordinal").sort("setting", "layer", "metric", "corpus")


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Interventions of k=12 cannot be made until this is undone."""
    make = JOBS["intervention"]

    def fails(claims: Any, context: Any) -> Iterator[Any]:
        for claim in claims:
            if claim.payload.edited.k == 12:
                raise SpecError("k: there are only 11 such units")
        yield from make(claims, context)

    monkeypatch.setitem(JOBS, "intervention", fails)
    return monkeypatch


def test_the_others_are_what_they_are_without_it(
    space: Workspace, experiment: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A command ends with its process, and so do its connections; here they would stay.
    monkeypatch.setattr(workspace, "open", lambda: space)
    space.submit(experiment(name="whole", interventions=[*PLAIN, FAILING], **FIELDS))
    assert space.run().failed == 1
    space.submit(experiment(name="plain", interventions=PLAIN, **FIELDS))
    assert space.run().failed == 0
    assert_frame_equal(compared(space, "whole"), compared(space, "plain"))
    (line, note, *_) = space.compare("whole").missing
    assert line.startswith(f"row '{LABEL}' left out: job ") and "share no unit" in line
    assert note.startswith("q-values")
    assert space.compare("plain").missing == []
    status = CliRunner().invoke(app, ["status", "whole"]).output
    assert f"test: row '{LABEL}' left out" in status.replace("\n", " ")
    assert "left out" not in CliRunner().invoke(app, ["status", "plain"]).output
    everything = json.loads(CliRunner().invoke(app, ["status", "--json"]).output)["left_out"]
    assert {(each["experiment"], each["label"]) for each in everything} == {("whole", LABEL)}
    assert f"row &#39;{LABEL}&#39; left out" in document.report(space.engine, "whole")
    with pytest.raises(QueryError, match=r"left out: job .* share no unit"):
        explain_number(space.engine, space.compare("whole"), LABEL)


def test_it_is_taken_in_when_it_comes(space: Workspace, experiment: Make, broken: pytest.MonkeyPatch) -> None:
    rows = ["none", {"method": "experts", "k": [4, 12], "controls": ["profile x1"]}]
    space.submit(experiment(interventions=rows, **FIELDS))
    assert space.run().failed > 0
    found = space.compare("tiny")
    assert [each.label for each in found.left_out] == [
        "experts eng_Latn k=12", "random:profile seed=0 of experts eng_Latn k=12"
    ]  # fmt: skip
    assert set(found.rows["setting"]) == {
        "none", "experts eng_Latn k=4", "random:profile of experts eng_Latn k=4"
    }  # fmt: skip
    with reading(space.engine) as connection:
        ids = [row[0] for row in connection.exec_driver_sql("SELECT setting_id FROM experiment_settings")]
        tags = {each.label: each.tags["sprachbund.left_out"] for each in mirror_reading.read(connection, 1, ids)}
    assert {label for label, reason in tags.items() if "only 11 such units" in reason} == {
        each.label for each in found.left_out
    }
    broken.undo()
    assert space.queue.retry("tiny") > 0
    assert space.run().failed == 0
    assert space.compare("tiny").missing == []
    again = experiment(name="again", interventions=rows, **FIELDS)
    submitted = space.submit(again)
    assert submitted.n_new == 0
    retried = space.compare("tiny")
    assert retried.rows.filter(pl.col("setting") == "experts eng_Latn k=12", pl.col("q").is_not_null()).height > 0


def test_another_experiment_tries_again_what_failed(
    space: Workspace, experiment: Make, broken: pytest.MonkeyPatch
) -> None:
    """Its comparison is new, and goes below what failed before anybody has run it: it is wanted all the same."""
    steered = {"method": "experts", "k": [4, 12]}
    space.submit(experiment(interventions=["none", steered], **FIELDS))
    assert space.run().failed > 0
    broken.undo()
    submitted = space.submit(experiment(name="more", interventions=["none", "centring", steered], **FIELDS))
    assert submitted.new["comparison"] > 0 and submitted.reopened > 0
    assert "cancelled" not in space.queue.counts()
    assert space.run().failed == 0
    for name in ("tiny", "more"):
        assert space.compare(name).missing == []


def test_what_is_made_again_is_waited_for(space: Workspace, experiment: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody finds a file of an evaluation lost, and queues the evaluation again, just as a comparison begins."""
    compare = JOBS["comparison"]
    comparisons: list[int] = []

    def disturbed(claims: Any, context: Any) -> Iterator[Any]:
        if not comparisons:
            comparisons.append(claims[0].job_id)
            with reading(context.engine) as connection:
                needs = select(func.max(JobEdge.needs_id)).where(JobEdge.job_id == comparisons[0])
                evaluation = connection.execute(needs).scalar_one()
            assert space.queue.reopen([evaluation]) == 1
        yield from compare(claims, context)

    monkeypatch.setitem(JOBS, "comparison", disturbed)
    space.submit(experiment(interventions=PLAIN, **FIELDS))
    assert space.run().failed == 0
    assert space.compare("tiny").missing == []
    with reading(space.engine) as connection:
        attempts = connection.execute(
            select(JobAttempt.outcome).where(JobAttempt.job_id == comparisons[0]).order_by(JobAttempt.attempt)
        )
        assert list(attempts.scalars()) == ["released", "done"]


def test_numbers_of_controls_are_explained_by_key(space: Workspace, experiment: Make, tiny_model: Any) -> None:
    """Of transformed rows, and of two models, whose names and transforms are in the labels: one model in two types."""
    models = [
        {"path": str(tiny_model), "name": name, **more} for name, more in (("a", {}), ("b", {"dtype": "bfloat16"}))
    ]
    rows = ["none", "centring", {"method": "experts", "k": 4, "transform": "centring", "controls": ["profile x2"]}]
    content = experiment(models=models, interventions=rows, **FIELDS)
    space.submit(content)
    assert space.run().failed == 0
    found = space.compare("tiny")
    assert "random:profile of experts eng_Latn k=4 + centring (b)" in lines_of(found)
    for place, label in enumerate(lines_of(found), 1):
        explained = explain_number(space.engine, found, str(place))
        facts = {heading: dict(each) for heading, each in explained.parts.items()}
        members = 2 if label.startswith("random") else 1
        assert len(facts["number"]["keys"]) == members
        assert facts["computed from"]["evaluations"] == 6 * members
    # Each row stands there once, is called what the experiment calls its model, and is beside that one's centring.
    for (setting, model), cells in found.rows.group_by("setting", "model"):
        assert str(setting).endswith(f"({model})")
        assert cells.select("layer", "metric").is_unique().all()
    assert set(found.rows.filter(kind="control")["n_seeds"]) == {2}
    centred = {(row["model"], row["layer"]): row["value"] for row in found.rows.filter(
        transform="centring", method="none", metric="top1").iter_rows(named=True)}  # fmt: skip
    for row in found.rows.filter(kind="setting", metric="top1", method="experts").iter_rows(named=True):
        assert row["delta_centring"] == pytest.approx(row["value"] - centred[row["model"], row["layer"]])
