"""Controls of an intervention, as the experiment file names them."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from sprachbund.corpora.source import Code
from sprachbund.vocabulary import VARIANTS, Variant


def _seeds(value: Any) -> Any:
    """`seeds: 5` means seeds 0 … 4."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not 1 <= value <= 10_000:
            raise ValueError(f"seeds is {value}; expected 1 to 10000, or a list of seeds")
        return list(range(value))
    return value


class ControlSpec(BaseModel):
    """A control distribution beside a steered setting.

    `uniform`: as many random units anywhere; `profile`: random units with the experts' counts per block and
    site; `shift`: the same, their values rescaled so that E‖h' − h‖² per block and site, over the tokens that
    experts are fitted on, equals the experts';
    `wrong_language`: another language's experts with that language's values; `wrong_values`: the experts with
    another language's values. `values`: the random units' own values for the target, or the experts'.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    variant: Variant
    values: Literal["own", "experts"] = "own"
    seeds: Annotated[list[int], BeforeValidator(_seeds)] = Field(default=[0, 1, 2, 3, 4], min_length=1)
    languages: list[Code] | None = None

    @model_validator(mode="after")
    def _fields_that_apply(self) -> Self:
        unused = ("languages",) if self.random else ("values", "seeds")
        for name in unused:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"'{name}' has no meaning for the control '{self.variant}'; leave it out")
        return self

    @property
    def random(self) -> bool:
        """Whether seeds distinguish the members of this distribution (otherwise languages do)."""
        return self.variant in ("uniform", "profile", "shift")

    @property
    def label(self) -> str:
        """The name of the distribution in results, e.g. `random:profile`."""
        if not self.random:
            return self.variant
        return f"random:{self.variant}" + (":experts" if self.values == "experts" else "")


def as_control(value: Any) -> Any:
    """`profile`, `random:profile` or `random:profile x20` may stand for a mapping."""
    if not isinstance(value, str):
        return value
    matched = re.fullmatch(r"(?:random:)?(\w+)(?:\s*x\s*(\d+))?", value.strip())
    if matched is None:
        raise ValueError(f"control is '{value}'; expected one of {', '.join(VARIANTS)}, such as 'profile x5'")
    content: dict[str, Any] = {"variant": matched.group(1)}
    if matched.group(2):
        content["seeds"] = int(matched.group(2))
    return content
