"""Migrations: up, down and up with rows in every table, undone as a whole when they fail; on both engines."""

import io
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory
from pytest_alembic.tests import (  # noqa: F401 - collected here
    test_model_definitions_match_ddl,
    test_single_head_revision,
    test_up_down_consistency,
    test_upgrade,
)
from sqlalchemy import Engine, inspect, select, text

from sprachbund.db import migrate, revisions, views
from sprachbund.db.engine import connect, reading, sqlite_path, writing
from sprachbund.db.tables import Base, MetricName
from sprachbund.errors import DatabaseError
from sprachbund.measures import METRICS

SECOND = """
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("jobs") as batch:
        batch.alter_column("label", type_=sa.String(4_000), existing_type=sa.Text(), existing_nullable=False)
        batch.add_column(sa.Column("note", sa.Text()))
    {more}


def downgrade() -> None:
    with op.batch_alter_table("jobs") as batch:
        batch.drop_column("note")
        batch.alter_column("label", type_=sa.Text(), existing_type=sa.String(4_000), existing_nullable=False)
"""


@pytest.fixture
def alembic_config() -> Any:
    return migrate.configuration()


@pytest.fixture
def alembic_engine(empty_engine: Engine) -> Engine:
    return empty_engine


@pytest.fixture
def empty_engine(empty_database_url: str) -> Any:
    engine = connect(empty_database_url, create=True)
    yield engine
    engine.dispose()


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Adds a revision after the head, in a copy of the migrations; called with one more statement for it."""
    folder = tmp_path / "migrations"
    head = revisions.head()
    shutil.copytree(revisions.migrations_folder(), folder, ignore=shutil.ignore_patterns("__pycache__"))

    def add(more: str = "") -> None:
        (folder / "versions" / "9999_later.py").write_text(SECOND.format(head=head, more=more))
        monkeypatch.setattr(revisions, "migrations_folder", lambda: folder)

    return add


def _fill(engine: Engine) -> dict[str, int]:
    """One row in every table, made from the columns' types; returns the number of rows by table."""
    with writing(engine) as connection:
        for table in Base.metadata.sorted_tables:
            if table.name == "metric_names":
                continue
            row = {column.name: _value(connection, table, column) for column in table.columns}
            connection.execute(table.insert().values(row))
    return _counts(engine)


def _value(connection: sa.Connection, table: sa.Table, column: sa.Column[Any]) -> Any:
    for key in column.foreign_keys:
        return connection.scalar(select(key.column).limit(1))
    for check in table.constraints:
        if isinstance(check, sa.CheckConstraint) and str(check.sqltext).startswith(f"{column.name} IN"):
            return re.findall(r"'(\w+)'", str(check.sqltext))[0]
    if isinstance(column.type, sa.JSON):
        return {"x": [1]}
    return {str: "x", int: 1, float: 0.5, bool: True}[column.type.python_type]


def _counts(engine: Engine) -> dict[str, int]:
    with reading(engine) as connection:
        return {
            table.name: int(connection.scalar(select(sa.func.count()).select_from(table)) or 0)
            for table in Base.metadata.sorted_tables
        }


def _views(engine: Engine) -> set[str]:
    return set(inspect(engine).get_view_names())


def test_upgrade_from_nothing(empty_engine: Engine) -> None:
    assert revisions.current(empty_engine) is None
    with pytest.raises(DatabaseError, match="has no tables yet: run `sprachbund db upgrade`"):
        revisions.require_current(empty_engine)
    migrate.upgrade(empty_engine)
    assert revisions.current(empty_engine) == revisions.head()
    revisions.require_current(empty_engine)
    migrate.check(empty_engine)
    assert _views(empty_engine) == set(views.VIEWS)
    with reading(empty_engine) as connection:
        rows = {row.name: row for row in connection.execute(select(MetricName.__table__))}
        assert connection.scalar(text("SELECT median(x) FROM (SELECT 1.5 AS x) AS data")) == 1.5
    assert rows.keys() == METRICS.keys()
    assert all((rows[name].unit, rows[name].better) == (each.unit, each.better) for name, each in METRICS.items())


def test_revisions_are_those_of_alembic(later: Any) -> None:
    first = revisions.head()
    later()
    scripts = ScriptDirectory.from_config(migrate.configuration())
    assert revisions.known() == {each.revision: each.down_revision for each in scripts.walk_revisions()}
    assert revisions.known() == {first: None, "9999": first}
    assert revisions.head() == scripts.get_current_head() == "9999"


