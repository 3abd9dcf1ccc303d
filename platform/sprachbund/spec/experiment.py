"""The experiment file: what a user asks for. `load(path)` reads and checks it; lists sweep."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    StrictBool,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
)

from sprachbund.corpora.source import Code, CorpusSource
from sprachbund.errors import SpecError, nearest
from sprachbund.fields import Among, Source, Strict, as_list
from sprachbund.measures import CHOSEN_BY, COMPARED, REQUESTS
from sprachbund.spec.base import MeasureName, ScorerName
from sprachbund.spec.interventions import InterventionSpec, as_intervention
from sprachbund.spec.presets import expand_preset
from sprachbund.spec.reading import at_line, read_yaml
from sprachbund.spec.side_effects import SideEffectsSpec
from sprachbund.vocabulary import (
    FITTED_TRANSFORMS,
    ROLES,
    DrawnUnit,
    EmbeddingPooling,
    Keep,
    Layer,
    Pooling,
    Role,
    Scope,
    Site,
    Tokens,
)


def _as_layer(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class ModelSpec(Strict):
    """A model: a folder, a built-in name or a Hub id, with how to run it."""

    path: str
    name: str | None = None
    revision: str | None = None
    family: str | None = None
    step: int | None = None
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    attention: Literal["eager", "sdpa"] | None = None
    trust_remote_code: StrictBool = False
    architecture: dict[str, Any] | None = None


class ExpertsSpec(Strict):
    """How expert units are found; lists of scorers sweep."""

    scorers: Annotated[list[ScorerName], BeforeValidator(as_list)] = Field(default=["auroc"], min_length=1)
    sites: Annotated[list[Site | Literal["mlp"]], BeforeValidator(as_list)] = Field(default=["mlp"], min_length=1)
    pooling: Pooling = "max"
    tokens: Tokens = "content"
    negatives: Annotated[list[Code] | None, BeforeValidator(as_list)] = None


class EmbeddingsSpec(Strict):
    layers: Literal["all"] | list[Annotated[Layer, BeforeValidator(_as_layer)]] = "all"
    pooling: EmbeddingPooling = "mean"
    tokens: Tokens = "content"
    dtype: Literal["float32", "float16"] = "float32"

    @property
    def pooled(self) -> dict[str, str]:
        """How a sentence's tokens become its embedding."""
        return {"pooling": self.pooling, "tokens": self.tokens}

    @field_validator("layers", mode="before")
    @classmethod
    def _layers(cls, value: Any) -> Any:
        return value if value == "all" else as_list(value)

    @field_validator("layers")
    @classmethod
    def _known_layers(cls, value: Any) -> Any:
        if value != "all":
            if not value:
                raise ValueError("layers is empty; expected 'all' or a list such as [0, 3, final]")
            for layer in value:
                if layer != "final" and not re.fullmatch(r"0|[1-9]\d*", layer):
                    raise ValueError(f"layer is '{layer}'; expected a number from 0 or 'final'")
        return value


class PairsSpec(Strict):
    """What is evaluated of pairs of languages."""

    pairs: Literal["all"] | list[tuple[Code, Code]] = "all"
    mining: StrictBool = False
    measures: Annotated[list[MeasureName], BeforeValidator(as_list)] = Field(default=[])
    approximate_above: Annotated[int, Field(ge=1)] | None = None

    @field_validator("pairs", mode="before")
    @classmethod
    def _pairs(cls, value: Any) -> Any:
        pairs = value if isinstance(value, list) else []
        if value == "all" or (pairs and all(isinstance(each, list | tuple) and len(each) == 2 for each in pairs)):
            return value
        raise ValueError("expected 'all' or a list of pairs of languages such as [[eng_Latn, deu_Latn]]")

    @field_validator("pairs")
    @classmethod
    def _of_two(cls, pairs: Literal["all"] | list[tuple[str, str]]) -> Literal["all"] | list[tuple[str, str]]:
        for first, second in pairs if pairs != "all" else ():
            if first == second:
                raise ValueError(f"a pair is ['{first}', '{second}']; expected two different languages")
        return pairs


# Measures add their own fields, which only they read.
_REQUESTED: dict[str, Any] = {each.field: (each.type, Field(default=each.default)) for each in REQUESTS}
EvaluationsSpec: Any = create_model("EvaluationsSpec", __base__=PairsSpec, **_REQUESTED)


class ChooseSpec(Strict):
    metric: Annotated[str, Among(CHOSEN_BY)] = "top1"
    over: list[Literal["k", "strength", "layer"]] = Field(default=["k", "layer"])
    scope: Scope = "all"
    # Whether every control chooses too, by the same rule: else p-values at a chosen cell are too small.
    controls: StrictBool = True


MOST_RESAMPLES = 100_000


class StatisticsSpec(Strict):
    # None: as many as the plan's largest family needs, and by groups where the text has them (planning/drawn.py).
    resamples: Annotated[int, Field(ge=100, le=MOST_RESAMPLES)] | None = None
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    unit: DrawnUnit | None = None
    fit_resamples: Annotated[int, Field(ge=0, le=1000)] = 0
    multiplicity: Literal["bh", "by", "max_t"] = "bh"
    metrics: list[Annotated[str, Among(COMPARED)]] = Field(default=["top1", "mrr", "distance_gap"])

    @field_validator("fit_resamples")
    @classmethod
    def _several(cls, value: int) -> int:
        if value == 1:
            raise ValueError("fit_resamples is 1; expected 0 for none, or at least 2: one half has no spread")
        return value


class RolesSpec(Strict):
    """Which text plays which role: experts and means, choices, and what is reported."""

    fit: Source | None = None
    select: Source | None = None
    test: Source

    def items(self) -> Iterator[tuple[Role, CorpusSource]]:
        for role in ROLES:
            source = getattr(self, role)
            if source is not None:
                yield role, source


