"""Where long work reports to: progress bars for people, nothing for programs."""

import sys
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Silent:
    """Reports nothing."""

    def start(self, label: str, total: int) -> Callable[[int], None]:
        """A function that does nothing with finished steps."""
        return lambda count: None


class Bars:
    """One bar per piece of work on standard error; a finished bar goes when the next one starts."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        )

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def start(self, label: str, total: int) -> Callable[[int], None]:
        """A bar of `total` steps; the function it returns adds finished ones."""
        for task in self._progress.task_ids:
            self._progress.remove_task(task)
        task = self._progress.add_task(label, total=total)
        return lambda count: self._progress.advance(task, count)
