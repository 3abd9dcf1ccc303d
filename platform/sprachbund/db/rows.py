"""Rows put into tables: new ones, and those that may stand there already."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from sprachbund.db import tables as t

T = TypeVar("T")
CHUNK = 400


def chunks(values: Sequence[T]) -> Iterable[Sequence[T]]:
    """Parts short enough for one statement."""
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]


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


def insert_many(connection: Connection, table: type[t.Base], rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), rows)
