"""What steering costs, for a report: side effects, the sweep over k or strength, and the Pareto front."""

from typing import Any

import polars as pl

from sprachbund.errors import QueryError
from sprachbund.report.charts import Series, line_chart
from sprachbund.report.page import Beside, Paragraph, Picture, Piece, Table
from sprachbund.report.sections import ReportedExperiment
from sprachbund.results.pareto import Pareto, pareto
from sprachbund.results.side_effects import COLUMNS
from sprachbund.results.sweeps import swept
from sprachbund.results.wording import EMPTY, digits

_TITLES = {
    "gain": "retrieval gain",
    "target_share": "share in the target language",
    "bits_per_byte": "bits per byte of the target",
    "perplexity": "perplexity of the target",
}


def side_effects(source: ReportedExperiment) -> list[Piece]:
    """Every measured side effect per setting, each with its difference to the baseline."""
    rows = source.comparison.side_effects.filter(pl.col("control_of").is_null())
    shown = [name for name in COLUMNS if rows.height and rows[name].null_count() < rows.height]
    if not shown:
        return []
    cells = [[str(row["setting"]), *(_effect(row, name) for name in shown)] for row in rows.iter_rows(named=True)]
    note = (
        "Value, and difference to the unsteered model with its interval on what both read; shares and perplexity are"
        " those of the setting's target."
    )
    return [Table(["setting", *(name.replace("_", " ") for name in shown)], cells, notes=[note])]


def sweep(source: ReportedExperiment) -> list[Piece]:
    """Gain and costs over k (or strength), a line per target; then the front over all of them."""
    over, points = swept(source.comparison, source.layer)
    if not over:
        return []
    measured = source.comparison.side_effects
    found = points
    extra = [name for name in _TITLES if name in measured.columns and measured[name].null_count() < measured.height]
    if extra:
        found = points.join(measured.select("setting_key", *extra), on="setting_key", how="left")
    charts = []
    places = sorted(set(found[over].to_list()))
    for name in ("gain", *extra):
        series = []
        for (line, target), group in found.group_by("line", "target", maintain_order=True):
            values = dict(zip(group[over], group[name], strict=True))
            series.append(Series(f"{line} {target or ''}".strip(), [values.get(place) for place in places]))
        chart = line_chart([f"{place:g}" for place in places], series, x=over, y=_TITLES[name])
        charts.append(Picture(chart, f"{_TITLES[name]} over {over}, layer {source.layer}"))
    return [Beside(charts)]


def front(source: ReportedExperiment) -> list[Piece]:
    """The Pareto front as a table; nothing where no side effect was measured."""
    try:
        found = pareto(source.comparison)
    except QueryError as error:
        if source.comparison.side_effects.height:
            return [Paragraph(f"No front: {error}.", note=True)]
        return []
    return [_front_table(found)]


def _front_table(found: Pareto) -> Table:
    columns = ["model", "target", "setting", *found.objectives, "front"]
    rows = [
        [
            *(str(row[name]) for name in columns[:3]),
            *(_objective(row, name) for name in found.objectives),
            "front" if row["front"] else "may be" if row["maybe"] else "",
        ]
        for row in found.rows.iter_rows(named=True)
    ]
    marks = ["" if row["front"] else "control" for row in found.rows.iter_rows(named=True)]
    ways = ", ".join(f"{name.replace('_', ' ')} {way}" for name, way in found.objectives.items())
    note = f"Front: no setting of the same model and target is at least as good in all and better in one ({ways})."
    maybe = "May be: at the better ends of its intervals no setting of the front beats it at the worse ends of theirs."
    return Table(columns, rows, labels=3, marks=marks, notes=[note, maybe])


def _objective(row: dict[str, Any], name: str) -> str:
    value, low, high = row[name], row[f"{name}_low"], row[f"{name}_high"]
    if value is None:
        return EMPTY
    places = digits(value)
    return f"{value:.{places}f}" + ("" if low == high else f" ({low:.{places}f} … {high:.{places}f})")


def _effect(row: dict[str, Any], name: str) -> str:
    value, delta, low, high = (row[f"{name}{part}"] for part in ("", "_delta", "_delta_low", "_delta_high"))
    if value is None:
        return EMPTY
    change = ""
    if delta is not None:
        places = digits(delta)
        ends = "" if low is None else f": {low:+.{places}f} … {high:+.{places}f}"
        change = f" ({delta:+.{places}f}{ends})".replace("-", "−")
    return f"{value:.{digits(value)}f}{change}"
