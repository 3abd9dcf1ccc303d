"""The parts of a report in the study's layout, each made from the views of one experiment."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from sqlalchemy import Engine

from sprachbund.measures import METRICS
from sprachbund.report.charts import Series, heat_map, line_chart, stacked_bars
from sprachbund.report.page import Beside, Heading, Paragraph, Picture, Piece, Table
from sprachbund.report.published import SOURCE, published
from sprachbund.report.tables import gaining
from sprachbund.results import query
from sprachbund.results.comparison import Comparison
from sprachbund.results.reader import LIMITS, Reader, means
from sprachbund.results.wording import EMPTY
from sprachbund.vocabulary import SITES

# Heat maps shown per target; the database has the others.
MOST_SETTINGS = 3
# Settings whose pairs are drawn in all: each takes two heat maps, half a second.
MOST_DRAWN = 24
# Lines between two layers that can still be told apart.
MOST_LINES = 6
CURVES = ("top1", "mrr", "meaning_abx", "language_abx")
_DISTANCES = ("all_pairs", "target_to_medoid", "others_to_medoid", "to_target")


@dataclass(frozen=True, slots=True)
class ReportedExperiment:
    """One experiment as its report reads it: `layer` is what tables of a single layer show."""

    engine: Engine
    comparison: Comparison
    layer: str

    @property
    def experiment(self) -> str:
        return self.comparison.experiment

    def read(self, sql: str, **params: Any) -> pl.DataFrame:
        """Rows of a SELECT with :experiment, :role and :layer filled in where they occur."""
        known = {"experiment": self.experiment, "role": self.comparison.role, "layer": self.layer, **params}
        used = {name: value for name, value in known.items() if f":{name}" in sql}
        return query.run(self.engine, sql, used, **LIMITS)


def distances(source: ReportedExperiment) -> list[Piece]:
    """Table 1: distances among the languages' means, before → after, and what the study published of the model."""
    found = source.read(
        "SELECT * FROM distance_table WHERE experiment = :experiment AND role = :role AND layer = :layer "
        "AND control IS NULL AND target IS NOT NULL ORDER BY model, setting_ordinal"
    )
    rows: list[list[str]] = []
    marks: list[str] = []
    for (model,), group in found.group_by("model", maintain_order=True):
        for row in group.iter_rows(named=True):
            rows.append([row["model"], row["setting"], *(_arrow(row, name) for name in _DISTANCES)])
            marks.append("")
        for (method, k), same in group.group_by("method", "k", maintain_order=True):
            if same["target"].n_unique() > 1:
                averaged = same.select(pl.col("^.*_(before|after)$").mean())
                mean = averaged.row(0, named=True)
                label = f"mean of {same['target'].n_unique()} targets: {method}" + ("" if k is None else f", {k} units")
                rows.append([str(model), label, *(_arrow(mean, name) for name in _DISTANCES)])
                marks.append("control")
        known = published(str(model))
        if known is not None:
            values = (getattr(known, name) for name in _DISTANCES)
            rows.append([str(model), f"published, {known.name}", *(f"{a:.2f} → {b:.2f}" for a, b in values)])
            marks.append("published")
    notes = [
        f"Cosine distances between language means at layer {source.layer}, before → after. A fall alone may be "
        "collapse: read it with retrieval, the gap and the controls below. The medoid leaves the language itself out.",
    ]
    if "published" in marks:
        notes.append(f"Published: {SOURCE}; the last hidden state, mean of five targets.")
    columns = ["model", "setting", "all pairs", "target → medoid", "others → medoid", "to target"]
    return [Table(columns, rows, labels=2, marks=marks, notes=notes)]


