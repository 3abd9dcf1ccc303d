"""The interval of a ratio to the baseline, against ratios of the drawn items' means."""

from types import SimpleNamespace

import numpy as np
import pytest

from sprachbund.measures import RATIO_FLOOR
from sprachbund_runners.jobs.compare.layer_outcomes import PairMeans
from sprachbund_runners.jobs.compare.levels import resampled
from sprachbund_runners.jobs.compare.rows import row_of
from sprachbund_runners.statistics.bootstrap import bootstrap_draws

PAYLOAD = SimpleNamespace(confidence=0.9, resamples=300, seed=5, unit="item")


def level(items):
    means = PairMeans()
    means.add("corpus", items, float(items.mean()))
    (found,) = resampled(PAYLOAD, {"it": means}, {"corpus": (len(items), None)}).values()
    return found


def row(own, base, metric="top1", tested=True):
    return row_of(metric, level(own), level(base), None, PAYLOAD, tested=tested)


@pytest.fixture
def items():
    drawn = np.random.default_rng(0)
    base = (drawn.random(80) < 0.3).astype(float)
    return np.maximum(base, drawn.random(80) < 0.2), base


def test_both_are_drawn_together(items):
    found = row(*items)
    ratios = []
    for counts in np.concatenate(list(bootstrap_draws(80, 300, 5))):
        drawn = np.repeat(np.arange(80), counts.astype(int))
        ratios.append(items[0][drawn].mean() / items[1][drawn].mean())
    assert (found["ratio_ci_low"], found["ratio_ci_high"]) == pytest.approx(tuple(np.quantile(ratios, [0.05, 0.95])))
    # Paired: far narrower than of two settings drawn apart.
    apart = level(items[0]).replicates / np.roll(level(items[1]).replicates, 1)
    assert found["ratio_ci_high"] - found["ratio_ci_low"] < np.ptp(np.quantile(apart, [0.05, 0.95])) * 0.8
    same = row(items[0], items[0])
    assert (same["ratio_ci_low"], same["ratio_ci_high"]) == (1, 1)


@pytest.mark.parametrize("case", ["floor", "negative", "zero in a draw", "untested"])
def test_there_is_none_where_it_says_nothing(case, items):
    own, base = items
    nothing = {
        "floor": lambda: row(own, base * RATIO_FLOOR),
        "negative": lambda: row(own, base, "distance_gap"),
        "zero in a draw": lambda: row(np.ones(4), np.array([1.0, 0, 0, 0])),
        "untested": lambda: row(own, base, tested=False),
    }[case]()
    assert (nothing["ratio_ci_low"], nothing["ratio_ci_high"]) == (None, None)
