"""What tells one revision of an experiment from another, printed."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sprachbund.cli.output import counts, print_table
from sprachbund.planning.revisions import Change, Moved, Revision
from sprachbund.planning.submission import Submission
from sprachbund.spec.difference import Difference
from sprachbund.spec.reading import write_yaml

NONE = "–"


def print_submitted_change(found: Submission) -> None:
    """What a submission changes, if anything, with what becomes of its jobs."""
    change = found.change
    if change is None:
        return
    print_change(change, f"revision {change.since}", "now")
    if change.replaces:
        print(f"new        {found.n_new} jobs: {counts(found.new)}")
        print(f"unused     {sum(found.unused.values())} jobs of revision {change.since}: {counts(found.unused)}")


def print_change(change: Change, a: str, b: str) -> None:
    """The fields of the spec that differ, under the names of both sides, then what that does to the plan."""
    if change.fields:
        print_table(["field", a, b], [(each.field, *_sides(each)) for each in change.fields])
    if not change.replaces:
        print("the plan is the same")
    for part, moved in change.parts.items():
        print(f"{part:<10} {_said(moved)}")
    if change.replaces and not change.parts:
        print("order      of settings, or of layers, is another one")


def described(revision: Revision) -> str:
    """`revision 2, submitted 2026-03-01 10:20 UTC by ana@host with sprachbund 0.1.0 (source 3f…)`."""
    when = datetime.fromtimestamp(revision.submitted_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    who = f" by {revision.user}" if revision.user else ""
    where = f" on {revision.host}" if revision.host else ""
    return (
        f"revision {revision.number}, submitted {when}{who}{where} with sprachbund {revision.version}"
        f" (source {revision.source})"
    )


def as_json(revision: Revision) -> dict[str, Any]:
    """A revision for programs, without its spec."""
    return {
        "revision": revision.number,
        "submitted_ms": revision.submitted_ms,
        "submitted_by": revision.user,
        "host": revision.host,
        "version": revision.version,
        "source": revision.source,
        "spec_digest": revision.asked.spec_digest,
        "plan_digest": revision.asked.plan_digest,
    }


def _said(moved: Moved) -> str:
    words: Mapping[str, tuple[str, ...]] = {
        "more": moved.added,
        "less": moved.removed,
        "otherwise": moved.changed,
    }
    return "; ".join(f"{len(names)} {word}: {shortened(names)}" for word, names in words.items() if names)


def shortened(labels: Iterable[str], most: int = 8) -> str:
    """The first of them, and how many more there are."""
    listed = list(labels)
    shown = ", ".join(listed[:most])
    return shown if len(listed) <= most else f"{shown}, … {len(listed) - most} more"


def _sides(difference: Difference) -> tuple[str, str]:
    return _text(difference.a), _text(difference.b)


def _text(value: Any) -> str:
    return NONE if value is None else write_yaml(value, flow=True).strip()
