"""`sprachbund diff`: what tells two settings apart."""

from typing import Annotated, Any

import typer

from sprachbund import workspace
from sprachbund.cli.output import Json, Wide, print_table
from sprachbund.results import diff as differences

_NONE = "–"


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command()(diff)


def diff(
    a: Annotated[str, typer.Argument(metavar="SETTING_A", help="A setting's label or the start of its key.")],
    b: Annotated[str, typer.Argument(metavar="SETTING_B", help="Another one.")],
    experiment: Annotated[str | None, typer.Option(help="Where to look the labels up; default: everywhere.")] = None,
    as_json: Json = False,
    wide: Wide = False,
) -> None:
    """List the fields in which two settings differ: model, intervention, parameters, inputs, transform, numerics.

    Example: sprachbund diff 'experts eng_Latn k=0.035' 'union eng_Latn k=0.035' --experiment demo
    """
    found = differences.diff(workspace.open().engine, a, b, experiment)
    if as_json:
        print(differences.to_json(found))
        return
    print(f"a  {found.a.label}  ({found.a.key[:10]})")
    print(f"b  {found.b.label}  ({found.b.key[:10]})")
    if not found.fields:
        print(f"no difference in {found.n_equal} fields")
        return
    print_table(["field", "a", "b"], [row for each in found.fields for row in _rows(each)], wide=wide)
    print(f"{found.n_equal} other fields are equal")
    if found.results:
        print("\nwhat came of it:")
        print_table(["", "a", "b"], [row for each in found.results for row in _rows(each)], wide=wide)


def _rows(difference: differences.Difference) -> list[tuple[str, str, str]]:
    """One line, or of two lists one for every entry that only one of them has."""
    a, b = difference.a, difference.b
    if not (isinstance(a, list) or isinstance(b, list)):
        return [(difference.field, _text(a), _text(b))]
    left, right = (each if isinstance(each, list) else [] if each is None else [each] for each in (a, b))
    lines = [(difference.field, _text(each), _NONE) for each in left if each not in right]
    return lines + [(difference.field, _NONE, _text(each)) for each in right if each not in left]


def _text(value: Any) -> str:
    if value is None:
        return _NONE
    return f"{value:.6g}" if isinstance(value, float) else str(value)
