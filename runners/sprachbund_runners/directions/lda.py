"""Linear discriminant analysis: the direction that tells the target from the rest, in units of what varies anyway."""

import numpy as np

from sprachbund_runners.directions.covariance import Covariance
from sprachbund_runners.directions.responses import Responses
from sprachbund_runners.directions.subspace import Subspace


def lda(responses: Responses) -> Subspace:
    """Σ⁻¹·(target's mean − mean of the others' means), Σ pooled within languages (Fisher 1936).

    Σ is shrunk by Ledoit–Wolf. `add` moves by the part of the difference of means that lies along the direction.
    """
    responses.require_sentences("lda")
    responses.require_difference("lda")
    within = np.concatenate([rows - mean for rows, mean in zip(responses.rows, responses.means, strict=True)])
    covariance = Covariance.of(within, "lda")
    difference = responses.difference
    normal = covariance.solve(difference)
    normal /= np.linalg.norm(normal)
    basis = normal[:, None]
    return Subspace("lda", basis, basis, responses.mean, float(normal @ difference) * normal, covariance.shrinkage)
