"""`sprachbund compare`."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group

from sprachbund import workspace
from sprachbund.cli.equal_cost import print_equal_cost
from sprachbund.cli.output import Wide, print_json, print_rendered, print_table
from sprachbund.errors import QueryError
from sprachbund.progress import Bars
from sprachbund.report import charts, rendering
from sprachbund.report.across import across_table
from sprachbund.report.pareto import pareto_plot
from sprachbund.results import comparison, equal_cost, number, pareto
from sprachbund.results.across import across

INCOMPLETE = 1


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command()(compare)


def compare(
    experiments: Annotated[list[str], typer.Argument(help="The experiment's name; of two, one against the other.")],
    metric: Annotated[str, typer.Option(help="The metric that comes first.")] = "top1",
    layer: Annotated[
        str | None, typer.Option(help="Read this layer alone; default: all, the chosen ones closely.")
    ] = None,
    vs: Annotated[str | None, typer.Option(help="Take differences from this setting.")] = None,
    by: Annotated[
        str, typer.Option(help="Comma-separated: setting, target, or of the one metric pair, query, candidate.")
    ] = "setting",
    models: Annotated[
        bool, typer.Option("--models", help="Gains over the experiments' models: their mean, and whether they differ.")
    ] = False,
    role: Annotated[str, typer.Option(help="Report this role: test or select.")] = "test",
    scope: Annotated[
        str, typer.Option(help="Pairs by the target's side: all, target_query, target_candidate, without_target.")
    ] = "all",
    front: Annotated[
        bool, typer.Option("--pareto", help="The front of target share, perplexity and retrieval gain instead.")
    ] = False,
    at: Annotated[
        str | None,
        typer.Option(metavar="COST=LEVEL", help="The gain of every sweep at this cost, such as bits_per_byte=1.5."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="With --pareto: draw it into this file (png, svg, pdf).")] = None,
    explain_number: Annotated[
        str | None,
        typer.Option(metavar="ROW", help="Where a row's number comes from: its place in the table, or its setting."),
    ] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Exit 0 although cells are missing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="Print LaTeX tables (booktabs).")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown rendering.")] = False,
    wide: Wide = False,
) -> None:
    """Settings side by side: every layer, then intervals, differences, q-values and controls at chosen layers.

    Beside them stand the side effects, where the experiment measures them.
    Exit code 1 if cells of the table are missing (unless --partial).

    Of two experiments, settings with the same label are held against each other on the same items.

    Examples: sprachbund compare demo; sprachbund compare demo --layer 5 --by pair --csv;
    sprachbund compare demo --vs centring; sprachbund compare demo --explain-number 3;
    sprachbund compare sweep --pareto --out front.png; sprachbund compare bloom aya --models;
    sprachbund compare sweep --at bits_per_byte=1.5
    """
    forms = [
        name for name, asked in (("json", as_json), ("csv", csv), ("latex", latex), ("markdown", markdown)) if asked
    ]
    if len(forms) > 1:
        raise QueryError(f"give one of --json, --csv, --latex and --markdown, not {' and '.join(forms)}")
    if models or len(experiments) > 1:
        refused = {"--vs": vs, "--pareto": front, "--explain-number": explain_number, "--by": by != "setting"}
        for option in (name for name, given in refused.items() if given):
            raise QueryError(f"{option} is for one experiment's settings; leave it out between experiments or models")
        options = {"models": models, "metric": metric, "layer": layer, "role": role, "scope": scope}
        _compare_across(experiments, forms, wide, **options)
        return
    experiment = experiments[0]
    if out is not None and not front:
        raise QueryError("--out draws the front: give it with --pareto")
    if front + (explain_number is not None) + (at is not None) > 1:
        raise QueryError("give one of --pareto, --at and --explain-number")
    cost = None if at is None else equal_cost.parse_cost(at)
    ws = workspace.open()
    engine = ws.engine
    with Bars() as bars:
        found = ws.compare(
            experiment,
            metric=metric,
            layer=layer,
            vs=vs,
            by=tuple(each.strip() for each in by.split(",")),
            role=role,
            scope=scope,
            progress=bars,
        )
    if cost is not None:
        if set(forms) - {"json", "csv"}:
            raise QueryError(f"--{forms[0]} is for the comparison's tables; here there are --json and --csv")
        with Bars() as bars:
            print_equal_cost(equal_cost.equal_cost(engine, ws.store, found, *cost, bars), "".join(forms), wide)
    elif front or explain_number is not None:
        if set(forms) - {"json"}:
            raise QueryError(f"--{forms[0]} is for the comparison's tables; here there is --json")
        if front:
            print_pareto(pareto.pareto(found), bool(forms), out, wide)
        else:
            _print_explanation(number.explain_number(engine, found, str(explain_number)), bool(forms))
    elif forms == ["csv"]:
        sys.stdout.writelines(rendering.csv_parts(found))
    elif forms:
        print(rendering.render(found, forms[0]).rstrip("\n"))
    else:
        _print(found, wide)
    if found.missing and not partial:
        raise typer.Exit(INCOMPLETE)


def _compare_across(experiments: list[str], forms: list[str], wide: bool, **options: Any) -> None:
    if set(forms) & {"latex", "markdown"}:
        raise QueryError(f"--{forms[0]} is for one experiment's tables; here there are --json and --csv")
    ws = workspace.open()
    with Bars() as bars:
        found = across(ws.engine, ws.store, experiments, progress=bars, **options)
    if forms == ["json"]:
        names = ("experiments", "models", "metric", "role", "scope")
        print_json({name: getattr(found, name) for name in names} | {"rows": found.rows.fill_nan(None).to_dicts()})
    elif forms:
        print(found.flat().write_csv().rstrip("\n"))
    else:
        print_rendered(Group(*rendering.fitted(across_table(found))), wide)


def print_comparison(found: workspace.Workspace, experiment: str) -> None:
    """The comparison of an experiment, for a person."""
    _print(comparison.compare(found.engine, experiment))


def print_pareto(found: pareto.Pareto, as_json: bool, out: Path | None, wide: bool = False) -> None:
    """The front for a person, or as JSON for a program; drawn into `out` if that is given."""
    if out is not None:
        charts.save(pareto_plot(found), out)
    if as_json:
        rows = found.rows.to_dicts()
        print_json({"experiment": found.experiment, "metric": found.metric, "layer": found.layer,
                    "layer_reason": found.layer_reason,
                    "objectives": found.objectives, "rows": rows})  # fmt: skip
        return
    several = found.rows["model"].n_unique() > 1
    columns = [*(["model"] if several else []), "target", "setting", *found.objectives]
    print_table(
        [*columns, "front"],
        [
            [*(_between(row, name) if name in found.objectives else _cell(row[name]) for name in columns), _mark(row)]
            for row in found.rows.iter_rows(named=True)
        ],
        wide=wide,
        labels=len(columns) - len(found.objectives),
        title=f"{found.experiment}: {found.metric} at layer {found.layer} against side effects",
    )
    print(f"layer {found.layer}: {found.layer_reason}")
    ways = ", ".join(f"{name} {way}" for name, way in found.objectives.items())
    print(f"* no setting with the same target is at least as good in all and better in one ({ways})")
    print(
        "? may be on the front: at the better ends of its intervals no setting with * beats it at the worse of theirs"
    )
    if out is not None:
        print(f"drawn into {out}")


def _mark(row: Mapping[str, Any]) -> str:
    return "*" if row["front"] else "?" if row["maybe"] else ""


def _between(row: Mapping[str, Any], name: str) -> str:
    """An objective with its interval, where it has one."""
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return _cell(row[name]) + ("" if low is None or low == high else f" ({_cell(low)} … {_cell(high)})")


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _print_explanation(found: number.Explanation, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"title": found.title, **{name: dict(facts) for name, facts in found.parts.items()}},
                         ensure_ascii=False, indent=2, default=str))  # fmt: skip
        return
    print(found.title)
    for heading, facts in found.parts.items():
        print(f"\n{heading}")
        width = max(len(name) for name, _ in facts)
        for name, value in facts:
            print(f"  {name:<{width}}  {_fact(value)}")


def _fact(value: Any, most: int = 4) -> str:
    """Lists shortened: all of them are in --json."""
    if isinstance(value, list):
        shown = ", ".join(str(each)[:60] for each in value[:most])
        return shown if len(value) <= most else f"{shown}, … {len(value) - most} more"
    return f"{value:.6f}" if isinstance(value, float) else str(value)


def _print(found: comparison.Comparison, wide: bool = False) -> None:
    print_rendered(rendering.console(found), wide)
