"""A mean difference for languages and items like these, not for these alone."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from sprachbund_runners.statistics.intervals import check_confidence


@dataclass(frozen=True, slots=True)
class PopulationMean:
    """Interval and two-sided p of a mean."""

    low: float
    high: float
    p: float


def item_error(replicates: NDArray[np.float64], n: int, degrees: int) -> float | None:
    """Standard error of a mean over n items (or groups) from its bootstrap replicates, which vary as by `degrees`.

    degrees: n less the texts that are drawn each by itself. None if there are none.
    """
    return float(replicates.std()) * math.sqrt(n / degrees) if degrees > 0 else None


def mean_error(values: NDArray[np.float64], groups: Sequence[Hashable] | None = None) -> tuple[float, int]:
    """Standard error of the mean of values [n], and how many draw it: those of a group are drawn together.

    Of groups it is the linearised ratio estimator's, to which the bootstrap of groups tends; 0 of fewer than two.
    """
    centred = values - values.mean()
    if groups is not None:
        _, number = np.unique(np.asarray(groups, dtype=np.str_), return_inverse=True)
        centred = np.bincount(number, centred)
    n = len(centred)
    if n < 2:
        return 0.0, n
    return float(np.sqrt(n / (n - 1) * np.sum(centred**2))) / len(values), n


def population_mean(
    mean: float,
    language_error: float,
    item_error: float,
    degrees: int,
    confidence: float = 0.95,
    *,
    fit_error: float = 0.0,
) -> PopulationMean:
    """The mean with languages and items both random: SE² = language_error² + item_error² + fit_error².

    language_error: standard error of the mean over pairs with languages as crossed random effects; item_error: of the
    same mean over items. degrees: of freedom, the fewer of the two: Student's t, on the cautious side. fit_error: due
    to the sample that a setting is fitted on, where that is known. No error alone covers a mean over new languages and
    new items (Clark, J. Verbal Learning and Verbal Behavior 12, 1973).
    Raises ValueError for a negative error or fewer than one degree.
    """
    check_confidence(confidence)
    errors = (language_error, item_error, fit_error)
    if not (min(errors) >= 0 and degrees >= 1):
        raise ValueError(f"errors {errors}, {degrees} degrees: expected none negative, and one")
    error = math.hypot(*errors)
    if error == 0:
        return PopulationMean(mean, mean, float(mean == 0))
    half = float(stdtrit(degrees, 0.5 + confidence / 2)) * error
    return PopulationMean(mean - half, mean + half, float(2 * stdtr(degrees, -abs(mean) / error)))
