"""`sprachbund query`, `sprachbund questions` and `sprachbund views`."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.console import Group

from sprachbund import workspace
from sprachbund.cli.output import Wide, print_rendered, print_table
from sprachbund.db.views import VIEWS
from sprachbund.errors import QueryError, known, nearest
from sprachbund.report.fitting import FittedTable, Paragraph
from sprachbund.results import questions as documented
from sprachbund.results.query import to_csv, to_json, write_parquet


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command()(query)
    app.command()(questions)
    app.command()(views)


def query(
    sql: Annotated[str | None, typer.Argument(help="One SELECT; `-` reads it from standard input.")] = None,
    question: Annotated[str | None, typer.Option(help="A documented query instead, by name.")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    parquet: Annotated[Path | None, typer.Option(help="Write a Parquet file.")] = None,
    param: Annotated[list[str] | None, typer.Option(help="NAME=VALUE for :NAME in the query; may be repeated.")] = None,
    limit_s: Annotated[float, typer.Option(min=0.1, help="Seconds before the query is stopped.")] = 30,
    rows: Annotated[int, typer.Option(min=1, help="Rows of the printed table at most.")] = 200,
    wide: Wide = False,
) -> None:
    """Read-only SQL over tables and views; `median`, `quantile(x, q)` and `corr` exist on both engines.

    Example: sprachbund query "select setting, layer, value from setting_comparison where metric = 'top1'"
    """
    if csv + as_json + (parquet is not None) > 1:
        raise QueryError("give one of --csv, --json and --parquet")
    params = _parameters(param or [])
    frame = workspace.open().query(_statement(sql, question, params), limit_s, params=params)
    if csv:
        print(to_csv(frame), end="")
    elif as_json:
        print(to_json(frame))
    elif parquet is not None:
        write_parquet(frame, parquet)
        print(f"{frame.height} rows in {parquet}")
    else:
        print_rendered(table(frame, rows), wide)


def questions(
    name: Annotated[str | None, typer.Argument(help="Which query to print.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    wide: Wide = False,
) -> None:
    """List the documented queries with their parameters, or print one.

    Example: sprachbund questions by_language
    """
    listed = documented.questions().values() if name is None else [documented.find(name)]
    if as_json:
        found = [{"name": each.name, "question": each.heading, "parameters": each.parameters, "sql": each.sql}
                 for each in listed]  # fmt: skip
        print(json.dumps(found, ensure_ascii=False))
    elif name is None:
        rows = [[each.name, each.heading, " ".join(each.parameters)] for each in listed]
        print_table(["name", "question", "parameters"], rows, wide=wide)
    else:
        print(documented.find(name).sql, end="")


def views(
    name: Annotated[str | None, typer.Argument(help="Which view's columns to print.")] = None, wide: Wide = False
) -> None:
    """List the result views, or the columns of one.

    Example: sprachbund views retrieval_results
    """
    if name is None:
        rows = [[key, view.description] for key, view in VIEWS.items()]
        print_table(["view", "what it holds"], rows, wide=wide)
        return
    if name not in VIEWS:
        raise QueryError(f"view '{name}' does not exist; known: {', '.join(VIEWS)}{nearest(name, VIEWS)}")
    columns = [[each.name, each.type, each.says] for each in VIEWS[name].columns]
    print_table(["column", "type", "what it holds"], columns, wide=wide)


def table(frame: pl.DataFrame, max_rows: int) -> Group:
    """The first `max_rows` rows, and how many there are. The first column is every block's label."""
    shown = frame.head(max_rows)
    texts = frozenset(place for place, kind in enumerate(frame.dtypes) if place and not kind.is_numeric())
    rows = [["" if value is None else _shown(value) for value in row] for row in shown.iter_rows()]
    said = f"{frame.height} rows" + (f", {shown.height} shown" if shown.height < frame.height else "")
    return Group(FittedTable(frame.columns, rows, texts=texts, numbered=True), Paragraph(said, "dim"))


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _statement(sql: str | None, question: str | None, params: Mapping[str, Any]) -> str:
    """The SQL that was asked for, one way or the other."""
    if (sql is None) == (question is None):
        raise QueryError("give one SELECT, or --question NAME (`sprachbund questions` lists them)")
    if question is None:
        return sys.stdin.read() if sql == "-" else str(sql)
    found = documented.find(question)
    for name in found.parameters:
        if name not in params:
            raise QueryError(f"question '{question}' asks for {name}: give --param {name}=VALUE")
    for name in params:
        known("parameter", name, found.parameters)
    return found.sql


def _parameters(given: list[str]) -> dict[str, str | int | float]:
    """Values by name; whole and decimal numbers become numbers."""
    found: dict[str, str | int | float] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not (name.isidentifier() and equals):
            raise QueryError(f"--param: found '{each}', expected NAME=VALUE")
        found[name] = _number(value)
    return found


def _number(value: str) -> str | int | float:
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value
