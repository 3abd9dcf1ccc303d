"""The slow reference of `crossed_effects`: each covariance as a matrix of all pairs by all pairs, traces and inverses.

It knows what the model says of two pairs and nothing of how the product computes it. What is agreed and not derived:
a negative variance is left out, the most negative first; the bounds of covariances; the least residual; the degrees.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

NEEDS = {"roles": ("query", "candidate"), "directions": ("residual",)}


def kernels(query: NDArray[Any], candidate: NDArray[Any], ordered: bool) -> dict[str, NDArray[Any]]:
    """What each component adds to the covariance of two pairs, by name."""
    same_query = (query[:, None] == query).astype(float)
    same_candidate = (candidate[:, None] == candidate).astype(float)
    crossed = (query[:, None] == candidate).astype(float)
    residual = np.eye(len(query))
    if not ordered:
        return {"query": same_query + same_candidate + crossed + crossed.T, "residual": residual}
    found = {"query": same_query, "candidate": same_candidate}
    # What all pairs share is the mean.
    found = {name: kernel for name, kernel in found.items() if not kernel.all()}
    if len(found) == 2 and crossed.any():
        found["roles"] = crossed + crossed.T
    reverse = crossed * crossed.T * (query != candidate)
    return found | ({"directions": reverse} if reverse.any() else {}) | {"residual": residual}


def components(y: NDArray[Any], design: NDArray[Any], of: dict[str, NDArray[Any]]) -> dict[str, float]:
    """tr(MKᵢMKⱼ) σ = y'MKᵢMy, with M the projection that takes the design out (Rao 1971)."""
    out = np.eye(len(y)) - design @ np.linalg.pinv(design)
    left, inside = out @ y, {name: out @ kernel @ out for name, kernel in of.items()}
    if np.allclose(left, 0, atol=1e-12 * np.abs(y).max()):
        return {}
    kept = list(of)
    while any(name not in NEEDS for name in kept):
        expected = [[np.sum(inside[one] * inside[other]) for other in kept] for one in kept]
        forms = [left @ of[name] @ left for name in kept]
        found = dict(zip(kept, np.linalg.lstsq(np.array(expected), np.array(forms), rcond=1e-12)[0], strict=True))
        worst = min((name for name in kept if name not in NEEDS), key=found.__getitem__)
        if found[worst] >= 0:
            return {name: float(value) for name, value in found.items()}
        kept = [name for name in kept if name != worst and worst not in NEEDS.get(name, ())]
    return {}


def crossed_effects(
    y: NDArray[Any],
    query: NDArray[Any],
    candidate: NDArray[Any],
    x: NDArray[Any] | None = None,
    *,
    ordered: bool = True,
) -> dict[str, Any]:
    """The fields of `CrossedEffects` by name, at 95%; ValueError where no residual is left to judge a slope by."""
    n = len(y)
    design = np.column_stack([np.ones(n)] + ([] if x is None else [x]))
    of = kernels(query, candidate, ordered)
    found = dict.fromkeys(("query", "candidate", "roles", "directions", "residual"), 0.0) | components(y, design, of)
    bound = 0.95 * np.sqrt(found["query"] * found["candidate"])
    found["roles"] = float(np.clip(found["roles"], -bound, bound))
    bound = 0.95 * found["residual"] / max(1.0, of["directions"].sum(axis=1).max() if "directions" in of else 1.0)
    found["directions"] = float(np.clip(found["directions"], -bound, bound))
    covariance = sum((found[name] * kernel for name, kernel in of.items()), np.zeros((n, n)))
    total = float(np.trace(covariance)) / n
    if design.shape[1] > 1 and total > 0 and found["residual"] <= 1e-6 * total:
        raise ValueError("crossed effects: languages' effects leave no residual to judge a slope by")
    inverse = np.linalg.inv(covariance + 1e-9 * total * np.eye(n)) if total > 0 else np.eye(n)
    information = np.linalg.inv(design.T @ inverse @ design)
    coefficients = information @ (design.T @ inverse @ y)
    if total == 0:
        coefficients = np.where(np.abs(coefficients) > 1e-12 * np.abs(y).max(), coefficients, 0.0)
    errors = np.sqrt(np.diag(information)) if total > 0 else np.zeros(design.shape[1])
    sides = [len(set(side.tolist())) for side in ((query, candidate) if ordered else (np.append(query, candidate),))]
    degrees = max(1, min((count for count in sides if count > 1), default=1) - design.shape[1])
    half = stats.t.ppf(0.975, degrees) * errors
    ratio = np.abs(coefficients) / np.where(errors > 0, errors, 1.0)
    return {
        "coefficients": coefficients,
        "standard_errors": errors,
        "low": coefficients - half,
        "high": coefficients + half,
        "p": np.where(errors > 0, 2 * stats.t.sf(ratio, degrees), coefficients == 0),
        "query_variance": found["query"],
        "candidate_variance": found["candidate" if ordered else "query"],
        "residual_variance": found["residual"],
        "role_covariance": found["roles" if ordered else "query"],
        "direction_covariance": found["directions"],
        "n_pairs": n,
        "n_languages": len(set(query.tolist()) | set(candidate.tolist())),
        "degrees": degrees,
    }
