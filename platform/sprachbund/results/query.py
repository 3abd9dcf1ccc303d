"""SQL of users: one SELECT, read-only, limited in time and size, to a Polars frame and on to a file."""

import json
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from sprachbund.db.aggregates import register_aggregates
from sprachbund.db.engine import describe, sqlite_path
from sprachbund.db.tables import Base
from sprachbund.db.views import VIEWS
from sprachbund.errors import DatabaseError, QueryError, nearest

MAX_ROWS = 1_000_000
# One text or blob may not grow beyond this (bytes): SQL can build gigabytes in one expression.
_MAX_VALUE = 64_000_000
# SQLite virtual-machine steps between two looks at the clock: some hundred microseconds.
_STEPS = 20_000
_ALLOWED = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
}
# Literals, quoted names, comments and casts, in which a colon names no parameter; then parameters.
_PIECES = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|::|:(?P<name>[A-Za-z_]\w*)|%", re.DOTALL)
_LEADING = re.compile(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/|\()*", re.DOTALL)
_READING = ("select", "with", "values")

Rows = Sequence[Sequence[Any]]


def run(
    engine: Engine,
    sql: str,
    params: Mapping[str, Any] | None = None,
    limit_s: float = 30,
    max_rows: int = MAX_ROWS,
) -> pl.DataFrame:
    """The rows of one SELECT as a frame.

    Parameters are named `:name` in `sql`. `median(x)`, `quantile(x, q)` and `corr(x, y)` exist on both
    engines. JSON columns come as text.

    Raises:
        QueryError: not one SELECT; an unknown table or column; longer than `limit_s` seconds; more than
            `max_rows` rows; or anything else that the database says.
    """
    names, rows = next(_fetched(engine, sql, params, limit_s, max_rows + 1))
    if len(rows) > max_rows:
        raise QueryError(f"the query has more than {max_rows} rows; narrow it, or add LIMIT")
    return to_frame(names, rows)


def stream(
    engine: Engine, sql: str, params: Mapping[str, Any] | None = None, limit_s: float = 30, n_rows: int = 50_000
) -> Iterator[pl.DataFrame]:
    """As `run`, at most so many rows at a time, however many there are; at least one frame."""
    for names, rows in _fetched(engine, sql, params, limit_s, n_rows):
        yield to_frame(names, rows)


def _fetched(
    engine: Engine, sql: str, params: Mapping[str, Any] | None, limit_s: float, n_rows: int
) -> Iterator[tuple[list[str], Rows]]:
    """Names of the columns, and so many rows, until there are no more."""
    sql = _one_select(sql)
    if engine.dialect.name == "sqlite":
        return _run_sqlite(engine, sql, dict(params or {}), limit_s, n_rows)
    return _run_postgresql(engine, sql, params, limit_s, n_rows)


def _one_select(sql: str) -> str:
    sql = sql.strip().rstrip(";").rstrip()
    if not sql:
        raise QueryError("the query is empty; expected SELECT …")
    leading = _LEADING.match(sql)
    word = re.match(r"\w*", sql[leading.end() if leading else 0 :])
    first = word.group().lower() if word else ""
    if first not in _READING:
        raise QueryError(f"queries only read: expected SELECT, WITH or VALUES, found {first.upper() or sql[:20]!r}")
    return sql


@contextmanager
def _read_only_sqlite(engine: Engine, deadline: float) -> Iterator[sqlite3.Connection]:
    path = sqlite_path(engine)
    uri = f"file:{quote(str(path))}?mode=ro"
    # Rows may be fetched by another thread than the one that asked for them, one at a time (Polars' scans).
    raw = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=5, check_same_thread=False)
    try:
        raw.execute("PRAGMA query_only = ON")
        register_aggregates(raw)
        raw.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE)
        raw.set_progress_handler(lambda: int(time.monotonic() > deadline), _STEPS)
        raw.set_authorizer(_authorise)
        yield raw
    finally:
        raw.close()


