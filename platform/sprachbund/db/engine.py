"""Connecting to SQLite or PostgreSQL, transactions, the database's clock, and errors in one line."""

import functools
import json
import os
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, BigInteger, Connection, Engine, create_engine, event, literal_column, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.elements import ColumnElement

from sprachbund.db.aggregates import register_aggregates
from sprachbund.errors import DatabaseError

BUSY_MS = 30_000
# A PostgreSQL connection that was idle for longer is tried before it is used.
IDLE_S = 10.0
# WAL needs memory shared by all processes of one host, which these file systems do not give.
NETWORK_FILE_SYSTEMS = frozenset((
    "afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.glusterfs", "fuse.juicefs", "fuse.rclone", "fuse.s3fs",
    "fuse.sshfs", "glusterfs", "gpfs", "lustre", "nfs", "nfs4", "orangefs", "pvfs2", "smb3", "smbfs", "wekafs",
))  # fmt: skip
NOW_MS = {
    "sqlite": "CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER)",
    "postgresql": "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
}
# Execution options of a connection: how SQLite begins its transactions.
IMMEDIATE = {"sprachbund_begin": "BEGIN IMMEDIATE"}


def connect(url: str | URL, *, create: bool = False) -> Engine:
    """An engine for `sqlite:///path` or `postgresql://user@host/database`.

    Opens no connection yet. A SQLite file must exist unless `create` is true.

    Raises:
        DatabaseError: the URL is malformed or of another database, the folder or file of a SQLite
            database is missing, or it lies on a network file system.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _connect_sqlite(parsed, create)
    return _connect_postgresql(parsed)


def parse_url(url: str | URL) -> URL:
    """`url` with its driver set and any password where `repr` hides it."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise DatabaseError(
            "the database URL cannot be read; expected sqlite:///path/file.db or postgresql://user@host/name"
        ) from None
    backend = "postgresql" if parsed.drivername == "postgres" else parsed.get_backend_name()
    if backend == "sqlite":
        return parsed.set(drivername="sqlite")
    if backend != "postgresql":
        raise DatabaseError(f"database '{backend}' is not supported; expected sqlite or postgresql")
    secret = parsed.query.get("password")
    if isinstance(secret, str):
        parsed = parsed.difference_update_query(["password"]).set(password=secret)
    return parsed.set(drivername="postgresql+psycopg")


def describe(url: str | URL) -> str:
    """What messages call a database: its file, or the URL without its password."""
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        return str(parsed.database)
    return parsed.set(drivername="postgresql").render_as_string(hide_password=True)


def sqlite_path(engine: Engine) -> Path | None:
    """The database file of a SQLite engine, else None."""
    if engine.dialect.name != "sqlite":
        return None
    return Path(str(engine.url.database))


def now_ms(connection: Connection | Engine) -> ColumnElement[int]:
    """An SQL expression: the time of the database's own clock in epoch milliseconds."""
    return literal_column(NOW_MS[connection.dialect.name], BigInteger())


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One write transaction: committed at the end, rolled back on any exception.

    SQLite takes the write lock at once (BEGIN IMMEDIATE), because a transaction that reads first and
    writes later fails when another one wrote in between, whatever the timeout.

    Raises:
        DatabaseError: the database is gone, locked, full, or has no tables.
    """
    with translated(engine), engine.connect() as plain:
        connection = plain.execution_options(**IMMEDIATE)
        with connection.begin():
            yield connection


@contextmanager
def single(engine: Engine) -> Iterator[Connection]:
    """For one writing statement that needs no other beside it.

    PostgreSQL commits each statement by itself, which spares two round trips; SQLite is as `writing`.
    """
    if engine.dialect.name == "sqlite":
        with writing(engine) as connection:
            yield connection
        return
    with translated(engine), engine.connect() as plain:
        yield plain.execution_options(isolation_level="AUTOCOMMIT")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One read-only transaction that sees a single state of the database.

    Raises:
        DatabaseError: the database is gone, locked, or has no tables.
    """
    with translated(engine), engine.connect() as plain:
        if engine.dialect.name == "postgresql":
            options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            connection = plain.execution_options(**options)
            with connection.begin():
                yield connection
            return
        raw = plain.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.execute("PRAGMA query_only = ON")
        try:
            with plain.begin():
                yield plain
        finally:
            raw.execute("PRAGMA query_only = OFF")


@contextmanager
def translated(engine: Engine) -> Iterator[None]:
    """Turn failures of the database itself into DatabaseError; mistakes in statements pass as they are."""
    try:
        yield
    except DBAPIError as error:
        message = _one_line(error, engine)
        if message is None:
            raise
        raise DatabaseError(message) from error


