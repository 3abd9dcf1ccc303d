"""Frames from database rows, and what they are written as."""

import json

import polars as pl
import pytest

from sprachbund.errors import QueryError
from sprachbund.results import query


def test_mixed_numbers_become_floats_and_other_mixtures_text():
    frame = query.to_frame(["a", "b", "c", "d"], [(1, "x", None, 1), (0.5, 2, None, 2), (None, None, None, 3)])
    assert frame.schema == {"a": pl.Float64, "b": pl.String, "c": pl.Null, "d": pl.Int64}
    assert frame["a"].to_list() == [1.0, 0.5, None]
    assert frame["b"].to_list() == ["x", "2", None]


def test_colons_and_percent_signs_outside_parameters_stay():
    sql = "SELECT ':no', \"a:b\", x::text, 10 % 3 -- :no 5%\n, /* :no */ :yes, '%''s :no'"
    assert query.percent_style(sql) == (
        "SELECT ':no', \"a:b\", x::text, 10 %% 3 -- :no 5%%\n, /* :no */ %(yes)s, '%%''s :no'"
    )


def test_csv_json_and_parquet(tmp_path):
    frame = pl.DataFrame({"name": ["ä", "b"], "value": [0.25, None], "nan": [float("nan"), 1.0]})
    assert query.to_csv(frame.drop("nan")) == "name,value\nä,0.25\nb,\n"
    assert json.loads(query.to_json(frame)) == [
        {"name": "ä", "value": 0.25, "nan": None},
        {"name": "b", "value": None, "nan": 1.0},
    ]
    query.write_parquet(frame, tmp_path / "x.parquet")
    assert pl.read_parquet(tmp_path / "x.parquet").equals(frame)


def test_parquet_that_cannot_be_written_is_one_line(tmp_path):
    with pytest.raises(QueryError, match="cannot be written"):
        query.write_parquet(pl.DataFrame({"a": [1]}), tmp_path / "missing" / "x.parquet")
