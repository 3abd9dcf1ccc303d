"""What comparisons draw, and how often, where the experiment file leaves it open."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sprachbund.spec.experiment import MOST_RESAMPLES, Spec
from sprachbund.statistics import default_resamples, least_q, resamples_needed
from sprachbund.vocabulary import FAMILY_KINDS, FINAL, FamilyKind
from sprachbund.work.plan import PlanCorpus, PlannedSetting


def drawn_unit(spec: Spec, corpora: Iterable[PlanCorpus]) -> str:
    """What is drawn of a group of corpora: as the spec says, else groups where all texts have them, else items."""
    return spec.statistics.unit or ("group" if all("group" in each.labels for each in corpora) else "item")


def largest_family(settings: Iterable[PlannedSetting], layers: Sequence[str]) -> int:
    """Tests of the largest family that the settings of one model can have on a metric and scope."""
    sizes: dict[FamilyKind, int] = dict.fromkeys(FAMILY_KINDS, 0)
    for setting in settings:
        if setting.baseline is None or setting.control_of is not None:
            continue
        first = 0 if setting.edits is None else min(setting.intervention.parameters.get("blocks") or [1])
        reached = sum(setting.edits is not None and (layer == FINAL or int(layer) >= first) for layer in layers)
        sizes["steered"] += reached
        # The layers before the first edit are those of the transform alone.
        sizes["transforms"] += len(layers) - reached if setting.transform != "none" else 0
    return max(sizes.values())


def settled(spec: Spec, n_tests: int) -> Spec:
    """The spec with as many draws as its families need, where it asks for no number. n_tests: of the largest."""
    asked = spec.statistics
    if asked.resamples is not None:
        return spec
    # For another rule that needs no more nothing is compared anew.
    rule = "bh" if asked.multiplicity == "max_t" else asked.multiplicity
    resamples = default_resamples(n_tests, _alpha(spec), rule)
    return spec.model_copy(update={"statistics": asked.model_copy(update={"resamples": resamples})})


def described(spec: Spec, n_tests: int, corpora: Mapping[str, Sequence[PlanCorpus]]) -> dict[str, Any]:
    """What the settled spec's comparisons draw, and how many draws their largest family needs."""
    asked = spec.statistics
    assert asked.resamples is not None
    units: dict[str, str] = {}
    for role, of_role in corpora.items():
        for group in dict.fromkeys(corpus.group for corpus in of_role):
            units[f"{role}:{group}"] = drawn_unit(spec, [corpus for corpus in of_role if corpus.group == group])
    return {
        "resamples": asked.resamples,
        "resamples_needed": resamples_needed(n_tests, _alpha(spec), asked.multiplicity),
        "largest_family": n_tests,
        "unit": units,
    }


def warnings(spec: Spec, n_tests: int) -> list[str]:
    """A line where the settled spec's draws are too few for a single true effect to be found."""
    asked, alpha = spec.statistics, _alpha(spec)
    assert asked.resamples is not None
    needed = resamples_needed(n_tests, alpha, asked.multiplicity)
    if asked.resamples >= needed:
        return []
    most = f"statistics.resamples: {needed} would do" if needed <= MOST_RESAMPLES else (
        f"it would take {needed}, more than statistics.resamples may be: ask for fewer settings or layers"
    )  # fmt: skip
    least = least_q(n_tests, asked.resamples, asked.multiplicity)
    return [
        f"a single true effect cannot reach q <= {alpha:g}: among the {n_tests} tests of the largest family"
        f" {asked.resamples} draws give at least {least:.3f}; {most}"
    ]


def _alpha(spec: Spec) -> float:
    # Up to the rounding of 1 - .95.
    return round(1 - spec.statistics.confidence, 12)
