"""Rows put into tables: new ones, and those that may stand there already."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from sprachbund.db import tables as t

T = TypeVar("T")
CHUNK = 400


def chunks(values: Iterable[T]) -> Iterator[list[T]]:
    """Parts short enough for one statement."""
    left = iter(values)
    while chunk := list(islice(left, CHUNK)):
        yield chunk


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
    found: dict[str, int] = {}
    for chunk in chunks(keys):
        found.update((key, row_id) for key, row_id in connection.execute(_keyed(table).where(table.key.in_(chunk))))
    return found


def _keyed(table: Any) -> Any:
    return select(table.key, table.id)


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


def insert_many(connection: Connection, table: type[t.Base], rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), rows)


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
