"""A linear probe's direction (inference-time intervention, ITI; Li et al. 2023)."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from sprachbund.errors import ModelError
from sprachbund_runners.directions.responses import Responses
from sprachbund_runners.directions.subspace import Subspace

# scikit-learn's C = 1 for responses scaled to unit variance on average.
_PENALTY = 1.0
_MOST_STEPS = 1000


def probe(responses: Responses) -> Subspace:
    """Weights of a logistic regression that tells the target from the other languages; `add` moves by σ along it.

    σ is the standard deviation of responses of all languages along the direction, as in the paper. Responses are
    centred and divided by one number, so that the result turns with the axes; the penalty is ½‖w‖² against the sum of
    losses, in which target and rest weigh alike, and languages of the rest too.
    """
    responses.require_sentences("probe")
    responses.require_difference("probe")
    mean = responses.mean
    rows = np.concatenate(responses.rows) - mean
    counts = np.array([len(each) for each in responses.rows])
    shares = np.repeat(1.0 / counts, counts)
    scale = float(np.sqrt(shares @ (rows**2).mean(axis=1) / len(counts)))
    first = np.arange(len(rows)) < counts[0]
    weights = len(rows) / 2 * np.where(first, shares, shares / (len(counts) - 1))
    rows /= scale
    normal = _logistic(rows, np.where(first, 1.0, -1.0), weights)
    length = float(np.linalg.norm(normal))
    if length == 0:
        raise ModelError("direction 'probe': the probe found nothing that tells the target apart")
    normal /= length
    spread = scale * float(np.sqrt(shares @ (rows @ normal) ** 2 / len(counts)))
    basis = normal[:, None]
    return Subspace("probe", basis, basis, mean, spread * normal)


def _logistic(
    rows: NDArray[np.float64], sign: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The weights w [width] that minimise Σ weight·log(1 + exp(−sign·(rows·w + bias))) + ½‖w‖² / C, bias free."""

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        w, bias = parameters[:-1], parameters[-1]
        margin = sign * (rows @ w + bias)
        # −log σ(margin), and its derivative −σ(−margin), without overflow.
        value = float(weights @ np.logaddexp(0.0, -margin)) + 0.5 / _PENALTY * float(w @ w)
        pull = -weights * sign * np.exp(-np.logaddexp(0.0, margin))
        return value, np.append(pull @ rows + w / _PENALTY, pull.sum())

    start = np.zeros(rows.shape[1] + 1)
    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", options={"maxiter": _MOST_STEPS, "gtol": 1e-6 * len(rows)}
    )
    if not found.success:
        raise ModelError(f"direction 'probe': the probe did not converge in {_MOST_STEPS} steps ({found.message})")
    normal: NDArray[np.float64] = found.x[:-1]
    return normal
