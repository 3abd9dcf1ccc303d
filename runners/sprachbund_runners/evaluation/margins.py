"""Margin scores: a similarity against those of its two neighbourhoods, which takes hubs down.

With r(x) the mean cosine of x's k nearest candidates and r(y) that of y's k nearest queries,

    absolute  cos(x, y)
    distance  cos(x, y) - (r(x) + r(y)) / 2
    ratio     cos(x, y) / ((r(x) + r(y)) / 2)
    csls      2 cos(x, y) - r(x) - r(y), which orders candidates as the distance margin over its own k does

k = 4 for the margins (Artetxe and Schwenk, ACL 2019), 10 for CSLS (Conneau et al., ICLR 2018). The ratio is refused
where a neighbour mean is not positive, as is normal after centring: dividing by it would turn the order around.
"""

from dataclasses import dataclass
from typing import Literal

from sprachbund_runners.evaluation.gold import Scoring
from sprachbund_runners.evaluation.neighbours import K_CSLS, K_MARGIN, Neighbours

Margin = Literal["distance", "ratio", "csls"]


@dataclass(frozen=True, slots=True)
class Refused:
    """A scoring that is not defined on these embeddings, and why, in words."""

    reason: str


def margin(name: Margin, forward: Neighbours, backward: Neighbours) -> Scoring | Refused:
    """The scoring of a margin from the neighbours of both sides (x asks: forward; y asks: backward)."""
    k = K_CSLS if name == "csls" else K_MARGIN
    scoring = Scoring(forward.means(k), backward.means(k), ratio=name == "ratio")
    if name == "ratio":
        bad = int((scoring.x <= 0).sum()), int((scoring.y <= 0).sum())
        if any(bad):
            return Refused(
                f"ratio margin refused: the mean similarity of the {k} nearest is not positive for {bad[0]} of"
                f" {len(scoring.x)} queries and {bad[1]} of {len(scoring.y)} candidates"
            )
    return scoring
