"""What the parts of an experiment file share: strictness, and lists where one value may stand."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from sprachbund import plugins
from sprachbund.corpora.source import CorpusSource

Site = Literal["mlp.up", "mlp.gate", "mlp.hidden", "mlp.down", "attn.out", "block"]
Pooling = Literal["mean", "max"]
EmbeddingPooling = Literal["mean", "max", "weighted_mean"]
Tokens = Literal["all", "content", "last", "first"]
# A registered function's name stands for the function as it is now.
ScorerName = Annotated[str, AfterValidator(lambda name: plugins.full_name("scorer", name))]
MeasureName = Annotated[str, AfterValidator(lambda name: plugins.full_name("measure", name))]


class Strict(BaseModel):
    """Refuses unknown fields, so that a misspelt one is found, and numbers that are not finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def as_list(value: Any) -> Any:
    """A single value where a list is expected is a list of one: every sweepable field takes both."""
    return value if isinstance(value, list) or value is None else [value]


def _as_source(value: Any) -> Any:
    """`phrasebook/test` and `my_corpus.parquet` may stand for a mapping."""
    if not isinstance(value, str):
        return value
    builtin, _, split = value.partition("/")
    if builtin == "phrasebook" and split:
        return {"builtin": builtin, "split": split}
    return {"path": value}


Source = Annotated[CorpusSource, BeforeValidator(_as_source)]
