"""Regression over language pairs whose languages are random: every pair shares them with other pairs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from sprachbund_runners.statistics.intervals import check_confidence
from sprachbund_runners.statistics.pairs import Covariance, Pairs

# Of the residual's share of the variance: keeps the covariance of the pairs invertible.
_LEAST_RESIDUAL = 1e-9
# Of all variance: less residual than this is rounding.
_EXACT = 1e-6
# Of the values' norm: values this near to the design's are the design's.
_ROUNDING = 1e-13
# Correlations are held below this: at 1 some contrast of pairs would seem to be known exactly.
_MOST = 0.95
# Of the moments' greatest singular value: what is below is a combination of components that the pairs don't tell apart.
_SINGULAR = 1e-12
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
    is set to 0 and the others are found anew, a covariance is held to what its variances allow; components that the
    pairs don't tell apart share what they explain. β by generalised least squares, with intervals and p from Student's
    t with (languages on the side that has fewer) - 1 - (covariates) degrees of freedom, at least 1: cautious where the
    residual dominates. A side with one language only has no effect of its own: the model is then about that language.
    A pair may occur several times (on several corpora): each has a residual of its own, which goes together with every
    residual of the other direction. A language paired with itself has no other direction. Time and memory grow with
    the pairs, and with the cube and the square of the languages.

    Raises ValueError if shapes differ, values are not finite, x is collinear, there are too few pairs, or the residual
    variance beside a covariate is estimated as 0, so that a slope would seem to be known exactly.
    """
    check_confidence(confidence)
    values, design = _checked(y, x)
    one, other = np.asarray(query), np.asarray(candidate)
    if one.shape != values.shape or other.shape != values.shape:
        raise ValueError(f"languages of pairs: expected shape [{len(values)}], found {one.shape} and {other.shape}")
    pairs = Pairs.of(one, other, ordered)
    model = _kernels(pairs, ordered)
    found = _bounded(_moments(values, design, pairs, model), pairs)
    residual_variance = found["residual"]
    between = sum((found[name] * weights for name, weights in model.weights.items()), np.zeros(pairs.together.shape))
    total = residual_variance + float(np.sum(between * pairs.together)) / len(values)
    if design.shape[1] > 1 and total > 0 and residual_variance <= _EXACT * total:
        raise ValueError("crossed effects: languages' effects leave no residual to judge a slope by")
    if total > 0:
        covariance = Covariance(residual_variance + _LEAST_RESIDUAL * total, found["directions"], between)
        products = covariance.products(np.column_stack([design, values]), pairs)
        information = np.linalg.inv(products[:-1, :-1])
        coefficients = information @ products[:-1, -1]
        errors = np.sqrt(np.diag(information))
    else:
        coefficients, errors = np.linalg.pinv(design) @ values, np.zeros(design.shape[1])
        moved = np.abs(coefficients) * np.linalg.norm(design, axis=0)
        coefficients[moved <= _ROUNDING * np.linalg.norm(values)] = 0
    degrees = max(1, model.least - design.shape[1])
    half = stdtrit(degrees, 0.5 + confidence / 2) * errors
    t = np.abs(coefficients) / np.where(errors > 0, errors, 1.0)
    p = np.where(errors > 0, 2 * stdtr(degrees, -t), coefficients == 0)
    return CrossedEffects(
        coefficients=coefficients,
        standard_errors=errors,
        low=coefficients - half,
        high=coefficients + half,
        p=p,
        query_variance=found["query"],
        candidate_variance=found["candidate"] if ordered else found["query"],
        residual_variance=residual_variance,
        role_covariance=found["roles"] if ordered else found["query"],
        direction_covariance=found["directions"],
        n_pairs=len(values),
        n_languages=pairs.n_languages,
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
    """What each variance multiplies: Z @ weights[name] @ Z.T, with Z the languages of pairs.

    least: languages on the side with fewer.
    """

    weights: dict[str, NDArray[Any]]
    least: int


def _kernels(pairs: Pairs, ordered: bool) -> _Kernels:
    count = pairs.n_languages
    same = np.eye(count)
    if not ordered:
        return _Kernels({"query": same}, count)
    one, other = pairs.languages
    # The effect of a side's only language is part of the mean.
    several = [len(np.unique(side)) for side in (one, other)]
    used = [number > 1 for number in several]
    weights: dict[str, NDArray[Any]] = {}
    if used[0]:
        weights["query"] = np.kron(np.diag([1.0, 0.0]), same)
    if used[1]:
        weights["candidate"] = np.kron(np.diag([0.0, 1.0]), same)
    if all(used) and np.isin(one, other).any():
        weights["roles"] = np.kron(np.array([[0.0, 1.0], [1.0, 0.0]]), same)
    return _Kernels(weights, min((number for number in several if number > 1), default=1))


def _moments(values: NDArray[Any], design: NDArray[Any], pairs: Pairs, model: _Kernels) -> dict[str, float]:
    """Variances and covariances by name: quadratic forms of the residuals equal their expectations."""
    basis = np.linalg.qr(design)[0]
    left = values - basis @ (basis.T @ values)
    if np.linalg.norm(left) <= _ROUNDING * np.linalg.norm(values):
        left = np.zeros_like(left)
    names = [*model.weights]
    sums, span = pairs.by_language(pairs.cells(left)), pairs.by_language(pairs.cells(basis))
    inner = pairs.together - span @ span.T
    products = [inner @ weights for weights in model.weights.values()]
    forms = [float(sums @ weights @ sums) for weights in model.weights.values()]
    size = len(names) + 1 + pairs.both_ways
    expected = np.zeros((size, size))
    for i, product in enumerate(products):
        for j, beside in enumerate(products):
            expected[i, j] = np.sum(product * beside.T)
        expected[i, -1] = expected[-1, i] = np.trace(product)
    if pairs.both_ways:
        place = len(names)
        names.append("directions")
        form, half, squares, trace = _exchanged(left, basis, span, pairs)
        forms.append(form)
        for i, weights in enumerate(model.weights.values()):
            expected[i, place] = expected[place, i] = np.sum(half * weights)
        expected[place, place] = squares
        expected[place, -1] = expected[-1, place] = trace
    names.append("residual")
    forms.append(float(left @ left))
    expected[-1, -1] = len(values) - design.shape[1]
    return _solved(expected, np.array(forms), names)


def _exchanged(
    left: NDArray[Any], basis: NDArray[Any], span: NDArray[Any], pairs: Pairs
) -> tuple[float, NDArray[np.float64], float, float]:
    """Of R, which is 1 where two rows are one pair in both directions, and M, which takes the design out:

    left' R left, Z' M R M Z, and sum of squares and trace of M R M.
    """
    own, cells = pairs.cells(left), pairs.cells(basis)
    turned = pairs.exchange(cells)
    middle = cells.T @ turned
    across = pairs.by_language(turned)
    half = pairs.exchanged - span @ across.T - across @ span.T + span @ middle @ span.T
    squares = pairs.n_exchanged - 2 * np.sum(turned * turned) + np.sum(middle * middle)
    return float(own @ pairs.exchange(own)), half, float(squares), -float(np.trace(middle))


def _solved(expected: NDArray[np.float64], forms: NDArray[np.float64], names: list[str]) -> dict[str, float]:
    """Solves for the components; the most negative variance is left out until none is negative.

    Where pairs don't tell components apart it is the least of all solutions, whatever the rounding.
    """
    found = dict.fromkeys(("query", "candidate", "roles", "directions", "residual"), 0.0)
    kept = list(range(len(names)))
    while kept:
        solved = np.linalg.lstsq(expected[np.ix_(kept, kept)], forms[kept], rcond=_SINGULAR)[0]
        variances = {
            place: value for place, value in zip(kept, solved, strict=True) if names[place] not in _COVARIANCES
        }
        worst = min(variances, key=variances.__getitem__)
        rounding = _SINGULAR * max(variances.values())
        if variances[worst] >= -rounding:
            found |= {names[place]: float(value) for place, value in zip(kept, solved, strict=True)}
            return found | {names[place]: 0.0 for place, value in variances.items() if value <= rounding}
        # Without a variance its covariance has no meaning.
        gone = {names[worst], *(name for name, of in _COVARIANCES.items() if names[worst] in of)}
        kept = [place for place in kept if names[place] not in gone]
        if not any(names[place] not in _COVARIANCES for place in kept):
            return found
    return found


def _bounded(found: dict[str, float], pairs: Pairs) -> dict[str, float]:
    """Covariances within what their variances allow."""
    roles = _MOST * np.sqrt(found["query"] * found["candidate"])
    # A pair may stand on several corpora: the other way round it then has several partners.
    directions = _MOST * found["residual"] / max(1, pairs.most_partners)
    return found | {
        "roles": float(np.clip(found["roles"], -roles, roles)),
        "directions": float(np.clip(found["directions"], -directions, directions)),
    }
