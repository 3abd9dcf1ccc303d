"""Tables cut to 80, 100 and 120 columns, and the words of them."""

import io
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console, RenderableType

from sprachbund.report.fitting import FittedTable, Paragraph, wrap

WIDTHS = (80, 100, 120)
LONG = "experts eng_Latn top_and_bottom k=100 average_precision median"


def shown(what: RenderableType, width: int) -> list[str]:
    """The lines of what is printed, without a terminal's colours."""
    console = Console(width=width, file=io.StringIO(), markup=False, emoji=False)
    console.print(what, soft_wrap=True)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def blocks(lines: list[str]) -> list[list[str]]:
    """The lines of each block, which empty ones part."""
    found: list[list[str]] = [[]]
    for line in lines:
        if line:
            found[-1].append(line)
        else:
            found.append([])
    return found


def bare(text: str) -> str:
    return re.sub(r"\s", "", text)


@pytest.mark.parametrize("width", WIDTHS)
def test_32_layers_become_blocks_that_repeat_the_labels(width: int) -> None:
    layers = [*map(str, range(32)), "final"]
    rows = [(LONG, *(f".{place:03}*" for place in range(33))), ("  random:profile:experts ×20", *[".100"] * 33)]
    lines = shown(FittedTable(["setting", *layers], rows), width)
    assert max(map(cell_len, lines)) <= width
    found = blocks(lines)
    assert len(found) > 1
    for block in found:
        text = " ".join(" ".join(block).split())
        assert block[0].startswith("setting ")
        for word in (*LONG.split(), "random:profile:experts", "×20"):
            assert word in text
    heads = [name for block in found for name in block[0].split()[1:]]
    assert heads == layers
    for place in range(33):
        assert any(f" .{place:03}*" in line for line in lines)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_list_of_jobs_keeps_id_and_state(width: int) -> None:
    error = (
        "CUDA out of memory: tried to allocate 20.00 MiB; 日本語の文を読むときに失敗した: batches were halved 3 times"
    )
    columns = ["id", "state", "kind", "label", "attempt", "failures", "losses", "error"]
    row = [
        "123456",
        "failed",
        "generation_evaluation",
        f"{LONG} on phrasebook jpn_Jpan and 12 others",
        "3",
        "3",
        "0",
        error,
    ]
    table = FittedTable(columns, [row], 2, frozenset({2, 3, 7}), leaving=[4, 6, 5])
    lines = shown(table, width)
    assert max(map(cell_len, lines)) <= width
    assert lines[0].split()[:2] == ["id", "state"] and lines[2].split()[:2] == ["123456", "failed"]
    text = " ".join(lines)
    for word in ("generation_evaluation", "top_and_bottom", "average_precision", "phrasebook", "CUDA", "allocate"):
        assert word in text
    left = [name for name in ("attempt", "failures", "losses") if name not in lines[0]]
    told = [line for line in lines if line.startswith("no room for")]
    assert told == ([f"no room for {', '.join(left)}: --wide shows them"] if left else [])


def test_wide_characters_count_twice_and_lines_end_between_them() -> None:
    assert wrap("日本語の文", 6) == ["日本語", "  の文"]
    assert wrap("a日本 b", 4) == ["a日", "  本", "  b"]
    lines = shown(FittedTable(["言語", "n"], [("日本語", "1"), ("de", "22")]), 80)
    assert lines == ["言語     n", "──────────", "日本語   1", "de      22"]


def test_what_fits_is_left_as_it_is() -> None:
    rows = [("none", "+.1 … +.2"), ("  control", "–")]
    lines = shown(FittedTable(["a b", "an interval of Δ"], rows), 80)
    assert lines[0] == "a b        an interval of Δ"
    assert lines[2:] == ["none              +.1 … +.2", "  control                 –"]


def test_numbers_and_what_is_tied_stay_together() -> None:
    columns = ["setting", "top1", "interval", "mrr", "interval"]
    rows = [("a" * 20, ".123", "+.012 … +.048", ".456", "−.012 … +.048")]
    found = blocks(shown(FittedTable(columns, rows, tied=frozenset({2, 4})), 45))
    assert [block[0].split() for block in found] == [["setting", "top1", "interval"], ["setting", "mrr", "interval"]]
    assert ["+.012 … +.048" in found[0][2], "−.012 … +.048" in found[1][2]] == [True, True]


def test_rows_that_labels_do_not_tell_apart_are_numbered_where_there_are_blocks() -> None:
    rows = [("demo", "x" * 30, "y" * 30, "z" * 30)] * 2
    table = FittedTable(["experiment", "a", "b", "c"], rows, texts=frozenset({1, 2, 3}), numbered=True)
    found = blocks(shown(table, 80))
    assert len(found) > 1 and all(block[0].split()[:2] == ["row", "experiment"] for block in found)
    assert [line.split()[0] for line in found[1][2:]] == ["1", "2"]
    assert shown(table, 200)[0].split() == ["experiment", "a", "b", "c"]


def test_a_word_longer_than_the_line_is_cut_and_said() -> None:
    lines = shown(FittedTable(["id", "text"], [("7", "x" * 200)], texts=frozenset({1})), 80)
    assert cell_len(lines[2]) == 80 and lines[2].endswith("…")
    assert lines[-1] == "… words longer than a line: --wide shows them whole"
    whole = shown(FittedTable(["id", "text"], [("7", "x" * 200)], texts=frozenset({1})), 1_000_000)
    assert whole[2] == "7   " + "x" * 200


def test_a_table_without_rows_has_its_heading() -> None:
    assert shown(FittedTable(["id", "state"], []), 80) == ["id  state", "─────────"]


_WORDS = st.text(alphabet="ab_+.日語", min_size=1, max_size=12)
_CELLS = st.lists(_WORDS, max_size=6).map(" ".join)


@given(st.lists(st.tuples(_CELLS, _CELLS, _CELLS, _CELLS), max_size=4), st.integers(40, 120), st.integers(1, 2))
@settings(max_examples=150, deadline=None)
def test_nothing_is_lost_and_nothing_is_too_wide(rows: list[tuple[str, ...]], width: int, labels: int) -> None:
    columns = ["one", "two words", "three", "four"]
    table = FittedTable(columns, rows, labels, texts=frozenset({1, 2, 3}))
    lines = shown(table, width)
    assert all(cell_len(line) <= width for line in lines)
    # Words as a line may part them.
    parts = re.compile(r"[ab_+.]+|[日語]").findall
    there = Counter(parts(" ".join(lines)))
    assert Counter(parts(" ".join(" ".join(row) for row in rows))) <= there


@given(st.text(alphabet="ab 日語\n", max_size=60), st.integers(1, 30))
def test_wrapping_keeps_every_letter_and_breaks_no_word(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert bare("".join(lines)) == bare(text)
    for line in lines:
        # A line that is too long is one word.
        assert cell_len(line) <= width or len(re.findall(r"[ab]+|[日語]", line)) == 1
    words = re.findall(r"[ab]+", text)
    assert [word for line in lines for word in re.findall(r"[ab]+", line)] == words


def test_a_paragraph_goes_on_at_words() -> None:
    assert shown(Paragraph("layer 3: chosen on the select role", "dim"), 20) == [
        "layer 3: chosen on",
        "  the select role",
    ]
