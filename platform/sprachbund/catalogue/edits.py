"""The edits that an experiment file may name: what each asks for, and the values it sets."""

import math
import re
from dataclasses import dataclass
from typing import Literal

from sprachbund.errors import nearest

Transform = Literal["none", "centring", "centring_transductive", "whitening", "top_pc_removal"]
# Fitted on the `fit` text; the pooled ones on all evaluated languages together.
FITTED_TRANSFORMS = ("centring", "whitening", "top_pc_removal")
POOLED_TRANSFORMS = ("whitening", "top_pc_removal")
Method = Literal["none", "experts", "union", "intersection", "difference", "own", "direction"]
UNIT_METHODS = ("experts", "union", "intersection", "difference", "own")
How = Literal["top", "top_and_bottom", "per_block", "threshold"]
Edit = Literal[
    "set",
    "interpolate",
    "scale",
    "aura",
    "shift",
    "mean_act",
    "gaussian_act",
    "linear_act",
    "add",
    "project_out",
]


@dataclass(frozen=True, slots=True)
class EditRule:
    """What an edit takes. Strength 0 leaves activations as they are; `range` is closed, None open-ended."""

    of: Literal["units", "direction"]
    value: bool = False
    strength: float | None = None
    range: tuple[float | None, float | None] = (None, None)
    # It carries the source's distribution to the target's, so that responses should average over tokens.
    transport: bool = False
    # Whether the target language's activations say how to edit; otherwise it only dampens.
    to_target: bool = True


EDITS: dict[str, EditRule] = {
    "set": EditRule("units", value=True),
    "interpolate": EditRule("units", value=True, strength=0.5, range=(0.0, 1.0)),
    "scale": EditRule("units", strength=0.5, range=(None, 1.0), to_target=False),
    "aura": EditRule("units", strength=1.0, range=(0.0, 1.0), to_target=False),
    "shift": EditRule("units", strength=1.0, transport=True),
    "mean_act": EditRule("units", strength=1.0, range=(0.0, 1.0), transport=True),
    "gaussian_act": EditRule("units", strength=1.0, range=(0.0, 1.0), transport=True),
    "linear_act": EditRule("units", strength=1.0, range=(0.0, 1.0), transport=True),
    "add": EditRule("direction", strength=1.0),
    "project_out": EditRule("direction", strength=1.0, range=(0.0, 1.0)),
}


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


def units_of(k: int | float, n_units: int) -> int:
    """k as a count: an integer is one, a float a fraction of so many units, rounded half up, at least one unit."""
    return max(1, math.floor(k * n_units + 0.5)) if isinstance(k, float) else k
