"""What an experiment asks for beyond the evaluations that always run: geometry, ABX tasks, probes."""

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, field_validator, model_validator

from sprachbund.spec_base import Strict, as_list

GeometryName = Literal[
    "cka", "mutual_knn", "procrustes", "isotropy", "hubness", "silhouette", "language_probe", "distance_quantiles"
]
GEOMETRY: tuple[GeometryName, ...] = get_args(GeometryName)


def as_geometry(value: Any) -> Any:
    """`true` stands for all measures, `false` for none."""
    if isinstance(value, bool):
        return list(GEOMETRY) if value else []
    return as_list(value)


class AbxSpec(Strict):
    """One ABX task: ON one label, BY and ACROSS any others."""

    on: str
    by: Annotated[list[str], BeforeValidator(as_list)] = Field(default=[])
    across: Annotated[list[str], BeforeValidator(as_list)] = Field(default=[])
    distance: Literal["angular", "cosine", "euclidean"] = "angular"
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

    @property
    def task(self) -> dict[str, Any]:
        """What is asked for. The level goes without saying where it is the sentence's."""
        fields = self.model_dump(mode="json")
        return fields if self.level == "word" else {name: fields[name] for name in fields if name != "level"}


def named_once(asked: list[Any]) -> list[Any]:
    """Refuse two ABX tasks or probes that results would show under one name."""
    names = [each.name for each in asked]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"'{name}' is asked for twice; results could not tell them apart")
    return asked


def as_abx(value: Any) -> Any:
    """`topic` may stand for `{on: topic}`."""
    return {"on": value} if isinstance(value, str) else value


def as_probe(value: Any) -> Any:
    """`topic` may stand for `{label: topic}`."""
    return {"label": value} if isinstance(value, str) else value
