"""One self-contained HTML page from pieces of data: `page.html.jinja` writes them, nothing is loaded from anywhere."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from sprachbund.report.tables import TextTable

if TYPE_CHECKING:
    from jinja2 import Template
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Plain text; `note`: small print."""

    kind: ClassVar[str] = "paragraph"
    text: str
    note: bool = False


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading inside a section."""

    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True, slots=True)
class Folded:
    """Preformatted text that unfolds under its summary."""

    kind: ClassVar[str] = "folded"
    summary: str
    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Texts in rows; the first `labels` columns to the left. Without rows there is no table.

    marks: a class per row (`control`, `published`), or none at all. Leading spaces of a cell indent it.
    """

    kind: ClassVar[str] = "table"
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    labels: int = 1
    marks: Sequence[str] = ()
    notes: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.rows)


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart and its caption; nothing where there was nothing to draw."""

    kind: ClassVar[str] = "picture"
    figure: "Figure | None"
    caption: str

    def __bool__(self) -> bool:
        return self.figure is not None

    @property
    def svg(self) -> str:
        from sprachbund.report.charts import svg

        assert self.figure is not None
        return svg(self.figure, self.caption)


@dataclass(frozen=True, slots=True)
class Beside:
    """Pieces side by side, as far as the window allows."""

    kind: ClassVar[str] = "beside"
    pieces: Sequence["Piece"]

    def __bool__(self) -> bool:
        return any(self.pieces)


Piece = Paragraph | Heading | Folded | Table | Picture | Beside


def text_table(found: TextTable) -> list[Piece]:
    """A table that was laid out for the console."""
    marks = ["control" if control else "" for control in found.controls]
    return [Heading(found.title), Table(found.columns, found.rows, found.labels, marks, found.notes)]


@dataclass(slots=True)
class Page:
    """A page to be: sections in order, each a heading and pieces."""

    title: str
    sections: list[tuple[str, list[Piece]]] = field(default_factory=list)

    def add(self, heading: str, *pieces: Piece) -> None:
        """A section with what is not empty; no section if nothing is left."""
        kept = [piece for piece in pieces if piece]
        if kept:
            self.sections.append((heading, kept))

    def render(self) -> str:
        """The whole document; the same pieces give the same bytes."""
        return _template().render(title=self.title, sections=self.sections)


def _template() -> "Template":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("sprachbund.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"breakable": _breakable, "indented": _indented}
    return environment.get_template("page.html.jinja")


def _breakable(name: str) -> Any:
    """A column's name, which may go on in the next line after a colon or an underscore."""
    from markupsafe import Markup, escape

    return Markup(escape(name).replace(":", Markup(":<wbr>")).replace("_", Markup("_<wbr>")))


def _indented(cell: str) -> str:
    """Leading spaces kept: they indent what stands beside a setting."""
    bare = cell.lstrip(" ")
    return "\u2003" * ((len(cell) - len(bare)) // 2) + bare
