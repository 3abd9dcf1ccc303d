"""What was submitted under an experiment's name, one revision after another, and what each changed."""

import getpass
import hashlib
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Select, insert, select

import sprachbund
from sprachbund.db import tables as t
from sprachbund.db.engine import now_ms
from sprachbund.db.names import find_experiment
from sprachbund.errors import QueryError
from sprachbund.planning.blueprint import REPORTED_ROLES, Blueprint
from sprachbund.planning.resolve import Resolved
from sprachbund.spec.difference import Difference, differences
from sprachbund.work.keys import content_key
from sprachbund.work.payloads.star import Starred
from sprachbund.work.plan import Want

_PARTS = ("models", "languages", "texts", "layers", "settings", "work")


@dataclass(frozen=True, slots=True)
class Asked:
    """A spec with every default, and in short the plan it came to: what it is of, and a digest of the work by kind.

    The plan is what is wanted, whatever jobs exist already: the same spec has the same in every database, until a text,
    a model or a version of a kind of work changes.
    """

    spec: Mapping[str, Any]
    spec_digest: str
    plan: Mapping[str, Any]
    plan_digest: str


@dataclass(frozen=True, slots=True)
class Revision:
    """What was submitted, and who did when with which program: a version, and a digest of its source.

    user, host: None where the system names none.
    """

    number: int
    asked: Asked
    submitted_ms: int
    user: str | None
    host: str | None
    version: str
    source: str


@dataclass(frozen=True, slots=True)
class Moved:
    """Of one sort of things that a plan has: what the later one has more, less, and otherwise under the same name."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """What tells revision `since` from what came after: fields of the spec, and what that does to the plan.

    parts: models, languages, texts, layers, settings and kinds of work, where they differ. replaces: whether the plan
    is another one at all; the order of settings or layers alone makes it one as well.
    """

    since: int
    fields: tuple[Difference, ...]
    parts: Mapping[str, Moved]
    replaces: bool


def asked_for(resolved: Resolved, blueprint: Blueprint) -> Asked:
    """What a submission asks for, to be kept and compared."""
    texts: dict[str, dict[str, str]] = {}
    for each in resolved.corpora:
        of_role = texts.setdefault(each.role, {})
        for language, text in each.plan.texts.items():
            of_role[f"{each.plan.name}/{each.plan.split} {language}"] = text.key
    spoken = (text.language for each in resolved.corpora if each.role in REPORTED_ROLES
              for text in each.plan.texts.values())  # fmt: skip
    plan = {
        "models": {model.plan.name: model.plan.fingerprint for model in resolved.models},
        "languages": sorted(set(spoken)),
        "texts": texts,
        "layers": list(blueprint.layers),
        "settings": [[setting.label, setting.key] for setting in blueprint.settings],
        "work": _work(blueprint.wants),
    }
    spec = resolved.spec.expanded()
    return Asked(spec, content_key("spec", 1, spec=spec), plan, content_key("plan", 1, plan=plan))


def _work(wants: Sequence[Want]) -> dict[str, str]:
    """By kind a digest of all that is wanted of it: subjects, with their layers and pairs."""
    found: dict[str, list[str]] = {}
    for want in wants:
        pairs = sorted(pair.key for pair in want.payload.pairs) if isinstance(want.payload, Starred) else ()
        wanted = content_key("want", 1, subject=want.subject, layers=list(want.layers or ()), pairs=list(pairs))
        found.setdefault(want.kind.name, []).append(wanted)
    return {kind: content_key("wants", 1, wants=sorted(each)) for kind, each in found.items()}


def change(since: Revision, now: Asked) -> Change | None:
    """What tells a revision from what is asked now; None if nothing does."""
    replaces = since.asked.plan_digest != now.plan_digest
    if not replaces and since.asked.spec_digest == now.spec_digest:
        return None
    moved = {part: _moved(*(_named(each.plan, part) for each in (since.asked, now))) for part in _PARTS}
    parts = {part: each for part, each in moved.items() if each.added or each.removed or each.changed}
    return Change(since.number, differences(since.asked.spec, now.spec), parts, replaces)


def _named(plan: Mapping[str, Any], part: str) -> dict[str, str]:
    """What a plan has of a part: names, with what each stands for."""
    found = plan[part]
    if part == "texts":
        return {f"{role}: {text}": key for role, texts in found.items() for text, key in texts.items()}
    return {name: name for name in found} if part in ("languages", "layers") else dict(found)


def _moved(before: Mapping[str, str], after: Mapping[str, str]) -> Moved:
    return Moved(
        tuple(name for name in after if name not in before),
        tuple(name for name in before if name not in after),
        tuple(name for name in after if name in before and before[name] != after[name]),
    )


def last_revision(connection: Connection, experiment: str) -> Revision | None:
    """The revision that the experiment's plan is of; None if nothing was submitted under this name."""
    row = connection.execute(
        _columns()
        .join(t.Experiment, t.Experiment.id == t.ExperimentRevision.experiment_id)
        .where(t.Experiment.name == experiment, t.ExperimentRevision.revision == t.Experiment.revision)
    ).one_or_none()
    return None if row is None else _revision(row)


def revisions(connection: Connection, experiment: str) -> list[Revision]:
    """All revisions of an experiment, the oldest first. Raises QueryError if there is no such experiment."""
    of = t.ExperimentRevision.experiment_id == find_experiment(connection, experiment)
    return [_revision(row) for row in connection.execute(_columns().where(of).order_by(t.ExperimentRevision.revision))]


def find_revision(found: Sequence[Revision], number: int) -> Revision:
    """The revision of this number. Raises QueryError if there is none."""
    if not 1 <= number <= len(found):
        raise QueryError(f"there is no revision {number}; expected 1 to {len(found)}")
    return found[number - 1]


def record_revision(connection: Connection, experiment_id: int, number: int, asked: Asked) -> None:
    """Keep what was submitted."""
    values = {
        "experiment_id": experiment_id,
        "revision": number,
        **{each.name: getattr(asked, each.name) for each in fields(asked)},
        "submitted_ms": now_ms(connection),
        "submitted_by": _user(),
        "host": socket.gethostname() or None,
        "version": version("sprachbund"),
        "source": source_digest(),
    }
    connection.execute(insert(t.ExperimentRevision).values(**values))


def _columns() -> Select[Any]:
    return select(*t.ExperimentRevision.__table__.columns)


def _revision(row: Any) -> Revision:
    asked = Asked(row.spec, row.spec_digest, row.plan, row.plan_digest)
    return Revision(row.revision, asked, row.submitted_ms, row.submitted_by, row.host, row.version, row.source)


def _user() -> str | None:
    """The name of who is logged in; of a process without one, such as a container's, None."""
    try:
        return getpass.getuser()
    # KeyError until Python 3.12.
    except (KeyError, OSError):
        return None


@cache
def source_digest() -> str:
    """12 digits of a digest of this package's source: versions of a program in the making share a number."""
    digest = hashlib.sha256()
    for name, path in sorted(_sources()):
        digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def _sources() -> Iterator[tuple[str, Path]]:
    roots = [Path(each) for each in sprachbund.__path__]
    return chain.from_iterable(((path.relative_to(root).as_posix(), path) for path in root.rglob("*.py"))
                               for root in roots)  # fmt: skip