def test_up_down_up_with_rows_in_every_table(empty_engine: Engine) -> None:
    migrate.upgrade(empty_engine)
    before = _fill(empty_engine)
    assert min(before.values()) == 1
    migrate.upgrade(empty_engine)
    assert _counts(empty_engine) == before
    migrate.downgrade(empty_engine, "base")
    assert set(inspect(empty_engine).get_table_names()) <= {"alembic_version"}
    assert _views(empty_engine) == set()
    migrate.upgrade(empty_engine)
    assert sum(_counts(empty_engine).values()) == len(METRICS)
    _fill(empty_engine)


def test_metric_names_follow_the_program(engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(text("UPDATE metric_names SET description = 'old', low = NULL"))
        connection.execute(text("DELETE FROM metric_names WHERE name = 'top1'"))
        row = {"name": "gone", "unit": "share", "better": "none", "description": "of an older program"}
        connection.execute(sa.insert(MetricName).values(**row))
    migrate.upgrade(engine)
    with reading(engine) as connection:
        found = {row.name: row.description for row in connection.execute(select(MetricName.__table__))}
    assert found.pop("gone") == "of an older program"
    assert found == {name: metric.description for name, metric in METRICS.items()}


def test_later_revision_keeps_all_rows_and_children(engine: Engine, later: Any) -> None:
    """On SQLite the parent of cascading children is rebuilt; with foreign keys on that would empty them."""
    before = _fill(engine)
    first = revisions.head()
    later()
    with pytest.raises(DatabaseError, match=rf"is at revision {first}, this program needs 9999: run `sprachbund db"):
        revisions.require_current(engine)
    migrate.upgrade(engine)
    assert revisions.current(engine) == "9999"
    assert _counts(engine) == before
    assert _views(engine) == set(views.VIEWS)
    with pytest.raises(
        DatabaseError, match=r"differs from this program's tables in \d+ places, first: .*'jobs', 'label'"
    ):
        migrate.check(engine)
    migrate.downgrade(engine, first)
    assert _counts(engine) == before
    migrate.check(engine)


def test_foreign_keys_are_on_again_after_a_migration(engine: Engine) -> None:
    migrate.upgrade(engine)
    with pytest.raises(sa.exc.IntegrityError), writing(engine) as connection:
        connection.execute(text("INSERT INTO job_edges (job_id, needs_id, soft) VALUES (1, 2, false)"))


def test_unknown_revision_is_refused(engine: Engine, later: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    known = revisions.migrations_folder()
    later()
    migrate.upgrade(engine)
    monkeypatch.setattr(revisions, "migrations_folder", lambda: known)
    with pytest.raises(DatabaseError, match=r"revision 9999, which this program does not know") as raised:
        revisions.require_current(engine)
    assert "another version of sprachbund made it" in str(raised.value)
    with pytest.raises(DatabaseError, match="9999"):
        migrate.upgrade(engine)
    assert revisions.current(engine) == "9999"


@pytest.mark.parametrize("cause", ["raises", "breaks foreign keys"])
def test_failed_migration_leaves_everything_as_it_was(engine: Engine, later: Any, cause: str) -> None:
    before = _fill(engine)
    first = revisions.head()
    if cause == "raises":
        later("raise ZeroDivisionError")
        with pytest.raises(ZeroDivisionError):
            migrate.upgrade(engine)
    elif engine.dialect.name == "sqlite":
        later('op.execute("DELETE FROM languages")')
        with pytest.raises(DatabaseError, match=r"was undone: it left .* rows without the row they refer to"):
            migrate.upgrade(engine)
    else:
        later('op.execute("DELETE FROM languages")')
        with pytest.raises(sa.exc.IntegrityError):
            migrate.upgrade(engine)
    assert revisions.current(engine) == first
    assert _counts(engine) == before
    assert _views(engine) == set(views.VIEWS)
    assert "note" not in {column["name"] for column in inspect(engine).get_columns("jobs")}


def test_sqlite_file_with_data_is_backed_up(sqlite_engine: Engine, later: Any) -> None:
    path = sqlite_path(sqlite_engine)
    assert path is not None
    first = revisions.head()
    migrate.upgrade(sqlite_engine)
    before = _fill(sqlite_engine)
    migrate.upgrade(sqlite_engine)
    assert not list(path.parent.glob("*backup*"))
    later()
    migrate.upgrade(sqlite_engine)
    migrate.downgrade(sqlite_engine, first)
    migrate.upgrade(sqlite_engine)
    names = [f"sprachbund.{first}.backup.db", f"sprachbund.{first}.backup-2.db", "sprachbund.9999.backup.db"]
    assert sorted(each.name for each in path.parent.glob("*backup*")) == sorted(names)
    with closing(sqlite3.connect(path.with_name(names[0]))) as copy:
        assert copy.execute("SELECT version_num FROM alembic_version").fetchall() == [(first,)]
        assert copy.execute("SELECT COUNT(*) FROM jobs").fetchone() == (before["jobs"],)
        assert "note" not in [row[1] for row in copy.execute("PRAGMA table_info(jobs)")]


def test_sqlite_file_without_data_is_not_backed_up(sqlite_engine: Engine, later: Any) -> None:
    path = sqlite_path(sqlite_engine)
    assert path is not None
    later()
    migrate.upgrade(sqlite_engine)
    assert revisions.current(sqlite_engine) == "9999"
    assert not list(path.parent.glob("*backup*"))


def test_failed_backup_undoes_the_migration(sqlite_engine: Engine, later: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = sqlite_path(sqlite_engine)
    assert path is not None
    _fill(sqlite_engine)
    first = revisions.head()
    later()

    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(migrate.os, "replace", full)
    with pytest.raises(DatabaseError, match=r"undone: the backup .* failed: .*No space left"):
        migrate.upgrade(sqlite_engine)
    assert revisions.current(sqlite_engine) == first
    assert not list(path.parent.glob("*backup*"))


def test_migrations_make_what_the_tables_say(empty_engine: Engine, engine: Engine) -> None:
    """Alembic compares neither CHECK constraints nor names nor partial indexes: compare the schemas' own text."""
    Base.metadata.create_all(empty_engine)
    if engine.dialect.name == "sqlite":
        statement = "SELECT name, sql FROM sqlite_master WHERE type <> 'view' AND sql IS NOT NULL"
    else:
        statement = """
            SELECT conname AS name, conrelid::regclass || ' ' || pg_get_constraintdef(oid) AS sql FROM pg_constraint
            WHERE connamespace = 'public'::regnamespace
            UNION ALL SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
            UNION ALL SELECT table_name || '.' || column_name, concat_ws(' ', data_type, character_maximum_length,
                is_nullable, column_default) FROM information_schema.columns
            WHERE table_schema = 'public' AND table_name NOT IN (SELECT viewname FROM pg_views)
        """
    schemas = []
    for each in (empty_engine, engine):
        with reading(each) as connection:
            rows = connection.execute(text(statement)).all()
        schemas.append({
            row.name: _clauses(row.sql) for row in rows if not row.name.startswith("alembic_version")
        })  # fmt: skip
    assert schemas[0].keys() == schemas[1].keys()
    for name, sql in schemas[0].items():
        assert schemas[1][name] == sql, name
    assert len(schemas[0]) > len(Base.metadata.tables)


def _clauses(sql: str) -> list[str]:
    """The lines of a CREATE statement without order and spacing: both tools write the same clauses."""
    return sorted(" ".join(line.split()).rstrip(",") for line in sql.splitlines() if line.strip())


def test_every_constraint_and_index_has_a_name() -> None:
    for table in Base.metadata.sorted_tables:
        for constraint in table.constraints:
            assert constraint.name is not None, f"{table.name}: {constraint}"
            prefix = {"PrimaryKey": "pk", "ForeignKey": "fk", "Unique": "uq", "Check": "ck"}[
                type(constraint).__name__.removesuffix("Constraint")
            ]
            assert str(constraint.name).startswith(f"{prefix}_{table.name}")
            # PostgreSQL cuts longer names, and two cut names may be the same.
            assert len(str(constraint.name)) <= 63
        for index in table.indexes:
            assert str(index.name).startswith(f"ix_{table.name}")


def test_every_foreign_key_of_a_cascade_has_an_index() -> None:
    for table in Base.metadata.sorted_tables:
        leading = {next(iter(index.columns)).name for index in table.indexes}
        leading |= {next(iter(table.primary_key.columns)).name}
        for key in table.foreign_keys:
            if key.ondelete == "CASCADE":
                assert key.parent.name in leading, f"{table.name}.{key.parent.name}"


def test_check_of_the_alembic_command(engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPRACHBUND_DATABASE_URL", database_url)
    config = migrate.configuration()
    config.stdout = io.StringIO()
    command.check(config)
    assert "No new upgrade operations" in config.stdout.getvalue()
    assert _views(engine) == set(views.VIEWS)
    monkeypatch.delenv("SPRACHBUND_DATABASE_URL")
    with pytest.raises(DatabaseError, match="which database"):
        command.check(config)


def test_migrations_of_a_package_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = revisions.migrations_folder()
    assert (here / "env.py").is_file()
    package = tmp_path / "site-packages" / "sprachbund"
    package.mkdir(parents=True)
    monkeypatch.setattr(revisions.sprachbund, "__path__", [str(package)])
    with pytest.raises(DatabaseError, match="the migrations are missing"):
        revisions.migrations_folder()
    shutil.copytree(here, package / "_migrations")
    assert revisions.migrations_folder() == package / "_migrations"
