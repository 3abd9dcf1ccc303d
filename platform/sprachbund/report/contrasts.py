"""Tables of contrasts: best against best, and settings that the spec holds against each other."""

from collections.abc import Iterator
from typing import Any

import polars as pl

from sprachbund.report.tables import TextTable, gaining
from sprachbund.results.comparison import Comparison
from sprachbund.results.wording import EMPTY, number, probability, ranged, signed
from sprachbund.vocabulary import CONTRASTS


def contrast_tables(comparison: Comparison, corpus: str) -> Iterator[TextTable]:
    """Those of a corpus that have rows."""
    # What was chosen first.
    for contrast in reversed(CONTRASTS):
        rows = comparison.contrasts.of(contrast).filter(pl.col("corpus") == corpus)
        if rows.height:
            yield _table(comparison, corpus, contrast, rows)


def _table(comparison: Comparison, corpus: str, contrast: str, rows: pl.DataFrame) -> TextTable:
    beside = comparison.contrasts.controls.filter(pl.col("corpus") == corpus, pl.col("contrast") == contrast)
    variants = beside["control"].unique(maintain_order=True).to_list()
    several = rows["model"].n_unique() > 1
    columns = [
        *(["model"] if several else []),
        "setting",
        "against",
        comparison.metric,
        "the other's",
        "Δ",
        "interval",
        "q",
    ]
    columns += ["gaining", "languages and items", "p", *(f"Δ {name} (p)" for name in variants)]
    cells = []
    for row in rows.iter_rows(named=True):
        controls = {each["control"]: each for each in beside.filter(_same(row)).iter_rows(named=True)}
        model = [row["model"]] if several else []
        cells.append((*model, *_cells(row), *(_control(controls.get(name)) for name in variants)))
    what, notes = _WORDS[contrast]
    return TextTable(
        f"{comparison.experiment}: {comparison.metric}, {what} on {corpus}",
        tuple(columns),
        2 + several,
        tuple(cells),
        (False,) * len(cells),
        (*notes, *([_OF_CONTROLS] if variants else [])),
    )


_OF_CONTROLS = "controls: each chose its setting and layer on select by the same rule; p is that of what was chosen"
_WORDS = {
    "best": (
        "best against best",
        ("setting and layer of both sides: chosen on select, each for itself; q: over these rows",),
    ),
    "asked": ("as the spec asks", ("q: over these rows",)),
}


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        f"{row['setting']} at {row['layer']}",
        f"{row['against']} at {row['against_layer']}",
        number(row["value"]),
        number(row["baseline"]),
        signed(row["delta"]),
        ranged(row["delta_ci_low"], row["delta_ci_high"], signed=True),
        probability(row["q"], row["q_at_floor"]),
        gaining(row),
        ranged(row["population_low"], row["population_high"], signed=True),
        probability(row["population_p"]),
    ]


def _control(row: dict[str, Any] | None) -> str:
    return EMPTY if row is None else f"{signed(row['delta'])} ({probability(row['p'])})"


def _same(row: dict[str, Any]) -> pl.Expr:
    names = ("setting_key", "layer", "against_key", "against_layer")
    return pl.all_horizontal(pl.col(name) == pl.lit(row[name]) for name in names)
