"""Logistic probes for a label, on request."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from sprachbund.fields import Strict, named_once
from sprachbund.measures.base import Measure, Metric
from sprachbund.measures.requested import Request, Requested
from sprachbund.work.payloads.measure import PROBE, ProbeInputs, ProbePayload
from sprachbund.work.plan import Want

_SOURCE = "linear probe, cross-validated by item or document"

METRICS: tuple[Metric, ...] = (
    Metric(
        "probe_accuracy", "share", "none", 0.0, 1.0, "bootstrap",
        "share of sentences (or words) whose label a logistic probe tells that has not seen their item or document",
        _SOURCE,
    ),
    Metric(
        "probe_macro_f1", "share", "none", 0.0, 1.0, "none",
        "F1 averaged over labels, then over seeds",
        _SOURCE,
    ),
    Metric(
        "probe_majority", "share", "none", 0.0, 1.0, "none",
        "share of the most frequent label: what probe_accuracy is without looking",
        "count",
    ),
    Metric(
        "probe_seed_deviation", "share", "none", 0.0, None, "none",
        "standard deviation of probe_accuracy over the seeds that cut the folds",
        _SOURCE,
    ),
)  # fmt: skip

PROBED = Measure(
    "probe", 2, "space", False,
    ("probe_accuracy", "probe_macro_f1", "probe_majority", "probe_seed_deviation"),
    "can a linear probe tell a label, of all languages together and of each", optional=True,
)  # fmt: skip
MEASURES: tuple[Measure, ...] = (PROBED,)


class ProbeSpec(Strict):
    """One logistic probe."""

    label: str
    level: Literal["sentence", "word"] = "sentence"
    folds: Annotated[int, Field(ge=2)] = 5
    seeds: Annotated[int, Field(ge=1, le=100)] = 3
    regularisation: Annotated[float, Field(gt=0)] = 1.0

    @property
    def name(self) -> str:
        """The label; `upos of words` at the level of words."""
        return self.label if self.level == "sentence" else f"{self.label} of words"


def as_probe(value: Any) -> Any:
    """`topic` may stand for `{label: topic}`."""
    return {"label": value} if isinstance(value, str) else value


def probe_wants(requested: Requested, probes: Sequence[ProbeSpec]) -> Iterator[Want]:
    """A want per probe. Raises SpecError for a label that the corpus does not have."""
    for number, probe in enumerate(probes):
        words = probe.level == "word"
        if words and requested.setting.transform != "none":
            continue  # transforms are of sentences
        requested.check([probe.label], f"evaluations.probes.{number}.label", words)
        asked = ProbeInputs(
            label=probe.label,
            level=probe.level,
            folds=probe.folds,
            seeds=probe.seeds,
            regularisation=probe.regularisation,
        )
        payload = ProbePayload(**requested.shared(PROBED, words), task=asked, task_name=probe.name)
        yield requested.want(PROBE, payload, f"probe of {probe.name}")


REQUEST = Request(
    "probes",
    Annotated[list[Annotated[ProbeSpec, BeforeValidator(as_probe)]], AfterValidator(named_once)],
    [],
    probe_wants,
)
