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

    def clear(self) -> None:
        """Nothing to take away."""


class Bars:
    """One bar per piece of work on standard error; work inside other work has its bar below the other's.

    A full bar goes when the next one starts. Steps of a bar that has gone are not shown and hurt nobody.
    """

    def __init__(self, console: Console | None = None) -> None:
        # A coloured log (FORCE_COLOR) is no terminal.
        console = console or Console(stderr=True, force_terminal=sys.stderr.isatty())
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            # What goes to standard output stays there.
            redirect_stdout=False,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    @property
    def shown(self) -> list[tuple[str, int, int]]:
        """Label, finished and all steps of every bar, outer ones first."""
        return [(task.description, int(task.completed), int(task.total or 0)) for task in self._progress.tasks]

    def start(self, label: str, total: int) -> Callable[[int], None]:
        """A bar of `total` steps; the function it returns adds finished ones."""
        for task in self._progress.tasks:
            if task.completed >= (task.total or 0):
                self._progress.remove_task(task.id)
        begun = self._progress.add_task(label, total=total)

        def step(count: int) -> None:
            if begun in self._progress.task_ids:
                self._progress.advance(begun, count)

        return step

    def clear(self) -> None:
        """Take all bars away: what failed leaves its own unfinished."""
        for task in self._progress.task_ids:
            self._progress.remove_task(task)
