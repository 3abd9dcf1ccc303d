"""Logistic probes for a label, on request."""

from typing import Annotated, Any, Literal

from pydantic import Field

from sprachbund.fields import Strict
from sprachbund.measures.base import Measure, Metric

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

MEASURES: tuple[Measure, ...] = (
    Measure(
        "probe", 2, "space", False,
        ("probe_accuracy", "probe_macro_f1", "probe_majority", "probe_seed_deviation"),
        "can a linear probe tell a label, of all languages together and of each", optional=True,
    ),
)  # fmt: skip


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
