"""Mutual information against scikit-learn's on the same bins, and what bins do with ties."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata
from sklearn.metrics import mutual_info_score

from sprachbund_runners.scorers import Target, score_units
from sprachbund_runners.scorers.mutual_information import BINS

NAME = "mutual_information"


def by_the_peer(row: list[float], is_positive: list[bool]) -> float:
    """Bins from scipy's midranks, the estimate from scikit-learn."""
    n = len(row)
    bins = [math.floor(BINS * (2 * midrank - 1) / (2 * n)) for midrank in rankdata(row).tolist()]
    assert min(bins) >= 0 and max(bins) < BINS
    return float(mutual_info_score(is_positive, bins))


values = st.sampled_from([-2.0, -0.0, 0.0, 0.25, 1.0, 3.0]) | st.floats(-9, 9, width=32)


@settings(max_examples=80)
@given(st.lists(st.tuples(values, st.integers(0, 3)), min_size=8, max_size=120))
def test_equal_to_scikit_learn_on_the_same_bins(rows: list[tuple[float, int]]) -> None:
    rows = [*rows, (0.5, 0), (0.5, 1), (0.75, 2)]
    row, codes = (list(column) for column in zip(*rows, strict=True))
    # The last language is nobody's: its sentences must change no bin.
    targets = (Target(0, (1, 2)), Target(1, (0,)), Target(2, (0, 1)))
    found = score_units(np.array([row], dtype=np.float32), np.array(codes), targets, (NAME,)).values[NAME]
    for target, score in zip(targets, found[:, 0], strict=True):
        used = [(x, code == target.positive) for x, code in rows if code in (target.positive, *target.negatives)]
        assert score == pytest.approx(by_the_peer(*(list(each) for each in zip(*used, strict=True))), abs=1e-12)


def test_long_rows() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(3000) % 5 == 0
    rows = rng.normal(0, 1, (4, 3000)).astype(np.float32)
    rows[1] += labels
    rows[2] = np.round(rows[2])
    rows[3] = np.maximum(rows[3], 0)
    found = score_units(rows, labels, (Target(1, (0,)),), (NAME,)).values[NAME][0]
    for row, score in zip(rows, found, strict=True):
        assert score == pytest.approx(by_the_peer(row.tolist(), labels.tolist()), abs=1e-12)
    assert found[1] > 5 * found[0]


def test_a_perfect_unit_its_mirror_and_a_constant() -> None:
    labels = np.arange(64) % 2
    rows = np.stack([labels, -labels, np.zeros(64)]).astype(np.float32)
    found = score_units(rows, labels, (Target(1, (0,)),), (NAME,)).values[NAME][0]
    assert found.tolist() == [pytest.approx(math.log(2), abs=1e-15), pytest.approx(math.log(2), abs=1e-15), 0.0]
