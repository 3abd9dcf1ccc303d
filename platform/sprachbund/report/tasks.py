"""ABX tasks and probes over layers and checkpoints, for a report."""

from typing import TYPE_CHECKING

import polars as pl

from sprachbund.report.charts import Series, line_chart
from sprachbund.report.page import Beside, Picture, Piece, Table
from sprachbund.report.sections import ReportedExperiment

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ASKED = (("abx_results", "abx", "ABX score"), ("probe_results", "probe_accuracy", "probe accuracy"))


def tasks(source: ReportedExperiment) -> list[Piece]:
    """Scores of every task and label over layers, a line per setting, and over steps where checkpoints have them."""
    pieces: list[Piece] = []
    for view, metric, name in _ASKED:
        found = source.read(
            "SELECT task, setting, setting_key, xs.name AS name, family, step, layer, value, ci_low, ci_high "  # noqa: S608 - fixed names
            f"FROM {view} JOIN experiments x ON x.name = experiment JOIN settings s ON s.key = setting_key "
            "JOIN experiment_settings xs ON xs.experiment_id = x.id AND xs.setting_id = s.id "
            "WHERE experiment = :experiment AND role = :role AND metric = :metric AND control IS NULL "
            "AND query_language IS NULL AND candidate_language IS NULL ORDER BY task, setting_ordinal, layer_ordinal",
            metric=metric,
        )
        charts = []
        for (task,), rows in found.group_by("task", maintain_order=True):
            charts.append(Picture(_over_layers(source, rows, name), f"{task}: {name} by layer"))
            steps = _over_steps(rows.filter(pl.col("layer") == source.layer), name)
            charts.append(Picture(steps, f"{task}: {name} at layer {source.layer} by training step"))
        pieces.append(Beside(charts))
    kept = [piece for piece in pieces if piece]
    return [*kept, *_together(source)] if kept else []


def _over_layers(source: ReportedExperiment, rows: pl.DataFrame, name: str) -> "Figure | None":
    series: list[Series] = []
    for (_, setting), group in rows.group_by("setting_key", "setting", maintain_order=True):
        by_layer = {row["layer"]: row for row in group.iter_rows(named=True)}
        picked = [by_layer.get(layer, {}) for layer in source.comparison.layers]
        values, low, high = ([row.get(part) for row in picked] for part in ("value", "ci_low", "ci_high"))
        series.append(Series(str(setting), values, low=low, high=high))
    return line_chart(source.comparison.layers, series, x="layer", y=name)


def _over_steps(rows: pl.DataFrame, name: str) -> "Figure | None":
    """A line per family and kind of setting; None for fewer than two steps."""
    steps = sorted(set(rows["step"].drop_nulls().to_list()))
    if len(steps) < 2:
        return None
    series = []
    for (family, line), group in rows.group_by("family", "name", maintain_order=True):
        values = dict(zip(group["step"], group["value"], strict=True))
        series.append(Series(f"{line} ({family})" if family else str(line), [values.get(step) for step in steps]))
    return line_chart([f"{step:g}" for step in steps], series, x="step", y=name)


def _together(source: ReportedExperiment) -> list[Piece]:
    found = source.read(
        "SELECT * FROM probe_abx WHERE experiment = :experiment AND probe_metric = 'probe_accuracy' "
        "AND abx_metric = 'abx' AND correlation IS NOT NULL AND n_points > 2 "
        'ORDER BY "over", setting, layer, probe, abx_task'
    )
    rows = [
        [
            row["over"], row["setting"] or row["layer"] or row["family"] or "all", row["probe"], row["abx_task"],
            f"{row['correlation']:+.2f}".replace("-", "−"), str(row["n_points"]),
        ]
        for row in found.iter_rows(named=True)
    ]  # fmt: skip
    note = "Pearson's, over three points or more, which are not independent: a description, not a test."
    columns = ["over", "of", "probe", "ABX task", "correlation", "points"]
    return [Table(columns, rows, labels=4, notes=[note] if rows else [])]
