"""Student's t distribution: tail areas and quantiles, with NumPy's scalars alone."""

import math

_STEPS = 500


def student_p(t: float, degrees: float) -> float:
    """Two-sided p of a t statistic: P(|T| ≥ |t|) with `degrees` > 0 of freedom; relative error below 1e-10.

    The regularised incomplete beta function I_x(d/2, 1/2) at x = d / (d + t²). Raises ValueError for degrees ≤ 0.
    """
    if not degrees > 0:
        raise ValueError(f"degrees of freedom: expected a number above 0, found {degrees}")
    if math.isnan(t):
        return math.nan
    if math.isinf(t):
        return 0.0
    square = t * t
    return _incomplete_beta(degrees / 2, 0.5, degrees / (degrees + square), square / (degrees + square))


def student_quantile(confidence: float, degrees: float) -> float:
    """t with P(|T| ≤ t) = confidence: what an interval of that confidence takes on either side.

    Raises ValueError unless 0 < confidence < 1 and degrees > 0.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: expected a number between 0 and 1, found {confidence}")
    low, high = 0.0, 1.0
    while student_p(high, degrees) > 1 - confidence:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        if student_p(middle, degrees) > 1 - confidence:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _incomplete_beta(a: float, b: float, x: float, complement: float) -> float:
    """I_x(a, b); `complement` is 1 - x without cancellation."""
    if x <= 0.0:
        return 0.0
    if complement <= 0.0:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1.0 - _incomplete_beta(b, a, complement, x)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(complement)
    return math.exp(log_front) / a * _continued_fraction(a, b, x)


def _continued_fraction(a: float, b: float, x: float) -> float:
    """The fraction of I_x(a, b) by Lentz's method (Didonato and Morris, ACM TOMS 18, 1992, give the terms)."""
    tiny = 1e-300
    value, ratio = 1.0, 0.0
    numerator = 1.0
    for step in range(_STEPS):
        half = step // 2
        if step == 0:
            term = 1.0
        elif step % 2 == 0:
            term = half * (b - half) * x / ((a + 2 * half - 1) * (a + 2 * half))
        else:
            term = -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1))
        ratio = 1.0 / (1.0 + term * ratio or tiny)
        numerator = 1.0 + term / numerator or tiny
        value *= numerator * ratio
        if abs(numerator * ratio - 1.0) < 1e-15:
            break
    return value - 1.0
