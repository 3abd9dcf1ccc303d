"""The program of a runner process that a test starts: `sprachbund …`, pausing where the test wants it to.

Run by `runpy.run_path` in a process forked from one that has torch loaded already. The global GIVEN has
`folder` (the workspace, and where the files out, err, paused and go lie, named after `name`), `environment`,
`arguments`, `pause` (the job kind to pause in, or None), `point` (`check`: where the kind looks whether to
stop, or `flush`: while a file is being written), `nth` (pause at the nth time), `nap` (seconds lost per job).
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sprachbund.cli.main import main
from sprachbund.files import artifacts
from sprachbund_runners.jobs.context import Context
from sprachbund_runners.jobs.registry import JOBS

given: dict[str, Any] = globals()["GIVEN"]
here, called = Path(given["folder"]), given["name"]
current: list[str] = []
met = 0


def pause() -> None:
    global met
    if current != [given["pause"]]:
        return
    met += 1
    if met != given["nth"]:
        return
    (here / f"{called}.paused").touch()
    while not (here / f"{called}.go").exists():
        time.sleep(0.01)


def noting(kind: str, run: Callable[..., Any]) -> Callable[..., Any]:
    def noted(claims: Sequence[Any], context: Any) -> Iterator[Any]:
        current[:] = [kind]
        for outcome in run(claims, context):
            time.sleep(given["nap"])
            yield outcome

    return noted


def pausing_before(function: Callable[..., Any]) -> Callable[..., Any]:
    def paused(*arguments: Any) -> Any:
        pause()
        return function(*arguments)

    return paused


for kind in list(JOBS):
    JOBS[kind] = noting(kind, JOBS[kind])
if given["point"] == "flush":
    artifacts.flush = pausing_before(artifacts.flush)
else:
    Context.check_stop = pausing_before(Context.check_stop)  # type: ignore[method-assign]

for number, name in ((1, "out"), (2, "err")):
    os.dup2(os.open(here / f"{called}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
os.environ.update(given["environment"])
os.chdir(here)
# Where a shell started the tests in the background, Ctrl-C is ignored by everything below it.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv = ["sprachbund", *given["arguments"]]
main()
