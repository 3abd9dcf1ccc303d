"""Runner processes that a test starts, pauses, stops and kills."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path

FORKING = multiprocessing.get_context("forkserver")
PROGRAM = Path(__file__).with_name("runner_process.py")
LEASE_MS = 700
FORKING.set_forkserver_preload(
    ["sprachbund.cli.runs", "sprachbund_runners.worker", "transformers.models.bloom.modeling_bloom"]
)


@dataclass
class Runner:
    """A runner process; `name` names its files in the workspace's folder."""

    process: ForkServerProcess
    folder: Path
    name: str
    started: float = field(default_factory=time.monotonic)

    def wait_until_paused(self) -> None:
        while not (self.folder / f"{self.name}.paused").exists():
            assert self.process.is_alive(), f"it never came to the pause: {self.said('err')}"
            assert time.monotonic() - self.started < 60
            time.sleep(0.01)

    def go(self) -> None:
        (self.folder / f"{self.name}.go").touch()

    def kill(self, number: signal.Signals) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def end(self) -> int:
        self.process.join(60)
        assert self.process.exitcode is not None, "it did not end"
        return self.process.exitcode

    def said(self, where: str) -> str:
        return (self.folder / f"{self.name}.{where}").read_text()


Start = Callable[..., Runner]
