"""`sprachbund sync` and `sprachbund ui` as commands."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from sqlalchemy import Engine
from typer.testing import CliRunner

from sprachbund import config
from sprachbund.cli import mirror
from sprachbund.errors import WorkspaceError
from sprachbund.mirror import server
from sprachbund.mirror.server import free_port


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    mirror.register(made)
    return made


@pytest.fixture
def folder(sqlite_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace (the fixture `sqlite_world` works in it too)."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / config.FILE).write_text(config.TEMPLATE, encoding="utf-8")
    return tmp_path


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_sync_as_a_command(app: typer.Typer, folder: Path, sqlite_world: Any) -> None:
    run = CliRunner().invoke
    assert "no experiment was submitted yet" in run(app, ["sync"]).output
    sqlite_world.submit()
    sqlite_world.work()
    first = json.loads(run(app, ["sync", "study", "--json"]).output)
    assert (first["experiments"], first["created"]) == (1, 4) and first["points"] > 0
    assert run(app, ["sync"]).output == (
        "1 experiments: 0 runs made, 0 updated, 0 unchanged, 0 metric values appended\n"
    )


def test_the_commands_load_no_heavy_library() -> None:
    program = "import sys, sprachbund.cli.mirror; print(sorted({'mlflow', 'matplotlib', 'torch'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "[]\n"


def test_a_taken_port_is_one_clear_line(app: typer.Typer, folder: Path, sqlite_world: Any) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(WorkspaceError, match=rf"port {port} on 127.0.0.1 .*--port {port + 1}"):
            free_port("127.0.0.1", port)
        result = CliRunner().invoke(app, ["ui", "--port", str(port)])
        assert isinstance(result.exception, WorkspaceError) and "\n" not in str(result.exception)


def test_a_mirror_that_is_a_server_already(sqlite_world: Any) -> None:
    there = replace(sqlite_world.config, mlflow_tracking_uri="http://ann:s3cret@mlflow.example")
    with (
        pytest.raises(WorkspaceError, match=r"a server already, http://ann:\*\*\*@mlflow.example"),
        server.serving(there, "127.0.0.1", 1),
    ):
        pass


def test_a_server_that_fails_says_why(sqlite_world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    program = "print('before'); print('no database at db://ann:s3cret@nowhere'); raise SystemExit(3)"
    monkeypatch.setattr(server, "command", lambda *_: [sys.executable, "-c", program])
    with (
        pytest.raises(WorkspaceError, match=r"ended with code 3: no database at db://ann:\*\*\*@nowhere$"),
        server.serving(sqlite_world.config, "127.0.0.1", unused_port()),
    ):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_the_interface_answers_and_ctrl_c_ends_it(folder: Path, sqlite_world: Any) -> None:
    sqlite_world.submit()
    port = unused_port()
    program = "import typer; from sprachbund.cli import mirror; app = typer.Typer(); mirror.register(app); app()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "ui", "--port", str(port)],
        cwd=folder,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(3)]
        assert told[0].startswith("1 experiments: 4 runs made"), told
        assert f"http://127.0.0.1:{port}" in told[2]
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/get-by-name?experiment_name=study"
        )
        with direct.open(request, timeout=30) as answer:
            assert json.load(answer)["experiment"]["name"] == "study"
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=30)
        assert (process.returncode, rest) == (0, "stopped\n"), errors
    finally:
        process.kill()
        process.wait()
    # Nobody is left who listens.
    free_port("127.0.0.1", port)
