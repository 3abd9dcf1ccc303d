"""A setting that fails takes nobody with it: its row is left out, said so everywhere, and taken in when it comes."""

from collections.abc import Callable, Iterator
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

from sprachbund import workspace
from sprachbund.cli.main import app
from sprachbund.db.engine import reading
from sprachbund.errors import QueryError, SpecError
from sprachbund.mirror import reading as mirror_reading
from sprachbund.report import document
from sprachbund.results.number import explain_number, lines_of
from sprachbund.workspace import Workspace
from sprachbund_runners.jobs import JOBS

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


def test_numbers_of_controls_are_explained_by_key(space: Workspace, experiment: Make, tiny_model: Any) -> None:
    """Of transformed rows, and of two models, whose names and transforms are in the labels."""
    models = [
        {"path": str(tiny_model), "name": name, **more} for name, more in (("a", {}), ("b", {"dtype": "bfloat16"}))
    ]
    rows = ["none", {"method": "experts", "k": 4, "transform": "centring", "controls": ["profile x2"]}]
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
