"""The rule for the layer that is shown where nobody names one."""

import polars as pl
import pytest

from sprachbund.results.layers import ASKED, BEST, CHOSEN, LAST, layers_shown, levels_by_layer

LAYERS = ("0", "3", "10", "final")


@pytest.mark.parametrize(
    ("asked", "chosen", "levels", "metric", "expected"),
    [
        ("3", {"10"}, {"0": 0.9}, "top1", (("3",), ASKED)),
        (None, {"final", "3"}, {"0": 0.9}, "top1", (("3", "final"), CHOSEN)),
        # A choice at layers that are not there is none.
        (None, {"7"}, {"0": 0.1, "10": 0.9}, "top1", (("10",), BEST)),
        (None, (), {"0": 0.1, "10": 0.9}, "xsim", (("0",), BEST)),
        (None, (), {"final": 0.5, "10": 0.5, "3": 0.5}, "top1", (("3",), BEST)),
        (None, (), {"0": 0.1}, "paired_distance", (("final",), LAST)),
        (None, (), {}, "top1", (("final",), LAST)),
    ],
)
def test_asked_then_chosen_then_best_then_last(asked, chosen, levels, metric, expected) -> None:
    found = layers_shown(asked, chosen, levels, LAYERS, metric)
    assert (found.layers, found.reason) == expected
    assert found.first == expected[0][0]


def test_levels_are_means_of_what_is_steered() -> None:
    rows = pl.DataFrame(
        [("none", "0", 0.9), ("experts", "0", 0.2), ("union", "0", 0.4), ("experts", "3", None)],
        schema=["method", "layer", "value"],
        orient="row",
    )
    assert levels_by_layer(rows) == {"0": pytest.approx(0.3)}
    assert levels_by_layer(rows.filter(pl.col("method") == "none")) == {"0": 0.9}
    assert levels_by_layer(rows.head(0)) == {}
