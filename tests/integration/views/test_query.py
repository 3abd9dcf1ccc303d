"""User SQL: what it may do, how its mistakes are explained, and the same numbers on both engines."""

import statistics
import time

import numpy as np
import polars as pl
import pytest
from sqlalchemy import text

from sprachbund.errors import QueryError
from sprachbund.results import query


def test_parameters_aggregates_and_types(database):
    frame = query.run(
        database.engine,
        "SELECT metric, count(*) AS n, median(value) AS middle, quantile(value, 0.25) AS low, "
        "corr(value, baseline) AS r, ' :experiment 100%' AS literal FROM retrieval_results "
        "WHERE experiment = :experiment AND role = 'test' AND setting <> 'none' GROUP BY metric ORDER BY metric",
        {"experiment": "made"},
    )
    truth = database.made.truth
    for row in frame.iter_rows(named=True):
        keys = [key for key in truth if key[0] == "test" and key[1] != "none" and key[2] == row["metric"]]
        values = [truth[key] for key in keys]
        baselines = [truth[("test", "none", *key[2:])] for key in keys]
        assert row["n"] == len(values)
        assert row["middle"] == pytest.approx(statistics.median(values))
        assert row["low"] == pytest.approx(np.quantile(values, 0.25))
        assert row["r"] == pytest.approx(np.corrcoef(values, baselines)[0, 1])
        assert row["literal"] == " :experiment 100%"
    assert frame["metric"].to_list() == ["mrr", "top1"]
    assert frame.schema["middle"] == pl.Float64
    assert frame.schema["n"] == pl.Int64


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("DELETE FROM experiments", "DELETE"),
        ("  -- a comment\n UPDATE experiments SET name = 'x'", "UPDATE"),
        ("PRAGMA query_only = OFF", "PRAGMA"),
        ("ATTACH 'other.db' AS other", "ATTACH"),
        ("COPY experiments TO STDOUT", "COPY"),
        ("/* x */ SET TRANSACTION READ WRITE", "SET"),
        ("; ", "empty"),
        ("", "empty"),
    ],
)
def test_only_reading_is_allowed(database, sql, found):
    with pytest.raises(QueryError, match=found):
        query.run(database.engine, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1; DELETE FROM experiments",
        "SELECT 1; SELECT 2",
        "SELECT 1; COMMIT; DELETE FROM experiments",
    ],
)
def test_several_statements_are_refused(database, sql):
    with pytest.raises(QueryError):
        query.run(database.engine, sql)
    assert query.run(database.engine, "SELECT count(*) AS n FROM experiments")["n"].to_list() == [1]


def test_writing_inside_a_select_is_refused(database):
    forbidden = {
        "sqlite": "SELECT load_extension('x')",
        "postgresql": "WITH gone AS (DELETE FROM experiments RETURNING id) SELECT * FROM gone",
    }
    with pytest.raises(QueryError):
        query.run(database.engine, forbidden[database.engine.dialect.name])
    also = "WITH one AS (SELECT 1) DELETE FROM experiments"
    with pytest.raises(QueryError):
        query.run(database.engine, also)
    assert query.run(database.engine, "SELECT count(*) AS n FROM experiments")["n"].to_list() == [1]


def test_a_session_is_left_as_it_was(database):
    engine = database.engine
    if engine.dialect.name != "postgresql":
        pytest.skip("session settings are PostgreSQL's")
    query.run(engine, "SELECT pg_advisory_lock(7), set_config('statement_timeout', '0', false)")
    with engine.connect() as connection:
        held = connection.execute(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"))
        assert held.scalar_one() == 0


def test_a_query_says_nothing_beside_its_rows(database, caplog):
    for _ in range(2):
        assert query.run(database.engine, "SELECT count(*) AS n FROM experiments")["n"].item() == 1
    with pytest.raises(QueryError):
        query.run(database.engine, "SELECT nothing FROM experiments")
    assert caplog.records == []


def test_a_long_query_is_stopped(database):
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) AS n FROM n"
    before = time.monotonic()
    with pytest.raises(QueryError, match=r"longer than 0\.2 s"):
        query.run(database.engine, endless, limit_s=0.2)
    assert time.monotonic() - before < 20


def test_too_many_rows_are_an_error_and_never_cut(database):
    sql = "SELECT value FROM retrieval_results WHERE experiment = 'made'"
    assert query.run(database.engine, sql, max_rows=1344).height == 1344
    with pytest.raises(QueryError, match="more than 1343 rows"):
        query.run(database.engine, sql, max_rows=1343)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (
            "SELECT * FROM retrieval_result",
            "unknown view or table 'retrieval_result'; did you mean 'retrieval_results'",
        ),
        (
            "SELECT quer_language FROM retrieval_results",
            "unknown column 'quer_language'; did you mean 'query_language'",
        ),
        ("SELECT r.valeu FROM retrieval_results r", "unknown column 'valeu'; did you mean 'value'"),
        ("SELECT fingerprnt FROM models", "unknown column 'fingerprnt'; did you mean 'fingerprint'"),
    ],
)
def test_unknown_names_get_the_nearest(database, sql, message):
    with pytest.raises(QueryError) as caught:
        query.run(database.engine, sql)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("sql", ["SELECT (", "SELECT nosuchfunction(1)", "SELECT median(1, 2, 3)"])
def test_other_mistakes_are_one_line(database, sql):
    with pytest.raises(QueryError) as caught:
        query.run(database.engine, sql)
    assert "\n" not in str(caught.value)


def test_a_missing_parameter_is_one_line(database):
    with pytest.raises(QueryError):
        query.run(database.engine, "SELECT :missing", {"other": 1})


def test_a_missing_view_names_the_upgrade(engine):
    with engine.begin() as connection:
        connection.execute(text("DROP VIEW generated_samples"))
    with pytest.raises(QueryError, match="sprachbund db upgrade"):
        query.run(engine, "SELECT * FROM generated_samples")


def test_a_column_named_twice_is_refused(database):
    with pytest.raises(QueryError, match="two columns are called 'a'"):
        query.run(database.engine, "SELECT 1 AS a, 2 AS a")


def test_empty_results_and_nulls(database):
    frame = query.run(database.engine, "SELECT value, p FROM retrieval_results WHERE experiment = 'nobody'")
    assert frame.columns == ["value", "p"]
    assert frame.height == 0
    nulls = query.run(database.engine, "SELECT p, value FROM retrieval_results LIMIT 3")
    assert nulls["p"].null_count() == 3
