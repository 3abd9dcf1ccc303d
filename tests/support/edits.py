"""Edits of units of one site written down by hand: what the catalogue's edits come to for one place."""

import numpy as np
from numpy.typing import ArrayLike

from sprachbund_runners.interventions.edits import UnitAffine


def set_to(site: str, block: int, unit: ArrayLike, value: ArrayLike, tokens: str = "all") -> UnitAffine:
    """h' = value."""
    return UnitAffine(site, block, unit, 0.0, value, tokens=tokens)


def scale(site: str, block: int, unit: ArrayLike, factor: ArrayLike, tokens: str = "all") -> UnitAffine:
    """h' = factor · h."""
    return UnitAffine(site, block, unit, factor, 0.0, tokens=tokens)


def shift(site: str, block: int, unit: ArrayLike, amount: ArrayLike, tokens: str = "all") -> UnitAffine:
    """h' = h + amount."""
    return UnitAffine(site, block, unit, 1.0, amount, tokens=tokens)


def interpolate(
    site: str, block: int, unit: ArrayLike, value: ArrayLike, strength: float, tokens: str = "all"
) -> UnitAffine:
    """h' = (1 − strength)·h + strength·value."""
    return UnitAffine(site, block, unit, 1.0 - strength, strength * np.asarray(value, np.float64), tokens=tokens)
