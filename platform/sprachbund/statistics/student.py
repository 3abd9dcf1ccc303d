"""Quantiles of Student's t for a few degrees of freedom, without scipy."""

import math
from statistics import NormalDist

# Of fewer drawn units (items, or groups of them) percentiles of draws are too narrow (benchmarks/groups.py): there
# Student's t is taken.
FEW = 100


def quantile(share: float, degrees: int) -> float:
    """The t (of a normal deviate from `FEW` - 1 degrees on) that a share in [.5, 1) is below.

    By halving. The distribution is a finite sum for whole degrees: Abramowitz and Stegun, 26.7.3 and 26.7.4.
    """
    if degrees >= FEW - 1:
        return NormalDist().inv_cdf(share)
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, degrees) < 2 * share - 1 else (low, middle)
    return math.sqrt(degrees) * math.tan((low + high) / 2)


def _within(angle: float, degrees: int) -> float:
    """The chance of |t| < √degrees · tan(angle)."""
    sine, square = math.sin(angle), math.cos(angle) ** 2
    odd = degrees % 2
    term = math.cos(angle) if odd else 1.0
    total = 0.0 if degrees == 1 else term
    for step in range(2 + odd, degrees - 1, 2):
        term *= square * (step - 1) / step
        total += term
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
