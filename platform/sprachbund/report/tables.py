"""Comparison tables, laid out as text for every form that they are rendered in.

They show numbers and say what these are; they claim nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import polars as pl

from sprachbund.measures import METRICS, RATIO_FLOOR
from sprachbund.results.comparison import BY, Comparison
from sprachbund.results.side_effects import COLUMNS
from sprachbund.results.wording import EMPTY, chance, number, probability, ranged, signed

# Lines of a table that is broken down by language; a file (CSV, JSON) has all.
MOST_LINES = 1000


# A heading, and what stands under it in a row of `Comparison.rows`.
DetailColumn = tuple[str, Callable[[dict[str, Any]], str]]


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

    What probes read comes after them, and side effects, which have no layer, last.
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
    for (corpus, task), rows in comparison.probes.group_by("corpus", "task", maintain_order=True):
        tables.append(_probe_table(comparison, str(corpus), str(task), rows))
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
                ends = [EMPTY if row is None else number(row[column]) for row in found]
                cells.append((f"    {name}", *([""] * (len(labels) - 1)), *ends))
                controls.append(True)
    labels_of = _label_columns(comparison)
    notes = [*_more_lines(comparison, rows), _pairs_note(rows), *_chance_note(rows)]
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
    labels_of = _label_columns(comparison)
    columns = [*_detail_columns(comparison), *_control_columns(comparison, variants)]
    columns.append(("Δ centring", lambda row: signed(row["delta_centring"])))
    labels, controls, cells = [], [], []
    for own, group in _groups(comparison, rows):
        row = group.row(0, named=True)
        labels.append(own)
        controls.append(row["kind"] == "control")
        cells.append([cell(row) for _, cell in columns])
    # A column that says nothing of any row is not shown.
    filled = [place for place in range(len(columns)) if not cells or any(row[place] != EMPTY for row in cells)]
    notes = [*_more_lines(comparison, rows), _pairs_note(rows), *_chance_note(rows)]
    notes.append(f"layer {layer}: {comparison.layer_reason}")
    if rows["median_gain"].null_count() < rows.height:
        notes.append("median Δ: over the language pairs; from 8 languages on with an interval that resamples them")
        notes.append("interval and q of Δ: for these pairs; languages and items: of the mean over others like these")
    if rows["fit_low"].null_count() < rows.height:
        notes.append("with fit sample: with what the fit text's sample adds, as has languages and items; q is without")
    notes.append(f"ratio (interval): to the baseline; left out where that is below {RATIO_FLOOR:g}, or may be negative")
    notes += _tests_notes(rows)
    if tuple(_extra(comparison)) == BY["pair"]:
        notes.append("interval: of the pair's own value; p and q: McNemar's exact test of the pair, where there is one")
    if variants.height:
        notes.append("controls: their mean, and from the lowest to the highest, which is no interval")
        notes.append(
            "no p of controls: this layer was picked by results; best against best has that of what was chosen"
            if comparison.picked
            else "p of controls: (1 + controls at least as good) / (1 + controls)"
        )
    return TextTable(
        f"{comparison.experiment}: {comparison.metric} at layer {layer} on {corpus} ({_what(comparison)})",
        (*labels_of, *(columns[place][0] for place in filled)),
        len(labels_of),
        tuple((*own, *(row[place] for place in filled)) for own, row in zip(labels, cells, strict=True)),
        tuple(controls),
        tuple(notes),
    )


def _tests_notes(rows: pl.DataFrame) -> list[str]:
    """What is drawn, and what q and detectable are of."""
    notes = []
    tested = rows.filter(pl.col("item_error").is_not_null())
    for unit, n_groups in tested.select("unit", "n_groups").unique(maintain_order=True).iter_rows():
        what = "items" if unit == "item" else f"{n_groups} groups of items (documents)"
        notes.append(f"intervals, q and detectable: {what} are drawn")
    if tested.height:
        notes.append(
            "q: of settings that edit, from the first edited block on, and of transforms alone, each by itself"
        )
        notes.append("detectable: the smallest Δ found in 80 % of cases where q has to reach its family's threshold")
    if rows["q_at_floor"].sum():
        notes.append("≤: more draws (statistics.resamples) could give less")
    return notes


def _detail_columns(comparison: Comparison) -> list[DetailColumn]:
    """Headings in order, each with what it says of a row."""
    by_pair = tuple(_extra(comparison)) == BY["pair"]
    return [
        (comparison.metric, _level),
        ("interval", lambda row: ranged(row["ci_low"], row["ci_high"])),
        ("range of controls", lambda row: ranged(row["value_low"], row["value_high"])),
        ("median Δ", lambda row: signed(row["median_gain"])),
        ("interval", lambda row: ranged(row["median_low"], row["median_high"], signed=True)),
        ("gaining", gaining),
        (f"Δ {comparison.vs or 'baseline'}", lambda row: signed(row["delta"])),
        ("interval", lambda row: ranged(row["delta_ci_low"], row["delta_ci_high"], signed=True)),
        ("with fit sample", lambda row: ranged(row["fit_low"], row["fit_high"], signed=True)),
        ("ratio", _ratio),
        *([("p", lambda row: probability(row["p"]))] if by_pair else []),
        ("q", lambda row: probability(row["q"], row["q_at_floor"])),
        ("detectable", lambda row: number(row["detectable"])),
        ("languages and items", lambda row: ranged(row["population_low"], row["population_high"], signed=True)),
        ("p", lambda row: probability(row["population_p"])),
    ]


def _control_columns(comparison: Comparison, variants: pl.DataFrame) -> Iterator[DetailColumn]:
    """A column for each variant of the controls; p at layers that no result has picked."""
    labels = _label_columns(comparison)
    for (name,), own in variants.group_by("control", maintain_order=True):
        if comparison.picked:
            yield f"Δ {name}", partial(_of_control, own, labels, False)
        else:
            yield f"Δ {name} (p)", partial(_of_control, own, labels, True)


def _of_control(variant: pl.DataFrame, labels: tuple[str, ...], tested: bool, row: dict[str, Any]) -> str:
    found = variant.filter(_same(row, labels))
    if not found.height:
        return EMPTY
    delta, p = found["delta"][0], found["p"][0]
    return f"{signed(delta)} ({probability(p)})" if tested else signed(delta)


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


def _probe_table(comparison: Comparison, corpus: str, task: str, rows: pl.DataFrame) -> TextTable:
    """What a probe tells of every setting but controls, layer by layer."""
    cells = []
    for (setting, _), group in rows.group_by("setting", "setting_key", maintain_order=True):
        by_layer = dict(zip(group["layer"], group["accuracy"], strict=True))
        cells.append((str(setting), *(number(by_layer.get(layer)) for layer in comparison.layers)))
    chances = sorted({number(chance) for chance in rows["chance"].drop_nulls()})
    return TextTable(
        f"{comparison.experiment}: accuracy of a linear probe for {task} on {corpus} (role {comparison.role})",
        ("setting", *comparison.layers),
        1,
        tuple(cells),
        (False,) * len(cells),
        (f"chance {' to '.join(dict.fromkeys((chances[0], chances[-1])))}: the share of the most frequent label",),
    )


def _effects_table(comparison: Comparison) -> TextTable:
    """What every setting but controls does beside its aim, each with its difference to the baseline."""
    rows = comparison.side_effects.filter(pl.col("control_of").is_null())
    shown = [name for name in COLUMNS if rows[name].null_count() < rows.height]
    cells = tuple((str(row["setting"]), *(_effect(row, name) for name in shown)) for row in rows.iter_rows(named=True))
    return TextTable(
        f"{comparison.experiment}: side effects",
        ("setting", *shown),
        1,
        cells,
        (False,) * len(cells),
        (
            "value (Δ baseline: its interval, on what both settings read)",
            "of a share or perplexity in a language: the setting's target",
        ),
    )


def _effect(row: dict[str, Any], name: str) -> str:
    value, delta, low, high = (row[f"{name}{part}"] for part in ("", "_delta", "_delta_low", "_delta_high"))
    if value is None:
        return EMPTY
    ends = "" if low is None else f": {ranged(low, high, signed=True)}"
    return number(value) + ("" if delta is None else f" ({signed(delta)}{ends})")


def _label_columns(comparison: Comparison) -> tuple[str, ...]:
    target = ("target",) if "target" in comparison.by else ()
    return ("setting", *target, *_extra(comparison))


def _extra(comparison: Comparison) -> list[str]:
    """The columns of languages that the comparison is broken down by."""
    return list(dict.fromkeys(column for each in comparison.by for column in BY[each]))


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


def _chance_note(rows: pl.DataFrame) -> list[str]:
    levels = rows["chance"].drop_nulls().to_list()
    if not levels:
        return []
    low, high = chance(min(levels)), chance(max(levels))
    return [f"chance (a random ranking): {low if low == high else f'{low} to {high}'}"]


def _level(row: dict[str, Any] | None) -> str:
    return EMPTY if row is None else number(row["value"]) + ("*" if row["chosen"] else "")


def _ratio(row: dict[str, Any]) -> str:
    if row["ratio"] is None:
        return EMPTY
    ends = "" if row["ratio_ci_low"] is None else f" ({row['ratio_ci_low']:.2f}–{row['ratio_ci_high']:.2f})"
    return f"×{row['ratio']:.2f}{ends}"


def gaining(row: dict[str, Any]) -> str:
    """How many pairs get better."""
    return EMPTY if row["n_gaining"] is None else f"{row['n_gaining']} of {row['n_pairs']}"


def _described(row: dict[str, Any] | None) -> str:
    if row is None:
        return EMPTY
    tested = "" if row["q"] is None else f"; {probability(row['q'], row['q_at_floor'])}"
    return number(row["value"]) + ("" if row["delta"] is None else f" ({signed(row['delta'])}{tested})")
