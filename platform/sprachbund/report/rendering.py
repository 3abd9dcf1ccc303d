"""Comparison tables rendered for the console, Markdown and LaTeX; comparisons as CSV and JSON."""

import json
from collections.abc import Iterator
from typing import Any

import polars as pl
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from sprachbund.errors import QueryError
from sprachbund.report.tables import layout
from sprachbund.results.comparison import Comparison

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "Δ": r"$\Delta$", "–": "--", "…": r"\dots{}",
    "×": r"$\times$", "<": r"$<$", ">": r"$>$", "→": r"$\to$", "−": "$-$",
}  # fmt: skip


def console(comparison: Comparison) -> Group:
    """Rich tables for a terminal."""
    parts: list[Table | Text] = []
    for table in layout(comparison):
        shown = Table(pad_edge=False, box=SIMPLE_HEAD)
        for number, column in enumerate(table.columns):
            label = number < table.labels
            shown.add_column(
                column if label else column.replace("_", "_\n"),
                justify="left" if label else "right",
                overflow="fold",
                min_width=min(20, max([len(row[number]) for row in table.rows], default=0)) if label else None,
            )
        for row, control in zip(table.rows, table.controls, strict=True):
            shown.add_row(*(Text(cell) for cell in row), style="dim" if control else None)
        parts += [Text(table.title, style="bold"), shown, *(Text(note, style="dim") for note in table.notes), Text("")]
    return Group(*parts, *(Text(line) for line in _missing_lines(comparison)))


def to_markdown(comparison: Comparison) -> str:
    """GitHub-style tables."""
    parts = []
    for table in layout(comparison):
        align = ["---"] * table.labels + ["---:"] * (len(table.columns) - table.labels)
        lines = [_markdown_row(row) for row in (table.columns, tuple(align), *table.rows)]
        parts += [f"**{table.title}**", "\n".join(lines), *table.notes]
    return "\n\n".join([*parts, *_missing_lines(comparison)]) + "\n"


def to_latex(comparison: Comparison) -> str:
    """`table` environments for the package booktabs."""
    parts = []
    for table in layout(comparison):
        notes = " ".join(f"{note}." for note in table.notes)
        parts += [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_latex(table.title)}. {_latex(notes)}}}",
            rf"\begin{{tabular}}{{{'l' * table.labels}{'r' * (len(table.columns) - table.labels)}}}",
            r"\toprule",
            " & ".join(map(_latex, table.columns)) + r" \\",
            r"\midrule",
            *(" & ".join(map(_latex, row)) + r" \\" for row in table.rows),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    return "\n".join([*parts, *(f"% {line}" for line in _missing_lines(comparison))])


def to_csv(comparison: Comparison) -> str:
    """The comparison's rows, one number a line, with all columns."""
    return "".join(csv_parts(comparison))


def csv_parts(comparison: Comparison, n_rows: int = 10_000) -> Iterator[str]:
    """`to_csv` so many rows at a time: of all pairs it is long."""
    yield comparison.rows.head(0).write_csv()
    for part in comparison.rows.iter_slices(n_rows):
        yield part.write_csv(include_header=False)


def to_json(comparison: Comparison) -> str:
    """One JSON object: what was compared, rows, controls and what is missing."""
    names = "experiment role scope metric metrics layers detail_layers layer_reason by vs chosen missing"
    content: dict[str, Any] = {name: getattr(comparison, name) for name in names.split()}
    for name in ("rows", "controls", "side_effects"):
        frame: pl.DataFrame = getattr(comparison, name)
        content[name] = frame.fill_nan(None).to_dicts()
    return json.dumps(content, ensure_ascii=False, allow_nan=False)


def _missing_lines(comparison: Comparison) -> list[str]:
    if not comparison.missing:
        return []
    shown = comparison.missing[:20]
    more = len(comparison.missing) - len(shown)
    return [f"missing: {line}" for line in shown] + ([f"missing: {more} more"] if more else [])


def _markdown_row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("  ", "&nbsp;&nbsp;") for cell in cells) + " |"


def _latex(cell: str) -> str:
    indent = r"\quad " * ((len(cell) - len(cell.lstrip())) // 2)
    return indent + "".join(_LATEX.get(character, character) for character in cell.strip())


RENDERERS = {"csv": to_csv, "json": to_json, "latex": to_latex, "markdown": to_markdown}


def render(comparison: Comparison, form: str) -> str:
    """A comparison as `csv`, `json`, `latex` or `markdown`."""
    if form not in RENDERERS:
        raise QueryError(f"unknown form '{form}'; expected one of {', '.join(RENDERERS)}")
    return RENDERERS[form](comparison)
