import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprachbund.errors import ModelError
from sprachbund.models.architectures import describe
from sprachbund_runners.interventions import affine
from sprachbund_runners.interventions.edits import UnitAffine, edits_of, intervention_digest
from support.edits import interpolate, scale, set_to, shift

UNITS = describe({"model_type": "bloom", "n_layer": 3, "hidden_size": 4}).units(["mlp.up", "mlp.down"])


def test_constructors() -> None:
    for edit, a, b in [
        (set_to("mlp.up", 1, [5, 2], [0.5, 0.25]), [0, 0], [0.25, 0.5]),
        (scale("mlp.up", 1, [5, 2], 0.5), [0.5, 0.5], [0, 0]),
        (shift("mlp.up", 1, [5, 2], [1, 3]), [1, 1], [3, 1]),
        (interpolate("mlp.up", 1, [5, 2], [4, 8], 0.25), [0.75, 0.75], [2, 1]),
    ]:
        assert edit.unit.tolist() == [2, 5]
        assert (edit.a.tolist(), edit.b.tolist()) == (a, b)
        assert [column.dtype for column in (edit.unit, edit.a, edit.b, edit.lo, edit.hi)] == ["int64"] + ["float32"] * 4
        assert not edit.bounded
        with pytest.raises(ValueError, match=r"read-only"):
            edit.a[0] = 2
    assert set_to("mlp.up", 1, [5], 0.5).sets
    assert not scale("mlp.up", 1, [5], 0.5).sets
    assert interpolate("mlp.up", 1, [5], 3.0, 1.0).sets


def test_edits_do_not_change_what_they_were_made_of() -> None:
    values = np.array([3.0, 1.0], dtype=np.float32)
    unit = np.array([1, 0])
    edit = UnitAffine("mlp.up", 1, unit, values, values)
    values[0] = 9.0
    unit[0] = 7
    assert edit.a.tolist() == [1.0, 3.0]
    assert edit.unit.tolist() == [0, 1]


@given(st.permutations(range(6)))
def test_the_digest_does_not_depend_on_the_order(order: list[int]) -> None:
    unit, b = np.arange(6), np.linspace(-1, 1, 6)
    edit = set_to("mlp.up", 2, unit[order], b[order])
    assert edit.digest() == set_to("mlp.up", 2, unit, b).digest()
    other = scale("mlp.down", 1, [1], 2.0)
    assert intervention_digest([edit, other]) == intervention_digest([other, edit])


def test_everything_that_matters_is_in_the_digest() -> None:
    plain: dict[str, Any] = {
        "site": "mlp.up", "block": 1, "unit": np.array([1, 2]), "a": np.zeros(2), "b": np.ones(2), "lo": np.zeros(2),
        "hi": np.ones(2), "tokens": "all",
    }  # fmt: skip
    changes = {
        "site": "mlp.down", "block": 2, "unit": np.array([1, 3]), "a": np.array([0, 1e-6]), "b": np.zeros(2),
        "lo": np.array([0, -1]), "hi": np.array([1, 2]), "tokens": "last",
    }  # fmt: skip
    digests = {UnitAffine(**plain).digest()} | {
        UnitAffine(**plain | {name: new}).digest() for name, new in changes.items()
    }
    assert len(digests) == 9
    assert intervention_digest([]) != intervention_digest([UnitAffine(**plain)])


def test_units_that_do_not_change_are_dropped() -> None:
    edit = UnitAffine("mlp.up", 1, np.arange(4), np.array([1.0, 1, 0, 1]), np.array([0.0, 2, 0, -0.0]))
    assert edit.without_identity().unit.tolist() == [1, 2]
    assert len(shift("mlp.up", 1, [1, 2], 0.0).without_identity()) == 0


@pytest.mark.parametrize(
    ("edit", "yes", "reason"),
    [
        (set_to("mlp.up", 1, [0], 1.0), True, "rows"),
        (scale("mlp.hidden", 1, [0], 2.0), True, "columns of the down projection"),
        (scale("block", 1, [0], 0.5), False, "residual stream"),
        (shift("block", 1, [0], 1.0), True, "last linear module"),
        (set_to("mlp.up", 1, [0], 1.0, "last"), False, "last tokens only"),
        (UnitAffine("mlp.up", 1, np.array([0]), np.zeros(1), np.ones(1), np.zeros(1)), False, "bounds"),
    ],
)
def test_mergeable(edit: UnitAffine, yes: bool, reason: str) -> None:
    assert edit.mergeable.yes is yes
    assert reason in edit.mergeable.reason


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"site": "mlp.upp"}, "unknown site; did you mean 'mlp.up'"),
        ({"block": 0}, "blocks count from 1"),
        ({"tokens": "first"}, "tokens is 'first', expected all, content, last"),
        ({"unit": np.array([3, 3])}, "unit 3 is edited twice"),
        ({"unit": np.array([3, -1])}, "unit -1 is negative"),
        ({"unit": np.array([0.5, 1])}, "units are float64"),
        ({"a": np.zeros(3)}, r"a has shape \(3,\), expected \[2\]"),
        ({"b": np.array([0, np.nan])}, "b of unit 2 is nan, expected a finite number"),
        ({"a": np.array([np.inf, 0])}, "a of unit 1 is inf"),
        ({"lo": np.array([0, 2.0]), "hi": np.array([1, 1.0])}, r"unit 2 has bounds \[2.0, 1.0\], expected lo ≤ hi"),
        ({"lo": np.array([np.nan, 0])}, "unit 1 has bounds"),
    ],
)
def test_wrong_edits(change: dict[str, Any], message: str) -> None:
    plain = {"site": "mlp.up", "block": 1, "unit": np.array([1, 2]), "a": np.zeros(2), "b": np.zeros(2)}
    with pytest.raises(ModelError, match=message):
        UnitAffine(**plain | change)


def test_flat_units_become_one_edit_per_block_and_site() -> None:
    """Axis: 16 units of mlp.up, 4 of mlp.down, per block."""
    edits = edits_of(UNITS, [41, 0, 17, 15, 59], affine.set_to([5.0, 1.0, 3.0, 2.0, 4.0]), "content")
    assert [(e.block, e.site, e.unit.tolist(), e.b.tolist(), e.tokens) for e in edits] == [
        (1, "mlp.up", [0, 15], [1.0, 2.0], "content"),
        (1, "mlp.down", [1], [3.0], "content"),
        (3, "mlp.up", [1], [5.0], "content"),
        (3, "mlp.down", [3], [4.0], "content"),
    ]
    assert all(edit.sets for edit in edits)
    (half,) = edits_of(UNITS, [2], affine.interpolated([8.0], 0.5))
    assert (half.a.tolist(), half.b.tolist()) == ([0.5], [4.0])
    assert edits_of(UNITS, [], affine.set_to([])) == []
    with pytest.raises(ModelError, match=r"unit 60 lies outside the flat unit axis 0 … 59"):
        edits_of(UNITS, [60], affine.set_to([1.0]))
    with pytest.raises(ModelError, match=r"edited twice"):
        edits_of(UNITS, [3, 3], affine.set_to([1.0, 2.0]))
    with pytest.raises(ModelError, match=r"\(2,\) units but 1 maps"):
        edits_of(UNITS, [3, 4], affine.set_to([1.0]))


def test_edits_and_controls_need_no_torch() -> None:
    code = (
        "import sys, sprachbund_runners.interventions.edits, sprachbund_runners.interventions.controls;"
        "assert not {'torch', 'transformers', 'sqlalchemy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