def _as_model(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


class Spec(Strict):
    """One experiment. With defaults only it is ten lines (README)."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    description: str = ""
    preset: str | None = None
    models: Annotated[list[Annotated[ModelSpec, BeforeValidator(_as_model)]], BeforeValidator(as_list)] = Field(
        default=[ModelSpec(path="phrasebook-bloom")], min_length=1
    )
    corpora: RolesSpec
    languages: Annotated[list[Code] | None, BeforeValidator(as_list)] = None
    targets: Annotated[list[Code], BeforeValidator(as_list)] = Field(default=[])
    experts: ExpertsSpec = ExpertsSpec()
    interventions: list[Annotated[InterventionSpec, BeforeValidator(as_intervention)]] = Field(
        default=[InterventionSpec()], min_length=1
    )
    embeddings: EmbeddingsSpec = EmbeddingsSpec()
    evaluations: EvaluationsSpec = EvaluationsSpec()
    side_effects: SideEffectsSpec | None = None
    choose: ChooseSpec | None = None
    compare: list[tuple[str, str]] = Field(default=[])
    statistics: StatisticsSpec = StatisticsSpec()
    seed: Annotated[int, Field(ge=0)] = 0
    allow_overlap: StrictBool = False
    keep: Keep | None = None

    def expanded(self) -> dict[str, Any]:
        """Every field with its default, as an experiment file would have it: reading it gives this spec again."""
        content = self.model_dump(mode="json", exclude_none=True)
        # A corpus refuses fields of other sorts of corpora, also where they hold the default.
        content["corpora"] = self.corpora.model_dump(mode="json", exclude_unset=True, exclude_none=True)
        if self.side_effects is not None:
            content["side_effects"] = self.side_effects.expanded()
        return content

    @model_validator(mode="after")
    def _whole(self) -> "Spec":
        steered = [each for each in self.interventions if each.method != "none"]
        for each in steered:
            if not (each.targets or self.targets or each.targetless):
                raise ValueError(f"targets is empty, but method '{each.method}' steers towards a target")
        fitted = steered or any(each.transform in FITTED_TRANSFORMS for each in self.interventions)
        if fitted and self.corpora.fit is None:
            raise ValueError("corpora.fit is missing, but experts and transforms are fitted on it")
        if self.statistics.fit_resamples and not fitted:
            raise ValueError(
                f"statistics.fit_resamples is {self.statistics.fit_resamples}, but nothing is fitted; leave it out"
            )
        if self.choose is not None and self.corpora.select is None:
            raise ValueError("corpora.select is missing, but choose needs text that is not reported on")
        if self.evaluations.mining and self.corpora.select is None:
            raise ValueError("corpora.select is missing, but evaluations.mining tunes its threshold on it")
        return self


def _field_names(location: tuple[str | int, ...]) -> list[str]:
    """The fields known beside the last part of an error's location."""
    model: Any = Spec
    for part in location[:-1]:
        if isinstance(part, int) or not (isinstance(model, type) and issubclass(model, BaseModel)):
            continue
        field = model.model_fields.get(str(part))
        if field is None:
            continue
        model = _model_inside(field.annotation) or model
    return list(model.model_fields)


def _model_inside(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _model_inside(argument)
        if found is not None:
            return found
    return None


def _place(error: Mapping[str, Any]) -> tuple[str | int, ...]:
    """Where an error is, by the names of fields: without what tells the forms of a field apart."""
    forms = ("literal[", "list[", "tuple[", "function-")
    place = tuple(part for part in error["loc"] if not str(part).startswith(forms))
    return place[:-1] if place and place[-1] in ("int", "float", "str", "bool") else place


def _one_line(error: ValidationError, where: str, text: str | None) -> str:
    # A misspelt field is also a missing one: say the former.
    errors = error.errors()
    first = next((each for each in errors if each["type"] == "extra_forbidden"), errors[0])
    # Of the forms that a field may have, the one that was meant is the one that went wrong deepest inside.
    alike = [each for each in errors if _place(each)[: len(_place(first))] == _place(first)]
    first = max(alike, key=lambda each: len(_place(each)))
    location = _place(first)
    field = ".".join(str(part) for part in location) or "spec"
    if text is not None:
        where += at_line(text, location)
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        names = _field_names(location)
        word = str(location[-1])
        hint = nearest(word, names) or f"; known fields: {', '.join(names)}"
        return f"{where}: unknown field '{field}'{hint}{more}"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "missing":
        return f"{where}: field '{field}' is missing{more}"
    found = first.get("input")
    said = first["type"] == "value_error" and str(found) in message
    shown = f", found {found!r}" if isinstance(found, (str, int, float, bool)) and not said else ""
    if first["type"] == "literal_error" and isinstance(found, str):
        expected = re.findall(r"'([^']*)'", str(first.get("ctx", {}).get("expected", "")))
        shown += nearest(found, expected)
    return f"{where}: {field}: {message}{shown}{more}"


def parse(content: dict[str, Any], where: str = "spec", text: str | None = None) -> Spec:
    """A checked Spec from a mapping, its preset expanded; raises SpecError in one line.

    text: the YAML that the mapping was read from, so that an error names the line.
    """
    try:
        return Spec.model_validate(expand_preset(content, where))
    except ValidationError as error:
        raise SpecError(_one_line(error, where, text)) from None


def load(path: str | Path) -> Spec:
    """Read an experiment file; relative corpus and model paths are taken from its folder."""
    path = Path(path)
    if not path.is_file():
        beside = [each.name for each in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
        raise SpecError(f"{path}: no such file{nearest(path.name, beside)}")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from None
    return parse(read_yaml(text, str(path)), str(path), text)
