"""The schema's revision: the database's, this program's, and refusing a database at another one.

Every command looks at these, so they are read without Alembic, which takes long to import.
"""

import runpy
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

import sprachbund
from sprachbund.db.engine import describe, reading
from sprachbund.errors import DatabaseError

_ADVICE = "run `sprachbund db upgrade`"


def migrations_folder() -> Path:
    """The Alembic folder: beside `platform/` in a checkout, else the copy in the installed package.

    Raises:
        DatabaseError: neither is there.
    """
    package = Path(next(iter(sprachbund.__path__)))
    beside = package.parent.parent / "migrations"
    for folder in (beside if package.parent.name == "platform" else package, package / "_migrations"):
        if (folder / "env.py").is_file():
            return folder
    raise DatabaseError(f"the migrations are missing from {package}: install sprachbund again")


def known() -> dict[str, str | None]:
    """This program's revisions, each with the one before it."""
    scripts = [runpy.run_path(str(path)) for path in sorted((migrations_folder() / "versions").glob("*.py"))]
    return {each["revision"]: each["down_revision"] for each in scripts}


def head() -> str:
    """The revision this program works with."""
    found = known()
    (last,) = found.keys() - found.values()
    return last


def current(engine: Engine) -> str | None:
    """The database's revision; None if it has no tables yet."""
    with reading(engine) as connection:
        return of_connection(connection)


def of_connection(connection: Connection) -> str | None:
    """As `current`, inside a transaction."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return None if found is None else str(found)


def require_current(engine: Engine) -> None:
    """Refuse a database that this program's tables do not fit.

    Raises:
        DatabaseError: it has no tables, or is at an older or an unknown revision.
    """
    found, expected = current(engine), head()
    if found == expected:
        return
    name = f"database {describe(engine.url)}"
    if found is None:
        raise DatabaseError(f"{name} has no tables yet: {_ADVICE}")
    if found in known():
        raise DatabaseError(f"{name} is at revision {found}, this program needs {expected}: {_ADVICE}")
    raise DatabaseError(
        f"{name} is at revision {found}, which this program does not know (it knows {expected}): another version of "
        "sprachbund made it; install that one, or make a new workspace"
    )
