"""Rows put into tables: new ones, and those that may stand there already."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Table, any_, bindparam, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from sprachbund.db import tables as t

T = TypeVar("T")
CHUNK = 400


def chunks(values: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """Parts short enough for one statement."""
    left = iter(values)
    while chunk := list(islice(left, size)):
        yield chunk


# In a statement's text: the values bound to `:name` as one by `listed`, however many they are.
LISTED = {
    "sqlite": "(SELECT value FROM json_each(:{name}))",
    "postgresql": "(SELECT unnest(CAST(:{name} AS {type}[])))",
}


def listed(connection: Connection, values: Collection[Any]) -> Any:
    """What a name of LISTED is bound to."""
    return json.dumps(list(values)) if connection.dialect.name == "sqlite" else list(values)


def one_of(connection: Connection, column: Any, values: Collection[Any]) -> ColumnElement[bool]:
    """SQL: the column has one of the values, which are bound as one."""
    if connection.dialect.name == "sqlite":
        each = func.json_each(listed(connection, values)).table_valued("value")
        found: ColumnElement[bool] = column.in_(select(each.c.value))
    else:
        found = column == any_(bindparam(None, list(values), type_=postgresql.ARRAY(column.type)))
    return found


def upsert(
    connection: Connection, table: type[t.Base], row: Mapping[str, Any], unique: list[str], refresh: list[str]
) -> None:
    """Insert a row, or where `unique` exists already set the columns `refresh` anew."""
    build = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = build(table).values(**row)
    if refresh:
        changes = {name: row[name] for name in refresh}
        connection.execute(statement.on_conflict_do_update(index_elements=unique, set_=changes))
    else:
        connection.execute(statement.on_conflict_do_nothing(index_elements=unique))


def id_of(connection: Connection, table: Any, key: str, column: str = "key") -> int:
    return int(connection.execute(select(table.id).where(getattr(table, column) == key)).scalar_one())


def ids_of(connection: Connection, table: Any, keys: Sequence[str]) -> dict[str, int]:
    """Ids by key."""
    rows = connection.execute(select(table.key, table.id).where(one_of(connection, table.key, keys)))
    return {key: int(number) for key, number in rows}


def insert_new(connection: Connection, table: type[t.Base], rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert the rows that do not stand there already, a chunk at a time."""
    build = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = build(table).on_conflict_do_nothing()
    for chunk in chunks(rows):
        connection.execute(statement, chunk)


def insert_missing(connection: Connection, table: Any, rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Insert the rows whose key does not stand there; ids of all by key."""
    insert_new(connection, table, rows)
    return ids_of(connection, table, [row["key"] for row in rows])


def insert_many(connection: Connection, table: type[t.Base], rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert rows that have the same columns and do not stand there already."""
    left = iter(rows)
    first = next(left, None)
    if first is None:
        return
    every = chain([first], left)
    if connection.dialect.name == "postgresql":
        _copy(connection, table.metadata.tables[table.__tablename__], list(first), every)
    else:
        for chunk in chunks(every):
            connection.execute(insert(table), chunk)


def _copy(connection: Connection, table: Table, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """PostgreSQL takes rows in by COPY many times faster than by INSERT."""
    from psycopg import Error, sql

    dialect = connection.dialect
    to_stored = [table.c[name].type.dialect_impl(dialect).bind_processor(dialect) or (lambda value: value)
                 for name in columns]  # fmt: skip
    named = sql.SQL(", ").join(map(sql.Identifier, columns))
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), named)
    try:
        with connection.connection.cursor() as cursor, cursor.copy(statement) as copy:  # type: ignore[attr-defined]
            for row in rows:
                copy.write_row([stored(row[name]) for stored, name in zip(to_stored, columns, strict=True)])
    except Error as error:
        raise DBAPIError.instance(str(statement), None, error, Error, hide_parameters=True, dialect=dialect) from error


def foreign_pairs(connection: Connection, experiment_id: int) -> dict[int, set[tuple[str, str]]]:
    """Pairs of the experiment's jobs that it did not ask for, both ways, by job."""
    found: dict[int, set[tuple[str, str]]] = {}
    columns = select(t.ForeignPair.job_id, t.ForeignPair.query_language, t.ForeignPair.candidate_language)
    for job_id, *pair in connection.execute(columns.where(t.ForeignPair.experiment_id == experiment_id)):
        found.setdefault(job_id, set()).add((pair[0], pair[1]))
    return found


def asked_for(results: Any = t.PairResult) -> ColumnElement[bool]:
    """SQL: a row of `results` by a job of an experiment (joined: `experiment_jobs`) is of a pair that it asked for."""
    foreign = select(t.ForeignPair.job_id).where(
        t.ForeignPair.experiment_id == t.ExperimentJob.experiment_id,
        t.ForeignPair.job_id == results.job_id,
        t.ForeignPair.query_language == results.query_language,
        t.ForeignPair.candidate_language == results.candidate_language,
    )
    return ~foreign.exists()
