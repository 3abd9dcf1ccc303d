"""Directions from the languages' means alone."""

import numpy as np

from sprachbund.errors import ModelError
from sprachbund_runners.directions.responses import Responses
from sprachbund_runners.directions.subspace import Subspace

# Singular values below this share of the responses' size are rounding of float32 responses.
_RESOLUTION = 1e-6


def diff_mean(responses: Responses) -> Subspace:
    """The target's mean minus the mean of the others' means (ActAdd, CAA, DiffMean); `add` moves by all of it."""
    responses.require_difference("diff_mean")
    difference = responses.difference
    basis = (difference / np.linalg.norm(difference))[:, None]
    return Subspace("diff_mean", basis, basis, responses.mean, difference)


def language_means(responses: Responses, rank: int | None) -> Subspace:
    """The span of the centred means of all languages, its leading `rank` principal directions."""
    centred = responses.means - responses.mean
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    spanned = int((sizes > _RESOLUTION * np.abs(responses.means).max() * np.sqrt(centred.size)).sum())
    if not spanned:
        raise ModelError("direction 'language_means': all languages have the same mean response")
    if rank is not None and rank > spanned:
        raise ModelError(
            f"direction 'language_means': rank is {rank}, but the means of {len(centred)} languages span {spanned}"
        )
    basis = axes[: rank or spanned].T
    return Subspace("language_means", basis, basis, responses.mean, None)
