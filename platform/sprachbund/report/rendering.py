"""Comparison tables rendered for the console, Markdown and LaTeX; comparisons as CSV and JSON."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rich.console import Group

from sprachbund.errors import QueryError
from sprachbund.report.contrasts import contrast_tables
from sprachbund.report.fitting import FittedTable, Paragraph
from sprachbund.report.tables import TextTable, layout
from sprachbund.results.comparison import BY, Comparison
from sprachbund.results.verdict import verdicts

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "Δ": r"$\Delta$", "–": "--", "…": r"\dots{}",
    "×": r"$\times$", "<": r"$<$", ">": r"$>$", "→": r"$\to$", "−": "$-$",
}  # fmt: skip


# What says more of the column before it, and stays beside it.
_TIED = frozenset({"interval", "range of controls", "p", "q"})


def console(comparison: Comparison) -> Group:
    """Tables for a terminal, as wide as it is."""
    parts: list[FittedTable | Paragraph] = [Paragraph(line) for line in verdict_lines(comparison)]
    parts += [Paragraph("")] if parts else []
    for table in tables_of(comparison):
        parts += [*fitted(table), Paragraph("")]
    return Group(*parts, *map(Paragraph, _missing_lines(comparison)))


def tables_of(comparison: Comparison) -> list[TextTable]:
    """All tables of a comparison: after a choice, what was chosen comes first. Contrasts have no row per language."""
    if any(BY[each] for each in comparison.by):
        return layout(comparison)
    corpora = comparison.rows["corpus"].unique(maintain_order=True)
    return [*(table for corpus in corpora for table in contrast_tables(comparison, corpus)), *layout(comparison)]


def fitted(table: TextTable) -> list[FittedTable | Paragraph]:
    """A table between its title and notes, as wide as the terminal."""
    tied = frozenset(place for place, name in enumerate(table.columns) if name in _TIED)
    dim = frozenset(place for place, control in enumerate(table.controls) if control)
    shown = FittedTable(table.columns, table.rows, table.labels, tied=tied, dim=dim)
    return [Paragraph(table.title, "bold"), shown, *(Paragraph(note, "dim") for note in table.notes)]


def to_markdown(comparison: Comparison) -> str:
    """GitHub-style tables after the verdict, a list."""
    parts = ["\n".join(f"- {_markdown(line)}" for line in verdict_lines(comparison))]
    for table in tables_of(comparison):
        align = ["---"] * table.labels + ["---:"] * (len(table.columns) - table.labels)
        lines = [_markdown_row(row) for row in (table.columns, tuple(align), *table.rows)]
        parts += [f"**{table.title}**", "\n".join(lines), *table.notes]
    return "\n\n".join(part for part in [*parts, *_missing_lines(comparison)] if part) + "\n"


def to_latex(comparison: Comparison) -> str:
    """`table` environments for the package booktabs; the verdict as comments."""
    parts = [f"% {_latex(line)}" for line in verdict_lines(comparison)]
    for table in tables_of(comparison):
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
    """One JSON object: what was compared, the verdict, rows, controls and what is missing."""
    names = "experiment role scope metric metrics layers detail_layers layer_reason by vs chosen confidence missing"
    content: dict[str, Any] = {name: getattr(comparison, name) for name in names.split()}
    content["verdict"] = [asdict(each) for each in verdicts(comparison)]
    frames = {name: getattr(comparison, name) for name in ("rows", "controls", "side_effects", "probes")}
    frames |= {"contrasts": comparison.contrasts.rows, "contrast_controls": comparison.contrasts.controls}
    for name, frame in frames.items():
        content[name] = frame.fill_nan(None).to_dicts()
    return json.dumps(content, ensure_ascii=False, allow_nan=False)


def verdict_lines(comparison: Comparison) -> list[str]:
    """The verdicts' lines; of several corpora or models each after its name."""
    found = verdicts(comparison)
    corpora, models = ({getattr(each, name) for each in found} for name in ("corpus", "model"))
    lines = []
    for each in found:
        about = [each.corpus] * (len(corpora) > 1) + [each.model] * (len(models) > 1)
        lines += [f"{', '.join(about)}:"] if about else []
        lines += each.lines
    return lines


def _missing_lines(comparison: Comparison) -> list[str]:
    if not comparison.missing:
        return []
    shown = comparison.missing[:20]
    more = len(comparison.missing) - len(shown)
    return [f"missing: {line}" for line in shown] + ([f"missing: {more} more"] if more else [])


def _markdown_row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(_markdown(cell) for cell in cells) + " |"


def _markdown(text: str) -> str:
    return text.replace("|", "\\|").replace("  ", "&nbsp;&nbsp;")


def _latex(cell: str) -> str:
    indent = r"\quad " * ((len(cell) - len(cell.lstrip())) // 2)
    return indent + "".join(_LATEX.get(character, character) for character in cell.strip())


RENDERERS = {"csv": to_csv, "json": to_json, "latex": to_latex, "markdown": to_markdown}


def render(comparison: Comparison, form: str) -> str:
    """A comparison as `csv`, `json`, `latex` or `markdown`."""
    if form not in RENDERERS:
        raise QueryError(f"unknown form '{form}'; expected one of {', '.join(RENDERERS)}")
    return RENDERERS[form](comparison)
