"""Charts drawn by matplotlib, which is imported only when one is drawn: for reports as SVG, for files as anything."""

import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

from sprachbund.errors import SprachbundError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which colour-blind readers can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8A8A00")
# Viridis, dark is low, for readers of every colour vision; for differences blue, white, orange.
_LEVELS, _DIFFERENCES = "viridis", ("#0072b2", "#ffffff", "#d55e00")
# Languages up to which a heat map has room for its numbers, and for their names; beyond it has a colour bar.
_NUMBERED, _NAMED = 12, 80
_STYLE = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",  # texts stay texts, drawn by the reader's fonts
    "svg.hashsalt": "sprachbund",  # the same chart has the same bytes
    "text.parse_math": False,  # labels are not TeX
}
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
_P = ParamSpec("_P")
_R = TypeVar("_R")


def styled(draw: Callable[_P, _R]) -> Callable[_P, _R]:
    """Draw in this module's style, whatever the reader's matplotlibrc says."""

    @wraps(draw)
    def drawn(*args: _P.args, **options: _P.kwargs) -> _R:
        import matplotlib

        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(_STYLE)
            return draw(*args, **options)

    return drawn


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


@styled
def line_chart(places: Sequence[str], series: Sequence[Series], *, x: str, y: str) -> "Figure | None":
    """Lines over ordered places, with a legend; None if there is no value at all."""
    if not any(np.isfinite(_numbers(part)).any() for each in series for part in (each.values, each.low, each.high)):
        return None
    listed = [number for number, each in enumerate(series) if each.beside is None]
    figure = new_figure(*_size(4.2, [series[number].name for number in listed]))
    axes = _axes(figure, places, x, y)
    at = np.arange(len(places))
    lines = []
    for number, each in enumerate(series):
        turn = listed.index(number if each.beside is None else each.beside)
        colour = COLOURS[turn % len(COLOURS)]
        if each.low is not None and each.high is not None:
            axes.fill_between(at, _numbers(each.low), _numbers(each.high), color=colour, alpha=0.15, lw=0)
        # Gaps are bridged: the points say where values are.
        known = np.isfinite(_numbers(each.values))
        style = "--" if each.beside is not None else "-" if turn < len(COLOURS) else ":"
        lines += axes.plot(at[known], _numbers(each.values)[known], style, color=colour, lw=1.2, marker="o", ms=2.8)
    _legend(figure, [lines[number] for number in listed], [series[number].name for number in listed])
    return figure


@styled
def stacked_bars(places: Sequence[str], series: Sequence[Series], *, x: str, y: str) -> "Figure | None":
    """A bar per place, made of the series' values on top of each other (None counts as 0); None without any."""
    heights = [np.nan_to_num(_numbers(each.values)) for each in series]
    if not places or sum(heights, np.zeros(len(places))).max() <= 0:
        return None
    figure = new_figure(*_size(3.2, [each.name for each in series]))
    axes = _axes(figure, places, x, y)
    base = np.zeros(len(places))
    bars = []
    for number, height in enumerate(heights):
        bars.append(axes.bar(range(len(places)), height, 0.7, base, color=COLOURS[number % len(COLOURS)]))
        base = base + height
    _legend(figure, bars, [each.name for each in series])
    return figure


