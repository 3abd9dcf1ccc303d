"""Results as frames: what is asked for is read, whichever way it is asked for."""

import polars as pl
import pytest

from sprachbund.errors import QueryError
from sprachbund.results.frames import VIEW_OF, Frames, Kind, frames
from sprachbund.results.reader import read_view
from support.made import STEERED, Database

ORDER = "setting_ordinal, layer_ordinal, role, corpus, query_language, candidate_language, metric"


@pytest.mark.parametrize("batch", [1, 60, 1000])
@pytest.mark.parametrize("kind", list(VIEW_OF))
def test_batches_together_are_the_view(
    database: Database, kind: Kind, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sprachbund.results.frames.BATCH", batch)
    view = VIEW_OF[kind]
    expected = read_view(database.engine, view, f"experiment = :name ORDER BY {ORDER}", {"name": "made"})
    asked = frames(database.engine, "made", kind)
    assert (len(list(asked.batches())) > 1) == (batch < 1000)
    assert asked.scan().collect().equals(expected)
    assert expected.height > 0


def test_what_is_asked_for_is_all_that_is_read(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = frames(database.engine, "made").scan().collect()
    of = {"metrics": ["mrr"], "layers": [1, "final"], "settings": [STEERED, "none"]}
    expected = everything.filter(
        pl.col("metric") == "mrr", pl.col("layer").is_in(["1", "final"]), pl.col("setting").is_in([STEERED, "none"])
    )
    found = frames(database.engine, "made", **of)
    assert found.scan().collect().equals(expected)
    # In the plan's order and once, however they are asked for.
    again = {**of, "settings": ["none", STEERED, "none"], "layers": ["final", 1, 1]}
    assert frames(database.engine, "made", **again).scan().collect().equals(expected)
    read: list[list[str]] = []
    batches = Frames.batches

    def noted(self, columns=None):
        read.append(list(columns or []))
        return batches(self, columns)

    monkeypatch.setattr(Frames, "batches", noted)
    lazy = found.scan().filter(pl.col("delta") > 0).select("setting", "value")
    assert (
        lazy.collect()
        .sort("value")
        .equals(expected.filter(pl.col("delta") > 0).select("setting", "value").sort("value"))
    )
    assert sorted(read[-1]) == ["delta", "setting", "value"]
    assert found.scan().head(5).collect().equals(expected.head(5))
    # The first rows and then a filter, or the other way round.
    better = pl.col("delta") > 0
    assert found.scan().head(20).filter(better).collect().equals(expected.head(20).filter(better))
    assert found.scan().filter(better).head(20).collect().equals(expected.filter(better).head(20))


def test_one_name_is_as_good_as_a_list_of_one(database: Database) -> None:
    several = frames(database.engine, "made", metrics=["mrr"], layers=[1], settings=["none"]).scan().collect()
    assert frames(database.engine, "made", metrics="mrr", layers=1, settings="none").scan().collect().equals(several)
    assert several.height == 24


def test_nothing_asked_for_is_nothing(database: Database) -> None:
    whole = frames(database.engine, "made").scan().collect()
    for of in ({"metrics": []}, {"layers": []}, {"settings": []}):
        none = frames(database.engine, "made", **of).scan().collect()
        assert (none.height, none.schema) == (0, whole.schema)
        assert frames(database.engine, "made", **of).scan().collect().height == 0


@pytest.mark.parametrize(
    ("kind", "of", "said"),
    [
        ("retrieval", {"metrics": ["top2"]}, "unknown metric 'top2'"),
        ("retrieval", {"metrics": ["paired_distance"]}, "unknown metric 'paired_distance'"),
        ("alignment", {"layers": ["11"]}, "unknown layer '11'"),
        ("retrieval", {"settings": ["nonne"]}, "unknown setting 'nonne' of experiment 'made'; did you mean 'none'"),
        ("distance", {}, "unknown kind 'distance'"),
    ],
)
def test_what_does_not_exist_is_refused(database: Database, kind: str, of: dict[str, list[str]], said: str) -> None:
    with pytest.raises(QueryError) as error:
        frames(database.engine, "made", kind, **of)
    assert str(error.value).startswith(said)
