"""Moving a database between schema revisions, and comparing it with the tables declared.

A migration is one transaction on both engines: views are dropped, tables changed, views, functions and
metric names written again; a failure leaves everything as it was.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, text
from sqlalchemy.dialects import postgresql, sqlite

from sprachbund.db import revisions, views
from sprachbund.db.aggregates import create_functions
from sprachbund.db.engine import IMMEDIATE, describe, reading, sqlite_path, translated
from sprachbund.db.tables import Base, MetricName
from sprachbund.errors import DatabaseError
from sprachbund.measures import METRICS

# What env.py and `check` compare: types too, and columns are altered by copying the table on SQLite.
COMPARISON = {"compare_type": True, "render_as_batch": True}
_LOCK = 0x5B_DB  # advisory lock of PostgreSQL: one migration at a time


def configuration() -> Config:
    """Alembic's configuration for these migrations; holds no URL and so no password."""
    config = Config()
    config.set_main_option("script_location", str(revisions.migrations_folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the database to `revision`; at the head also rewrite views, functions and metric names.

    SQLite: a file that holds data is copied beside itself first, if a migration runs.

    Raises:
        DatabaseError: the revision is unknown, or the migration would break foreign keys.
    """
    _migrate(engine, command.upgrade, revision)


def downgrade(engine: Engine, revision: str) -> None:
    """Take the database back to `revision` (`base`: no tables). Backs up and raises as `upgrade` does."""
    _migrate(engine, command.downgrade, revision)


def check(engine: Engine) -> None:
    """Compare the database's tables with this program's.

    Raises:
        DatabaseError: they differ; names the first difference.
    """
    with reading(engine) as connection:
        context = MigrationContext.configure(connection, opts={**COMPARISON, "target_metadata": Base.metadata})
        found = compare_metadata(context, Base.metadata)
    if found:
        raise DatabaseError(
            f"database {describe(engine.url)} differs from this program's tables in {len(found)} places, "
            f"first: {' '.join(str(found[0]).split())}"
        )


@contextmanager
def migrating(engine: Engine) -> Iterator[Connection]:
    """The transaction of a migration: views are gone inside it, and back at its end if it reached the head.

    SQLite: foreign keys are off, because rebuilding a table would delete its children by cascade, and are
    checked at the end.
    """
    with translated(engine), engine.connect() as plain:
        raw = plain.connection.driver_connection
        if isinstance(raw, sqlite3.Connection):
            raw.execute("PRAGMA foreign_keys = OFF")
        try:
            connection = plain.execution_options(**IMMEDIATE)
            with connection.begin():
                if connection.dialect.name == "postgresql":
                    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
                before = revisions.of_connection(connection)
                views.drop_views(connection)
                yield connection
                after = revisions.of_connection(connection)
                if after == revisions.head():
                    views.create_views(connection)
                    create_functions(connection)
                    _write_metric_names(connection)
                _check_foreign_keys(connection)
                path = sqlite_path(engine)
                if path is not None and before is not None and before != after:
                    _back_up(path, before)
        finally:
            if isinstance(raw, sqlite3.Connection):
                raw.execute("PRAGMA foreign_keys = ON")


def _migrate(engine: Engine, move: Callable[[Config, str], None], revision: str) -> None:
    config = configuration()
    with migrating(engine) as connection:
        config.attributes["connection"] = connection
        try:
            move(config, revision)
        except CommandError as error:
            raise DatabaseError(f"database {describe(engine.url)}: {error}") from None


def _write_metric_names(connection: Connection) -> None:
    """Insert or update one row per metric. Names that left the program stay: results refer to them."""
    build = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    for metric in METRICS.values():
        row = {
            "unit": metric.unit,
            "better": metric.better,
            "low": metric.low,
            "high": metric.high,
            "description": metric.description,
        }
        statement = build(MetricName).values(name=metric.name, **row)
        connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=row))


def _check_foreign_keys(connection: Connection) -> None:
    if connection.dialect.name != "sqlite":
        return
    broken = connection.execute(text("PRAGMA foreign_key_check")).all()
    if broken:
        table, row, parent, _ = broken[0]
        raise DatabaseError(
            f"the migration was undone: it left {len(broken)} rows without the row they refer to "
            f"(first: row {row} of {table} refers to {parent})"
        )


def _back_up(path: Path, revision: str) -> None:
    """Copy the file as it was before the transaction that is open now: others do not see that one yet."""
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as old:
        tables = old.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        names = [name for (name,) in tables if name not in ("alembic_version", "metric_names")]
        if not any(old.execute(f'SELECT EXISTS (SELECT 1 FROM "{name}")').fetchone()[0] for name in names):  # noqa: S608
            return
        copy = path.with_name(f"{path.stem}.{revision}.backup{path.suffix}")
        number = 2
        while copy.exists():
            copy = path.with_name(f"{path.stem}.{revision}.backup-{number}{path.suffix}")
            number += 1
        unfinished = copy.with_name(copy.name + ".part")
        try:
            with closing(sqlite3.connect(unfinished)) as new:
                old.backup(new)
            os.replace(unfinished, copy)
        except (sqlite3.Error, OSError) as error:
            unfinished.unlink(missing_ok=True)
            raise DatabaseError(f"the migration was undone: the backup {copy} failed: {error}") from error
