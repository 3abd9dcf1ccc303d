"""What commands print: tables for people, `--json` for programs."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> None:
    """A table as wide as it needs to be; numbers to the right."""
    listed = [tuple(row) for row in rows]
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for place, name in enumerate(columns):
        numeric = bool(listed) and all(isinstance(row[place], int | float | None) for row in listed)
        table.add_column(name, justify="right" if numeric else "left", no_wrap=True)
    for row in listed:
        table.add_row(*("" if value is None else str(value) for value in row))
    console = Console(soft_wrap=True)
    if not console.is_terminal:
        console = Console(width=max(200, console.width), soft_wrap=True)
    console.print(table)


def counts(values: Mapping[str, int]) -> str:
    """`3 snapshot, 2 expert_set`, or `none`."""
    return ", ".join(f"{count} {name}" for name, count in values.items()) or "none"
