"""One self-contained HTML page: tables, heat maps and figures inside it, nothing loaded from anywhere."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from sprachbund.report.tables import TextTable

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; max-width: 1180px; margin: 2em auto; padding: 0 1.5em; }
h1 { font-size: 1.6em; margin-bottom: .2em } h2 { font-size: 1.2em; margin-top: 2.2em; border-bottom: 1px solid #ccc }
h3 { font-size: 1em; margin: 1.2em 0 .3em } p.note, figcaption { color: #555; font-size: .86em; margin: .3em 0 }
table { border-collapse: collapse; font-size: .84em; font-variant-numeric: tabular-nums; margin: .5em 0 }
th { text-align: right; border-bottom: 1px solid #888; padding: .15em .6em; font-weight: 600; vertical-align: bottom }
td { text-align: right; padding: .1em .6em; white-space: nowrap } th.l, td.l { text-align: left }
tr.control td { color: #777 } tr.published td { color: #0a5; font-style: italic } tr:hover td { background: #f4f6fa }
table.heat td { text-align: center; padding: .2em .45em; border: 1px solid #fff } table.heat th { border: 0 }
.row { display: flex; flex-wrap: wrap; gap: 1.2em; align-items: flex-start } figure { margin: .4em 0 }
.scroll { overflow-x: auto } nav a { margin-right: 1em } code { font-size: .92em }
"""
# Viridis at eleven places: dark is low, for readers of every colour vision.
_VIRIDIS = (
    "440154",
    "482475",
    "414487",
    "355f8d",
    "2a788e",
    "21918c",
    "22a884",
    "44bf70",
    "7ad151",
    "bddf26",
    "fde725",
)
# Blue, white, orange: for differences.
_DIVERGING = ("0072b2", "3f93c4", "7fb5d6", "bfd8e9", "ffffff", "f3d0b8", "e9a272", "df802f", "d55e00")


@dataclass(slots=True)
class Page:
    """A page to be: sections in order, each a heading and pieces of HTML."""

    title: str
    sections: list[tuple[str, list[str]]] = field(default_factory=list)

    def add(self, heading: str, *pieces: str) -> None:
        """A section with what is not empty; no section if nothing is left."""
        kept = [piece for piece in pieces if piece]
        if kept:
            self.sections.append((heading, kept))

    def render(self) -> str:
        """The whole document."""
        links = "".join(f'<a href="#s{i}">{escape(heading)}</a>' for i, (heading, _) in enumerate(self.sections))
        body = "".join(
            f'<h2 id="s{i}">{escape(heading)}</h2>\n' + "\n".join(pieces) + "\n"
            for i, (heading, pieces) in enumerate(self.sections)
        )
        return (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(self.title)}</title><style>{_STYLE}</style></head>\n<body>"
            f"<h1>{escape(self.title)}</h1>\n<nav>{links}</nav>\n{body}</body></html>\n"
        )


def paragraph(text: str, note: bool = False) -> str:
    """Plain text as a paragraph."""
    return f"<p{' class=note' if note else ''}>{escape(text)}</p>"


def heading(text: str) -> str:
    """A heading inside a section."""
    return f"<h3>{escape(text)}</h3>"


def beside(pieces: Sequence[str]) -> str:
    """Pieces side by side, as far as the window allows."""
    kept = [piece for piece in pieces if piece]
    return f'<div class="row">{"".join(kept)}</div>' if kept else ""


def figure(svg: str, caption: str) -> str:
    """A figure with its caption; nothing if there is no figure."""
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>" if svg else ""


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    labels: int = 1,
    marks: Sequence[str] | None = None,
    notes: Sequence[str] = (),
) -> str:
    """A table of texts; the first `labels` columns to the left. marks: a class per row (`control`, `published`)."""
    if not rows:
        return ""

    def cells(tag: str, row: Sequence[str]) -> str:
        written = _breakable if tag == "th" else _spaced
        return "".join(
            f"<{tag}{' class=l' if place < labels else ''}>{written(cell)}</{tag}>" for place, cell in enumerate(row)
        )

    classes = [f' class="{mark}"' if mark else "" for mark in (marks or [""] * len(rows))]
    body = "".join(f"<tr{mark}>{cells('td', row)}</tr>\n" for mark, row in zip(classes, rows, strict=True))
    said = "".join(paragraph(note, note=True) for note in notes)
    return f'<div class="scroll"><table><tr>{cells("th", columns)}</tr>\n{body}</table></div>{said}'


def text_table(found: TextTable) -> str:
    """A table that was laid out for the console."""
    marks = ["control" if control else "" for control in found.controls]
    return heading(found.title) + table(found.columns, found.rows, labels=found.labels, marks=marks, notes=found.notes)


def heat_map(
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float | None]],
    *,
    low: float,
    high: float,
    difference: bool = False,
    digits: int = 2,
) -> str:
    """A table of coloured cells; `difference`: white is 0, low and high are as far from it."""
    scale = _DIVERGING if difference else _VIRIDIS
    head = "<tr><th></th>" + "".join(f"<th>{escape(_short(each))}</th>" for each in columns) + "</tr>"
    lines = []
    for name, line in zip(rows, values, strict=True):
        cells = []
        for value in line:
            if value is None:
                cells.append("<td></td>")
                continue
            place = (value - low) / (high - low) if high > low else 0.5
            colour = scale[round(min(1.0, max(0.0, place)) * (len(scale) - 1))]
            ink = "#000" if _bright(colour) else "#fff"
            shown = f"{value:+.{digits}f}" if difference else f"{value:.{digits}f}"
            shown = shown.replace("0.", ".", 1).replace("-", "−")
            cells.append(f'<td style="background:#{colour};color:{ink}">{shown}</td>')
        lines.append(f'<tr><th class="l">{escape(_short(name))}</th>{"".join(cells)}</tr>')
    return (
        f'<figure><table class="heat">{head}{"".join(lines)}</table><figcaption>{escape(title)}</figcaption></figure>'
    )


def _bright(colour: str) -> bool:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (0, 2, 4))
    return 0.3 * red + 0.6 * green + 0.1 * blue > 140


def _short(language: str) -> str:
    """`spa_Latn` as `spa`, where that is a code of a language with its script."""
    return language[:3] if len(language) == 8 and language[3] == "_" else language


def _breakable(name: str) -> str:
    """A column's name, which may go on in the next line after a colon or an underscore."""
    return escape(name).replace(":", ":<wbr>").replace("_", "_<wbr>")


def _spaced(cell: str) -> str:
    """Leading spaces kept: they indent what stands beside a setting."""
    bare = cell.lstrip(" ")
    return "&emsp;" * ((len(cell) - len(bare)) // 2) + escape(bare)
