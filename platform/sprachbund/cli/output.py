"""What commands print: tables for people, `--json` for programs."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.table import Table

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> None:
    """A table; numbers to the right. On a terminal the last column is folded first."""
    listed = [tuple(row) for row in rows]
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for place, name in enumerate(columns):
        numeric = bool(listed) and all(isinstance(row[place], int | float | None) for row in listed)
        last = place == len(columns) - 1
        table.add_column(name, justify="right" if numeric else "left", no_wrap=not last, overflow="fold")
    for row in listed:
        table.add_row(*("" if value is None else str(value) for value in row))
    print_rendered(table)


def print_rendered(what: RenderableType) -> None:
    """Print for a person. A file or a pipe has no width: lines are as long as they need to be."""
    # Brackets and colons in results are no markup.
    plain: dict[str, Any] = {"markup": False, "emoji": False}
    console = Console(**plain)
    if not console.is_terminal:
        width = Measurement.get(console, console.options.update(width=sys.maxsize), what).maximum
        console = Console(width=width, **plain)
    console.print(what)


def counts(values: Mapping[str, int]) -> str:
    """`3 snapshot, 2 expert_set`, or `none`."""
    return ", ".join(f"{count} {name}" for name, count in values.items()) or "none"


def in_bytes(n: int) -> str:
    """`732.1 MB`: decimal, as disks are sold."""
    size, units = float(n), ["bytes", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{n} bytes" if units[0] == "bytes" else f"{size:.1f} {units[0]}"
