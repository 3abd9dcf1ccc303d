"""Which units an intervention selects, and its random controls: arrays in, selections out.

Random units are drawn from the units that are *not* experts, so that a control never contains what it is compared
with; the draw is numpy's PCG64 from the seed, without replacement. Units are positions on the flat unit axis. They
may carry any map (`Affine` of these very units, or the experts' own by `deal`); `matched_shift` is for values to set.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sprachbund.errors import ModelError, nearest
from sprachbund.models.architectures import UnitBlock, split_flat

CONTROLS = ("uniform", "profile", "matched")
"""uniform: any units. profile: as many in each block and site as the experts have. matched: profile, with values
rescaled to the experts' expected squared shift."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Units (flat positions int64 [k]) and the values to set them to (float32 [k])."""

    units: NDArray[np.int64]
    values: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MatchedShift:
    """Values of random units rescaled to the experts' expected squared shift.

    For each (block, site) with experts: `parts` its index on the unit axis, `scale` the factor c that was used and
    `ratio` the achieved Σ E(h − v)² over the experts' (1 where matching was possible; above 1 where the random
    units' variance alone exceeds it, so that c = 0; below 1 where their values all equal their means).
    `overall_ratio` is the same over all parts together.
    """

    selection: Selection
    parts: NDArray[np.int64]
    scale: NDArray[np.float64]
    ratio: NDArray[np.float64]
    overall_ratio: float


def union(expert_sets: Sequence[ArrayLike]) -> NDArray[np.int64]:
    """Every unit that is in at least one of the sets, ascending."""
    if not expert_sets:
        raise ModelError("union of expert sets: no set given")
    return np.unique(np.concatenate([np.asarray(units, dtype=np.int64) for units in expert_sets]))


def random_units(
    units: Sequence[UnitBlock], experts: ArrayLike, seed: int | Sequence[int], control: str = "uniform"
) -> NDArray[np.int64]:
    """As many random units as experts, none of them an expert, ascending; int64 [k].

    `uniform` draws from the whole axis, `profile` and `matched` as many from each (block, site) as it has experts.
    Raises ModelError for an unknown control, and where too few units remain beside the experts.
    """
    if control not in CONTROLS:
        raise ModelError(
            f"control '{control}' is not known; expected {', '.join(CONTROLS)}{nearest(control, CONTROLS)}"
        )
    chosen = np.unique(np.asarray(experts, dtype=np.int64))
    part, _ = split_flat(units, chosen)
    generator = np.random.Generator(np.random.PCG64(seed))
    if control == "uniform":
        total = units[-1].offset + units[-1].width
        return _draw(generator, 0, total, chosen, f"the {total} units")
    drawn = []
    for index in np.unique(part):
        where = units[index]
        drawn.append(
            _draw(
                generator,
                where.offset,
                where.width,
                chosen[part == index],
                f"the {where.width} units of {where.site} in block {where.block}",
            )
        )
    return np.concatenate(drawn) if drawn else np.empty(0, dtype=np.int64)


def experts_values(
    axis: Sequence[UnitBlock], units: ArrayLike, experts: ArrayLike, expert_values: ArrayLike, seed: int | Sequence[int]
) -> Selection:
    """The selected units with the experts' values, dealt out at random.

    Inside a (block, site) that holds as many of `units` as of `experts` the values stay there, which is always so
    for a profile control; otherwise they are dealt out over all units. expert_values float [k] is parallel to experts.
    """
    given = np.asarray(expert_values, dtype=np.float32)
    places = deal(axis, units, experts, seed)
    if given.shape != places.shape:
        raise ModelError(f"control values: {places.size} units, {places.size} experts, {given.size} values")
    return Selection(np.asarray(units, dtype=np.int64), given[places])


