"""Progress bars: nested, full, gone; on a terminal and elsewhere."""

import io

import pytest
from rich.console import Console

from sprachbund.progress import Bars


@pytest.fixture(params=[True, False], ids=["terminal", "file"])
def bars(request: pytest.FixtureRequest) -> Bars:
    return Bars(Console(file=io.StringIO(), force_terminal=request.param))


def test_bars_nest(bars: Bars) -> None:
    with bars:
        outer = bars.start("outer", 2)
        for done in range(2):
            for name in ("first", "second"):
                inner = bars.start(name, 3)
                inner(2)
                assert bars.shown == [("outer", done, 2), (name, 2, 3)]
                inner(1)
            outer(1)
        assert bars.shown[0] == ("outer", 2, 2)


def test_a_full_bar_goes_when_the_next_starts(bars: Bars) -> None:
    with bars:
        bars.start("first", 2)(2)
        assert bars.shown == [("first", 2, 2)]
        bars.start("nothing to do", 0)
        assert bars.shown == [("nothing to do", 0, 0)]
        bars.start("second", 1)
        assert bars.shown == [("second", 0, 1)]


def test_steps_of_a_bar_that_has_gone(bars: Bars) -> None:
    with bars:
        full = bars.start("full", 1)
        full(1)
        left = bars.start("left", 5)
        full(1)
        assert bars.shown == [("left", 0, 5)]
        bars.clear()
        left(1)
        assert bars.shown == []


def test_drawn_on_a_terminal_alone() -> None:
    for terminal in (True, False):
        file = io.StringIO()
        with Bars(Console(file=file, force_terminal=terminal)) as bars:
            bars.start("outer work", 2)(1)
            bars.start("inner work", 2)(1)
        assert ("outer work" in file.getvalue()) == terminal
        assert ("inner work" in file.getvalue()) == terminal