def heat_maps(source: ReportedExperiment) -> list[Piece]:
    """Retrieval of every ordered pair without steering, and per target with it and the difference."""
    metric = source.comparison.metric
    drawn, more = _drawn(source)
    named = {f"setting_{number}": key for number, key in enumerate(drawn)}
    found = source.read(
        "SELECT setting, setting_key, setting_ordinal, target, method, chosen, coalesce(collection, corpus) AS corpus, "  # noqa: S608 - fixed names
        "query_language, candidate_language, value, delta FROM retrieval_results "
        "WHERE experiment = :experiment AND role = :role AND layer = :layer AND metric = :metric "
        f"AND setting_key IN ({', '.join(f':{name}' for name in named) or 'NULL'}) ORDER BY setting_ordinal",
        metric=metric, **named,
    )  # fmt: skip
    pieces: list[Piece] = []
    for (corpus,), rows in found.group_by("corpus", maintain_order=True):
        languages = sorted({*rows["query_language"], *rows["candidate_language"]})
        high = max(rows["value"].to_list())
        plain = rows.filter(pl.col("method") == "none")
        caption = f"{corpus}, no intervention, {metric}, layer {source.layer}; rows ask, columns answer"
        pieces.append(_grid(caption, plain, "value", languages, 0.0, high))
        steered = rows.filter(pl.col("method") != "none")
        for target, n_more in more.items():
            pieces.append(Heading(f"towards {target}" if target else "without a target"))
            first = steered.filter(pl.col("target").eq_missing(target)).sort(
                "chosen", "setting_ordinal", descending=[True, False]
            )
            of_settings = list(first.group_by("setting_key", "setting", maintain_order=True))
            maps = []
            for (_, label), own in of_settings:
                reach = max([0.05, *(abs(each) for each in own["delta"].drop_nulls().to_list())])
                maps.append(_grid(str(label), own, "value", languages, 0.0, high))
                maps.append(_grid("… minus none", own, "delta", languages, -reach, reach, difference=True))
            pieces.append(Beside(maps))
            if n_more > 0:
                pieces.append(Paragraph(f"{n_more} more settings: view retrieval_results.", note=True))
    return pieces


