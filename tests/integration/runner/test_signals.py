"""Ctrl-C and SIGTERM in every phase."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.workspace import Workspace
from sprachbund_runners.worker import uninterrupted
from support.engines import sqlite_only
from support.finished import Undisturbed, check_finished, one_line, outcomes, running, unfinished
from support.runners import Start

PHASES: tuple[dict[str, Any], ...] = (
    {"pause": "unit_statistics"},
    {"pause": "unit_statistics", "point": "flush"},
    {"pause": "expert_set"},
    {"pause": "intervention"},
    {"pause": "snapshot", "nth": 2},
    {"pause": "snapshot", "point": "flush", "nth": 2},
    {"pause": "pair_evaluation", "nth": 3},
    {"pause": "space_evaluation"},
    {"pause": "comparison", "nth": 2},
)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_interrupted_in_every_phase(
    number: signal.Signals, space: Workspace, start: Start, small: Any, undisturbed: Undisturbed
) -> None:
    """One run after the other is stopped, each in a later phase; the last one finishes."""
    submitted = space.submit(small)
    done = 0
    for phase in PHASES:
        runner = start(**phase)
        runner.wait_until_paused()
        assert running(space) > 0
        runner.kill(number)
        assert runner.end() == (130 if number == signal.SIGINT else 2), phase
        word = "interrupted" if number == signal.SIGINT else "terminated"
        assert one_line(runner.said("err")).startswith(f"sprachbund: {word}: nothing is lost")
        found = space.queue.counts()
        assert found.keys() <= {"queued", "done"}, (phase, found)
        assert found.get("done", 0) >= done
        done = found.get("done", 0)
        assert unfinished(space) == []
        with reading(space.engine) as connection:
            places = connection.execute(select(t.Artifact.uri, t.Artifact.digest)).all()
            alive = connection.execute(select(func.count()).where(t.Runner.state == "alive")).scalar_one()
        assert all(space.store.fetch(place.uri, place.digest) for place in places)
        assert alive == 0
    assert 0 < done < submitted.n_new
    last = start()
    assert last.end() == 0
    assert last.said("out") == f"{submitted.n_new - done} jobs done, 0 failed\n"
    check_finished(space, undisturbed(small))
    assert outcomes(space).keys() == {"done", "released"}


@sqlite_only
def test_ctrl_c_of_a_real_program(space: Workspace, small: Any, tmp_path: Path) -> None:
    """The installed script, from start to signal, while it waits for work."""
    script = Path(sys.executable).with_name("sprachbund")
    with subprocess.Popen(
        [script, "run", "--watch"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        end = time.monotonic() + 60
        alive = select(func.count()).where(t.Runner.state == "alive")
        while time.monotonic() < end and process.poll() is None:
            with reading(space.engine) as connection:
                if connection.execute(alive).scalar_one():
                    break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert "interrupted" in one_line(err)


def test_signals_wait_for_the_end_of_a_transaction() -> None:
    seen: list[str] = []

    def handle(number: int, frame: Any) -> None:
        seen.append("handled")

    before = signal.signal(signal.SIGTERM, handle)
    try:
        with uninterrupted():
            os.kill(os.getpid(), signal.SIGTERM)
            seen.append("after the first")
            os.kill(os.getpid(), signal.SIGTERM)
            seen.append("after the second")
        assert seen == ["after the first", "handled", "after the second", "handled"]
        assert signal.getsignal(signal.SIGTERM) is handle

        def interrupted(error: Exception | None) -> None:
            with uninterrupted():
                os.kill(os.getpid(), signal.SIGINT)
                seen.append("reached")
                if error is not None:
                    raise error

        with pytest.raises(KeyboardInterrupt):
            interrupted(None)
        assert seen[-1] == "reached"
        # An error inside is what comes out.
        with pytest.raises(ValueError, match="mine"):
            interrupted(ValueError("mine"))
        # Elsewhere than in the main thread there is nothing to hold back.
        thread = threading.Thread(target=lambda: uninterrupted().__enter__())
        thread.start()
        thread.join()
        assert signal.getsignal(signal.SIGTERM) is handle
    finally:
        signal.signal(signal.SIGTERM, before)
