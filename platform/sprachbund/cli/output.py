"""What commands print: tables for people, `--json` for programs."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console, Group, RenderableType

from sprachbund.report.fitting import FittedTable, Paragraph

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Wide = Annotated[bool, typer.Option("--wide", help="Lines as long as the table needs.")]
# Where standard output is no terminal and COLUMNS says nothing.
WIDTH = 120
_ENDLESS = 1_000_000


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    title: str | None = None,
    wide: bool = False,
    labels: int = 1,
    leaving: Sequence[str] = (),
) -> None:
    """A table; numbers to the right. labels: leading columns that every block repeats; leaving: these go first."""
    listed = [tuple(row) for row in rows]
    numbers = [bool(listed) and all(isinstance(row[place], int | float | None) for row in listed)
               for place in range(len(columns))]  # fmt: skip
    table = FittedTable(
        columns,
        [["" if value is None else str(value) for value in row] for row in listed],
        labels,
        frozenset(place for place, numeric in enumerate(numbers) if place >= labels and not numeric),
        leaving=[columns.index(name) for name in leaving],
    )
    print_rendered(Group(*([Paragraph(title, "bold")] if title else []), table), wide)


def print_rendered(what: RenderableType, wide: bool = False) -> None:
    """Print for a person, as wide as the terminal, COLUMNS or, without either, `WIDTH`."""
    # Brackets and colons in results are no markup.
    console = Console(markup=False, emoji=False)
    if wide:
        console.width = _ENDLESS
    elif not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDTH
    # What is longer than a line is not ours to break.
    console.print(what, soft_wrap=True)


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
