"""Weights of an L1 logistic regression that tells the target's sentences from those of its negatives.

Minimised is ‖w‖₁ + C Σ cᵢ log(1 + exp(−yᵢ (w·xᵢ + b))) with C = 0.1, classes weighted to equal sums and responses
standardised (mean 0, variance 1 over all sentences), by scikit-learn's liblinear, a coordinate descent with a fixed
seed (Fan et al. 2008). The score is the signed weight: positive for units that fire for the target; most are exactly 0,
and their order is left to the effect size.

It is fitted for each site of each block apart: what one fit holds stays bounded by the width of a site, however large
the model, and a unit is not dropped because another block repeats it. Standardised inputs, one C and the same labels
keep the weights of different fits comparable.
"""

import warnings

import numpy as np
from numpy.typing import NDArray

from sprachbund.errors import CorpusError, ModelError

C = 0.1
SEED = 0
TOLERANCE = 1e-6
MAX_ITERATIONS = 2000
# liblinear punishes the intercept too; as the weight of a constant input this large it goes almost free.
INTERCEPT_INPUT = 100.0


def standardised(responses: NDArray[np.float32]) -> NDArray[np.float64]:
    """Columns with mean 0 and variance 1 over the rows, float64; a constant column becomes 0."""
    values = responses.astype(np.float64)
    values -= values.mean(axis=0)
    deviation = values.std(axis=0)
    constant = responses.max(axis=0) == responses.min(axis=0)
    values[:, constant] = 0.0
    return values / np.where(constant | (deviation == 0), 1.0, deviation)


def l1_probe(positives: NDArray[np.float32], negatives: NDArray[np.float32]) -> NDArray[np.float64]:
    """Signed weights, float64 [units], from responses float32 [n, units] and [m, units].

    Raises CorpusError where one side has no sentence, ModelError for responses that are not finite and where the fit
    does not converge.
    """
    # Imported here: only those who ask for this scorer wait for it.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    if not len(positives) or not len(negatives):
        raise CorpusError(f"l1_probe: {len(positives)} positives, {len(negatives)} negatives; expected some of each")
    responses = np.concatenate([positives, negatives])
    if not np.isfinite(responses).all():
        sentence, unit = np.argwhere(~np.isfinite(responses))[0]
        raise ModelError(f"l1_probe: response of unit {unit} to sentence {sentence} is not finite")
    labels = np.arange(len(responses)) < len(positives)
    probe = LogisticRegression(
        solver="liblinear",
        l1_ratio=1.0,
        C=C,
        class_weight="balanced",
        random_state=SEED,
        tol=TOLERANCE,
        max_iter=MAX_ITERATIONS,
        intercept_scaling=INTERCEPT_INPUT,
    )
    inputs = standardised(responses)
    with warnings.catch_warnings():
        # Said below, in words that name the scorer.
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe.fit(inputs, labels)
    if int(np.max(probe.n_iter_)) >= MAX_ITERATIONS:
        raise ModelError(f"l1_probe: no convergence in {MAX_ITERATIONS} rounds over {inputs.shape[1]} units")
    weights: NDArray[np.float64] = probe.coef_[0].astype(np.float64)
    return weights
