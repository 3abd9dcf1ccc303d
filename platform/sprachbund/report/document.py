"""An experiment's report: one HTML file with its tables and figures in the study's layout."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import polars as pl
from sqlalchemy import Engine

from sprachbund.measures import METRICS
from sprachbund.report import sections, sweep, tasks
from sprachbund.report.page import Folded, Page, Paragraph, Piece, Table, text_table
from sprachbund.report.rendering import tables_of, verdict_lines
from sprachbund.report.sections import ReportedExperiment
from sprachbund.results.comparison import compare
from sprachbund.spec.reading import write_yaml


def report(engine: Engine, experiment: str, *, metric: str = "top1", layer: str | None = None) -> str:
    """The report of an experiment on its test role as one HTML document that loads nothing.

    metric: what retrieval tables show. layer: the one that is reported; default: all, and in tables of a single layer
    those that the comparison looks at closely. Raises QueryError for an unknown experiment, metric or layer.
    """
    comparison = compare(engine, experiment, metric=metric, layer=layer)
    closely = [ReportedExperiment(engine, comparison, each) for each in comparison.detail_layers]
    source = closely[0]
    page = Page(f"{experiment}: report")
    page.add("Verdict", *map(Paragraph, verdict_lines(comparison)))
    page.add("What was run", *_about(source))
    tables = tables_of(comparison)
    page.add("Settings compared", *(piece for table in tables for piece in text_table(table)))
    page.add("Over layers", *sections.layers(source))
    page.add("ABX tasks and probes", *tasks.tasks(source))
    page.add("Distances (Table 1)", *_at_each(sections.distances, closely))
    page.add("Gains over language pairs", *_at_each(sections.gains, closely))
    page.add("Retrieval, pair by pair", *_at_each(sections.heat_maps, closely))
    page.add("Accuracy and distance (Table 2)", *_at_each(sections.correlations, closely))
    page.add("Experts", *sections.experts(source))
    page.add("Controls", *_at_each(sections.controls, closely))
    page.add("Side effects", *sweep.side_effects(source))
    page.add("Sweep", *_at_each(sweep.sweep, closely), *sweep.front(source))
    page.add("What the numbers are", *_definitions(source))
    page.add("Experiment file", *_spec(source))
    return page.render()


def _at_each(
    section: Callable[[ReportedExperiment], list[Piece]], closely: Sequence[ReportedExperiment]
) -> Iterator[Piece]:
    """A section's pieces at every layer that is looked at closely, under its name."""
    for source in closely:
        pieces = [piece for piece in section(source) if piece]
        if pieces:
            yield Paragraph(f"Layer {source.layer}: {source.comparison.layer_reason}.", note=True)
        yield from pieces


def _about(source: ReportedExperiment) -> list[Piece]:
    audit = source.read("SELECT * FROM experiment_audit WHERE experiment = :experiment").row(0, named=True)
    models = source.read(
        "SELECT DISTINCT m.name AS name, m.fingerprint AS fingerprint, m.architecture AS architecture, "
        "m.n_blocks AS blocks, m.hidden_size AS width FROM experiments x "
        "JOIN experiment_settings xs ON xs.experiment_id = x.id JOIN settings s ON s.id = xs.setting_id "
        "JOIN models m ON m.id = s.model_id WHERE x.name = :experiment ORDER BY m.name"
    )
    corpora = source.read(
        "SELECT DISTINCT xc.role AS role, c.name AS name, c.split AS split, c.kind AS kind, ct.language AS language, "
        "ct.n_items AS n_items FROM experiments x JOIN experiment_corpora xc ON xc.experiment_id = x.id "
        "JOIN corpora c ON c.id = xc.corpus_id JOIN corpus_texts ct ON ct.corpus_id = c.id "
        "WHERE x.name = :experiment ORDER BY xc.role, c.name, ct.language"
    )
    pieces: list[Piece] = []
    missing = int(audit["missing_cells"] or 0)
    state = "complete" if not missing else f"{missing} of {audit['expected_cells']} cells are missing"
    pieces.append(
        Paragraph(
            f"Revision {audit['experiment_revision']}; {audit['n_settings']} settings, {audit['n_controls']} of them "
            f"controls; {audit['n_layers']} layers; {audit['done_jobs']} of {audit['expected_jobs']} jobs done; "
            f"{state}."
        )
    )
    rows = [[str(row[name]) for name in models.columns] for row in models.iter_rows(named=True)]
    pieces.append(Table(["model", "fingerprint", "architecture", "blocks", "width"], rows, labels=3))
    listed = []
    for (role, name, split, kind), group in corpora.group_by("role", "name", "split", "kind", maintain_order=True):
        sizes = sorted(set(group["n_items"].to_list()))
        size = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
        listed.append([str(role), f"{name}/{split}", str(kind), size, ", ".join(group["language"].to_list())])
    pieces.append(Table(["role", "corpus", "kind", "items", "languages"], listed, labels=3))
    if audit["choices"]:
        pieces.append(Paragraph(f"Chosen on the select role: {audit['choices']}."))
    for line in source.comparison.missing[:10]:
        pieces.append(Paragraph(f"Missing: {line}.", note=True))
    return pieces


def _definitions(source: ReportedExperiment) -> list[Piece]:
    shown = [name for name in (*source.comparison.metrics, *sections.CURVES) if name in METRICS]
    rows = [
        [metric.name, metric.unit, metric.better, metric.description]
        for metric in (METRICS[name] for name in dict.fromkeys(shown))
    ]
    statistics, drawn = _content(source)["statistics"], _drawn(source)
    return [
        Table(["metric", "unit", "better", "definition"], rows, labels=4),
        Paragraph(
            f"Intervals and p of settings: paired bootstrap of {' or '.join(sorted({*drawn['unit'].values()}))}s, "
            f"{drawn['resamples']} resamples, {100 * float(statistics['confidence']):g} %, the same draws for all "
            f"settings and pairs; q: {statistics['multiplicity']} within all compared settings that edit (or all that "
            "only transform) and layers from the first edited block on, of a metric and scope. A random control stands "
            "beside every claim; per-language centring is the baseline that needs no steering."
        ),
    ]


def _content(source: ReportedExperiment) -> dict[str, Any]:
    found = source.read("SELECT CAST(spec AS TEXT) AS spec FROM experiments WHERE name = :experiment")
    return dict(json.loads(found["spec"][0]))


def _drawn(source: ReportedExperiment) -> dict[str, Any]:
    """What comparisons draw, and how often, as it was planned."""
    found = source.read("SELECT CAST(audit AS TEXT) AS audit FROM experiments WHERE name = :experiment")
    return dict(json.loads(found["audit"][0])["drawn"])


def _spec(source: ReportedExperiment) -> list[Piece]:
    text = write_yaml(_content(source))
    versions = source.read(
        "SELECT DISTINCT kind, version FROM job_status WHERE experiment = :experiment ORDER BY kind, version"
    )
    kinds = ", ".join(f"{row['kind']} {row['version']}" for row in versions.iter_rows(named=True))
    runs = source.read(
        "SELECT kind, count(*) AS n, sum(seconds) AS seconds FROM job_status WHERE experiment = :experiment "
        "GROUP BY kind ORDER BY kind"
    ).with_columns(pl.col("seconds").cast(pl.Float64).fill_null(0.0))
    rows = [[row["kind"], str(row["n"]), f"{row['seconds']:.1f}"] for row in runs.iter_rows(named=True)]
    return [
        Folded("the file with its defaults", text),
        Table(["jobs", "n", "seconds"], rows),
        Paragraph(f"Kinds and versions: {kinds}.", note=True),
    ]
