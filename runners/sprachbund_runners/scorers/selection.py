"""Ranking units and cutting the ranking."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sprachbund.errors import ModelError, SpecError


def rank_units(
    scores: NDArray[np.float64],
    effect: NDArray[np.float64],
    block: NDArray[np.integer],
    site: NDArray[np.integer],
    unit: NDArray[np.integer],
) -> NDArray[np.int64]:
    """All units from the most to the least expert: int64 [units], positions in the given arrays.

    By descending score (negate one whose lower values are better); ties by descending signed effect size, then by
    block, site (its place in the order of sites) and unit. All arguments are [units]. Anti-experts, AUROC under
    .5, come last. Raises ModelError for a NaN, ValueError for shapes that differ.
    """
    columns = {"scores": scores, "effect": effect, "block": block, "site": site, "unit": unit}
    for name, column in columns.items():
        if column.shape != (len(scores),):
            raise ValueError(f"{name}: shape {list(column.shape)}; expected [{len(scores)}], one value per unit")
    for name, column in (("scores", scores), ("effect", effect)):
        if np.isnan(column).any():
            raise ModelError(f"{name}: NaN for the unit at position {int(np.isnan(column).argmax())}; can't be ranked")
    return np.lexsort((unit, site, block, -effect, -scores)).astype(np.int64)


def resolve_k(k: int | float, n_units: int) -> int:
    """How many of `n_units` units `k` means: an integer is a count, a float in (0, 1] a fraction of the units.

    Fractions are rounded half up, to at least one unit. So 1 is one unit and 1.0 all of them.
    Raises SpecError for anything else, and for more units than there are.
    """
    if isinstance(k, bool) or not isinstance(k, int | float | np.integer | np.floating):
        raise SpecError(f"k: found {k!r}; expected a count (an integer) or a fraction between 0 and 1")
    if isinstance(k, int | np.integer):
        if k < 1:
            raise SpecError(f"k: found {k}; expected at least 1 unit")
        if k > n_units:
            raise SpecError(f"k: found {k}, but there are {n_units} units; expected at most {n_units}")
        return int(k)
    if not 0 < k <= 1:
        raise SpecError(f"k: found {k}; expected a fraction above 0 and at most 1, or an integer count")
    if n_units < 1:
        raise SpecError(f"k: found {k}, but there are 0 units")
    return max(1, math.floor(float(k) * n_units + 0.5))


@dataclass(frozen=True, slots=True)
class Selection:
    """The first k units of a ranking.

    units: int64 [k], positions, best first; cut_score: the last chosen unit's score; tied: how many units share it, if
    the cut runs between them, else 0; tied_chosen: how many of those were chosen.
    """

    units: NDArray[np.int64]
    cut_score: float
    tied: int
    tied_chosen: int


def select_top(order: NDArray[np.int64], scores: NDArray[np.float64], k: int | float) -> Selection:
    """Cut the ranking `order` (of `rank_units` over `scores`) after k units; k as in `resolve_k`."""
    n = resolve_k(k, order.size)
    cut = float(scores[order[n - 1]])
    if n == order.size or scores[order[n]] != cut:
        return Selection(order[:n], cut, 0, 0)
    tied = scores[order] == cut
    return Selection(order[:n], cut, int(tied.sum()), int(tied[:n].sum()))


def tied_at(order: NDArray[np.int64], scores: NDArray[np.float64], k: int | float) -> int:
    """How many units share the score at the cut, if the cut runs between them; 0 if score alone decides."""
    return select_top(order, scores, k).tied


def select_top_and_bottom(order: NDArray[np.int64], k: int | float) -> NDArray[np.int64]:
    """The k most and the k least expert units (Kojima et al. 2024): int64 [2k], best first, the bottom ones in
    ranking order. Raises SpecError where the two would overlap."""
    n = resolve_k(k, order.size)
    if 2 * n > order.size:
        raise SpecError(
            f"k: top and bottom {n} need {2 * n} units, but there are {order.size}; expected at most {order.size // 2}"
        )
    return np.concatenate([order[:n], order[-n:]])