@styled
def heat_map(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float | None]],
    *,
    low: float | None = None,
    high: float | None = None,
    difference: bool = False,
    title: str = "",
) -> "Figure":
    """Values [rows, columns] as coloured cells, None left empty; low and high: ends of the scale, else the values'.

    difference: white is 0, which low and high are as far from. Cells hold their numbers where there is room.
    """
    grid = np.array([_numbers(line) for line in values]).reshape(len(rows), len(columns))
    numbered = max(len(rows), len(columns)) <= _NUMBERED
    cell = 0.3 if numbered else 0.16
    wide, tall = (cell * min(len(each), _NAMED) for each in (columns, rows))
    figure = new_figure(max(wide + (0.7 if numbered else 1.4), 0.08 * len(title)), tall + (0.9 if title else 0.6))
    axes = figure.add_subplot()
    # Cells are one pixel each, which an SVG holds as such: none blend into their neighbours.
    image = axes.imshow(grid, _scale(difference), vmin=low, vmax=high, aspect="auto", interpolation="none")
    for axis, names in ((axes.xaxis, columns), (axes.yaxis, rows)):
        every = -(-len(names) // _NAMED)
        axis.set_ticks(range(0, len(names), every), _short(names)[::every])
    axes.tick_params("x", length=0, rotation=90)
    axes.tick_params("y", length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(title)
    if numbered:
        _write_numbers(axes, image, grid, difference)
    else:
        figure.colorbar(image, ax=axes)
    return figure


def _write_numbers(axes: "Axes", image: Any, grid: Any, difference: bool) -> None:
    for (row, column), value in np.ndenumerate(grid):
        if np.isfinite(value):
            red, green, blue, _ = image.cmap(image.norm(value))
            ink = "black" if 0.3 * red + 0.6 * green + 0.1 * blue > 0.55 else "white"
            shown = f"{value:+.2f}" if difference else f"{value:.2f}"
            shown = shown.replace("0.", ".", 1).replace("-", "−")
            axes.text(column, row, shown, ha="center", va="center", color=ink, fontsize=7)


def _scale(difference: bool) -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("differences", _DIFFERENCES) if difference else _LEVELS


def _short(languages: Sequence[str]) -> list[str]:
    """`spa_Latn` as `spa`, where those are codes with their scripts and the script tells none apart."""
    short = [name[:3] if len(name) == 8 and name[3] == "_" else name for name in languages]
    return short if len(set(short)) == len(set(languages)) else list(languages)


def _numbers(values: Sequence[float | None] | None) -> Any:
    """float64 [n], NaN for None."""
    return np.array([np.nan if value is None else value for value in values or ()], np.float64)


def _size(inner: float, names: Sequence[str]) -> tuple[float, float]:
    """Inches of a chart with a legend of these names to its right."""
    return inner + 0.4 + 0.062 * max(map(len, names)), max(2.6, 0.165 * len(names) + 0.3)


def _axes(figure: "Figure", places: Sequence[str], x: str, y: str) -> "Axes":
    """Axes over ordered places, of which at most sixteen are named."""
    axes = figure.add_subplot()
    every = -(-len(places) // 16)
    axes.set_xticks(range(0, len(places), every), places[::every])
    axes.set_xlim(-0.5, len(places) - 0.5)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(axis="y", color="#dddddd", lw=0.8)
    axes.set_axisbelow(True)
    return axes


def _legend(figure: "Figure", drawn: Sequence[Any], names: Sequence[str]) -> None:
    figure.legend(drawn, names, loc="outside right upper", frameon=False, fontsize=7)


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure of so many inches; what is drawn on it belongs into a `styled` function."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


@styled
def svg(figure: "Figure", said: str) -> str:
    """The figure as an SVG element for a page: transparent, loading nothing, `said` for those who cannot see it."""
    with io.StringIO() as written, warnings.catch_warnings():
        # What the reader's fonts have is not known here.
        warnings.filterwarnings("ignore", r"Glyph .* missing from font")
        figure.savefig(written, format="svg", transparent=True, metadata=_NO_METADATA)
        text = written.getvalue()
    start, rest = text[text.index("<svg") :].split(">", 1)
    return f'{start} role="img" aria-label="{escape(said)}"><title>{escape(said)}</title>{rest}'


@styled
def save(figure: "Figure", path: str | Path, dpi: int = 150) -> None:
    """Write a figure; the name's ending tells the format (png, svg, pdf)."""
    try:
        figure.savefig(path, dpi=dpi)
    except (OSError, ValueError) as error:
        raise SprachbundError(f"{path}: the figure cannot be written: {error}") from None
