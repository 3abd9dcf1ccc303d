"""Numbers as they are read in tables and sentences."""

import re

EMPTY = "–"


def digits(value: float) -> int:
    """Decimals worth showing: of a perplexity of thousands one."""
    return 3 if abs(value) < 100 else 1


def number(value: float | None) -> str:
    """`.123`; `–` where there is none."""
    return EMPTY if value is None else _short(f"{value:.{digits(value)}f}")


def signed(value: float | None) -> str:
    """`+.123`, `−.123`."""
    return EMPTY if value is None else _short(f"{value:+.{digits(value)}f}")


def chance(value: float) -> str:
    """`.0002`: two digits, however many candidates there are."""
    return _short(f"{value:.2g}")


def interval(low: float | None, high: float | None) -> str:
    """Of a level: `.100–.120`."""
    return EMPTY if low is None or high is None else f"{number(low)}–{number(high)}"


def signed_interval(low: float | None, high: float | None) -> str:
    """Of a difference: `+.100 … +.120`."""
    return EMPTY if low is None or high is None else f"{signed(low)} … {signed(high)}"


def probability(value: float | None) -> str:
    """`.012`, `<.001`."""
    if value is None:
        return EMPTY
    return "<.001" if value < 0.001 else number(value)


def _short(figure: str) -> str:
    """Without the zero before the point: columns stay narrow."""
    return re.sub(r"^([+-]?)0\.", r"\1.", figure).replace("-", "−")
