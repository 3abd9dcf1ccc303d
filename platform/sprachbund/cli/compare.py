"""`sprachbund compare`."""

from typing import Annotated

import typer

from sprachbund import results, workspace
from sprachbund.cli.output import print_rendered
from sprachbund.errors import QueryError
from sprachbund.report import tables

INCOMPLETE = 1


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command()(compare)


def compare(
    experiment: Annotated[str, typer.Argument(help="The experiment's name.")],
    metric: Annotated[str, typer.Option(help="The metric that comes first.")] = "top1",
    layer: Annotated[str | None, typer.Option(help="Look closely at this layer; default: the chosen ones.")] = None,
    vs: Annotated[str | None, typer.Option(help="Take differences from this setting.")] = None,
    by: Annotated[str, typer.Option(help="Comma-separated: setting, pair, query, candidate, target.")] = "setting",
    role: Annotated[str, typer.Option(help="Report this role: test or select.")] = "test",
    scope: Annotated[
        str, typer.Option(help="Pairs by the target's side: all, target_query, target_candidate, without_target.")
    ] = "all",
    partial: Annotated[bool, typer.Option("--partial", help="Exit 0 although cells are missing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="Print LaTeX tables (booktabs).")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown tables.")] = False,
) -> None:
    """Settings side by side: every layer, then intervals, differences, q-values and controls at chosen layers.

    Exit code 1 if cells of the table are missing (unless --partial).

    Examples: sprachbund compare demo; sprachbund compare demo --layer 5 --by pair --csv
    """
    found = results.compare(
        workspace.open().engine,
        experiment,
        metric=metric,
        layer=layer,
        vs=vs,
        by=tuple(each.strip() for each in by.split(",")),
        role=role,
        scope=scope,
    )
    forms = [
        name for name, asked in (("json", as_json), ("csv", csv), ("latex", latex), ("markdown", markdown)) if asked
    ]
    if len(forms) > 1:
        raise QueryError(f"give one of --json, --csv, --latex and --markdown, not {' and '.join(forms)}")
    if forms:
        print(tables.render(found, forms[0]).rstrip("\n"))
    else:
        _print(found)
    if found.missing and not partial:
        raise typer.Exit(INCOMPLETE)


def print_comparison(found: workspace.Workspace, experiment: str) -> None:
    """The comparison of an experiment, for a person."""
    _print(results.compare(found.engine, experiment))


def _print(comparison: results.Comparison) -> None:
    print_rendered(tables.console(comparison))
