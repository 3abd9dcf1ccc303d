"""The experiment file: what a user asks for. `load(path)` reads and checks it; lists sweep."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from sprachbund.architectures import SITES
from sprachbund.corpora.source import Code, CorpusSource
from sprachbund.errors import SpecError, nearest
from sprachbund.presets import expand_preset
from sprachbund.spec_controls import ControlSpec, as_control
from sprachbund.spec_yaml import read_yaml

Site = Literal["mlp.up", "mlp.gate", "mlp.hidden", "mlp.down", "attn.out", "block"]
# Stands for the outputs of all linear modules of the MLP that a model has: the gate too, where there is one.
MLP_SITES: tuple[str, ...] = ("mlp.up", "mlp.gate", "mlp.down")
Pooling = Literal["mean", "max"]
Tokens = Literal["all", "content", "last", "first"]
Transform = Literal["none", "centring", "centring_transductive"]
Method = Literal["none", "experts", "union"]
Layer = str
Role = Literal["fit", "select", "test"]


def as_list(value: Any) -> Any:
    """A single value where a list is expected is a list of one: every sweepable field takes both."""
    return value if isinstance(value, list) or value is None else [value]


def _as_layer(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class Strict(BaseModel):
    """Refuses unknown fields, so that a misspelt one is found."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelSpec(Strict):
    """A model: a folder, a built-in name or a Hub id, with how to run it."""

    path: str
    name: str | None = None
    revision: str | None = None
    family: str | None = None
    step: int | None = None
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    attention: Literal["eager", "sdpa"] | None = None
    trust_remote_code: bool = False
    architecture: dict[str, Any] | None = None


class ExpertsSpec(Strict):
    """How expert units are found; lists of scorers sweep."""

    scorers: Annotated[list[str], BeforeValidator(as_list)] = Field(default=["auroc"], min_length=1)
    sites: Annotated[list[Site | Literal["mlp"]], BeforeValidator(as_list)] = Field(default=["mlp"], min_length=1)
    pooling: Pooling = "max"
    tokens: Tokens = "content"
    negatives: Annotated[list[Code] | None, BeforeValidator(as_list)] = None


class InterventionSpec(Strict):
    """One row of the comparison, or several: targets, k, values and scorers sweep."""

    method: Method = "none"
    transform: Transform = "none"
    targets: Annotated[list[Code] | None, BeforeValidator(as_list)] = None
    k: Annotated[list[int | float], BeforeValidator(as_list)] = Field(default=[0.035], min_length=1)
    scorers: Annotated[list[str] | None, BeforeValidator(as_list)] = None
    value: Annotated[list[str], BeforeValidator(as_list)] = Field(default=["mean"], min_length=1)
    value_from: Literal["pooled", "tokens"] = "pooled"
    sites: Annotated[list[Site] | None, BeforeValidator(as_list)] = None
    blocks: Annotated[list[int] | None, BeforeValidator(as_list)] = None
    tokens: Literal["all", "content", "last"] = "all"
    controls: list[Annotated[ControlSpec, BeforeValidator(as_control)]] = []

    @field_validator("k", mode="before")
    @classmethod
    def _no_boolean(cls, value: Any) -> Any:
        if any(isinstance(each, bool) for each in as_list(value) or []):
            raise ValueError("k is a count (200), a fraction (0.035) or a list of them")
        return value

    @field_validator("sites", "blocks")
    @classmethod
    def _as_set(cls, chosen: list[Any] | None) -> list[Any] | None:
        # The same work has the same key, however it was written down.
        return (
            None
            if chosen is None
            else sorted(set(chosen), key=lambda each: SITES.index(each) if each in SITES else each)
        )

    @field_validator("k")
    @classmethod
    def _positive(cls, ks: list[int | float]) -> list[int | float]:
        for k in ks:
            if (isinstance(k, float) and not 0 < k <= 1) or (isinstance(k, int) and k < 1):
                raise ValueError(f"k is {k}; expected a count of at least 1 or a fraction in (0, 1]")
        return ks

    @field_validator("value")
    @classmethod
    def _known_value(cls, values: list[str]) -> list[str]:
        return list(dict.fromkeys(canonical_value(value) for value in values))

    @model_validator(mode="after")
    def _tokens_hold_moments_only(self) -> "InterventionSpec":
        for value in self.value:
            if self.value_from == "tokens" and parse_value(value)[0] == "quantile":
                raise ValueError(
                    f"value is '{value}' with value_from: tokens; per-token values are not kept, only their"
                    " mean: use mean or zero, or value_from: pooled"
                )
        if self.method == "none" and self.controls:
            raise ValueError("controls belong to a method that edits units; 'none' edits nothing")
        return self


def parse_value(value: str) -> tuple[Literal["mean", "zero", "quantile"], float]:
    """`mean`, `zero`, `median` or `quantile:0.9` as (statistic, level)."""
    if value in ("mean", "zero"):
        return value, 0.0  # type: ignore[return-value]
    if value == "median":
        return "quantile", 0.5
    matched = re.fullmatch(r"quantile:(0?\.\d+|0|1|1\.0|0\.\d+)", value)
    if matched:
        return "quantile", float(matched.group(1))
    known = ("mean", "median", "zero", "quantile:0.9")
    raise ValueError(f"value is '{value}'; expected one of {', '.join(known)}{nearest(value, known)}")


