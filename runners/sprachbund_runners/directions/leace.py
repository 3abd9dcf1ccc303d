"""Least-squares concept erasure (LEACE; Belrose et al. 2023) of the language."""

import numpy as np

from sprachbund.errors import ModelError
from sprachbund_runners.directions.covariance import Covariance
from sprachbund_runners.directions.responses import Responses
from sprachbund_runners.directions.subspace import Subspace

# Of the languages' means in units of the standard deviation; below it they differ by rounding of float32 only.
_RESOLUTION = 1e-6


def leace(responses: Responses, shrinkage: float | None = None) -> Subspace:
    """The least change, in the metric of the covariance Σ, after which no linear probe tells any language apart.

    With M [width, languages] the means minus that of all sentences, h' = h − M·(Mᵀ Σ⁻¹ M)⁺·Mᵀ Σ⁻¹·(h − mean): the
    paper's closed form I − W⁺·P·W, P onto the range of W·Σxz and W = Σ^(−½), as the cross-covariance Σxz with one-hot
    languages spans what M spans. Every language's mean becomes the same whatever Σ is, so shrinking Σ (Ledoit–Wolf
    unless given) costs no erasure.
    """
    responses.require_sentences("leace")
    counts = np.array([len(rows) for rows in responses.rows])
    mean = counts @ responses.means / counts.sum()
    covariance = Covariance.of(np.concatenate(responses.rows) - mean, "leace", shrinkage)
    between = (responses.means - mean).T
    solved = covariance.solve(between)
    sizes, axes = np.linalg.eigh(between.T @ solved)
    # Squared distances in standard deviations; the means span one dimension less than there are languages.
    kept = sizes > max(float(sizes[-1]) * 1e-12, _RESOLUTION**2)
    kept[0] = False
    if not kept.any():
        raise ModelError("direction 'leace': all languages have the same mean response")
    factor = axes[:, kept] / np.sqrt(sizes[kept])
    return Subspace("leace", solved @ factor, between @ factor, mean, None, covariance.shrinkage)
