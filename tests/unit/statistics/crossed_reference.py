"""Crossed effects with matrices of all pairs by all pairs: the slow reference of `crossed_effects`, as it was first."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

# Of the residual's share of the variance: keeps the covariance of the pairs invertible.
_LEAST_RESIDUAL = 1e-9
# Of all variance: less residual than this is rounding.
_EXACT = 1e-6
# Correlations are held below this: at 1 some contrast of pairs would seem to be known exactly.
_MOST = 0.95
# Covariances and the variances that bound them.
_COVARIANCES = {"roles": ("query", "candidate"), "directions": ("residual",)}


@dataclass(frozen=True, slots=True)
class CrossedEffects:
    """Coefficients [p] of a mixed model over pairs, with intervals, and where the variance lies.

    query_variance, candidate_variance: of the languages' effects as query and as candidate (of unordered pairs both
    are the one variance of a language's effect); residual_variance: of a pair itself. None is below 0.
    role_covariance: of a language's effects as query and as candidate; direction_covariance: of a pair's residuals one
    way and the other.
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
    role_covariance: float
    direction_covariance: float
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
    """y = β₀ + β₁x₁ + … + a(query) + b(candidate) + e over language pairs, all three random.

    y: [n] values of pairs; query, candidate: [n] their languages; x: [n] or [n, p] covariates, none for the mean alone.
    A language's a and b are correlated, and so are e of a pair and e of the same pair the other way round: the
    covariances of the social relations model (Warner, Kenny & Stoto, J. Personality and Social Psychology 37, 1979).
    ordered False: pairs without direction, y = … + a(one) + a(other) + e. Variances and covariances are the method of
    moments' MINQUE(0) (Rao, J. Multivariate Analysis 1, 1971): unbiased, any pairs may be missing; a negative variance
    is set to 0 and the others are found anew, a covariance is held to what its variances allow. β by generalised least
    squares, with intervals and p from Student's t with (languages on the side that has fewer) - 1 - (covariates)
    degrees of freedom, at least 1: cautious where the residual dominates. A side with one language only has no effect
    of its own: the model is then about that language.

    Raises ValueError if shapes differ, values are not finite, x is collinear, there are too few pairs, or the residual
    variance beside a covariate is estimated as 0, so that a slope would seem to be known exactly.
    """
    values, design = _checked(y, x)
    one, other = np.asarray(query), np.asarray(candidate)
    if one.shape != values.shape or other.shape != values.shape:
        raise ValueError(f"languages of pairs: expected shape [{len(values)}], found {one.shape} and {other.shape}")
    model = _kernels(one, other, ordered)
    found = _bounded(_moments(values, design, model), model)
    residual_variance = found["residual"]
    covariance = residual_variance * np.eye(len(values))
    if model.reverse is not None:
        covariance += found["directions"] * model.reverse
    between = sum(found[name] * weights for name, weights in model.weights.items())
    if model.weights:
        covariance += model.members @ between @ model.members.T
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
        coefficients, errors = np.linalg.pinv(design) @ values, np.zeros(design.shape[1])
    degrees = max(1, model.least - design.shape[1])
    half = stdtrit(degrees, 0.5 + confidence / 2) * errors
    p = [2 * stdtr(degrees, -abs(b / s)) if s > 0 else float(b == 0) for b, s in zip(coefficients, errors, strict=True)]
    return CrossedEffects(
        coefficients=coefficients,
        standard_errors=errors,
        low=coefficients - half,
        high=coefficients + half,
        p=np.array(p),
        query_variance=found["query"],
        candidate_variance=found["candidate"] if ordered else found["query"],
        residual_variance=residual_variance,
        role_covariance=found["roles"] if ordered else found["query"],
        direction_covariance=found["directions"],
        n_pairs=len(values),
        n_languages=model.n_languages,
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


@dataclass(frozen=True, slots=True)
class _Kernels:
    """What each variance multiplies: members @ weights[name] @ members.T, and `reverse` for pairs both ways.

    members: [n, columns] indicators of the languages of a pair by role; reverse: [n, n], 1 where two pairs have the
    same languages with roles exchanged, None where pairs have no direction. least: languages on the side with fewer.
    """

    members: NDArray[np.float64]
    weights: dict[str, NDArray[Any]]
    reverse: NDArray[np.float64] | None
    n_languages: int
    least: int


def _kernels(one: NDArray[Any], other: NDArray[Any], ordered: bool) -> _Kernels:
    names = np.unique(np.concatenate([one, other]))
    count = len(names)
    sides = [(side[:, None] == names).astype(np.float64) for side in (one, other)]
    if not ordered:
        return _Kernels(sides[0] + sides[1], {"query": np.eye(count, dtype=np.float64)}, None, count, count)
    # The effect of a side's only language is part of the mean.
    several = [int(side.any(axis=0).sum()) for side in sides]
    used = [number > 1 for number in several]
    same = np.eye(count)
    weights: dict[str, NDArray[Any]] = {}
    if used[0]:
        weights["query"] = np.kron(np.diag([1.0, 0.0]), same)
    if used[1]:
        weights["candidate"] = np.kron(np.diag([0.0, 1.0]), same)
    if all(used) and np.isin(one, other).any():
        weights["roles"] = np.kron(np.array([[0.0, 1.0], [1.0, 0.0]]), same)
    reverse = ((one[:, None] == other) & (other[:, None] == one) & (one != other)[:, None]).astype(np.float64)
    least = min((number for number in several if number > 1), default=1)
    return _Kernels(np.hstack(sides), weights, reverse if reverse.any() else None, count, least)


def _moments(values: NDArray[Any], design: NDArray[Any], model: _Kernels) -> dict[str, float]:
    """Variances and covariances by name: quadratic forms of the residuals equal their expectations."""
    basis = np.linalg.qr(design)[0]

    def residual(matrix: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(matrix - basis @ (basis.T @ matrix))

    left = residual(values)
    members, reverse = model.members, model.reverse
    inner = members.T @ residual(members)
    forms, names = [], [*model.weights]
    for weights in model.weights.values():
        sums = members.T @ left
        forms.append(sums @ weights @ sums)
    expected = np.zeros((len(names) + 1 + (reverse is not None), len(names) + 1 + (reverse is not None)))
    products = [inner @ weights for weights in model.weights.values()]
    for i, product in enumerate(products):
        for j, beside in enumerate(products):
            expected[i, j] = np.sum(product * beside.T)
    if reverse is not None:
        place = len(names)
        names.append("directions")
        forms.append(left @ reverse @ left)
        # The residual of the residual's kernel, both sides.
        both = residual(residual(reverse).T)
        half = members.T @ both @ members
        for i, weights in enumerate(model.weights.values()):
            expected[i, place] = expected[place, i] = np.sum(half * weights)
        expected[place, place] = np.sum(both * both)
        expected[place, -1] = expected[-1, place] = np.trace(both)
    names.append("residual")
    forms.append(left @ left)
    for i, product in enumerate(products):
        expected[i, -1] = expected[-1, i] = np.trace(product)
    expected[-1, -1] = len(values) - design.shape[1]
    return _solved(expected, np.array(forms), names)


def _solved(expected: NDArray[np.float64], forms: NDArray[np.float64], names: list[str]) -> dict[str, float]:
    """Solves for the components; the most negative variance is left out until none is negative."""
    found = dict.fromkeys(("query", "candidate", "roles", "directions", "residual"), 0.0)
    kept = list(range(len(names)))
    while kept:
        solved = np.linalg.lstsq(expected[np.ix_(kept, kept)], forms[kept], rcond=None)[0]
        variances = {
            place: value for place, value in zip(kept, solved, strict=True) if names[place] not in _COVARIANCES
        }
        worst = min(variances, key=variances.__getitem__)
        if variances[worst] >= 0:
            return found | {names[place]: float(value) for place, value in zip(kept, solved, strict=True)}
        # Without a variance its covariance has no meaning.
        gone = {names[worst], *(name for name, of in _COVARIANCES.items() if names[worst] in of)}
        kept = [place for place in kept if names[place] not in gone]
        if not any(names[place] not in _COVARIANCES for place in kept):
            return found
    return found


def _bounded(found: dict[str, float], model: _Kernels) -> dict[str, float]:
    """Covariances within what their variances allow."""
    roles = _MOST * np.sqrt(found["query"] * found["candidate"])
    # A pair may stand on several corpora: the other way round it then has several partners.
    partners = 1.0 if model.reverse is None else float(model.reverse.sum(axis=1).max())
    directions = _MOST * found["residual"] / partners
    return found | {
        "roles": float(np.clip(found["roles"], -roles, roles)),
        "directions": float(np.clip(found["directions"], -directions, directions)),
    }
