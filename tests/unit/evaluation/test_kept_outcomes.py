"""What is stored of a pair is what comparisons may ask for, small, and whole again when read."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sprachbund.measures import COMPARED
from sprachbund_runners.evaluation.distances import language_vectors
from sprachbund_runners.evaluation.retrieval import RetrievalOutcome
from sprachbund_runners.evaluation.retrieval_scores import COUNTS, RANK_METRICS, retrieval_items, retrieval_scores
from sprachbund_runners.jobs.evaluation_rows import compact, kept_outcomes, whole

VALUES = st.one_of(
    hnp.arrays(np.int32, st.integers(0, 9), elements=st.integers(0, 2**31 - 1)),
    hnp.arrays(np.float64, st.integers(0, 9), elements=st.floats(width=32)),
    hnp.arrays(np.float64, st.integers(0, 9), elements=st.sampled_from([0.0, 1.0])),
    st.builds(np.full, st.integers(1, 9), st.sampled_from([0.0, 1.0, 0.5, np.nan, 7, 300, 70_000])),
)


@given(VALUES)
def test_compact_loses_nothing(values: np.ndarray) -> None:
    stored = compact(values)
    assert whole(stored, len(values)).astype(np.float64).tolist() == pytest.approx(
        values.astype(np.float64).tolist(), rel=0, abs=0, nan_ok=True
    )
    assert len(stored) == (1 if len(np.unique(values)) == 1 else len(values))


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        (np.array([0, 1, 1], dtype=np.int32), np.uint8),
        (np.array([0, 255], dtype=np.int32), np.uint8),
        (np.array([0, 256], dtype=np.int32), np.uint16),
        (np.array([0, 65_536], dtype=np.int32), np.uint32),
        (np.array([0.0, 1.0]), np.uint8),
        (np.array([0.0, 0.5]), np.float32),
        (np.array([np.nan, np.nan]), np.float32),
    ],
)
def test_types(values: np.ndarray, kept: type) -> None:
    assert compact(values).dtype == kept


def test_all_that_comparisons_ask_of_a_pair_is_there_again() -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(40, 8))
    sides = [
        language_vectors(each.astype(np.float32), groups=np.arange(40) // np.array(2))
        for each in (x, x + draw.normal(size=x.shape))
    ]
    scores = retrieval_scores(*sides)
    kept = kept_outcomes("3", scores)
    for side, items in (("forward", scores.forward), ("backward", scores.backward)):
        counts = (whole(kept.pop(f"3/{side}/{name}"), 40).astype(np.int32) for name in COUNTS)
        found = retrieval_items(RetrievalOutcome(*counts))
        found |= {
            name: whole(kept.pop(f"3/{side}/{name}"), 40) for name in items if name in COMPARED and name not in found
        }
        assert found.keys() == {name for name in items if name in COMPARED} >= set(RANK_METRICS)
        for name, values in found.items():
            assert values == pytest.approx(items[name], rel=1e-7, abs=0, nan_ok=True), name
    assert set(kept) == {"3/mined/score", "3/mined/correct", "3/mined/n_gold"}
