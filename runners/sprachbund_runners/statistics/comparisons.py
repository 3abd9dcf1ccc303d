"""Tests of one setting against another, and against a distribution of controls."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr


def mcnemar_counts(a: ArrayLike, b: ArrayLike) -> tuple[int, int]:
    """(only a hit, only b hit) from two outcomes [n] of the same items, each 0 or 1.

    Counts belong to one pair and layer: never pool them over language pairs, which share items.
    Raises ValueError if shapes differ or an outcome is neither 0 nor 1 (tie credits have no exact McNemar test:
    bootstrap their difference).
    """
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"McNemar: expected two outcomes of one length, found {first.shape} and {second.shape}")
    if not np.isin(np.concatenate([first, second]), (0.0, 1.0)).all():
        raise ValueError("McNemar: expected outcomes of 0 or 1; fractional tie credits need the paired bootstrap")
    return int(np.sum((first == 1) & (second == 0))), int(np.sum((first == 0) & (second == 1)))


def mcnemar_exact(only_a: ArrayLike, only_b: ArrayLike) -> NDArray[np.float64]:
    """Two-sided exact p, of the arguments' shape, that discordant counts come from a fair coin; 1 if there are none.

    min(1, 2 P(X ≤ min(a, b))) with X ~ Binomial(a + b, ½). Relative error below 1e-9 up to a million discordant items.
    """
    fewer, both = np.minimum(only_a, only_b), np.add(only_a, only_b)
    return np.asarray(np.minimum(1.0, 2 * bdtr(fewer, both, 0.5)))


def control_p(
    observed: ArrayLike, random_values: ArrayLike, better: Literal["higher", "lower"] = "higher"
) -> NDArray[np.float64]:
    """p of `observed` against R random controls: (1 + #{random at least as good}) / (1 + R).

    random_values: [R] or [R, …] with `observed` of the remaining shape. Its least value is 1 / (1 + R): five seeds
    cannot give less than .167. One-sided, in the direction of `better`.

    Raises ValueError if there are no controls, shapes do not fit, or a value is NaN (a missing control is not a loss).
    """
    seen, controls = np.asarray(observed, np.float64), np.asarray(random_values, np.float64)
    if better not in ("higher", "lower"):
        raise ValueError(f"better: expected 'higher' or 'lower', found {better!r}")
    if controls.ndim < 1 or not len(controls) or controls.shape[1:] != seen.shape:
        raise ValueError(f"control p: expected controls of shape [R, *{list(seen.shape)}], found {controls.shape}")
    if np.isnan(seen).any() or np.isnan(controls).any():
        raise ValueError("control p: a value is NaN")
    as_good = controls >= seen if better == "higher" else controls <= seen
    return np.asarray((1.0 + as_good.sum(axis=0)) / (1.0 + len(controls)))


def max_t(
    differences: ArrayLike,
    groups: ArrayLike | None = None,
    resamples: int = 10_000,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Family-wise adjusted two-sided p of paired mean differences, by item-level swaps of the two settings.

    differences: [n, columns], a - b per item, one column per member of the family (pair, layer, setting).
    groups: [n], items of one group (document) are swapped together. Under the null that a and b are exchangeable a
    swap only turns the sign, the same for all columns, which keeps their dependence. T is
    the sum of differences over its root mean square under swaps, and p_c = (1 + #{max_j |T*_j| ≥ |T_c|}) / (1 + R).
    A column that never differs has T = 0 and p = 1.

    Source: Westfall and Young (1993), single step. Raises ValueError if differences are not finite [n, columns].
    """
    swaps = Swaps(groups, resamples, seed)
    swaps.add(differences)
    return swaps.adjusted()


@dataclass(slots=True)
class Swaps:
    """`max_t` of a family whose columns come block by block; arguments are its own."""

    groups: ArrayLike | None = None
    resamples: int = 10_000
    seed: int = 0
    # |T| of every column, and the largest |T*| among them in each draw.
    _observed: list[NDArray[np.float64]] = field(default_factory=list)
    _largest: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self._largest = np.zeros(self.resamples)

    def add(self, differences: ArrayLike) -> None:
        """More columns of the family, of the same items."""
        values = np.asarray(differences, np.float64)
        if values.ndim != 2 or not len(values) or not np.isfinite(values).all():
            raise ValueError("max-T: expected finite differences of shape [items, columns]")
        sums = values if self.groups is None else _group_sums(values, self.groups)
        scale = np.sqrt(np.sum(sums**2, axis=0))
        scaled = sums / np.where(scale > 0, scale, 1.0)
        self._observed.append(np.abs(scaled.sum(axis=0)))
        # The same swaps for every block.
        generator = np.random.default_rng(self.seed)
        step = max(1, 2**22 // (len(scaled) + values.shape[1]))
        for start in range(0, self.resamples, step):
            largest = self._largest[start : start + step]
            signs = generator.integers(0, 2, size=(len(largest), len(scaled))) * 2.0 - 1.0
            np.maximum(largest, np.abs(signs @ scaled).max(axis=1, initial=0.0), out=largest)

    def critical(self, alpha: float) -> float:
        """The |T| above which an adjusted p is at most alpha; infinite where so few draws give none."""
        above = math.floor(alpha * (1 + self.resamples) + 1e-9) - 1
        return float(np.sort(self._largest)[-1 - above]) if above >= 0 else math.inf

    def adjusted(self) -> NDArray[np.float64]:
        """p of all columns, in their order."""
        observed = np.concatenate(self._observed) if self._observed else np.empty(0)
        # A swap that changes nothing gives T itself, up to rounding; columns have length 1, and so has that a scale.
        below = np.searchsorted(np.sort(self._largest), observed - 1e-12 * (1 + observed))
        return np.asarray((1.0 + self.resamples - below) / (1.0 + self.resamples))


def _group_sums(values: NDArray[np.float64], groups: ArrayLike) -> NDArray[Any]:
    labels = np.asarray(groups)
    if labels.shape != values.shape[:1]:
        raise ValueError(f"groups: expected shape [{len(values)}], found {list(labels.shape)}")
    names, inverse = np.unique(labels, return_inverse=True)
    sums = np.zeros((len(names), values.shape[1]))
    np.add.at(sums, inverse, values)
    return sums