def canonical_value(value: str) -> str:
    """One spelling per statistic: `quantile:.50` is `median`."""
    statistic, level = parse_value(value)
    if statistic != "quantile":
        return statistic
    return "median" if level == 0.5 else f"quantile:{level:g}"


def _as_intervention(value: Any) -> Any:
    """`none`, `centring`, `centring_transductive`, `experts`, `union` may stand for a mapping."""
    if isinstance(value, str):
        if value in ("centring", "centring_transductive"):
            return {"method": "none", "transform": value}
        return {"method": value}
    return value


class EmbeddingsSpec(Strict):
    layers: Literal["all"] | list[Annotated[Layer, BeforeValidator(_as_layer)]] = "all"
    pooling: Pooling = "mean"
    tokens: Tokens = "content"
    dtype: Literal["float32", "float16"] = "float32"

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


class EvaluationsSpec(Strict):
    pairs: Literal["all"] | list[tuple[Code, Code]] = "all"


class ChooseSpec(Strict):
    metric: Literal["top1", "mrr", "meaning_abx", "distance_gap"] = "top1"
    over: list[Literal["k", "layer"]] = ["k", "layer"]
    scope: Literal["all", "target_query", "target_candidate", "without_target"] = "all"


class StatisticsSpec(Strict):
    resamples: Annotated[int, Field(ge=100, le=100_000)] = 1000
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    unit: Literal["item", "group"] = "item"
    multiplicity: Literal["bh", "by"] = "bh"
    metrics: list[Literal["top1", "mrr", "meaning_abx", "paired_distance", "distance_gap"]] = [
        "top1",
        "mrr",
        "distance_gap",
    ]


def _as_source(value: Any) -> Any:
    """`phrasebook/test` and `my_corpus.parquet` may stand for a mapping."""
    if not isinstance(value, str):
        return value
    builtin, _, split = value.partition("/")
    if builtin == "phrasebook" and split:
        return {"builtin": builtin, "split": split}
    return {"path": value}


Source = Annotated[CorpusSource, BeforeValidator(_as_source)]


class RolesSpec(Strict):
    """Which text plays which role: experts and means, choices, and what is reported."""

    fit: Source | None = None
    select: Source | None = None
    test: Source

    def items(self) -> Iterator[tuple[Role, CorpusSource]]:
        for role in ("fit", "select", "test"):
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
    targets: Annotated[list[Code], BeforeValidator(as_list)] = []
    experts: ExpertsSpec = ExpertsSpec()
    interventions: list[Annotated[InterventionSpec, BeforeValidator(_as_intervention)]] = Field(
        default=[InterventionSpec()], min_length=1
    )
    embeddings: EmbeddingsSpec = EmbeddingsSpec()
    evaluations: EvaluationsSpec = EvaluationsSpec()
    choose: ChooseSpec | None = None
    statistics: StatisticsSpec = StatisticsSpec()
    seed: Annotated[int, Field(ge=0)] = 0
    allow_overlap: bool = False

    def expanded(self) -> dict[str, Any]:
        """Every field with its default, as an experiment file would have it: reading it gives this spec again."""
        content = self.model_dump(mode="json", exclude_none=True)
        # A corpus refuses fields of other sorts of corpora, also where they hold the default.
        content["corpora"] = self.corpora.model_dump(mode="json", exclude_unset=True, exclude_none=True)
        return content

    @model_validator(mode="after")
    def _whole(self) -> "Spec":
        steered = [each for each in self.interventions if each.method != "none"]
        for each in steered:
            if not (each.targets or self.targets):
                raise ValueError(f"targets is empty, but method '{each.method}' steers towards a target")
        fitted = steered or any(each.transform == "centring" for each in self.interventions)
        if fitted and self.corpora.fit is None:
            raise ValueError("corpora.fit is missing, but experts and centring are fitted on it")
        if self.choose is not None and self.corpora.select is None:
            raise ValueError("corpora.select is missing, but choose needs text that is not reported on")
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


def _one_line(error: ValidationError, where: str) -> str:
    # A misspelt field is also a missing one: say the former.
    first = next((each for each in error.errors() if each["type"] == "extra_forbidden"), error.errors()[0])
    location = tuple(part for part in first["loc"] if not str(part).startswith(("literal[", "list[", "function-")))
    field = ".".join(str(part) for part in location) or "spec"
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
    shown = f", found {found!r}" if isinstance(found, (str, int, float, bool)) else ""
    if first["type"] == "literal_error" and isinstance(found, str):
        expected = re.findall(r"'([^']*)'", str(first.get("ctx", {}).get("expected", "")))
        shown += nearest(found, expected)
    return f"{where}: {field}: {message}{shown}{more}"


def parse(content: dict[str, Any], where: str = "spec") -> Spec:
    """A checked Spec from a mapping, its preset expanded; raises SpecError in one line."""
    try:
        return Spec.model_validate(expand_preset(content, where))
    except ValidationError as error:
        raise SpecError(_one_line(error, where)) from None


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
    return parse(read_yaml(text, str(path)), str(path))
