"""Counting for both sides at once equals counting for each side alone, whatever vectors and texts repeat."""

import numpy as np
import pytest

from sprachbund_runners.evaluation import retrieval
from sprachbund_runners.evaluation.gold import Expanded
from sprachbund_runners.evaluation.similarity import unit_vectors


@pytest.mark.parametrize("block_size", [3, 16, 1024])
@pytest.mark.parametrize("share", [0.2, 0.8, 1.0])
def test_both_sides_at_once_count_as_each_side_alone(monkeypatch, block_size, share):
    drawn = np.random.default_rng(0)
    n = 60
    pool = (drawn.integers(-2, 3, size=(max(1, int(share * n)), 4)) + 0.5).astype(np.float32)
    x, y = (unit_vectors(pool[drawn.integers(0, len(pool), n)]) for _ in "xy")
    if share == 1.0:
        x, y = (unit_vectors(drawn.normal(size=(n, 4)).astype(np.float32) + 1) for _ in "xy")
    groups_x, groups_y = (drawn.integers(0, n - 5, n) for _ in "xy")
    made = []

    def noted(*inputs):
        made.append(Expanded.of(*inputs))
        return made[-1]

    def survey():
        return retrieval.survey(x, y, groups_x=groups_x, groups_y=groups_y, block_size=block_size)

    monkeypatch.setattr(retrieval, "Expanded", type("Noted", (), {"of": staticmethod(noted)}))
    together = survey()
    monkeypatch.setattr(retrieval, "Expanded", type("Never", (), {"of": staticmethod(lambda *inputs: None)}))
    alone = survey()
    if share == 1.0:
        assert all(each is not None for each in made)
    for name in ("cosine", *together.margins):
        one, other = ((each.cosine if name == "cosine" else each.margins[name]) for each in (together, alone))
        for side in ("forward", "backward"):
            if hasattr(one, side):
                for counts in ("greater", "ties", "n_candidates"):
                    found, expected = (getattr(getattr(each, side), counts) for each in (one, other))
                    np.testing.assert_array_equal(found, expected)
            else:
                assert one == other
