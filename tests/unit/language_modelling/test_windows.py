"""Every token is scored once, with as much before it as the window and stride promise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprachbund_runners.language_modelling.windows import Window, windows


@given(st.integers(0, 200), st.integers(2, 40), st.data())
def test_every_token_but_the_first_is_scored_exactly_once(n: int, window: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(1, window - 1))
    found = list(windows(n, window, stride))
    scored = [place for each in found for place in range(each.scored, each.end)]
    assert scored == list(range(1, n))
    for number, each in enumerate(found):
        assert each.start == number * stride
        assert each.end - each.start <= window
        assert each.end <= n
        # Something to predict from, and no less than the overlap once there is a window before.
        assert each.scored - each.start >= (1 if number == 0 else window - stride)


def test_a_known_case() -> None:
    assert list(windows(10, 6, 2)) == [Window(0, 6, 1), Window(2, 8, 6), Window(4, 10, 8)]
    assert list(windows(1, 6, 2)) == list(windows(0, 6, 2)) == []


@pytest.mark.parametrize(("window", "stride"), [(6, 6), (6, 7), (6, 0), (1, 1)])
def test_windows_that_do_not_overlap_are_refused(window: int, stride: int) -> None:
    with pytest.raises(ValueError, match="1 <= stride < window"):
        list(windows(10, window, stride))
