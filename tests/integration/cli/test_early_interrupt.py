"""Ctrl-C before the command line is even imported."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# Stands before the real module; like some extension modules it swallows what is raised while it is imported.
SLOW = """
import pathlib, time
pathlib.Path({ready!r}).touch()
for _ in range(600):
    try:
        time.sleep(0.1)
    except BaseException:
        pass
"""


@pytest.mark.skipif(
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN, reason="Ctrl-C is ignored by everything below this shell"
)
@pytest.mark.parametrize("program", ["script", "module"])
def test_ctrl_c_while_importing_is_one_line(program: str, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    (tmp_path / "typer.py").write_text(SLOW.format(ready=str(ready)))
    script = [str(Path(sys.executable).with_name("sprachbund"))]
    start = script if program == "script" else [sys.executable, "-m", "sprachbund"]
    with subprocess.Popen(
        [*start, "run"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        end = time.monotonic() + 60
        while not ready.exists() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "sprachbund: interrupted: nothing was begun\n")


def test_the_program_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "sprachbund", "--help"], capture_output=True, text=True, check=True)
    assert "Usage: sprachbund" in done.stdout
    assert done.stderr == ""
