"""Ranking units, choosing among them by a rule, and combining what was chosen.

Chosen units are positions on the flat axis that the ranking refers to.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sprachbund.catalogue.edits import units_of
from sprachbund.errors import ModelError, SpecError, nearest
from sprachbund.models.architectures import UnitBlock
from sprachbund.vocabulary import HOWS, How


@dataclass(frozen=True, slots=True)
class Rule:
    """How units are chosen from a ranking.

    how: `top`, the k best; `top_and_bottom`, the k best and the k worst (Kojima et al. 2024); `per_block`, the k best
    of every site of every block; `threshold`, all that are significant and large enough, however many. k: for all but
    `threshold`, a count or a fraction in (0, 1] (of the axis; for `per_block` of each site of each block); q: for
    `threshold`, the false discovery rate; effect: for `threshold`, the least Cohen's d. Raises SpecError for a rule
    that lacks what it needs or is given what it does not.
    """

    how: How = "top"
    k: int | float | None = None
    q: float | None = None
    effect: float | None = None

    def __post_init__(self) -> None:
        if self.how not in HOWS:
            raise SpecError(
                f"selection: found '{self.how}', expected one of {', '.join(HOWS)}{nearest(self.how, HOWS)}"
            )
        if self.how == "threshold":
            if self.k is not None:
                raise SpecError(f"k: found {self.k}; selection 'threshold' takes none, it chooses by q and effect")
            if self.q is None or not 0 < self.q < 1:
                raise SpecError(f"q: found {self.q}; selection 'threshold' expects a number between 0 and 1")
            if self.effect is not None and not self.effect >= 0:
                raise SpecError(f"effect: found {self.effect}; expected a least Cohen's d of 0 or more")
            return
        if self.k is None:
            raise SpecError(f"k is missing: selection '{self.how}' needs a count or a fraction of units")
        for name, value in (("q", self.q), ("effect", self.effect)):
            if value is not None:
                raise SpecError(f"{name}: found {value}; only selection 'threshold' takes it, not '{self.how}'")


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
    return units_of(float(k), n_units)


def choose(
    rule: Rule,
    units: Sequence[UnitBlock],
    order: NDArray[np.int64],
    p: NDArray[np.float64],
    effect: NDArray[np.float64],
) -> NDArray[np.int64]:
    """The units that `rule` chooses: int64 positions on the axis of `units`, each once.

    units: the parts of the axis; order: the units that may be chosen, best first (int64 [m], m below the axis' length
    where a scorer gives some units no score); p: two-sided Mann–Whitney p and effect: Cohen's d of every unit of the
    axis, float64 [axis]. The result is in the order of the ranking, for `per_block` part by part.

    `threshold` takes the units with p adjusted by Benjamini and Hochberg over the whole axis at most q, on the
    experts' side (d above 0: the target's responses are greater) and d at least `effect`.

    Raises SpecError for more units than may be chosen, ModelError for an empty selection, ValueError for arrays of
    another length.
    """
    n_units = units[-1].offset + units[-1].width
    for name, column in (("p", p), ("effect", effect)):
        if column.shape != (n_units,):
            raise ValueError(
                f"{name}: shape {list(column.shape)}; expected [{n_units}], one value per unit of the axis"
            )
    if rule.how == "threshold":
        from scipy.stats import false_discovery_control  # half a second that a runner's start need not take

        assert rule.q is not None
        wanted = (false_discovery_control(p) <= rule.q) & (effect > 0) & (effect >= (rule.effect or 0.0))
        chosen = order[wanted[order]]
        if not len(chosen):
            raise ModelError(
                f"selection: none of {n_units} units has q at most {rule.q} and Cohen's d at least"
                f" {rule.effect or 0.0:g}; expected at least one (raise q, lower effect or give more fit text)"
            )
        return chosen
    assert rule.k is not None
    if rule.how == "per_block":
        return np.concatenate([_best_of(part, order, rule.k) for part in units])
    n = _enough(resolve_k(rule.k, n_units), len(order), "")
    return order[:n] if rule.how == "top" else _top_and_bottom(order, n)


def _best_of(part: UnitBlock, order: NDArray[np.int64], k: int | float) -> NDArray[np.int64]:
    here = order[(order >= part.offset) & (order < part.offset + part.width)]
    if not isinstance(k, float | np.floating) and k > part.width:
        raise SpecError(f"k: found {k}, but {part.site} of block {part.block} has {part.width} units")
    return here[: _enough(resolve_k(k, part.width), len(here), f" of {part.site} in block {part.block}")]


def _enough(n: int, there: int, where: str) -> int:
    if n > there:
        raise SpecError(f"k: {n} units{where} are wanted, but only {there} may be chosen; expected at most {there}")
    return n


def _top_and_bottom(order: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    if 2 * n > order.size:
        raise SpecError(
            f"k: top and bottom {n} need {2 * n} units, but there are {order.size}; expected at most {order.size // 2}"
        )
    return np.concatenate([order[:n], order[-n:]])


def intersection(sets: Sequence[ArrayLike]) -> NDArray[np.int64]:
    """Units that are in every one of the sets: int64, ascending. Raises ModelError where there is none."""
    if not sets:
        raise ModelError("intersection of expert sets: no set given")
    shared = np.unique(np.asarray(sets[0], dtype=np.int64))
    for other in sets[1:]:
        shared = np.intersect1d(shared, np.asarray(other, dtype=np.int64))
    if not len(shared):
        raise ModelError(f"intersection of expert sets: the {len(sets)} sets share no unit; choose more of each")
    return shared


def difference(own: ArrayLike, others: Sequence[ArrayLike]) -> NDArray[np.int64]:
    """Units of `own` that are in none of `others`: int64, ascending. Raises ModelError where there is none."""
    kept = np.unique(np.asarray(own, dtype=np.int64))
    for other in others:
        kept = np.setdiff1d(kept, np.asarray(other, dtype=np.int64))
    if not len(kept):
        raise ModelError("difference of expert sets: every unit is another set's too; choose more units")
    return kept


def tied_at(order: NDArray[np.int64], scores: NDArray[np.float64], k: int | float) -> int:
    """How many units of the ranking `order` share the score at the cut after k (as in `resolve_k`), if the cut runs
    between them; 0 if score alone decides."""
    n = resolve_k(k, order.size)
    cut = scores[order[n - 1]]
    return int((scores[order] == cut).sum()) if n < order.size and scores[order[n]] == cut else 0
