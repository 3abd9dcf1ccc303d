"""Principal directions of the target as seen from the other languages."""

import numpy as np

from sprachbund.errors import ModelError
from sprachbund_runners.directions.responses import Responses
from sprachbund_runners.directions.subspace import Subspace


def pca(responses: Responses, rank: int | None) -> Subspace:
    """The first `rank` (1) principal directions of the target's sentences minus the mean of the others' means.

    About zero, not about their own mean: as in representation engineering (Zou et al. 2023), where the differences
    and their negatives are decomposed. `add` moves by the part of the difference of means that lies in the span.
    """
    responses.require_sentences("pca")
    responses.require_difference("pca")
    wanted = 1 if rank is None else rank
    rows = responses.rows[0] - responses.means[1:].mean(axis=0)
    if wanted > min(rows.shape):
        raise ModelError(
            f"direction 'pca': rank is {wanted}, but {len(rows)} sentences of width {rows.shape[1]} give "
            f"at most {min(rows.shape)}"
        )
    axes = np.linalg.svd(rows, full_matrices=False)[2][:wanted]
    difference = responses.difference
    # Signs are arbitrary: towards the target.
    basis = (axes * np.where(axes @ difference < 0, -1.0, 1.0)[:, None]).T
    return Subspace("pca", basis, basis, responses.mean, basis @ (basis.T @ difference))
