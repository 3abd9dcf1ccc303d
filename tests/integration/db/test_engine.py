"""Connections, transactions, the clock, aggregates, and errors in one line, on both engines."""
# ruff: noqa: S608 - statements are put together of the test's own numbers

import math
import os
import re
import sqlite3
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from sprachbund.db import engine as engines
from sprachbund.db.engine import connect, describe, file_system, now_ms, reading, writing
from sprachbund.db.tables import Corpus
from sprachbund.errors import DatabaseError


def test_clock_is_epoch_milliseconds(engine: Engine) -> None:
    with reading(engine) as connection:
        before = time.time() * 1000
        found = connection.scalar(select(now_ms(connection)))
        after = time.time() * 1000
    assert isinstance(found, int)
    # One millisecond of rounding on either side.
    assert before - 1 <= found <= after + 1


def test_writing_commits_and_rolls_back(engine: Engine) -> None:
    add = text("INSERT INTO languages (code, iso639_3, name) VALUES (:code, 'xxx', 'x')")
    with writing(engine) as connection:
        connection.execute(add, {"code": "aaa"})

    def broken() -> None:
        with writing(engine) as connection:
            connection.execute(add, {"code": "bbb"})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    with reading(engine) as connection:
        assert connection.scalars(text("SELECT code FROM languages")).all() == ["aaa"]


def test_reading_cannot_write_and_later_writes_can(engine: Engine) -> None:
    add = text("INSERT INTO languages (code, iso639_3, name) VALUES ('aaa', 'xxx', 'x')")
    with pytest.raises((DBAPIError, DatabaseError)), reading(engine) as connection:
        connection.execute(add)
    with writing(engine) as connection:
        connection.execute(add)
    with reading(engine) as connection:
        assert connection.scalar(text("SELECT COUNT(*) FROM languages")) == 1


def test_reading_sees_one_state(engine: Engine) -> None:
    count = text("SELECT COUNT(*) FROM languages")
    with reading(engine) as connection:
        assert connection.scalar(count) == 0
        with writing(engine) as other:
            other.execute(text("INSERT INTO languages (code, iso639_3, name) VALUES ('aaa', 'xxx', 'x')"))
        assert connection.scalar(count) == 0
    with reading(engine) as connection:
        assert connection.scalar(count) == 1


def test_foreign_keys_hold(engine: Engine) -> None:
    with pytest.raises(IntegrityError), writing(engine) as connection:
        connection.execute(text("INSERT INTO job_edges (job_id, needs_id, soft) VALUES (1, 2, false)"))


