"""The made experiment in a database of each engine."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from sprachbund.db import tables as t
from sprachbund.db.engine import connect, writing
from sprachbund.queue import Queue, insert_jobs
from sprachbund.work.payloads.pairs import PAIR_EVALUATION
from sprachbund_runners.evaluation.scores import Level
from sprachbund_runners.jobs.evaluation_rows import EvaluationRow, write_evaluations
from support.made import N_ITEMS, NAN, Database, Made, put


def put_older(database: Database) -> None:
    """The same pair evaluated by an older version of its job, which the plan does not resolve to."""
    job = database.made.ids["pair test none deu_Latn eng_Latn"]
    with writing(database.engine) as connection:
        row = connection.execute(select(t.Job.__table__).where(t.Job.id == job)).one()
        copied = ("kind", "bundle", "model", "payload", "label", "priority")
        older = {name: getattr(row, name) for name in copied} | {"key": "0" * 40, "version": 1, "subject": "0" * 40}
        insert_jobs(connection, [older], [])
    queue = Queue(database.engine)
    (claim,) = queue.claim(queue.register_runner("old", "here", 2, {}), {PAIR_EVALUATION.name: 1})
    level = Level(0.999, NAN, NAN, N_ITEMS, N_ITEMS)
    with queue.finishing(claim) as connection:
        rows = [EvaluationRow("retrieval", "deu_Latn", "eng_Latn", "0", {"top1": level})]
        write_evaluations(connection, claim, rows, None)


@dataclass(frozen=True, slots=True)
class Copies:
    """The made experiment, put into a database of each engine once, and copied for who wants one to change."""

    folder: Path
    sqlite: Callable[[], Path]
    postgres: Callable[[], Callable[..., str]]
    postgres_template: Callable[[], str]
    kept: dict[str, tuple[str, Made]] = field(default_factory=dict)

    def open(self, engine_name: str, folder: Path) -> Database:
        if engine_name not in self.kept:
            self.kept[engine_name] = self.template(engine_name)
        source, made = self.kept[engine_name]
        copied = replace(made, truth=dict(made.truth), ids=dict(made.ids))
        return Database(connect(self.url(engine_name, source, folder)), copied)

    def template(self, engine_name: str) -> tuple[str, Made]:
        folder = self.folder / engine_name
        folder.mkdir()
        source = str(self.sqlite()) if engine_name == "sqlite" else self.postgres_template()
        url = self.url(engine_name, source, folder)
        engine = connect(url)
        made = Made(choose=True)
        put_older(put(engine, folder / "made", made))
        # A database is copied while nobody is connected to it.
        engine.dispose()
        return (str(folder / "made.db") if engine_name == "sqlite" else url), made

    def url(self, engine_name: str, source: str, folder: Path) -> str:
        if engine_name != "sqlite":
            return self.postgres()(source)
        shutil.copyfile(source, folder / "made.db")
        return f"sqlite:///{folder / 'made.db'}"


@pytest.fixture(scope="session")
def copies(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Copies:
    given = (
        partial(request.getfixturevalue, name) for name in ("_sqlite_template", "new_postgres", "_postgres_template")
    )
    return Copies(tmp_path_factory.mktemp("copies"), *given)


@pytest.fixture(scope="session", params=("sqlite", "postgresql"))
def database(
    request: pytest.FixtureRequest, copies: Copies, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """The made experiment on each engine; tests only read it."""
    found = copies.open(request.param, tmp_path_factory.mktemp("views"))
    yield found
    found.engine.dispose()


@pytest.fixture
def copy(engine_name: str, copies: Copies, tmp_path: Path) -> Iterator[Database]:
    """The made experiment on each engine, to be changed."""
    found = copies.open(engine_name, tmp_path)
    yield found
    found.engine.dispose()


@pytest.fixture
def make(engine: Engine, tmp_path: Path) -> Callable[..., Database]:
    """Puts other made experiments into a fresh database, on each engine."""
    return partial(_put_one, engine, tmp_path)


@pytest.fixture
def make_sqlite(sqlite_engine: Engine, tmp_path: Path) -> Callable[..., Database]:
    """Like `make`, on SQLite alone: for what happens after the reading."""
    return partial(_put_one, sqlite_engine, tmp_path)


def _put_one(engine: Engine, folder: Path, **changes: Any) -> Database:
    made = Made(**changes)
    return put(engine, folder / made.name, made)
