"""Small figures as SVG text: lines over ordered places, and stacked bars. No library, nothing to load."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

# Okabe and Ito's colours, which colour-blind readers can tell apart, then greys of growing depth.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8A8A00", "#999999", "#666666")
_WIDTH, _HEIGHT = 400, 250
_NARROW = 290
_LEFT, _TOP, _BOTTOM = 56, 12, 44
_LEGEND_LINE = 15


@dataclass(frozen=True, slots=True)
class Series:
    """One line: a value per place, None where there is none; low and high draw a band.

    beside: the place in the list of the line that this one is drawn beside, dashed, in its colour, not in the legend.
    """

    name: str
    values: Sequence[float | None]
    beside: int | None = None
    low: Sequence[float | None] | None = None
    high: Sequence[float | None] | None = None


def line_chart(places: Sequence[str], series: Sequence[Series], *, x: str, y: str) -> str:
    """Lines over ordered places, with a legend; an empty text if there is no value at all."""
    known = [value for each in series for part in (each.values, each.low or (), each.high or ())
             for value in part if value is not None]  # fmt: skip
    if not known:
        return ""
    ticks = _ticks(min(known), max(known))
    across = _across(len(places), _WIDTH)
    up = _up(ticks)
    parts = _axes(places, across, ticks, up, x, y, _WIDTH)
    listed = [number for number, each in enumerate(series) if each.beside is None]
    for number, each in enumerate(series):
        turn = listed.index(number if each.beside is None else each.beside)
        colour = COLOURS[turn % len(COLOURS)]
        if each.low is not None and each.high is not None:
            ends = [(across(i), up(a), up(b)) for i, (a, b) in enumerate(zip(each.low, each.high, strict=True))
                    if a is not None and b is not None]  # fmt: skip
            outline = [f"{px:.1f},{a:.1f}" for px, a, _ in ends] + [f"{px:.1f},{b:.1f}" for px, _, b in reversed(ends)]
            parts.append(f'<polygon points="{" ".join(outline)}" fill="{colour}" opacity="0.15"/>')
        points = [(across(i), up(value)) for i, value in enumerate(each.values) if value is not None]
        pattern = "5 3" if each.beside is not None else "1.5 2.5" if turn >= len(COLOURS) else ""
        dash = f' stroke-dasharray="{pattern}"' if pattern else ""
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"{dash}/>')
        parts += [f'<circle cx="{px:.1f}" cy="{py:.1f}" r="2.4" fill="{colour}"/>' for px, py in points]
    legend = [(series[number].name, COLOURS[turn % len(COLOURS)]) for turn, number in enumerate(listed)]
    return _figure(parts, legend, y, _WIDTH)


def stacked_bars(places: Sequence[str], series: Sequence[Series], *, x: str, y: str) -> str:
    """A bar per place, made of the series' values on top of each other (None counts as 0)."""
    totals = [sum(each.values[i] or 0.0 for each in series) for i in range(len(places))]
    if not places or max(totals) <= 0:
        return ""
    ticks = _ticks(0.0, max(totals))
    across, up = _across(len(places), _NARROW), _up(ticks)
    parts = _axes(places, across, ticks, up, x, y, _NARROW)
    width = 0.7 * _inner(_NARROW) / len(places)
    for place in range(len(places)):
        base = 0.0
        for number, each in enumerate(series):
            value = each.values[place] or 0.0
            top, bottom = up(base + value), up(base)
            parts.append(
                f'<rect x="{across(place) - width / 2:.1f}" y="{top:.1f}" width="{width:.1f}" '
                f'height="{bottom - top:.1f}" fill="{COLOURS[number % len(COLOURS)]}">'
                f"<title>{escape(places[place])}, {escape(each.name)}: {value:g}</title></rect>"
            )
            base += value
    legend = [(each.name, COLOURS[n % len(COLOURS)]) for n, each in enumerate(series)]
    return _figure(parts, legend, y, _NARROW)


def _inner(width: int) -> int:
    return width - _LEFT - 12


def _across(count: int, width: int) -> Callable[[int], float]:
    step = _inner(width) / max(count, 1)
    return lambda place: _LEFT + step * (place + 0.5)


def _up(ticks: Sequence[float]) -> Callable[[float], float]:
    low, high = ticks[0], ticks[-1]
    room = _HEIGHT - _TOP - _BOTTOM
    return lambda value: _TOP + room * (1 - (value - low) / (high - low))


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers that enclose both."""
    if high - low < 1e-12:
        low, high = low - 0.5, high + 0.5
    raw = (high - low) / 4
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= raw)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [number * step for number in range(first, last + 1)]


def _axes(
    places: Sequence[str], across: Callable[[int], float], ticks: Sequence[float], up: Callable[[float], float],
    x: str, y: str, width: int,
) -> list[str]:  # fmt: skip
    floor = _HEIGHT - _BOTTOM
    parts = []
    for tick in ticks:
        at = up(tick)
        parts.append(f'<line x1="{_LEFT}" y1="{at:.1f}" x2="{width - 12}" y2="{at:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{at + 3.5:.1f}" text-anchor="end">{tick:.3g}</text>')
    every = max(1, math.ceil(len(places) / 16))
    for place in range(0, len(places), every):
        parts.append(
            f'<text x="{across(place):.1f}" y="{floor + 15}" text-anchor="middle">{escape(places[place])}</text>'
        )
    parts.append(
        f'<text x="{_LEFT + _inner(width) / 2:.1f}" y="{_HEIGHT - 10}" text-anchor="middle">{escape(x)}</text>'
    )
    parts.append(f'<text transform="translate(12 {_TOP + (floor - _TOP) / 2:.1f}) rotate(-90)" '
                 f'text-anchor="middle">{escape(y)}</text>')  # fmt: skip
    return parts


def _figure(parts: Sequence[str], legend: Sequence[tuple[str, str]], said: str, inner: int) -> str:
    height = max(_HEIGHT, 2 * _TOP + _LEGEND_LINE * len(legend))
    longest = max((len(name) for name, _ in legend), default=0)
    width = inner + 22 + math.ceil(5.8 * longest)
    listed = []
    for number, (name, colour) in enumerate(legend):
        at = _TOP + 8 + _LEGEND_LINE * number
        listed.append(f'<rect x="{inner}" y="{at - 5}" width="12" height="4" fill="{colour}"/>')
        listed.append(f'<text x="{inner + 17}" y="{at}">{escape(name)}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{escape(said)}" font-family="sans-serif" font-size="11">'
        f"{''.join(parts)}{''.join(listed)}</svg>"
    )
