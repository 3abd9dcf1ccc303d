"""What settings fitted anew on halves of the fit text say of a difference: the error due to that sample."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sprachbund_runners.statistics.fit_sample import half_sample_error, with_fit_sample

Refits = Mapping[str, Mapping[str, str]]
"""By setting, and by half of the fit text, the setting that is it fitted anew."""
FIT_SAMPLE = ("n_fit_resamples", "fit_error", "fit_low", "fit_high")


def refits_of(refits: Refits, settings: Sequence[str]) -> Iterator[str]:
    """All refits of some settings: of what is fitted on nothing none."""
    for setting in settings:
        yield from refits.get(setting, {}).values()


def refit_differences(
    refits: Refits,
    own: str,
    reference: str,
    after: Callable[[str], float | None],
    before: Callable[[str], float | None],
) -> list[float]:
    """One setting's value less another's, both fitted on the same half, for each half that has both.

    after, before: values of settings on either side. What is fitted on nothing is the same for all halves.
    """
    fitted = [refits[setting] for setting in (own, reference) if setting in refits]
    found = []
    for half in fitted[0] if fitted else ():
        if all(half in each for each in fitted):
            one = after(refits[own][half] if own in refits else own)
            other = before(refits[reference][half] if reference in refits else reference)
            if one is not None and other is not None:
                found.append(one - other)
    return found


def fit_sample(
    delta: float, low: float | None, high: float | None, refitted: Sequence[float], confidence: float
) -> dict[str, Any]:
    """The columns `FIT_SAMPLE` of a difference with its interval over items; NULL with fewer than two halves."""
    if len(refitted) < 2 or low is None or high is None:
        return dict.fromkeys(FIT_SAMPLE)
    error = half_sample_error(refitted)
    ends = with_fit_sample(delta, low, high, error, len(refitted), confidence)
    return dict(zip(FIT_SAMPLE, (len(refitted), error, *ends), strict=True))
