"""The gain of a sweep at a stated cost: between neighbouring settings, by the draws of both."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sprachbund_runners.statistics.intervals import check_confidence

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class AtCost:
    """place: between which settings of the path, 1.25 being a quarter of the way from the second to the third; gain
    there, with its interval. reached: the share of draws whose path gets to the cost."""

    place: float
    gain: float
    low: float
    high: float
    reached: float


def along(
    costs: NDArray[np.float64], gains: NDArray[np.float64], at: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(place, gain) [r] where paths of settings first get to the cost `at`; NaN where they do not.

    costs, gains: [r, settings] in the order of the sweep, what it starts from (the unsteered model) first. Linear
    between neighbours, up to the first that gets there: as if the cost never fell back on the way.
    """
    start = costs[:, :1]
    beyond = np.where(start < at, costs >= at, costs <= at)
    beyond[:, 0] = costs[:, 0] == at
    there = beyond.any(axis=1)
    after = beyond.argmax(axis=1)
    before, rows = np.maximum(after - 1, 0), np.arange(len(costs))
    width = np.where(after > 0, costs[rows, after] - costs[rows, before], 1.0)
    share = np.where(there & (after > 0), (at - costs[rows, before]) / np.where(width == 0, 1.0, width), 0.0)
    gain = gains[rows, before] + share * (gains[rows, after] - gains[rows, before])
    return np.where(there, before + share, NAN), np.where(there, gain, NAN)


def at_cost(
    costs: NDArray[np.float64],
    gains: NDArray[np.float64],
    cost_draws: NDArray[np.float64],
    gain_draws: NDArray[np.float64],
    at: float,
    confidence: float,
) -> AtCost | None:
    """The gain at a cost, None where the sweep does not get to it: nothing is extrapolated.

    costs, gains: [settings] as in `along`. Draws [resamples, settings] of both; where the two are means over different
    items they are drawn apart, and row r of one goes with row r of the other. The interval has the percentiles of the
    draws that get there; there is none where fewer than `confidence` of them do, or a draw leaves a cost undefined.

    Raises ValueError if shapes do not fit.
    """
    check_confidence(confidence)
    shapes = {each.shape for each in (cost_draws, gain_draws)}
    if costs.shape != gains.shape or len(shapes) > 1 or cost_draws.shape[1:] != costs.shape:
        raise ValueError(f"equal cost: found {costs.shape}, {gains.shape}, {cost_draws.shape} and {gain_draws.shape}")
    place, gain = along(costs[None], gains[None], at)
    if np.isnan(gain[0]):
        return None
    _, drawn = along(cost_draws, gain_draws, at)
    known = drawn[~np.isnan(drawn)]
    reached = len(known) / len(drawn)
    low = high = NAN
    if reached >= confidence:
        low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2]).tolist()
    return AtCost(float(place[0]), float(gain[0]), low, high, reached)
