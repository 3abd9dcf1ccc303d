"""Figures and tables of a report are well formed, escape what they show, and draw values where they belong."""

import re
from xml.etree import ElementTree

import pytest

from sprachbund.report import html
from sprachbund.report.published import MODELS, published
from sprachbund.report.svg import Series, line_chart, stacked_bars

SVG = "{http://www.w3.org/2000/svg}"


def test_lines_are_drawn_in_proportion_and_gaps_are_left_out():
    chart = line_chart(
        ["0", "1", "final"], [Series("a <b>", [0.0, 1.0, 0.5]), Series("c", [None, 0.25, None])], x="layer", y="top1"
    )
    root = ElementTree.fromstring(chart)
    lines = [each.get("points").split() for each in root.iter(f"{SVG}polyline")]
    assert [len(points) for points in lines] == [3, 1]
    heights = [float(point.split(",")[1]) for point in lines[0]]
    # 1 is highest on the page, a half lies in the middle.
    assert heights[1] < heights[2] < heights[0]
    assert heights[2] == pytest.approx((heights[0] + heights[1]) / 2, abs=0.1)
    assert "a <b>" in {text.text for text in root.iter(f"{SVG}text")}


def test_lines_beside_others_share_their_colour_and_stay_out_of_the_legend():
    series = [Series("a", [0.1, 0.2]), Series("control", [0.1, 0.1], beside=0, low=[0.0, 0.1], high=[0.2, 0.3])]
    root = ElementTree.fromstring(line_chart(["1", "2"], series, x="x", y="y"))
    first, second = root.iter(f"{SVG}polyline")
    assert first.get("stroke") == second.get("stroke") and second.get("stroke-dasharray")
    assert "control" not in {text.text for text in root.iter(f"{SVG}text")}
    assert len(list(root.iter(f"{SVG}polygon"))) == 1


def test_bars_stack_up_to_the_sum():
    root = ElementTree.fromstring(stacked_bars(["1", "2"], [Series("a", [1, 2]), Series("b", [3, None])], x="x", y="y"))
    bars = [each for each in root.iter(f"{SVG}rect") if each.find(f"{SVG}title") is not None]
    heights = [float(each.get("height")) for each in bars]
    # Place by place: 1 and 3, then 2 and nothing.
    assert heights[1] == pytest.approx(3 * heights[0], rel=0.02)
    assert heights[2] == pytest.approx(2 * heights[0], rel=0.02)
    assert heights[3] == 0


def test_nothing_to_draw_is_no_figure():
    assert line_chart(["1"], [Series("a", [None])], x="x", y="y") == ""
    assert stacked_bars(["1"], [Series("a", [None])], x="x", y="y") == ""
    assert html.figure("", "caption") == "" and html.table(["a"], []) == ""


def test_constant_values_have_an_axis():
    assert "polyline" in line_chart(["1", "2"], [Series("a", [0.5, 0.5])], x="x", y="y")


def test_a_page_loads_nothing_and_escapes_what_it_shows():
    page = html.Page("<study> & more")
    page.add("A", html.table(["x", "n"], [["  random", "1"], ["<script>", "2"]], marks=["control", ""]))
    page.add("empty", "")
    text = page.render()
    assert "<script>" not in text and "&lt;script&gt;" in text and "&lt;study&gt; &amp; more" in text
    assert "&emsp;random" in text and 'class="control"' in text
    assert "empty" not in text
    assert not re.search(r"(?:src|href)=[\"'](?!#)", text) and "http" not in re.sub(r"xmlns=\"[^\"]*\"", "", text)


def test_heat_maps_colour_from_low_to_high_and_leave_the_diagonal_empty():
    drawn = html.heat_map("t", ["spa_Latn", "x"], ["spa_Latn", "x"], [[None, 0.0], [1.0, None]], low=0.0, high=1.0)
    colours = re.findall(r"background:#(\w+)", drawn)
    assert colours == ["440154", "fde725"]
    assert ">spa<" in drawn and drawn.count("<td></td>") == 2
    assert ">+.25<" in html.heat_map("t", ["a"], ["b"], [[0.25]], low=-1.0, high=1.0, difference=True)


def test_published_values_are_found_by_model():
    assert published("bigscience/bloom-7b1") is MODELS["bloom-7b1"]
    assert published("phrasebook-bloom") is None
    bloom = MODELS["bloom-7b1"]
    assert (bloom.all_pairs, bloom.to_target, bloom.median_gain) == ((0.72, 0.17), (0.78, 0.13), 0.14)
