"""The command line inside this process: a workspace, the tiny experiment as a file, and `sprachbund(...)`."""

import json
import logging
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sprachbund import workspace
from sprachbund.cli.main import main
from sprachbund.spec.reading import write_yaml

SMALL: dict[str, Any] = {
    "languages": ["eng_Latn", "deu_Latn"],
    "interventions": ["none", {"method": "experts", "k": 4, "controls": ["profile x2"]}],
    "embeddings": {"layers": [1, "final"]},
    "choose": None,
    "statistics": {"resamples": 100},
}


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Ran]


@pytest.fixture(scope="session")
def _new_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("new") / "workspace"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SPRACHBUND_DATABASE_URL", raising=False)
        workspace.init(folder).close()
    return folder


@pytest.fixture
def root(_new_workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh workspace on SQLite; the current folder."""
    for variable in ("SPRACHBUND_DATABASE_URL", "SPRACHBUND_ARTIFACTS_URL", "SPRACHBUND_MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(variable, raising=False)
    folder = tmp_path / "workspace"
    shutil.copytree(_new_workspace, folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def sprachbund(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Runs `sprachbund` with these arguments in this process."""
    handler = signal.getsignal(signal.SIGTERM)
    levels = {name: logging.getLogger(name).level for name in ("alembic", "mlflow", "sqlalchemy")}

    def run(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["sprachbund", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        return Ran(code, *capsys.readouterr())

    yield run
    signal.signal(signal.SIGTERM, handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture
def spec_file(root: Path, experiment: Callable[..., dict[str, Any]]) -> Callable[..., Path]:
    """Writes the small experiment, with fields replaced, to a file."""

    def write(**fields: Any) -> Path:
        path = root / "experiment.yaml"
        content = experiment(**{**SMALL, **fields})
        path.write_text(write_yaml({name: value for name, value in content.items() if value is not None}))
        return path

    return write


def rows_of(root: Path, table: str) -> int:
    """How many rows a table of the workspace's database has."""
    with closing(sqlite3.connect(root / "sprachbund.db")) as database:
        return int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608


@pytest.fixture
def rows(root: Path) -> Callable[[str], int]:
    """`rows(table)`: how many rows it has."""
    return lambda table: rows_of(root, table)
