"""Charts draw values where they belong; their SVG is the same every time, says what it shows and loads nothing."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from sprachbund.report.charts import Series, heat_map, line_chart, save, stacked_bars, svg

HOSTILE = "<script>alert(1)</script> & $\\frac{"
SVG = "{http://www.w3.org/2000/svg}"


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def lines():
    series = [
        Series(HOSTILE, [0.0, 1.0, 0.5]),
        Series("gap", [0.1, None, 0.3]),
        Series("control", [0.1, 0.1, 0.2], beside=0, low=[0.0, None, 0.1], high=[0.2, 0.2, 0.3]),
    ]
    return line_chart(["0", "1", "final"], series, x="layer", y="top1")


def test_lines_have_their_values_and_gaps_are_bridged():
    first, gap, _ = lines().axes[0].lines
    assert first.get_xydata().tolist() == [[0, 0], [1, 1], [2, 0.5]]
    assert gap.get_xydata().tolist() == [[0, 0.1], [2, 0.3]]
    assert [label.get_text() for label in lines().axes[0].get_xticklabels()] == ["0", "1", "final"]


def test_lines_beside_others_share_their_colour_and_stay_out_of_the_legend():
    figure = lines()
    first, gap, control = figure.axes[0].lines
    assert first.get_color() == control.get_color() != gap.get_color()
    assert control.get_linestyle() == "--" and first.get_linestyle() == "-"
    assert legend(figure) == [HOSTILE, "gap"]
    (band,) = figure.axes[0].collections
    assert band.get_datalim(figure.axes[0].transData).bounds[1] == 0.0


def test_more_lines_than_colours_are_told_apart_by_their_dashes():
    drawn = line_chart(["1", "2"], [Series(str(n), [n, n]) for n in range(16)], x="x", y="y").axes[0].lines
    assert len({(line.get_color(), line.get_linestyle()) for line in drawn}) == 16


def test_bars_stack_up_to_the_sum():
    figure = stacked_bars(["1", "2"], [Series("a", [1, 2]), Series("b", [3, None])], x="x", y="y")
    bars = [(bar.get_y(), bar.get_height()) for bar in figure.axes[0].patches]
    assert bars == [(0, 1), (0, 2), (1, 3), (2, 0)]
    assert legend(figure) == ["a", "b"]


def test_nothing_to_draw_is_no_figure():
    assert line_chart(["1"], [Series("a", [None])], x="x", y="y") is None
    assert line_chart([], [], x="x", y="y") is None
    assert stacked_bars(["1"], [Series("a", [None])], x="x", y="y") is None
    assert stacked_bars([], [], x="x", y="y") is None


def test_of_many_places_some_are_named():
    axes = line_chart([str(n) for n in range(40)], [Series("a", [0.5] * 40)], x="x", y="y").axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == [str(n) for n in range(0, 40, 3)]


def test_heat_maps_colour_from_low_to_high_and_leave_cells_without_a_value_empty():
    axes = heat_map(["spa_Latn", "x"], ["spa_Latn", "x"], [[None, 0.0], [1.0, None]], low=0.0, high=1.0).axes[0]
    (image,) = axes.images
    colours = image.to_rgba(image.get_array())
    assert colours[0, 1].tolist() == pytest.approx([0x44 / 255, 0x01 / 255, 0x54 / 255, 1], abs=0.01)
    assert colours[1, 0].tolist() == pytest.approx([0xFD / 255, 0xE7 / 255, 0x25 / 255, 1], abs=0.01)
    assert colours[0, 0, 3] == colours[1, 1, 3] == 0
    assert {(text.get_text(), *text.get_position()) for text in axes.texts} == {(".00", 1, 0), ("1.00", 0, 1)}
    assert {text.get_text(): text.get_color() for text in axes.texts} == {".00": "white", "1.00": "black"}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["spa", "x"]


def test_differences_are_white_at_nothing_and_have_a_sign():
    axes = heat_map(["a"], ["b", "c"], [[0.25, 0.0]], low=-1.0, high=1.0, difference=True).axes[0]
    assert [text.get_text() for text in axes.texts] == ["+.25", "+.00"]
    (image,) = axes.images
    assert image.to_rgba(image.get_array())[0, 1] == pytest.approx([1, 1, 1, 1], abs=0.01)


def test_languages_that_only_their_script_tells_apart_keep_it():
    names = ["srp_Cyrl", "srp_Latn"]
    axes = heat_map(names, names, [[1, 2], [3, 4]]).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == names


def test_heat_maps_of_many_languages_have_a_colour_bar_instead_of_numbers():
    names = [f"l{n}" for n in range(200)]
    figure = heat_map(names, names, np.random.default_rng(0).random((200, 200)).tolist())
    assert not figure.axes[0].texts and len(figure.axes) == 2
    assert len(figure.axes[0].get_xticks()) <= 80 and max(figure.get_size_inches()) < 20


def bars():
    return stacked_bars(["1"], [Series(HOSTILE, [1])], x=HOSTILE, y=HOSTILE)


def grid():
    return heat_map([HOSTILE], ["b"], [[0.5]], title=HOSTILE)


@pytest.mark.parametrize("draw", [lines, bars, grid])
def test_svg_is_the_same_every_time_escapes_its_texts_and_loads_nothing(draw):
    written = svg(draw(), HOSTILE)
    assert written == svg(draw(), HOSTILE)
    root = ElementTree.fromstring(written)
    assert root.get("role") == "img" and root.get("aria-label") == root.find(f"{SVG}title").text == HOSTILE
    assert HOSTILE in {text.text for text in root.iter(f"{SVG}text")}
    assert "<script" not in written and not re.search(r"""(?:src|href)=["'](?!#|data:image/png;base64,)""", written)
    assert not re.search(r"(?:url\((?!#)|@import|<metadata)", written)


def test_the_readers_own_style_changes_nothing():
    import matplotlib

    before = svg(lines(), "x")
    with matplotlib.rc_context({"lines.linewidth": 9, "svg.fonttype": "path", "font.size": 20}):
        assert svg(lines(), "x") == before


def test_files_are_written_in_the_form_that_their_names_say(tmp_path):
    save(grid(), tmp_path / "a.png")
    save(grid(), tmp_path / "a.svg")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "a.svg").read_text(encoding="utf-8")
