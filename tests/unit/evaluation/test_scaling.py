"""Scaling from one reading, against NumPy's steps one after the other: the same bytes."""

import numpy as np
import pytest

from sprachbund.errors import ModelError
from sprachbund_runners.evaluation import kernels, similarity
from sprachbund_runners.evaluation.similarity import scaled

# One value, around NumPy's eight lanes and its halves of 128, odd ones, and those of models.
WIDTHS = (2, 3, 7, 8, 9, 15, 17, 127, 128, 129, 136, 255, 257, 384, 1000, 1025, 4096)


def made(n: int, width: int) -> np.ndarray:
    """Rows of very different lengths, with exact zeros of both signs among the values."""
    drawn = np.random.default_rng(width)
    values = drawn.standard_normal((n, width)).astype(np.float32)
    values *= np.exp2(drawn.integers(-40, 40, size=(n, 1))).astype(np.float32)
    values[drawn.random(values.shape) < 0.1] = 0.0
    values[drawn.random(values.shape) < 0.1] *= np.float32(-0.0)
    values[:, 0] = 1.0
    return values


def kernel(values: np.ndarray) -> tuple[np.ndarray, ...]:
    """Rows, lengths, prints and total, float32 [n, d], float64 [n], uint32 [n] and float64 [d]."""
    n, width = values.shape
    rows, lengths, prints, total = np.empty_like(values), np.empty(n), np.empty(n, np.uint32), np.zeros(width)
    kernels.scale_rows(values, rows, rows.view(np.uint32), lengths, prints, total)
    return rows, lengths, prints, total


def steps(values: np.ndarray) -> tuple[np.ndarray, ...]:
    """The same by NumPy."""
    wide = values.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        lengths = np.sqrt(np.add.reduce(np.square(wide), axis=1))
        rows = (wide / lengths[:, None]).astype(np.float32)
    rows += 0.0
    return rows, lengths, np.add.reduce(rows.view(np.uint32), axis=1, dtype=np.uint32), wide.sum(axis=0)


@pytest.mark.parametrize("width", WIDTHS)
def test_every_byte_is_that_of_numpy(width: int) -> None:
    values = made(37, width)
    for found, expected in zip(kernel(values), steps(values), strict=True):
        assert found.tobytes() == expected.tobytes()
    assert scaled(values).mean.tobytes() == values.mean(axis=0, dtype=np.float64).tobytes()


def test_one_column_is_summed_in_order() -> None:
    """NumPy sums a single column by halves; its mean may differ in the last bit, everything else is the same."""
    values = made(300, 1)
    found, expected = kernel(values), steps(values)
    for part in range(3):
        assert found[part].tobytes() == expected[part].tobytes()
    assert found[3] == pytest.approx(expected[3], rel=1e-15)


@pytest.mark.parametrize("tiny", [1e-45, 1e-40, 1.1754942e-38])
def test_denormal_numbers(tiny: float) -> None:
    values = np.random.default_rng(0).integers(1, 9, size=(5, 33)).astype(np.float32) * np.float32(tiny)
    assert 0 < values.max() < 1e-36
    for found, expected in zip(kernel(values), steps(values), strict=True):
        assert found.tobytes() == expected.tobytes()
    assert np.linalg.norm(scaled(values).unit.rows.astype(np.float64), axis=1) == pytest.approx(np.ones(5), abs=1e-6)


def test_the_largest_numbers() -> None:
    values = np.full((3, 4096), np.finfo(np.float32).max)
    for found, expected in zip(kernel(values), steps(values), strict=True):
        assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_spoils_its_row_alone(bad: float) -> None:
    values = made(5, 129)
    values[2, 77] = bad
    rows, lengths, prints, _ = kernel(values)
    expected = steps(values)
    np.testing.assert_array_equal(rows, expected[0])
    np.testing.assert_array_equal(lengths, expected[1])
    np.testing.assert_array_equal(np.delete(prints, 2), np.delete(expected[2], 2))
    with pytest.raises(ModelError, match="row 2 holds NaN or infinity"):
        scaled(values)


def test_a_row_of_zeros_has_no_direction() -> None:
    values = made(5, 129)
    values[3] = np.float32(-0.0)
    rows, lengths, _, _ = kernel(values)
    assert lengths[3] == 0 and np.isnan(rows[3]).all() and np.isfinite(np.delete(rows, 3, axis=0)).all()
    with pytest.raises(ModelError, match="row 3 is zero"):
        scaled(values)


@pytest.mark.parametrize("width", [2, 7, 129, 1000])
@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
def test_wide_numbers_in_chunks(width: int, scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(width).standard_normal((37, width)) * scale
    peaks = np.abs(values).max(axis=1, keepdims=True)
    lengths = np.sqrt(np.add.reduce(np.square(values / peaks), axis=1))
    monkeypatch.setattr(similarity, "_CHUNK_BYTES", 8 * width * 5)
    found = scaled(values)
    assert found.unit.rows.tobytes() == (values / peaks / lengths[:, None] + 0.0).tobytes()
    assert found.lengths.tobytes() == (peaks[:, 0] * lengths).tobytes()
    assert found.mean.tobytes() == values.mean(axis=0).tobytes()
