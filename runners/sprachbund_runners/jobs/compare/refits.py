"""What a comparison makes of the same setting fitted on halves of the fit text: the error due to that sample."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sprachbund.work.payloads.compare import ComparisonPayload
from sprachbund_runners.jobs.compare.layer_outcomes import PairMeans
from sprachbund_runners.jobs.compare.levels import Key
from sprachbund_runners.jobs.compare.scopes import scope_of, scopes_of
from sprachbund_runners.statistics.fit_sample import half_sample_error, with_fit_sample

FIT_SAMPLE = ("n_fit_resamples", "fit_error", "fit_low", "fit_high")


def refit_levels(payload: ComparisonPayload) -> list[Key]:
    """What is read of refits: only their means, nothing of them is resampled."""
    return list(
        dict.fromkeys(
            (refit, metric, scope_of(name, setting.target))
            for setting in payload.settings
            for refit in setting.refits
            for name in scopes_of(setting.target)
            for metric in payload.metrics
        )
    )


def refit_values(refits: Sequence[PairMeans | None]) -> list[float]:
    """The mean over pairs of every refit; none where one lacks it, or there are too few to tell their spread."""
    values = [float(np.mean(means.pairs)) for means in refits if means is not None and means.usable]
    return values if len(values) == len(refits) and len(values) > 1 else []


def fit_sample(
    delta: float, low: float | None, high: float | None, refits: Sequence[float], confidence: float
) -> dict[str, Any]:
    """The columns `FIT_SAMPLE` of a difference with its interval over items, from its setting's values when refitted.

    The baseline is fitted on nothing: the error of the difference is that of the setting's value.
    """
    if not refits or low is None or high is None:
        return dict.fromkeys(FIT_SAMPLE)
    error = half_sample_error(refits)
    ends = with_fit_sample(delta, low, high, error, len(refits), confidence)
    return dict(zip(FIT_SAMPLE, (len(refits), error, *ends), strict=True))