def _authorise(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    if action not in _ALLOWED or (action == sqlite3.SQLITE_FUNCTION and second == "load_extension"):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def _run_sqlite(
    engine: Engine, sql: str, params: dict[str, Any], limit_s: float, n_rows: int
) -> Iterator[tuple[list[str], Rows]]:
    deadline = time.monotonic() + limit_s
    try:
        with _read_only_sqlite(engine, deadline) as raw:
            cursor = raw.execute(sql, params)
            yield from _parts(cursor, [column[0] for column in cursor.description], n_rows)
    except (sqlite3.Error, sqlite3.Warning) as error:
        message = str(error)
        if "unable to open database" in message:
            raise DatabaseError(f"database {describe(engine.url)} is gone, or may not be opened") from None
        if "interrupted" in message:
            raise QueryError(_too_long(limit_s)) from None
        if "one statement at a time" in message:
            raise QueryError("found several statements; expected one SELECT") from None
        if "not authorized" in message or "prohibited" in message:
            raise QueryError(f"queries only read the tables and views: {message}") from None
        raise QueryError(_explain(_first_line(message), sql)) from None


def _run_postgresql(
    engine: Engine, sql: str, params: Mapping[str, Any] | None, limit_s: float, n_rows: int
) -> Iterator[tuple[list[str], Rows]]:
    import psycopg

    try:
        pooled = engine.raw_connection()
    except DBAPIError as error:
        raise DatabaseError(f"database {describe(engine.url)}: {_first_line(str(error.orig))}") from None
    raw = pooled.driver_connection
    assert isinstance(raw, psycopg.Connection)
    # What a query may leave behind in its session (advisory locks) ends with the connection.
    pooled.detach()
    try:
        raw.rollback()
        raw.execute("SET TRANSACTION READ ONLY")
        raw.execute("SELECT set_config('statement_timeout', %s, true)", [str(max(1, int(limit_s * 1000)))])
        # The views join twenty tables in a good order; searching for a better one takes most of a second.
        raw.execute("SET LOCAL join_collapse_limit = 4")
        # Many results are joined by languages and layers: hashing these texts takes half as long as sorting by them.
        raw.execute("SET LOCAL enable_mergejoin = off")
        raw.execute("SET LOCAL work_mem = '64MB'")
        # A named cursor goes by DECLARE … CURSOR FOR: the server accepts exactly one reading statement.
        with raw.cursor(name="sprachbund_query") as cursor:
            if params:
                cursor.execute(percent_style(sql), dict(params))
            else:
                cursor.execute(sql)
            yield from _parts(cursor, [column.name for column in cursor.description or ()], n_rows)
    except psycopg.errors.QueryCanceled:
        raise QueryError(_too_long(limit_s)) from None
    except psycopg.Error as error:
        message = _first_line(error.diag.message_primary or str(error))
        if "multiple commands" in message:
            raise QueryError("found several statements; expected one SELECT") from None
        if isinstance(error, (psycopg.errors.ReadOnlySqlTransaction, psycopg.errors.FeatureNotSupported)):
            raise QueryError(f"queries only read the tables and views: {message}") from None
        raise QueryError(_explain(message, sql)) from None
    finally:
        # It is the pool's no longer; closing `pooled` too would roll back on a closed connection.
        raw.close()


def _parts(cursor: Any, names: list[str], n_rows: int) -> Iterator[tuple[list[str], Rows]]:
    rows = cursor.fetchmany(n_rows)
    yield names, rows
    while len(rows) == n_rows and (rows := cursor.fetchmany(n_rows)):
        yield names, rows


def parameters_of(sql: str) -> tuple[str, ...]:
    """The names of the parameters in `sql`, in its order."""
    return tuple(dict.fromkeys(each["name"] for each in _PIECES.finditer(sql) if each["name"]))


def percent_style(sql: str) -> str:
    """`:name` as psycopg wants it, `%(name)s`, with every other % doubled."""

    def replaced(found: re.Match[str]) -> str:
        if found["name"]:
            return f"%({found['name']})s"
        return found.group().replace("%", "%%")

    return _PIECES.sub(replaced, sql)


def _too_long(limit_s: float) -> str:
    return f"the query took longer than {limit_s:g} s; narrow it (filter by experiment first) or raise the limit"


def _first_line(message: str) -> str:
    return message.strip().splitlines()[0] if message.strip() else "the database gives no reason"


def _explain(message: str, sql: str) -> str:
    """One line, with the nearest view or column where a name is unknown."""
    table = re.search(r'no such table: (?:main\.)?(\S+)|relation "([^"]+)" does not exist', message)
    if table:
        name = table[1] or table[2]
        if name in VIEWS:
            return f"the view {name} is missing from this database: run `sprachbund db upgrade`"
        return f"unknown view or table '{name}'{nearest(name, [*VIEWS, *Base.metadata.tables])}"
    column = re.search(r'no such column: (?:\w+\.)?(\S+)|column (?:\w+\.)?"?([^"\s]+)"? does not exist', message)
    if column:
        name = column[1] or column[2]
        return f"unknown column '{name}'{nearest(name, _columns(sql))}"
    return f"the query fails: {message}"


def _columns(sql: str) -> list[str]:
    """Columns of the views and tables that a statement mentions, of all views if it mentions none."""
    words = set(re.findall(r"\w+", sql))
    found = [column for name, view in VIEWS.items() if name in words for column in view.names]
    found += [column.name for name, table in Base.metadata.tables.items() if name in words for column in table.columns]
    return found or [column for view in VIEWS.values() for column in view.names]


def _plain(value: Any) -> Any:
    """PostgreSQL's decimals and JSON as what SQLite gives: floats and text."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    return value


def to_frame(names: Sequence[str], rows: Rows) -> pl.DataFrame:
    """A frame of database rows; raises QueryError for two columns of one name."""
    for name in names:
        if names.count(name) > 1:
            raise QueryError(f"two columns are called '{name}'; rename one with AS")
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    return pl.DataFrame([_series(name, values) for name, values in zip(names, columns, strict=True)])


def _series(name: str, values: Sequence[Any]) -> pl.Series:
    """A typed column; numbers of both kinds become floats, other mixtures text (SQLite types values)."""
    kinds = set(map(type, values)) - {type(None)}
    if kinds & {Decimal, dict, list}:
        values = [_plain(value) for value in values]
        kinds = set(map(type, values)) - {type(None)}
    if float in kinds and kinds <= {int, float}:
        return pl.Series(name, values, pl.Float64, strict=False)
    if len(kinds) > 1:
        return pl.Series(name, [None if value is None else str(value) for value in values], pl.String)
    return pl.Series(name, values, {str: pl.String, int: pl.Int64}.get(next(iter(kinds), None)), strict=True)  # type: ignore[arg-type]


def to_csv(frame: pl.DataFrame) -> str:
    """Comma-separated text with a header line; NULL is empty."""
    return frame.write_csv()


def to_json(frame: pl.DataFrame) -> str:
    """A JSON list of one object per row; NULL and NaN are null."""
    return json.dumps(frame.fill_nan(None).to_dicts(), ensure_ascii=False, default=str)


def write_parquet(frame: pl.DataFrame, path: str | Path) -> None:
    """Write a Parquet file; raises QueryError if it cannot be written."""
    try:
        frame.write_parquet(path)
    except OSError as error:
        raise QueryError(f"{path}: cannot be written: {error.strerror or error}") from None
