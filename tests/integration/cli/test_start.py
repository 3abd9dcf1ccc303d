"""What starting a command imports: seconds of it, where each command brings along what others need."""

import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from sprachbund.cli import main

PROGRAM = """
import json, sys
from sprachbund.cli.main import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print(json.dumps(list(sys.modules)))
"""
RUNNERS = {"torch", "transformers", "tokenizers", "datasets", "numba", "scipy", "sklearn", "sprachbund_runners"}
READERS = {
    "matplotlib", "jinja2", "pyarrow", "mlflow", "alembic", "sprachbund.report.tables", "sprachbund.results.comparison",
}  # fmt: skip
PLANNERS = {"sqlalchemy", "polars", "numpy", "fsspec", "sprachbund.workspace", "sprachbund.measures"}


def imported(folder: Path, *arguments: str) -> set[str]:
    """What a fresh process has imported after a command."""
    started = [sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(started, cwd=folder, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_help_imports_no_command(tmp_path: Path) -> None:
    found = imported(tmp_path, "--help")
    assert found & (RUNNERS | READERS | PLANNERS) == set()
    assert {each for each in found if each.startswith("sprachbund.cli.")} == {"sprachbund.cli.main"}


def test_submission_imports_what_planning_needs(root: Path, spec_file: Callable[..., Path]) -> None:
    found = imported(root, "submit", str(spec_file()), "--dry-run")
    assert found & (RUNNERS | READERS) == set()
    assert found >= PLANNERS


@pytest.mark.parametrize("module", dict.fromkeys(main.MODULES.values()))
def test_commands_are_listed_as_their_modules_have_them(module: str) -> None:
    commands: dict[str, Any] = dict(main._commands(module))
    assert set(commands) == {name for name, home in main.MODULES.items() if home == module}
    for name, command in commands.items():
        assert main._help(name) == inspect.cleandoc(command.help)


def test_commands_by_name_are_all() -> None:
    found: Any = get_command(main.app)
    assert list(found.commands) == list(main.MODULES)
    assert len(found.commands) == len(main.MODULES)