def deal(
    axis: Sequence[UnitBlock], units: ArrayLike, experts: ArrayLike, seed: int | Sequence[int]
) -> NDArray[np.int64]:
    """For each of `units` the place in `experts` whose value or map (`Affine.take`) it gets; a permutation, int64 [k].

    Inside a (block, site) that holds as many of `units` as of `experts` what belongs to it stays there, which is
    always so for a profile control; otherwise it is dealt out over all units.
    """
    positions, sources = np.asarray(units, dtype=np.int64), np.asarray(experts, dtype=np.int64)
    if positions.shape != sources.shape:
        raise ModelError(f"control: {positions.size} units for what {sources.size} experts have")
    generator = np.random.Generator(np.random.PCG64(seed))
    to_part, _ = split_flat(axis, positions)
    from_part, _ = split_flat(axis, sources)
    if not np.array_equal(np.sort(to_part), np.sort(from_part)):
        return generator.permutation(len(sources)).astype(np.int64)
    places = np.empty(len(positions), dtype=np.int64)
    for index in np.unique(to_part):
        places[to_part == index] = generator.permutation(np.flatnonzero(from_part == index))
    return places


def matched_shift(
    axis: Sequence[UnitBlock],
    experts: Selection,
    random: Selection,
    mean: ArrayLike,
    variance: ArrayLike,
) -> MatchedShift:
    """Random units' values rescaled so that setting them moves activations as far as setting the experts does.

    mean and variance, over the whole flat axis, are those of the units' activations at the fitted tokens of all
    languages together. As E(h − v)² = variance + (mean − v)², the values become v_w = mean_w + c·(own_w − mean_w) with
    c = √(max(0, Σ_experts E(h − v)² − Σ_random variance) / Σ_random (own − mean)²), for each (block, site) apart.
    Raises ModelError where the random units are not in the experts' blocks and sites.
    """
    means, variances = np.asarray(mean, dtype=np.float64), np.asarray(variance, dtype=np.float64)
    if (variances < 0).any() or not (np.isfinite(means).all() and np.isfinite(variances).all()):
        raise ModelError("matched shift: means and variances must be finite, variances not negative")
    expert_part, _ = split_flat(axis, experts.units)
    random_part, _ = split_flat(axis, random.units)
    parts = np.unique(expert_part)
    if not np.array_equal(parts, np.unique(random_part)):
        raise ModelError("matched shift: random units must lie in the blocks and sites of the experts (use profile)")
    expert_values = experts.values.astype(np.float64)
    goal_of_unit = variances[experts.units] + (means[experts.units] - expert_values) ** 2
    fixed_of_unit = variances[random.units]
    offset = random.values.astype(np.float64) - means[random.units]
    values = np.empty(len(random.units), dtype=np.float64)
    scales, goals, achieved = (np.zeros(len(parts)) for _ in range(3))
    for row, index in enumerate(parts):
        here = random_part == index
        goals[row] = goal_of_unit[expert_part == index].sum()
        fixed, spread = fixed_of_unit[here].sum(), (offset[here] ** 2).sum()
        scales[row] = np.sqrt(max(0.0, goals[row] - fixed) / spread) if spread > 0 else 0.0
        values[here] = means[random.units[here]] + scales[row] * offset[here]
        achieved[row] = fixed + scales[row] ** 2 * spread
    ratio = np.divide(achieved, goals, out=np.full(len(parts), np.inf), where=goals > 0)
    ratio[(goals == 0) & (achieved == 0)] = 1.0
    total = goals.sum()
    overall = float(achieved.sum() / total) if total > 0 else float(ratio.max(initial=1.0))
    return MatchedShift(Selection(random.units, values.astype(np.float32)), parts, scales, ratio, overall)


def _draw(
    generator: np.random.Generator, start: int, width: int, experts: NDArray[np.int64], among: str
) -> NDArray[np.int64]:
    free = np.setdiff1d(np.arange(start, start + width, dtype=np.int64), experts, assume_unique=True)
    if len(free) < len(experts):
        raise ModelError(
            f"random control: {len(experts)} of {among} are experts, so only {len(free)} are left to draw as many from"
        )
    return np.sort(generator.choice(free, size=len(experts), replace=False))