def _one_line(error: DBAPIError, engine: Engine) -> str | None:
    """The user's message for a failure of the database itself; None for a mistake in a statement."""
    found = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
    name = f"database {describe(engine.url)}"
    if "no such table" in found or getattr(error.orig, "sqlstate", None) == "42P01":
        return f"{name} lacks a table ({found}): run `sprachbund db upgrade`"
    if engine.dialect.name == "sqlite":
        reasons = {
            "database is locked": f"was locked by another process for more than {BUSY_MS // 1000} s",
            "unable to open database file": "is gone, or may not be opened",
            "disk is full": "cannot be written: the disk is full",
            "readonly database": "may not be written",
            "disk I/O error": "cannot be read or written: disk I/O error",
            "file is not a database": "is not a SQLite database",
            "malformed": "is damaged; restore a backup",
        }
        return next((f"{name} {said}" for sign, said in reasons.items() if sign in found), None)
    if error.connection_invalidated or type(error).__name__ in ("OperationalError", "InterfaceError"):
        password = engine.url.password
        return f"{name}: {found.replace(password, '***') if password else found}"
    return None


def _connect_sqlite(url: URL, create: bool) -> Engine:
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise DatabaseError("a SQLite database must be a file (sqlite:///path/file.db): processes share it")
    path = Path(url.database).absolute()
    if not path.parent.is_dir():
        raise DatabaseError(f"database {path}: its folder does not exist")
    if not create and not path.is_file():
        raise DatabaseError(f"database {path} does not exist: run `sprachbund init`")
    kind = file_system(path.parent)
    if kind in NETWORK_FILE_SYSTEMS:
        raise DatabaseError(
            f"database {path} is on a network file system ({kind}), where SQLite loses data; "
            "use a local disk or PostgreSQL"
        )
    modes = ["rwc" if create else "rw"]

    def open_file() -> sqlite3.Connection:
        # Only the first connection may make the file: one that vanishes later is an error, not a new start.
        raw = sqlite3.connect(
            f"file:{quote(str(path))}?mode={modes[-1]}",
            uri=True,
            timeout=BUSY_MS / 1000,
            isolation_level=None,
            check_same_thread=False,
        )
        modes[:] = ["rw"]
        return raw

    engine = create_engine(
        url.set(database=str(path)),
        creator=open_file,
        json_serializer=_to_json,
        hide_parameters=True,
        pool_size=8,
        max_overflow=8,
    )

    @event.listens_for(engine, "connect")
    def prepare(raw: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
        for pragma in (
            f"busy_timeout = {BUSY_MS}",
            "journal_mode = WAL",
            "synchronous = NORMAL",
            "foreign_keys = ON",
        ):
            raw.execute(f"PRAGMA {pragma}")
        register_aggregates(raw)
        record.info["inode"] = os.stat(path).st_ino

    @event.listens_for(engine, "checkout")
    def same_file(raw: sqlite3.Connection, record: ConnectionPoolEntry, proxy: Any) -> None:
        # Without this, a deleted or replaced file would go on being written to, unseen by anyone.
        if not path.exists() or os.stat(path).st_ino != record.info["inode"]:
            raise DisconnectionError

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("sprachbund_begin", "BEGIN"))

    return engine


def _connect_postgresql(url: URL) -> Engine:
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise DatabaseError("PostgreSQL needs psycopg: pip install 'sprachbund[postgres]'") from None
    engine = create_engine(
        url,
        json_serializer=_to_json,
        hide_parameters=True,
        pool_size=8,
        max_overflow=8,
        connect_args={"connect_timeout": 10, "application_name": "sprachbund"},
    )

    @event.listens_for(engine, "checkin")
    def idle(raw: Any, record: ConnectionPoolEntry) -> None:
        record.info["since"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def still_there(raw: Any, record: ConnectionPoolEntry, proxy: Any) -> None:
        # A connection that was not used for long may have been cut; asking each time would double the trips.
        if time.monotonic() - record.info.get("since", float("inf")) < IDLE_S:
            return
        try:
            engine.dialect.do_ping(raw)
        except engine.dialect.loaded_dbapi.Error:
            raise DisconnectionError from None

    return engine


def file_system(path: Path, mounts: Path = Path("/proc/mounts")) -> str:
    """The type of the file system that holds `path` ("ext4", "nfs4", …); "" where it cannot be told."""
    if not mounts.exists():
        return ""
    resolved = path.resolve()
    best, kind = -1, ""
    for line in mounts.read_text(errors="replace").splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        point = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[1]))
        # A later mount on the same point covers the earlier one.
        if resolved.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), fields[2]
    return kind


# NaN and infinities are no JSON; PostgreSQL would refuse them and SQLite would not.
_to_json = functools.partial(json.dumps, ensure_ascii=False, allow_nan=False)
