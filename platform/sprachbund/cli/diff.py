"""`sprachbund diff`: what tells two settings apart, or two revisions of an experiment."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from sprachbund import workspace
from sprachbund.cli.changed import NONE, described, print_change
from sprachbund.cli.changed import as_json as revision_json
from sprachbund.cli.output import Json, Wide, print_json, print_table
from sprachbund.db.engine import reading
from sprachbund.errors import QueryError
from sprachbund.planning.revisions import Revision, change, find_revision
from sprachbund.planning.revisions import revisions as revisions_of
from sprachbund.results import diff as differences
from sprachbund.spec.difference import Difference


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command()(diff)


def diff(
    a: Annotated[str | None, typer.Argument(metavar="[A]", help="A setting's label or the start of its key.")] = None,
    b: Annotated[str | None, typer.Argument(metavar="[B]", help="Another one.")] = None,
    experiment: Annotated[str | None, typer.Option(help="Where to look the labels up; default: everywhere.")] = None,
    revisions: Annotated[
        str | None,
        typer.Option(
            metavar="EXPERIMENT", help="Compare its revisions A and B instead; default: the last and the one before."
        ),
    ] = None,
    as_json: Json = False,
    wide: Wide = False,
) -> None:
    """List the fields in which two settings differ: model, intervention, parameters, inputs, transform, numerics.

    With --revisions: the fields in which two revisions of an experiment differ, and what that does to its plan.

    Examples: sprachbund diff 'experts eng_Latn k=0.035' 'union eng_Latn k=0.035' --experiment demo;
    sprachbund diff --revisions demo 1 3
    """
    if revisions is not None:
        _diff_revisions(revisions, a, b, as_json)
        return
    if a is None or b is None:
        raise QueryError("diff: expected two settings, or --revisions EXPERIMENT")
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


def _diff_revisions(experiment: str, a: str | None, b: str | None, as_json: bool) -> None:
    with reading(workspace.open().engine) as connection:
        known = revisions_of(connection, experiment)
    if a is None and len(known) == 1:
        raise QueryError(f"experiment '{experiment}' has one revision: there is nothing to compare it with")
    later = _revision(known, b, len(known))
    earlier = _revision(known, a, later.number - 1)
    found = change(earlier, later.asked)
    if as_json:
        print_json({"a": revision_json(earlier), "b": revision_json(later), "change": found and asdict(found)})
        return
    print(f"a  {described(earlier)}\nb  {described(later)}")
    if found is None:
        print("no difference")
    else:
        print_change(found, "a", "b")


def _revision(known: Sequence[Revision], given: str | None, default: int) -> Revision:
    if given is not None and not given.isdecimal():
        raise QueryError(f"revision is '{given}'; expected a number from 1 to {len(known)}")
    return find_revision(known, default if given is None else int(given))


def _rows(difference: Difference) -> list[tuple[str, str, str]]:
    """One line, or of two lists one for every entry that only one of them has."""
    a, b = difference.a, difference.b
    if not (isinstance(a, list) or isinstance(b, list)):
        return [(difference.field, _text(a), _text(b))]
    left, right = (each if isinstance(each, list) else [] if each is None else [each] for each in (a, b))
    lines = [(difference.field, _text(each), NONE) for each in left if each not in right]
    return lines + [(difference.field, NONE, _text(each)) for each in right if each not in left]


def _text(value: Any) -> str:
    if value is None:
        return NONE
    return f"{value:.6g}" if isinstance(value, float) else str(value)