def test_read_then_write_transactions_of_many_threads_never_fail(engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO languages (code, iso639_3, name) VALUES ('aaa', 'xxx', '0')"))
    failures: list[Exception] = []

    def count_up() -> None:
        try:
            for _ in range(25):
                with writing(engine) as connection:
                    lock = "" if engine.dialect.name == "sqlite" else " FOR UPDATE"
                    found = int(str(connection.scalar(text(f"SELECT name FROM languages{lock}"))))
                    connection.execute(text("UPDATE languages SET name = :name"), {"name": str(found + 1)})
        except DatabaseError as error:
            failures.append(error)

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    with reading(engine) as connection:
        assert connection.scalar(text("SELECT name FROM languages")) == "100"


def _aggregate(engine: Engine, sql: str, rows: list[tuple[float | None, float | None]]) -> float | None:
    values = ", ".join(
        "(" + ", ".join("CAST(NULL AS DOUBLE PRECISION)" if x is None else repr(x) for x in row) + ")" for row in rows
    )
    with reading(engine) as connection:
        return connection.scalar(text(f"WITH data (x, y) AS (VALUES {values}) SELECT {sql} FROM data"))


def test_aggregates_equal_numpy(engine: Engine) -> None:
    generator = np.random.default_rng(0)
    for n in (1, 2, 3, 10, 101):
        x, y = generator.normal(size=n), generator.integers(0, 4, size=n).astype(float)
        rows: list[tuple[float | None, float | None]] = [(float(a), float(b)) for a, b in zip(x, y, strict=True)]
        rows.append((None, 2.0))
        assert _aggregate(engine, "median(x)", rows) == pytest.approx(np.median(x), rel=1e-13)
        for q in (0.0, 0.1, 0.5, 0.9, 1.0):
            assert _aggregate(engine, f"quantile(x, {q})", rows) == pytest.approx(np.quantile(x, q), rel=1e-12)
        if n > 2:
            assert _aggregate(engine, "corr(x, y)", rows) == pytest.approx(np.corrcoef(x, y)[0, 1], rel=1e-10)


def test_aggregates_of_nothing_and_of_a_constant_are_null(engine: Engine) -> None:
    nothing: list[tuple[float | None, float | None]] = [(None, None)]
    assert _aggregate(engine, "median(x)", nothing) is None
    assert _aggregate(engine, "quantile(x, 0.5)", nothing) is None
    assert _aggregate(engine, "corr(x, y)", nothing) is None
    assert _aggregate(engine, "corr(x, y)", [(1.0, 2.0), (1.0, 3.0)]) is None


def test_quantile_outside_the_unit_interval_is_refused(engine: Engine) -> None:
    with pytest.raises((DBAPIError, DatabaseError)):
        _aggregate(engine, "quantile(x, 1.5)", [(1.0, 2.0)])


def test_json_refuses_nan(engine: Engine) -> None:
    row = {"key": "k", "name": "n", "split": "s", "kind": "parallel", "source": {"x": math.nan}}
    with pytest.raises((StatementError, ValueError), match="JSON compliant"), writing(engine) as connection:
        connection.execute(insert(Corpus).values(**row))


def test_missing_table_names_the_remedy(engine: Engine) -> None:
    with pytest.raises(DatabaseError, match=r"run `sprachbund db upgrade`$"), reading(engine) as connection:
        connection.execute(text("SELECT * FROM no_such_thing"))


def test_a_mistake_in_a_statement_is_no_database_error(engine: Engine) -> None:
    with pytest.raises(DBAPIError), reading(engine) as connection:
        connection.execute(text("SELEC 1"))


def test_passwords_are_never_shown() -> None:
    for url in (
        "postgresql://me:s3cret@127.0.0.1:1/none",
        "postgresql+psycopg://me@127.0.0.1:1/none?password=s3cret",
        "postgres://me:s3cret@127.0.0.1:1/none",
    ):
        engine = connect(url)
        with pytest.raises(DatabaseError) as raised, writing(engine):
            pass
        shown = [repr(engine), str(engine.url), describe(url), str(raised.value)]
        assert not any("s3cret" in line for line in shown)
        assert "\n" not in str(raised.value)
        assert "127.0.0.1" in str(raised.value)
    with pytest.raises(DatabaseError) as raised:
        connect("postgresql//me:s3cret@host")
    assert "s3cret" not in str(raised.value)


def test_other_databases_are_refused() -> None:
    with pytest.raises(DatabaseError, match="'mysql' is not supported; expected sqlite or postgresql"):
        connect("mysql://me@host/name")


class TestSqliteFile:
    def test_pragmas(self, sqlite_engine: Engine) -> None:
        with reading(sqlite_engine) as connection:
            found = [
                connection.scalar(text(f"PRAGMA {name}"))
                for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
            ]
        assert found == ["wal", 1, 30_000, 1]

    def test_must_be_a_file(self) -> None:
        with pytest.raises(DatabaseError, match="must be a file"):
            connect("sqlite://")

    def test_missing_file_is_not_made(self, tmp_path: Path) -> None:
        with pytest.raises(DatabaseError, match="does not exist: run `sprachbund init`"):
            connect(f"sqlite:///{tmp_path / 'none.db'}")
        with pytest.raises(DatabaseError, match="its folder does not exist"):
            connect(f"sqlite:///{tmp_path / 'none' / 'none.db'}", create=True)
        assert not list(tmp_path.iterdir())

    def test_file_deleted_while_in_use(self, sqlite_engine: Engine) -> None:
        with reading(sqlite_engine) as connection:
            connection.execute(text("SELECT 1"))
        Path(str(sqlite_engine.url.database)).unlink()
        with pytest.raises(DatabaseError, match="is gone"), writing(sqlite_engine):
            pass
        assert not Path(str(sqlite_engine.url.database)).exists()

    def test_file_of_something_else(self, tmp_path: Path) -> None:
        path = tmp_path / "text.db"
        path.write_text("no database\n" * 100)
        with pytest.raises(DatabaseError, match="is not a SQLite database"), reading(connect(f"sqlite:///{path}")):
            pass

    def test_locked(self, sqlite_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(engines, "BUSY_MS", 20)
        impatient = connect(sqlite_engine.url)
        with writing(sqlite_engine), pytest.raises(DatabaseError, match="was locked by another"), writing(impatient):
            pass
        impatient.dispose()

    def test_full_disk(self, sqlite_engine: Engine) -> None:
        def fill() -> None:
            with writing(sqlite_engine) as connection:
                pages = connection.scalar(text("PRAGMA page_count"))
                connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
                connection.exec_driver_sql("CREATE TABLE big AS SELECT randomblob(1000000) AS bytes")

        with pytest.raises(DatabaseError, match="the disk is full"):
            fill()
        sqlite_engine.dispose()

    def test_network_file_system_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(engines, "file_system", lambda path: "nfs4")
        with pytest.raises(DatabaseError, match=r"network file system \(nfs4\).*PostgreSQL"):
            connect(f"sqlite:///{tmp_path / 'x.db'}", create=True)

    def test_file_system_is_that_of_the_nearest_mount(self, tmp_path: Path) -> None:
        mounts = tmp_path / "mounts"
        (tmp_path / "net work" / "deep").mkdir(parents=True)
        point = str(tmp_path / "net work").replace(" ", "\\040")
        mounts.write_text(f"/dev/a / ext4 rw 0 0\nsrv:/x {point} nfs4 rw 0 0\n")
        assert file_system(tmp_path / "net work" / "deep", mounts) == "nfs4"
        assert file_system(tmp_path, mounts) == "ext4"
        assert file_system(tmp_path, tmp_path / "absent") == ""
        assert re.fullmatch(r"[\w.]*", file_system(Path(os.sep)))

    def test_waits_for_the_writer_before_it(self, sqlite_engine: Engine) -> None:
        entered = threading.Event()

        def hold() -> None:
            with writing(sqlite_engine) as connection:
                entered.set()
                time.sleep(0.2)
                connection.execute(text("INSERT INTO languages (code, iso639_3, name) VALUES ('aaa', 'x', 'x')"))

        thread = threading.Thread(target=hold)
        thread.start()
        entered.wait()
        with writing(sqlite_engine) as connection:
            assert connection.scalar(text("SELECT COUNT(*) FROM languages")) == 1
        thread.join()

    def test_driver_connection_is_plain_sqlite(self, sqlite_engine: Engine) -> None:
        with reading(sqlite_engine) as connection:
            assert isinstance(connection.connection.driver_connection, sqlite3.Connection)
