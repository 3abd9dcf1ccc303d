"""What a view is made of. Its SELECT, its section of docs/views.md and the types of its frames follow from it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from sprachbund.errors import DatabaseError

# A flag is the integer 0 or 1, which SQLite and PostgreSQL compare alike; json is text that holds JSON.
Type = Literal["integer", "real", "text", "flag", "json"]

# What the two engines spell differently: the elements of a JSON array or object, and joining distinct texts.
_DIALECTS: dict[str, dict[str, str]] = {
    "sqlite": {
        "JSON_ROWS(": "json_each(",
        "JSON_FIELDS(": "json_each(",
        "JSON_PARTS(": "json_each(",
        "JSON_PLACES(l.branches) AS planned_branch(value, place)": "json_each(l.branches) AS planned_branch",
        "JSON_PLACE(planned_branch)": "planned_branch.key + 1",
        "AS planned_layer(value)": "AS planned_layer",
        "AS planned_pair(value)": "AS planned_pair",
        "JOIN_TEXT(": "group_concat(",
    },
    "postgresql": {
        "JSON_ROWS(": "jsonb_array_elements_text(",
        "JSON_FIELDS(": "jsonb_each(",
        "JSON_PARTS(": "jsonb_array_elements(",
        "JSON_PLACES(l.branches)": "jsonb_array_elements_text(l.branches) WITH ORDINALITY",
        "JSON_PLACE(planned_branch)": "planned_branch.place",
        "JOIN_TEXT(": "string_agg(",
    },
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a view: its name, the expression over the view's FROM part, its type, and what it holds."""

    name: str
    sql: str
    type: Type
    says: str


@dataclass(frozen=True, slots=True)
class Source:
    """A FROM part (joins, WHERE, GROUP BY), and the view's columns that are other expressions over it, by name."""

    sql: str
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class View:
    """FROM parts and a list of columns; `description` says what a row is.

    sources: the FROM part. Of several, each yields rows (UNION ALL). `before` stands before SELECT (WITH …).
    """

    name: str
    description: str
    sources: tuple[str | Source, ...]
    columns: tuple[Column, ...]
    before: str = ""

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    def text(self, dialect: str) -> str:
        """The SELECT for an engine (`sqlite` or `postgresql`); raises DatabaseError for any other."""
        if dialect not in _DIALECTS:
            raise DatabaseError(f"no views for database '{dialect}'; expected sqlite or postgresql")
        sources = (each if isinstance(each, Source) else Source(each) for each in self.sources)
        sql = self.before + "\nUNION ALL\n".join(map(self._select, sources))
        for portable, native in _DIALECTS[dialect].items():
            sql = sql.replace(portable, native)
        return sql

    def _select(self, source: Source) -> str:
        columns = (f"{source.columns.get(each.name, each.sql)} AS {each.name}" for each in self.columns)
        return "SELECT\n    " + ",\n    ".join(columns) + f"\n{source.sql.strip()}"

    def markdown(self) -> str:
        """The view's section of the reference page."""
        lines = [f"## {self.name}", "", self.description, "", "| column | type | meaning |", "| --- | --- | --- |"]
        return "\n".join(lines + [f"| `{each.name}` | {each.type} | {each.says} |" for each in self.columns])


def of(columns: Iterable[Column], names: str) -> tuple[Column, ...]:
    """The columns that `names` (separated by blanks) lists, in its order."""
    by_name = {column.name: column for column in columns}
    return tuple(by_name[name] for name in names.split())


def changed(
    columns: Iterable[Column], sql: Mapping[str, str] | None = None, says: Mapping[str, str] | None = None
) -> tuple[Column, ...]:
    """The same columns, some with another expression or meaning: what another FROM part makes of them."""
    sql, says, columns = sql or {}, says or {}, tuple(columns)
    unknown = {*sql, *says} - {column.name for column in columns}
    if unknown:
        raise ValueError(f"no column {sorted(unknown)[0]} to change")
    return tuple(
        replace(column, sql=sql.get(column.name, column.sql), says=says.get(column.name, column.says))
        for column in columns
    )
