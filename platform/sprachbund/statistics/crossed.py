"""Regression over language pairs whose languages are random: every pair shares them with other pairs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sprachbund.statistics.student import student_p, student_quantile

# Of the residual's share of the variance: keeps the covariance of the pairs invertible.
_LEAST_RESIDUAL = 1e-9
# Of all variance: less residual than this is rounding.
_EXACT = 1e-6


@dataclass(frozen=True, slots=True)
class CrossedEffects:
    """Coefficients [p] of a mixed model over pairs, with intervals, and where the variance lies.

    query_variance, candidate_variance: of the languages' effects as query and as candidate (of unordered pairs both
    are the one variance of a language's effect); residual_variance: of a pair itself. None is below 0.
    degrees: of freedom of the intervals.
    """

    coefficients: NDArray[np.float64]
    standard_errors: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    p: NDArray[np.float64]
    query_variance: float
    candidate_variance: float
    residual_variance: float
    n_pairs: int
    n_languages: int
    degrees: int


def crossed_effects(
    y: ArrayLike,
    query: ArrayLike,
    candidate: ArrayLike,
    x: ArrayLike | None = None,
    *,
    ordered: bool = True,
    confidence: float = 0.95,
) -> CrossedEffects:
    """y = β₀ + β₁x₁ + … + a(query) + b(candidate) + e over language pairs, a, b and e random and independent.

    y: [n] values of pairs; query, candidate: [n] their languages; x: [n] or [n, p] covariates, none for the mean alone.
    ordered False: pairs without direction, y = … + a(one) + a(other) + e. Variances are the method of moments'
    MINQUE(0) (Rao, J. Multivariate Analysis 1, 1971): unbiased, any pairs may be missing; a negative estimate is set
    to 0 and the others are found anew. β by generalised least squares, with intervals and p from Student's t with
    (languages on the side that has fewer) - 1 - (covariates) degrees of freedom, at least 1: cautious where the
    residual dominates. A side with one language only has no effect of its own: the model is then about that language.

    Raises ValueError if shapes differ, values are not finite, x is collinear, there are too few pairs, or the residual
    variance beside a covariate is estimated as 0, so that a slope would seem to be known exactly.
    """
    values, design = _checked(y, x)
    one, other = np.asarray(query), np.asarray(candidate)
    if one.shape != values.shape or other.shape != values.shape:
        raise ValueError(f"languages of pairs: expected shape [{len(values)}], found {one.shape} and {other.shape}")
    members, languages, least = _memberships(one, other, ordered)
    inverse = np.linalg.pinv(design.T @ design)

    def residual(matrix: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(matrix - design @ (inverse @ (design.T @ matrix)))

    variances, residual_variance = _moments(values, members, residual, len(values) - design.shape[1])
    covariance = residual_variance * np.eye(len(values))
    for variance, member in zip(variances, members, strict=True):
        covariance += variance * member @ member.T
    total = float(np.trace(covariance)) / len(values)
    if design.shape[1] > 1 and total > 0 and residual_variance <= _EXACT * total:
        raise ValueError("crossed effects: languages' effects leave no residual to judge a slope by")
    if total > 0:
        covariance[np.diag_indices(len(values))] += _LEAST_RESIDUAL * total
        weighted = np.linalg.solve(covariance, np.column_stack([design, values]))
        information = np.linalg.inv(design.T @ weighted[:, :-1])
        coefficients = information @ (design.T @ weighted[:, -1])
        errors = np.sqrt(np.diag(information))
    else:
        coefficients, errors = inverse @ (design.T @ values), np.zeros(design.shape[1])
    degrees = max(1, least - design.shape[1])
    half = student_quantile(confidence, degrees) * errors
    p = [student_p(b / s, degrees) if s > 0 else float(b == 0) for b, s in zip(coefficients, errors, strict=True)]
    return CrossedEffects(
        coefficients=coefficients,
        standard_errors=errors,
        low=coefficients - half,
        high=coefficients + half,
        p=np.array(p),
        query_variance=variances[0],
        candidate_variance=variances[1] if ordered else variances[0],
        residual_variance=residual_variance,
        n_pairs=len(values),
        n_languages=languages,
        degrees=degrees,
    )


def _checked(y: ArrayLike, x: ArrayLike | None) -> tuple[NDArray[Any], NDArray[Any]]:
    values = np.asarray(y, np.float64)
    if values.ndim != 1:
        raise ValueError(f"crossed effects: expected values of shape [pairs], found {values.shape}")
    columns = np.empty((len(values), 0)) if x is None else np.asarray(x, np.float64).reshape(len(values), -1)
    design = np.column_stack([np.ones(len(values)), columns])
    if not (np.isfinite(values).all() and np.isfinite(design).all()):
        raise ValueError("crossed effects: a value is not finite")
    if len(values) <= design.shape[1] + 1:
        raise ValueError(f"crossed effects: {len(values)} pairs are too few for {design.shape[1]} coefficients")
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise ValueError("crossed effects: x is constant or collinear")
    return values, design


def _memberships(one: NDArray[Any], other: NDArray[Any], ordered: bool) -> tuple[list[NDArray[np.float64]], int, int]:
    """Indicator matrices [n, languages] of the random effects, the number of languages, and of the side with fewer."""
    names = np.unique(np.concatenate([one, other]))
    sides = [(side[:, None] == names).astype(np.float64) for side in (one, other)]
    if not ordered:
        return [sides[0] + sides[1]], len(names), len(names)
    sides = [side[:, side.any(axis=0)] for side in sides]
    # The effect of a side's only language is part of the mean.
    sides = [side if side.shape[1] > 1 else side[:, :0] for side in sides]
    return sides, len(names), min((side.shape[1] for side in sides if side.shape[1]), default=1)


def _moments(
    values: NDArray[Any], members: list[NDArray[Any]], residual: Any, degrees: int
) -> tuple[list[float], float]:
    """Variances of the members' effects, and of the residual: quadratic forms equal their expectations."""
    left = residual(values)
    projected = [residual(member) for member in members]
    forms = np.array([*(np.sum((member.T @ left) ** 2) for member in members), left @ left])
    expected = np.zeros((len(forms), len(forms)))
    for i, member in enumerate(members):
        for j, beside in enumerate(projected):
            expected[i, j] = np.sum((member.T @ beside) ** 2)
        expected[i, -1] = expected[-1, i] = np.sum(member * projected[i])
    expected[-1, -1] = degrees
    kept = [*(place for place, member in enumerate(members) if member.shape[1]), len(members)]
    found = np.zeros(len(forms))
    while kept:
        solved = np.linalg.lstsq(expected[np.ix_(kept, kept)], forms[kept], rcond=None)[0]
        if (solved >= 0).all():
            found[kept] = solved
            break
        kept.pop(int(np.argmin(solved)))
    return [float(each) for each in found[:-1]], float(found[-1])
