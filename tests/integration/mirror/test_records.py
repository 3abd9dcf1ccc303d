"""Names, steps and points of runs."""

import math

import pytest

from sprachbund.mirror.records import (
    HEADLINE_STEP,
    METRIC_ORDER,
    MOST_HEADLINES,
    LoggedValue,
    Value,
    headline_kinds,
    layer_step,
    metric_part,
    new_points,
    points_of,
)

COMPARED = ("top1", "mrr", "distance_gap")


@pytest.mark.parametrize("n_groups", [1, 2, 3, 7, 50, 80])
def test_headlines_are_few_and_the_important_ones(n_groups: int) -> None:
    kinds = headline_kinds(COMPARED, n_groups)
    assert kinds[0] == ("top1", "value")
    assert len(kinds) == len(set(kinds))
    assert len(kinds) * n_groups <= max(MOST_HEADLINES, n_groups)
    assert (n_groups > 2) or {("top1", "delta"), ("distance_gap", "control_p"), ("spread", "value")} <= set(kinds)


def test_a_metric_of_the_users_own_is_there() -> None:
    assert ("my_metric", "delta") in headline_kinds(("my_metric",), 1)
    assert {metric for metric, _ in headline_kinds((), 1)} == set(METRIC_ORDER)


def test_names_mlflow_accepts_and_that_stay_apart() -> None:
    validate = pytest.importorskip("mlflow.utils.validation")._validate_metric_name
    names = ["phrasebook", "sib-200 v1.0", "a/b", "a_b", "a%b", "..", ".", "日本語", "x" * 300, "x" * 299, "a:b", ""]
    parts = [metric_part(name) for name in names]
    assert len(set(parts)) == len(names)
    assert parts[:2] == names[:2]
    for part in parts:
        validate(f"layers/test/{part}/top1")


def test_steps_of_layers() -> None:
    assert [layer_step(layer, 24) for layer in ("0", "1", "24", "final")] == [0, 1, 24, 25]


def test_what_is_not_finite_is_left_out() -> None:
    layers = {"0": Value(math.nan, 5), "1": Value(0.5, 5, delta=math.inf, q=None, control_p=0.1)}
    points = points_of(
        {("test", "book"): {"top1": layers}}, headline_kinds(COMPARED, 1), n_blocks=2, layer="1", since_ms=7
    )
    assert points == (
        LoggedValue("layers/test/book/top1", 1, 0.5, 5),
        LoggedValue("test/book/top1", HEADLINE_STEP, 0.5, 7),
        LoggedValue("test/book/top1_control_p", HEADLINE_STEP, 0.1, 7),
    )


def test_a_layer_that_is_not_known_yet_has_no_headline() -> None:
    values = {("test", "book"): {"top1": {"1": Value(0.5, 5)}}}
    for layer in ("2", None):
        points = points_of(values, headline_kinds(COMPARED, 1), n_blocks=2, layer=layer, since_ms=7)
        assert [point.name for point in points] == ["layers/test/book/top1"]


def test_only_other_numbers_are_new() -> None:
    values = [("m", 0, 0.1 + 0.2, 1), ("m", 1, 0.5, 1), ("m", 2, 0.0, 1), ("n", 0, 1.0, 1)]
    points = [LoggedValue(*value) for value in values]
    logged = {"m": {"0": 0.3, "1": 0.5001, "2": 0.0}}
    assert new_points(points, logged) == [points[1], points[3]]
