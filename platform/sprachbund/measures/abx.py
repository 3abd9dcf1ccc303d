"""The general ABX task over label columns, on request."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from sprachbund.fields import Strict, as_list, named_once
from sprachbund.measures.base import Measure, Metric
from sprachbund.measures.requested import Request, Requested
from sprachbund.vocabulary import Distance
from sprachbund.work.payloads.measure import ABX_EVALUATION, AbxEvaluationPayload, AbxTaskInputs
from sprachbund.work.plan import Want

_SOURCE = "Schatz 2016; de Seyssel et al., EMNLP 2025; conventions of fastabx, whose score is 1 - abx"

METRICS: tuple[Metric, ...] = (
    Metric(
        "abx", "share", "none", 0.0, 1.0, "bootstrap",
        "share of triples with x closer to a (same label) than to b (another), ties one half; pairs of labels, then "
        "groups count alike; chance is .5",
        _SOURCE, chance=0.5,
    ),
    Metric(
        "abx_weighted", "share", "none", 0.0, 1.0, "bootstrap",
        "the same with every triple counting alike",
        _SOURCE, chance=0.5,
    ),
    Metric(
        "abx_standard_error", "share", "none", 0.0, None, "none",
        "standard error of abx from drawing triples; only where triples are sampled",
        "binomial",
    ),
    Metric(
        "abx_triples", "triples", "none", 1.0, None, "none",
        "triples there are, or triples drawn",
        "count",
    ),
)  # fmt: skip

ABX = Measure(
    "abx", 2, "space", False, ("abx", "abx_weighted", "abx_standard_error", "abx_triples"),
    "the general ABX task: ON a label, BY others, ACROSS others", optional=True,
)  # fmt: skip
MEASURES: tuple[Measure, ...] = (ABX,)


class AbxSpec(Strict):
    """One ABX task: ON one label, BY and ACROSS any others."""

    on: str
    by: Annotated[list[str], BeforeValidator(as_list)] = Field(default=[])
    across: Annotated[list[str], BeforeValidator(as_list)] = Field(default=[])
    distance: Distance = "angular"
    triples: Annotated[int, Field(ge=2)] | None = None
    resamples: Annotated[int, Field(ge=0, le=10_000)] = 200

    @field_validator("by", "across")
    @classmethod
    def _as_set(cls, labels: list[str]) -> list[str]:
        # The same work has the same key, however it was written down.
        return sorted(set(labels))

    @model_validator(mode="after")
    def _named_once(self) -> "AbxSpec":
        named = [self.on, *self.by, *self.across]
        for label in named:
            if named.count(label) > 1:
                raise ValueError(f"'{label}' is named twice; on, by and across take different labels")
        return self

    @property
    def name(self) -> str:
        """`topic by language across group, euclidean, 1000 triples`; angular and all go without saying."""
        parts = [self.on]
        parts += [f"by {'+'.join(self.by)}"] if self.by else []
        parts += [f"across {'+'.join(self.across)}"] if self.across else []
        rest: list[str] = [] if self.distance == "angular" else [self.distance]
        rest += [] if self.triples is None else [f"{self.triples} triples"]
        return ", ".join([" ".join(parts), *rest])


def as_abx(value: Any) -> Any:
    """`topic` may stand for `{on: topic}`."""
    return {"on": value} if isinstance(value, str) else value


def abx_wants(requested: Requested, tasks: Sequence[AbxSpec]) -> Iterator[Want]:
    """A want per task. Raises SpecError for a label that the corpus does not have."""
    for number, task in enumerate(tasks):
        where = f"evaluations.abx.{number}"
        for field, labels in (("on", [task.on]), ("by", task.by), ("across", task.across)):
            requested.check(labels, f"{where}.{field}")
        asked = AbxTaskInputs(
            on=task.on,
            by=tuple(task.by),
            across=tuple(task.across),
            distance=task.distance,
            triples=task.triples,
            resamples=task.resamples,
        )
        payload = AbxEvaluationPayload(**requested.shared(ABX), task=asked, task_name=task.name)
        yield requested.want(ABX_EVALUATION, payload, f"ABX {task.name}")


REQUEST = Request(
    "abx",
    Annotated[list[Annotated[AbxSpec, BeforeValidator(as_abx)]], AfterValidator(named_once)],
    [],
    abx_wants,
)
