"""A report's page escapes what it shows, keeps what is not empty and loads nothing."""

import re

from sprachbund.report.charts import Series, line_chart
from sprachbund.report.page import Beside, Folded, Heading, Page, Paragraph, Picture, Table, text_table
from sprachbund.report.published import MODELS, published
from sprachbund.report.tables import TextTable

HOSTILE = '<script>alert("1")</script>'


def page(*pieces):
    made = Page("<study> & more")
    made.add("A", *pieces)
    return made.render()


def test_whatever_is_shown_is_escaped():
    chart = line_chart(["1"], [Series(HOSTILE, [1.0])], x=HOSTILE, y=HOSTILE)
    made = Page(HOSTILE)
    made.add(
        HOSTILE,
        Paragraph(HOSTILE), Heading(HOSTILE), Folded(HOSTILE, HOSTILE), Picture(chart, HOSTILE),
        Table([HOSTILE, HOSTILE], [[HOSTILE, HOSTILE]], notes=[HOSTILE]), Beside([Paragraph(HOSTILE, note=True)]),
    )  # fmt: skip
    text = made.render()
    assert text.startswith("<!DOCTYPE html>")
    assert "<script" not in text and text.count("&lt;script&gt;") >= 15
    assert "&lt;study&gt; &amp; more" in page(Paragraph("x"))


def test_the_same_pieces_give_the_same_page_and_it_loads_nothing():
    def drawn():
        return page(
            Picture(line_chart(["1", "2"], [Series("a", [1.0, None])], x="x", y="y"), "c"), Table(["a"], [["b"]])
        )

    assert drawn() == drawn()
    assert not re.search(r"(?:src|href)=[\"'](?!#)", drawn())
    assert "http" not in re.sub(r"xmlns(?::xlink)?=\"[^\"]*\"", "", drawn())


def test_tables_mark_rows_indent_cells_and_let_long_names_break():
    text = page(Table(["x", "a_b:c"], [["  random", "1"], ["y", "2"]], marks=["control", ""], notes=["said"]))
    assert '<tr class="control"><td class="l">\u2003random</td><td>1</td></tr>\n<tr><td class="l">y</td>' in text
    assert "<th>a_<wbr>b:<wbr>c</th>" in text
    assert '<p class="note">said</p>' in text


def test_what_is_empty_leaves_nothing_behind():
    made = Page("t")
    made.add("empty", Table(["a"], []), Picture(None, "of nothing"), Beside([Picture(None, "of nothing")]))
    assert made.sections == []
    made.add("kept", Beside([Picture(None, "of nothing"), Paragraph("here")]))
    text = made.render()
    assert "empty" not in text and "of nothing" not in text and "here" in text


def test_a_table_of_the_console_keeps_its_title_and_its_controls():
    found = TextTable("title", ("setting", "top1"), 1, (("a", ".5"), ("  b", ".4")), (False, True), ("note",))
    text = page(*text_table(found))
    assert "<h3>title</h3>" in text and text.count('class="control"') == 1 and "note" in text


def test_published_values_are_found_by_model():
    assert published("bigscience/bloom-7b1") is MODELS["bloom-7b1"]
    assert published("phrasebook-bloom") is None
    bloom = MODELS["bloom-7b1"]
    assert (bloom.all_pairs, bloom.to_target, bloom.median_gain) == ((0.72, 0.17), (0.78, 0.13), 0.14)
