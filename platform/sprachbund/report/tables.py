"""Comparison tables, laid out as text for every form that they are rendered in.

They show numbers and say what these are; they claim nothing.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from sprachbund.measures import METRICS, RATIO_FLOOR
from sprachbund.results.comparison import BY, Comparison
from sprachbund.results.side_effects import COLUMNS

EMPTY = "–"
# Lines of a table that is broken down by language; a file (CSV, JSON) has all.
MOST_LINES = 1000


@dataclass(frozen=True, slots=True)
class TextTable:
    """A laid-out table: `labels` leading columns are text, the others numbers; `controls` marks their rows."""

    title: str
    columns: tuple[str, ...]
    labels: int
    rows: tuple[tuple[str, ...], ...]
    controls: tuple[bool, ...]
    notes: tuple[str, ...]


def layout(comparison: Comparison) -> list[TextTable]:
    """Per corpus: the metric at every layer, then at the layers to look at closely, then other metrics there.

    Side effects, which have no layer, come last.
    """
    tables = []
    for corpus in comparison.rows["corpus"].unique(maintain_order=True):
        rows = comparison.rows.filter(pl.col("corpus") == corpus)
        tables.append(_level_table(comparison, corpus, rows))
        for layer in comparison.detail_layers:
            at_layer = rows.filter(pl.col("layer") == layer)
            tables.append(_detail_table(comparison, corpus, layer, at_layer))
            if len(comparison.metrics) > 1:
                tables.append(_beside_table(comparison, corpus, layer, at_layer))
    if comparison.side_effects.height:
        tables.append(_effects_table(comparison))
    return tables


def _level_table(comparison: Comparison, corpus: str, rows: pl.DataFrame) -> TextTable:
    rows = rows.filter(pl.col("metric") == comparison.metric)
    cells: list[tuple[str, ...]] = []
    controls: list[bool] = []
    for labels, group in _groups(comparison, rows):
        by_layer = {row["layer"]: row for row in group.iter_rows(named=True)}
        found = [by_layer.get(layer) for layer in comparison.layers]
        control = group["kind"][0] == "control"
        values = [_level(row) for row in found]
        cells.append((*labels, *values))
        controls.append(control)
        if control:
            for name, column in (("lowest", "value_low"), ("highest", "value_high")):
                ends = [EMPTY if row is None else _number(row[column]) for row in found]
                cells.append((f"    {name}", *([""] * (len(labels) - 1)), *ends))
                controls.append(True)
    labels_of = _label_columns(comparison)
    notes = [*_more_lines(comparison, rows), _pairs_note(rows)]
    if comparison.chosen:
        notes.append("* setting and layer chosen on the select role")
    return TextTable(
        f"{comparison.experiment}: {comparison.metric} by layer on {corpus} ({_what(comparison)})",
        (*labels_of, *comparison.layers),
        len(labels_of),
        tuple(cells),
        tuple(controls),
        tuple(notes),
    )


def _detail_table(comparison: Comparison, corpus: str, layer: str, rows: pl.DataFrame) -> TextTable:
    """The metric at one layer: intervals, differences, q, and the controls and centring beside it."""
    rows = rows.filter(pl.col("metric") == comparison.metric)
    variants = comparison.controls.filter(
        pl.col("corpus") == corpus, pl.col("layer") == layer, pl.col("metric") == comparison.metric
    )
    names = variants["control"].unique(maintain_order=True).to_list()
    centring = rows["delta_centring"].null_count() < rows.height
    labels_of = _label_columns(comparison)
    medians = rows["median_gain"].null_count() < rows.height
    intervals = rows["median_low"].null_count() < rows.height
    columns = [*labels_of, comparison.metric, "interval", *(["median Δ"] if medians else [])]
    columns += [*(["interval"] if intervals else []), *(["gaining"] if medians else [])]
    columns += [f"Δ {comparison.vs or 'baseline'}", "interval", "ratio", "q", "detectable"]
    columns += ["languages and items", "p"] if medians else []
    columns += [f"Δ {name} (p)" for name in names] + (["Δ centring"] if centring else [])
    cells: list[tuple[str, ...]] = []
    controls: list[bool] = []
    for labels, group in _groups(comparison, rows):
        row = group.row(0, named=True)
        control = row["kind"] == "control"
        beside = variants.filter(_same(row, labels_of))
        interval = (row["value_low"], row["value_high"]) if control else (row["ci_low"], row["ci_high"])
        numbers = [
            _level(row),
            _range(*interval),
            *([_signed(row["median_gain"])] if medians else []),
            *([_range(row["median_low"], row["median_high"], signed=True)] if intervals else []),
            *([gaining(row)] if medians else []),
            _signed(row["delta"]),
            _range(row["delta_ci_low"], row["delta_ci_high"], signed=True),
            _ratio(row),
            _probability(row["q"]),
            _number(row["detectable"]),
            *(
                [_range(row["population_low"], row["population_high"], signed=True), _probability(row["population_p"])]
                if medians
                else []
            ),
            *(_against(beside.filter(pl.col("control") == name)) for name in names),
            *([_signed(row["delta_centring"])] if centring else []),
        ]
        cells.append((*labels, *numbers))
        controls.append(control)
    notes = [*_more_lines(comparison, rows), _pairs_note(rows), f"layer {layer}: {comparison.layer_reason}"]
    if medians:
        notes.append("median Δ: over the language pairs; from 8 languages on with an interval that resamples them")
        notes.append("interval and q of Δ: for these pairs; languages and items: of the mean over others like these")
    notes.append(f"ratio (interval): to the baseline; left out where that is below {RATIO_FLOOR:g}, or may be negative")
    notes.append("detectable: the smallest Δ that this test finds in 80 % of cases at 5 %, from the interval's width")
    if names:
        notes.append("controls: mean, lowest and highest; p = (1 + controls at least as good) / (1 + controls)")
    return TextTable(
        f"{comparison.experiment}: {comparison.metric} at layer {layer} on {corpus} ({_what(comparison)})",
        tuple(columns),
        len(labels_of),
        tuple(cells),
        tuple(controls),
        tuple(notes),
    )


def _beside_table(comparison: Comparison, corpus: str, layer: str, rows: pl.DataFrame) -> TextTable:
    """The other metrics at one layer, each with its difference and, where tested, q."""
    others = comparison.metrics[1:]
    labels_of = _label_columns(comparison)
    cells: list[tuple[str, ...]] = []
    controls: list[bool] = []
    for labels, group in _groups(comparison, rows):
        by_metric = {row["metric"]: row for row in group.iter_rows(named=True)}
        cells.append((*labels, *(_described(by_metric.get(metric)) for metric in others)))
        controls.append(group["kind"][0] == "control")
    return TextTable(
        f"{comparison.experiment}: beside it at layer {layer} on {corpus} (role {comparison.role})",
        (*labels_of, *others),
        len(labels_of),
        tuple(cells),
        tuple(controls),
        (*_more_lines(comparison, rows), f"value (Δ {comparison.vs or 'baseline'}; q where tested)"),
    )


def _effects_table(comparison: Comparison) -> TextTable:
    """What every setting but controls does beside its aim, each with its difference to the baseline."""
    rows = comparison.side_effects.filter(pl.col("control_of").is_null())
    shown = [name for name in COLUMNS if rows[name].null_count() < rows.height]
    cells = tuple(
        (str(row["setting"]), *(_effect(row[name], row[f"{name}_delta"]) for name in shown))
        for row in rows.iter_rows(named=True)
    )
    return TextTable(
        f"{comparison.experiment}: side effects",
        ("setting", *shown),
        1,
        cells,
        (False,) * len(cells),
        ("value (Δ baseline); of a share or perplexity in a language: the setting's target",),
    )


def _effect(value: float | None, delta: float | None) -> str:
    if value is None:
        return EMPTY
    return _number(value) + ("" if delta is None else f" ({_signed(delta)})")


def _label_columns(comparison: Comparison) -> tuple[str, ...]:
    target = ("target",) if "target" in comparison.by else ()
    return ("setting", *target, *dict.fromkeys(column for each in comparison.by for column in BY[each]))


def _groups(comparison: Comparison, rows: pl.DataFrame) -> Iterator[tuple[tuple[str, ...], pl.DataFrame]]:
    """Rows of one line of a table with its label cells, at most `MOST_LINES` lines; control rows are indented."""
    identity = _identity(comparison)
    shown = rows.join(_lines(comparison, rows).head(MOST_LINES), on=identity, how="semi", nulls_equal=True)
    for key, group in shown.group_by(identity, maintain_order=True):
        kind, _, _, _, setting, *others = key
        name = str(setting)
        if kind == "control":
            name = f"  {group['control'][0]} ×{group['n_seeds'][0]}"
        yield (name, *(EMPTY if each is None else str(each) for each in others)), group


def _identity(comparison: Comparison) -> list[str]:
    """The columns that tell one line of a table from another."""
    return ["kind", "setting_key", "control_of_key", "control", *_label_columns(comparison)]


def _lines(comparison: Comparison, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(_identity(comparison)).unique(maintain_order=True)


def _more_lines(comparison: Comparison, rows: pl.DataFrame) -> list[str]:
    """What to say of lines that are not shown."""
    more = _lines(comparison, rows).height - MOST_LINES
    return [f"{more} more lines: --csv and --json have all of them"] if more > 0 else []


def _same(row: dict[str, Any], columns: tuple[str, ...]) -> pl.Expr:
    """The controls of the setting, language or pair that a row is about."""
    names = ["setting_key", *(name for name in columns if name not in ("setting", "target"))]
    return pl.all_horizontal(pl.col(name) == pl.lit(row[name], pl.String) for name in names)


def _what(comparison: Comparison) -> str:
    unit = METRICS[comparison.metric].unit
    pairs = "all pairs" if comparison.scope == "all" else comparison.scope.replace("_", " ")
    return f"role {comparison.role}, {pairs}, {unit}"


def _pairs_note(rows: pl.DataFrame) -> str:
    counts = sorted(set(rows["n_pairs"].drop_nulls()))
    if not counts:
        return "no pairs yet"
    number = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"mean over {number} language pairs"


def _level(row: dict[str, Any] | None) -> str:
    return EMPTY if row is None else _number(row["value"]) + ("*" if row["chosen"] else "")


def digits(value: float) -> int:
    """Decimals worth showing: of a perplexity of thousands one."""
    return 3 if abs(value) < 100 else 1


def _number(value: float | None) -> str:
    return EMPTY if value is None else _short(f"{value:.{digits(value)}f}")


def _signed(value: float | None) -> str:
    return EMPTY if value is None else _short(f"{value:+.{digits(value)}f}")


def _ratio(row: dict[str, Any]) -> str:
    if row["ratio"] is None:
        return EMPTY
    ends = "" if row["ratio_ci_low"] is None else f" ({row['ratio_ci_low']:.2f}–{row['ratio_ci_high']:.2f})"
    return f"×{row['ratio']:.2f}{ends}"


def gaining(row: dict[str, Any]) -> str:
    """How many pairs get better."""
    return EMPTY if row["n_gaining"] is None else f"{row['n_gaining']} of {row['n_pairs']}"


def _short(number: str) -> str:
    """Without the zero before the point: columns stay narrow."""
    return re.sub(r"^([+-]?)0\.", r"\1.", number).replace("-", "−")


def _range(low: float | None, high: float | None, signed: bool = False) -> str:
    if low is None or high is None:
        return EMPTY
    return f"{_signed(low)} … {_signed(high)}" if signed else f"{_number(low)}–{_number(high)}"


def _probability(value: float | None) -> str:
    if value is None:
        return EMPTY
    return "<.001" if value < 0.001 else _number(value)


def _against(found: pl.DataFrame) -> str:
    if not found.height:
        return EMPTY
    row = found.row(0, named=True)
    return f"{_signed(row['delta'])} ({_probability(row['p'])})"


def _described(row: dict[str, Any] | None) -> str:
    if row is None:
        return EMPTY
    tested = "" if row["q"] is None else f"; {_probability(row['q'])}"
    return _number(row["value"]) + ("" if row["delta"] is None else f" ({_signed(row['delta'])}{tested})")