def _drawn(source: ReportedExperiment) -> tuple[list[str], dict[Any, int]]:
    """Keys of the settings whose pairs are drawn, the chosen ones first; how many more there are by target."""
    rows = source.comparison.rows.filter(
        pl.col("kind") == "setting", pl.col("transform") == "none", pl.col("metric") == source.comparison.metric,
        pl.col("layer") == source.layer,
    ).unique("setting_key", maintain_order=True)  # fmt: skip
    drawn = rows.filter(pl.col("method") == "none")["setting_key"].to_list()
    steered = rows.filter(pl.col("method") != "none").sort("chosen", "ordinal", descending=[True, False])
    each = max(1, min(MOST_SETTINGS, MOST_DRAWN // max(1, steered["target"].n_unique())))
    more = {}
    for (target,), own in steered.group_by("target", maintain_order=True):
        room = max(0, MOST_DRAWN - len(drawn))
        keys = own["setting_key"].head(min(each, room)).to_list()
        drawn += keys
        more[target] = own.height - len(keys)
    return drawn, more


def gains(source: ReportedExperiment) -> list[Piece]:
    """Gains over pairs: the median with its interval leads, the greatest comes last."""
    found = source.read(
        "SELECT * FROM gain_summary WHERE experiment = :experiment AND role = :role AND layer = :layer "
        "AND metric = :metric AND scope IN ('all', 'target_query') ORDER BY scope, setting_ordinal",
        metric=source.comparison.metric,
    )
    pieces: list[Piece] = []
    for scope, title in (("target_query", "target as query"), ("all", "all pairs")):
        rows, marks = [], []
        own = found.filter(pl.col("scope") == scope)
        for row in own.iter_rows(named=True):
            rows.append([
                row["setting"], _signed(row["median_gain"]), _span(row["median_low"], row["median_high"]),
                gaining(row), _signed(row["mean_gain"]), _span(row["population_low"], row["population_high"]),
                EMPTY if row["population_p"] is None else f"{row['population_p']:.3f}",
                _signed(row["least_gain"]), _signed(row["greatest_gain"]),
            ])  # fmt: skip
            marks.append("")
        for model in own["model"].unique(maintain_order=True) if scope == "target_query" else ():
            known = published(model)
            if known is not None:
                rows.append([f"published, {known.name}, FLORES", _signed(known.median_gain), *[EMPTY] * 6,
                             _signed(known.greatest_gain)])  # fmt: skip
                marks.append("published")
        columns = [
            "setting", "median gain", "interval", "gaining", "mean gain", "languages and items", "p", "least",
            "greatest",
        ]  # fmt: skip
        shown = Table(columns, rows, marks=marks)
        pieces += [Heading(f"{source.comparison.metric}, {title}"), shown] if shown else []
    if pieces:
        fitted = found["n_fit_resamples"].null_count() < found.height
        samples = ", and over fit samples where a setting was fitted anew on halves of the fit text" if fitted else ""
        pieces.append(Paragraph(
            "Gains in points against the setting's baseline. Median: languages resampled, from 8 languages on. Mean: "
            "query and candidate languages as crossed random effects, with its interval and p over other languages and "
            f"items like these{samples}. The greatest of many pairs is mostly luck.", note=True))  # fmt: skip
    return pieces


def correlations(source: ReportedExperiment) -> list[Piece]:
    """Table 2: accuracy and distance over language pairs."""
    found = source.read(
        "SELECT * FROM distance_correlations WHERE experiment = :experiment AND role = :role AND layer = :layer "
        "AND distance = 'paired_distance' ORDER BY setting_ordinal"
    )
    wanted = [
        ("accuracy_after", "distance_after"), ("accuracy_before", "distance_before"),
        ("distance_after", "distance_before"), ("gain", "distance_drop"),
    ]  # fmt: skip
    rows = []
    for (_, setting), group in found.group_by("setting_key", "setting", maintain_order=True):
        cells = [str(setting)]
        for y, x in wanted:
            own = group.filter(pl.col("y") == y, pl.col("x") == x)
            if own.height:
                row = own.row(0, named=True)
                cells.append(f"{_signed(row['value'], 2)} ({_span(row['ci_low'], row['ci_high'], 2)})")
            else:
                cells.append(EMPTY)
        rows.append(cells)
    note = (
        f"Pearson's r over language pairs at layer {source.layer}, mean distance of translations, with intervals from "
        "resampled languages; slopes with crossed random effects are in the view distance_correlations."
    )
    columns = ["setting", *(f"{y} ~ {x}".replace("_", " ") for y, x in wanted)]
    return [Table(columns, rows, notes=[note] if rows else [])]


def experts(source: ReportedExperiment) -> list[Piece]:
    """What expert sets share per k, and in which blocks they are."""
    pieces: list[Piece] = []
    overlap = source.read(
        "SELECT model, k, target, other_target, scorer, jaccard, expected_shared FROM expert_overlap "
        "WHERE experiment = :experiment AND scorer = other_scorer ORDER BY model, scorer, k, target, other_target"
    )
    maps = []
    for (model, scorer, k), group in overlap.group_by("model", "scorer", "k", maintain_order=True):
        languages = sorted({*group["target"], *group["other_target"]})
        cells = {frozenset((row["target"], row["other_target"])): row["jaccard"] for row in group.iter_rows(named=True)}
        values = [[cells.get(frozenset((a, b))) if a != b else None for b in languages] for a in languages]
        caption = f"{model}, {scorer}: Jaccard of the top {k}"
        maps.append(Picture(heat_map(languages, languages, values, low=0.0, high=1.0), caption))
    pieces.append(Beside(maps))
    layers = source.read(
        "SELECT model, target, scorer, k, block, site, experts, mean_score FROM expert_layers "
        "WHERE experiment = :experiment AND target IN (SELECT i.target FROM experiments x "
        "JOIN experiment_settings xs ON xs.experiment_id = x.id JOIN settings s ON s.id = xs.setting_id "
        "JOIN interventions i ON i.id = s.intervention_id WHERE x.name = :experiment) "
        "ORDER BY model, scorer, k, target, block, site"
    )
    charts = []
    for (model, scorer, k, target), group in layers.group_by("model", "scorer", "k", "target", maintain_order=True):
        blocks = list(range(1, max(group["block"].to_list()) + 1))
        series = []
        for site in (each for each in SITES if each in set(group["site"])):
            own = group.filter(pl.col("site") == site)
            by_block = dict(zip(own["block"], own["experts"], strict=True))
            series.append(Series(site, [by_block.get(block) for block in blocks]))
        score = sum(row["mean_score"] * row["experts"] / k for row in group.iter_rows(named=True))
        caption = f"{model}: top {k} of {target} by {scorer}, mean score {score:.2f}"
        charts.append(Picture(stacked_bars([str(b) for b in blocks], series, x="block", y="experts"), caption))
    pieces.append(Beside(charts))
    return pieces


def controls(source: ReportedExperiment) -> list[Piece]:
    """Steered settings against the distributions of their controls."""
    found = source.read(
        "SELECT * FROM control_comparison WHERE experiment = :experiment AND role = :role AND layer = :layer "
        "AND metric = :metric AND scope = 'all' ORDER BY setting_ordinal, control",
        metric=source.comparison.metric,
    )
    rows = [
        [
            row["setting"], row["control"], _plain(row["value"]), _plain(row["baseline"]),
            f"{_plain(row['control_low'])} to {_plain(row['control_high'])}", _signed(row["delta"]),
            str(row["n_controls"]), EMPTY if source.comparison.picked else f"{row['p']:.3f}",
        ]
        for row in found.iter_rows(named=True)
    ]  # fmt: skip
    columns = [
        "setting",
        "control",
        source.comparison.metric,
        "controls' mean",
        "lowest to highest",
        "difference",
        "n",
        "p",
    ]
    note = (
        "No p: results picked this layer. Best against best holds what was chosen against controls that chose too."
        if source.comparison.picked
        else "p = (1 + controls at least as good) / (1 + n): with n controls it cannot be smaller than 1 / (1 + n)."
    )
    return [Table(columns, rows, labels=2, notes=[note] if rows else [])]


def layers(source: ReportedExperiment) -> list[Piece]:
    """Retrieval and ABX over layers, a line per setting, controls dashed between their extremes.

    Nothing where many settings have fewer than three layers: lines between two points hide each other, and the
    tables have the numbers.
    """
    comparison = source.comparison
    settings = comparison.rows.filter(pl.col("kind") == "setting")["setting_key"].n_unique()
    if len(comparison.layers) == 1 or (len(comparison.layers) < 3 and settings > MOST_LINES):
        return []
    charts = [_curves(comparison)]
    drawn = _means(source, [metric for metric in CURVES if metric != comparison.metric])
    for metric in CURVES:
        own = drawn.filter(pl.col("metric") == metric)
        if not own.height:
            continue
        series = []
        for (_, setting), group in own.group_by("setting_key", "setting", maintain_order=True):
            values = dict(zip(group["layer"], group["value"], strict=True))
            series.append(Series(str(setting), [values.get(layer) for layer in comparison.layers]))
        chart = line_chart(comparison.layers, series, x="layer", y=metric)
        charts.append(Picture(chart, f"{metric}: mean over ordered pairs; {METRICS[metric].better} is better"))
    return [Beside(charts)]


def _means(source: ReportedExperiment, metrics: Sequence[str]) -> pl.DataFrame:
    """metric, setting, setting_key, layer and value: means over all pairs, of all settings that are no controls."""
    read = Reader(source.engine, source.experiment, source.comparison.role, "all")
    settings = read.settings().filter(pl.col("control").is_null()).select("setting_key", "setting", "ordinal")
    found = means(read.sums(metrics, ()), ["metric", "setting_key", "layer"])
    return found.join(settings, on="setting_key", how="inner").sort("ordinal", maintain_order=True)


def _curves(comparison: Comparison) -> Picture:
    rows = comparison.rows.filter(pl.col("metric") == comparison.metric)
    corpus = rows["corpus"].unique(maintain_order=True).to_list()[:1]
    rows = rows.filter(pl.col("corpus").is_in(corpus))
    series: list[Series] = []
    places: dict[str, int] = {}
    for (key, steered, _, setting), group in rows.group_by(
        "setting_key", "control_of_key", "control", "setting", maintain_order=True
    ):
        by_layer = {row["layer"]: row for row in group.iter_rows(named=True)}
        picked = [by_layer.get(layer, {}) for layer in comparison.layers]
        values, low, high = ([row.get(name) for row in picked] for name in ("value", "value_low", "value_high"))
        if steered is not None and key is None:
            series.append(Series(str(setting), values, beside=places[str(steered)], low=low, high=high))
        else:
            places[str(key)] = len(series)
            series.append(Series(str(setting), values))
    chart = line_chart(comparison.layers, series, x="layer", y=comparison.metric)
    return Picture(chart, f"{comparison.metric} by layer, mean over pairs; controls dashed, from lowest to highest")


def _grid(
    caption: str, rows: pl.DataFrame, column: str, languages: Sequence[str], low: float, high: float,
    difference: bool = False,
) -> Picture:  # fmt: skip
    cells = {(row["query_language"], row["candidate_language"]): row[column] for row in rows.iter_rows(named=True)}
    values = [[cells.get((a, b)) for b in languages] for a in languages]
    return Picture(heat_map(languages, languages, values, low=low, high=high, difference=difference), caption)


def _arrow(row: dict[str, Any], name: str) -> str:
    before, after = row[f"{name}_before"], row[f"{name}_after"]
    return EMPTY if before is None or after is None else f"{before:.3f} → {after:.3f}"


def _plain(value: float | None) -> str:
    return EMPTY if value is None else f"{value:.3f}"


def _signed(value: float | None, digits: int = 3) -> str:
    return EMPTY if value is None else f"{value:+.{digits}f}".replace("-", "−")


def _span(low: float | None, high: float | None, digits: int = 3) -> str:
    if low is None or high is None:
        return EMPTY
    return f"{_signed(low, digits)} to {_signed(high, digits)}"
