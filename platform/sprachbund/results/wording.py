"""Numbers as they are read in tables and sentences."""

import re

EMPTY = "–"


def digits(value: float) -> int:
    """Decimals worth showing: of a perplexity of thousands one."""
    return 3 if abs(value) < 100 else 1


def number(value: float | None) -> str:
    """`.123`; `–` where there is none."""
    return EMPTY if value is None else _figure(value, "")


def signed(value: float | None) -> str:
    """`+.123`, `−.123`."""
    return EMPTY if value is None else _figure(value, "+")


def chance(value: float) -> str:
    """`.0002`: two digits, however many candidates there are."""
    return _short(f"{value:.2g}")


def ranged(low: float | None, high: float | None, signed: bool = False) -> str:
    """`.100–.120`; of a difference `+.100 … +.120`."""
    if low is None or high is None:
        return EMPTY
    return f"{_figure(low, '+')} … {_figure(high, '+')}" if signed else f"{number(low)}–{number(high)}"


def probability(value: float | None, at_floor: int | None = 0) -> str:
    """`.012`, `<.001`; `≤.012` of what stands at the least that so many draws can give."""
    if value is None:
        return EMPTY
    return "<.001" if value < 0.001 else ("≤" if at_floor else "") + number(value)


def _figure(value: float, sign: str) -> str:
    return _short(f"{value:{sign}.{digits(value)}f}")


def _short(figure: str) -> str:
    """Without the zero before the point: columns stay narrow."""
    return re.sub(r"^([+-]?)0\.", r"\1.", figure).replace("-", "−")
