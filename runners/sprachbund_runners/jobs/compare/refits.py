"""What a comparison makes of the same setting fitted on halves of the fit text: the error due to that sample."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from sprachbund.work.payloads.compare import ComparedSetting, ComparisonPayload
from sprachbund_runners.jobs.compare.layer_outcomes import LayerOutcomes
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
            for name in scopes_of(setting)
            for metric in payload.metrics
        )
    )


def fit_sample(
    row: Mapping[str, Any],
    outcomes: Mapping[str, LayerOutcomes],
    setting: ComparedSetting,
    metric: str,
    name: str,
    confidence: float,
) -> dict[str, Any]:
    """The columns `FIT_SAMPLE` of a comparison's row; NULL without refits that all have a value.

    The baseline is fitted on nothing: the error of the difference is that of the setting's value.
    """
    found = [outcomes[refit].means.get((metric, scope_of(name, setting.target))) for refit in setting.refits]
    values = [float(np.mean(means.pairs)) for means in found if means is not None and means.usable]
    if len(values) < max(2, len(setting.refits)):
        return dict.fromkeys(FIT_SAMPLE)
    error = half_sample_error(values)
    ends = with_fit_sample(
        row["delta"], row["delta_ci_low"], row["delta_ci_high"], error, len(values), confidence
    )  # fmt: skip
    return dict(zip(FIT_SAMPLE, (len(values), error, *ends), strict=True))
