"""What the classes of an experiment file share: strictness, lists where one value may stand, sources, seeds."""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from sprachbund.corpora.source import CorpusSource


def numbered_seeds(value: Any) -> Any:
    """`seeds: 8` means seeds 0 … 7."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not 1 <= value <= 10_000:
            raise ValueError(f"seeds is {value}; expected 1 to 10000, or a list of seeds")
        return list(range(value))
    return value


class Strict(BaseModel):
    """Refuses unknown fields, so that a misspelt one is found, and numbers that are not finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def as_list(value: Any) -> Any:
    """A single value where a list is expected is a list of one: every sweepable field takes both."""
    return value if isinstance(value, list) or value is None else [value]


class Among:
    """In `Annotated[str, Among(words)]`: one of the words of a table; errors are those of `Literal`."""

    def __init__(self, words: Iterable[str]) -> None:
        self.words = list(words)

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.literal_schema(self.words)


def as_source(value: Any) -> Any:
    """`phrasebook/test` and `my_corpus.parquet` may stand for a mapping."""
    if not isinstance(value, str):
        return value
    builtin, _, split = value.partition("/")
    if builtin == "phrasebook" and split:
        return {"builtin": builtin, "split": split}
    return {"path": value}


Source = Annotated[CorpusSource, BeforeValidator(as_source)]


def named_once(asked: list[Any]) -> list[Any]:
    """Refuse two ABX tasks or probes that results would show under one name."""
    names = [each.name for each in asked]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"'{name}' is asked for twice; results could not tell them apart")
    return asked
