"""Linear discriminant analysis: the direction that tells the target from the rest, in units of what varies anyway."""

import numpy as np

from sprachbund_runners.directions.covariance import Covariance
from sprachbund_runners.directions.found import Found
from sprachbund_runners.directions.responses import Responses


def lda(responses: Responses) -> Found:
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
    return Found("lda", basis, basis, responses.mean, float(normal @ difference) * normal, covariance.shrinkage)
