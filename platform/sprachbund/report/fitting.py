"""Tables cut to a width: no word is broken, and what does not fit beside the labels follows in further blocks.

Cells of texts go on in the next line, numbers never do. Where a table is still too wide, columns that may leave do so,
and the others are cut into blocks that repeat the labels. Only a word longer than the whole line is cut, with `…`.
Widths are in terminal cells: a wide character (日) takes two, and a line may end after any of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len, get_character_cell_size, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

GAP = 2
CUT = "…"


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A line of text that goes on in the next lines at words."""

    text: str
    style: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in wrap(self.text, options.max_width) or [""]:
            yield _line(line, self.style)


@dataclass(frozen=True, slots=True)
class FittedTable:
    """A table as wide as the console lets it be.

    labels: leading columns that every block repeats. texts: other columns of texts; what is neither is a number and
    stands to the right. tied: columns that stay beside the one before. leaving: columns that leave where there is no
    room, the first of them first. dim: rows that stand back. numbered: rows are numbered where there are several blocks
    and labels alone do not tell rows apart.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    labels: int = 1
    texts: frozenset[int] = frozenset()
    tied: frozenset[int] = frozenset()
    leaving: Sequence[int] = ()
    dim: frozenset[int] = frozenset()
    numbered: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        layout = _Layout(self, options.max_width)
        if (
            len(layout.blocks) > 1
            and self.numbered
            and len({tuple(row[: self.labels]) for row in self.rows}) < len(self.rows)
        ):
            layout = _Layout(self._with_numbers(), options.max_width)
        for number, block in enumerate(layout.blocks):
            if number:
                yield Text("")
            yield from layout.lines(block)
        if layout.left:
            names = ", ".join(self.columns[place] for place in layout.left)
            yield Paragraph(f"no room for {names}: --wide shows them", "dim")
        if layout.cut:
            yield Paragraph(f"{CUT} words longer than a line: --wide shows them whole", "dim")

    def _with_numbers(self) -> "FittedTable":
        rows = [(str(number), *row) for number, row in enumerate(self.rows, 1)]
        texts, tied = (frozenset(place + 1 for place in places) for places in (self.texts, self.tied))
        leaving = [place + 1 for place in self.leaving]
        return FittedTable(("row", *self.columns), rows, self.labels + 1, texts, tied, leaving, self.dim)


@dataclass(slots=True)
class _Layout:
    """The columns of each block with their widths."""

    table: FittedTable
    width: int
    blocks: list[dict[int, int]] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    cut: bool = False
    natural: list[int] = field(default_factory=list)
    least: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        places = range(len(self.table.columns))
        cells = [[row[place] for row in self.table.rows] for place in places]
        heads = self.table.columns
        self.natural = [max(map(_widest_line, (heads[place], *cells[place]))) for place in places]
        for place in places:
            cell = _longest_word if self._is_text(place) else _widest_line
            self.least.append(max([_longest_word(heads[place]), *map(cell, cells[place])]))
        shown = list(places)
        if _total(self.natural) <= self.width:
            self.blocks = [dict(enumerate(self.natural))]
            return
        for place in self.table.leaving:
            if _total([self._comfortable(each) for each in shown]) <= self.width:
                break
            shown.remove(place)
            self.left.append(place)
        self.left.sort()
        self.blocks = [self._spread(block) for block in self._packed(shown)]

    def _is_text(self, place: int) -> bool:
        return place < self.table.labels or place in self.table.texts

    def _comfortable(self, place: int) -> int:
        """A text's share of the line where it does not get more; what a number needs."""
        if not self._is_text(place):
            return self.least[place]
        n_texts = self.table.labels + len(self.table.texts)
        return max(self.least[place], min(self.natural[place], self.width // (n_texts + 2)))

    def _packed(self, shown: Sequence[int]) -> list[list[int]]:
        """Columns by block: labels first, tied ones together as long as a block has room for them."""
        labels = list(range(self.table.labels))
        widths = [self._comfortable(place) for place in labels]
        room = self.width - sum(width + GAP for width in widths)
        units: list[list[int]] = []
        for place in shown[self.table.labels :]:
            together = [*units[-1], place] if units and place in self.table.tied else None
            if together and _total([self._comfortable(each) for each in together]) <= room:
                units[-1] = together
            else:
                units.append([place])
        blocks: list[list[int]] = [[]]
        for unit in units:
            if blocks[-1] and _total([self._comfortable(each) for each in (*blocks[-1], *unit)]) > room:
                blocks.append([])
            blocks[-1] += unit
        return [[*labels, *block] for block in blocks]

    def _spread(self, block: Sequence[int]) -> dict[int, int]:
        """Widths: what is left over goes to texts, to those first that need least of it."""
        widths = {place: self._comfortable(place) for place in block}
        texts = sorted(
            (place for place in block if self._is_text(place)), key=lambda place: self.natural[place] - widths[place]
        )
        for number, place in enumerate(texts):
            over = max(0, self.width - _total(list(widths.values())))
            widths[place] += min(self.natural[place] - widths[place], over // (len(texts) - number))
        over = _total(list(widths.values())) - self.width
        last = block[-1]
        # A word longer than the line, beside labels that leave it half of it.
        if over > 0 and last >= self.table.labels and widths[last] - over >= self.width // 2:
            widths[last] -= over
            self.cut = True
        return widths

    def lines(self, block: dict[int, int]) -> Iterator[Text]:
        """The lines of a block: names, a rule, rows."""
        head = list(self._cells(self.table.columns, block))
        yield from (_line(each, "bold") for each in head)
        yield _line("─" * _total(list(block.values())), "dim")
        for number, row in enumerate(self.table.rows):
            for each in self._cells(row, block):
                yield _line(each, "dim" if number in self.table.dim else "")

    def _cells(self, row: Sequence[str], block: dict[int, int]) -> Iterator[str]:
        wrapped = {place: [_cut(each, width) for each in wrap(row[place], width)] for place, width in block.items()}
        for number in range(max(map(len, wrapped.values()), default=0) or 1):
            parts = []
            for place, width in block.items():
                cell = wrapped[place][number] if number < len(wrapped[place]) else ""
                space = " " * (width - cell_len(cell))
                parts.append(cell + space if self._is_text(place) else space + cell)
            yield (" " * GAP).join(parts).rstrip()


def wrap(text: str, width: int) -> list[str]:
    """The lines of a text, ended at spaces or beside wide characters; further lines are indented by two more.

    A word longer than the line has a line of its own.
    """
    lines: list[str] = []
    for paragraph in text.split("\n"):
        bare = paragraph.lstrip(" ")
        indent = " " * (len(paragraph) - len(bare))
        line, empty = indent, True
        for space, word in _words(bare):
            longer = line + ("" if empty else space) + word
            if not empty and cell_len(longer) > width:
                lines.append(line)
                hanging = indent + "  "
                line = word if cell_len(hanging + word) > width else hanging + word
            else:
                line = longer
            empty = False
        lines.append(line)
    return lines


def _words(text: str) -> Iterator[tuple[str, str]]:
    """Words, each with the space before it; a wide character is one."""
    space = word = ""
    for character in text:
        wide = get_character_cell_size(character) > 1
        if word and (character == " " or wide):
            yield space, word
            space = word = ""
        if character == " ":
            space += character
        elif wide:
            yield space, character
            space = ""
        else:
            word += character
    if word:
        yield space, word


def _longest_word(text: str) -> int:
    """Of its lines the least width; the first word with its indent."""
    indent = len(text) - len(text.lstrip(" "))
    lengths = [cell_len(word) for paragraph in text.split("\n") for _, word in _words(paragraph)]
    return max([0, *lengths, indent + lengths[0] if lengths else 0])


def _widest_line(text: str) -> int:
    return max(map(cell_len, text.split("\n")))


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * max(0, len(widths) - 1)


def _cut(cell: str, width: int) -> str:
    return cell if cell_len(cell) <= width else set_cell_size(cell, max(0, width - 1)) + CUT


def _line(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ignore")
