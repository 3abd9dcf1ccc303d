"""The edits that an experiment file may name: what each asks for, and the values it sets."""

import math
import re
from dataclasses import dataclass
from typing import Literal

from sprachbund.errors import nearest


@dataclass(frozen=True, slots=True)
class EditRule:
    """What an edit takes, and the function that runners call.

    function: `module:name`. Of units: what it `reads`, then strength if it has one, to `Affine`; of a direction:
    Subspace and strength to what `LowRank` writes, reads and adds. Strength 0 leaves activations as they are;
    `range` is closed, None open-ended.
    """

    of: Literal["units", "direction"]
    function: str
    # What a function of units is given of each of k units: a value to set [k]; the AUROC [k]; how many there are, an
    # int; the target's and the sources' means [k], their means and variances (four [k]), or their samples [n, k].
    reads: Literal["value", "auroc", "number", "means", "moments", "samples", "direction"]
    strength: float | None = None
    range: tuple[float | None, float | None] = (None, None)
    # Whether the target language's activations say how to edit; otherwise it only dampens.
    to_target: bool = True

    @property
    def value(self) -> bool:
        """Whether units are set to a value, or part of the way."""
        return self.reads == "value"

    @property
    def transport(self) -> bool:
        """Whether it carries the source's distribution to the target's, so that responses average over tokens."""
        return self.reads in ("means", "moments", "samples")


_AFFINE = "sprachbund_runners.interventions.affine"
_ALONG = "sprachbund_runners.directions.along"

EDITS: dict[str, EditRule] = {
    "set": EditRule("units", f"{_AFFINE}:set_to", "value"),
    "interpolate": EditRule("units", f"{_AFFINE}:interpolated", "value", 0.5, (0.0, 1.0)),
    "scale": EditRule("units", f"{_AFFINE}:dampened", "number", 0.5, (None, 1.0), to_target=False),
    "aura": EditRule("units", f"{_AFFINE}:aura", "auroc", 1.0, (0.0, 1.0), to_target=False),
    "shift": EditRule("units", f"{_AFFINE}:shifted", "means", 1.0),
    "mean_act": EditRule("units", f"{_AFFINE}:mean_act", "means", 1.0, (0.0, 1.0)),
    "gaussian_act": EditRule("units", f"{_AFFINE}:gaussian_act", "moments", 1.0, (0.0, 1.0)),
    "linear_act": EditRule("units", f"{_AFFINE}:linear_act", "samples", 1.0, (0.0, 1.0)),
    "add": EditRule("direction", f"{_ALONG}:add", "direction", 1.0),
    "project_out": EditRule("direction", f"{_ALONG}:project_out", "direction", 1.0, (0.0, 1.0), to_target=False),
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
