"""The scorers that an experiment file may name: a line each, and the function that runners call."""

import math
from dataclasses import dataclass
from typing import Literal

ANY = (-math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class ScorerRule:
    """One way to score units.

    reads: what its function is given.
    `ranks`: RankedResponses of some units → float64 [targets, units]; in row blocks, through `score_units`.
    `responses`: float32 [n, units] of the target and float32 [m, units] of its negatives → float64 [units]; all units
    of one site of one block at a time.
    `counts`: tokens with an activation above 0, int64 [units, languages], and all tokens, int64 [languages], the
    target's first → float64 [units]; all units of the axis at once. Units at -inf cannot be chosen.
    version: raised whenever its numbers may change (it is part of the expert set's key); better: where the experts
    are; bounds: least and greatest possible score; function: `module:name`, which runners import.
    """

    version: int
    reads: Literal["ranks", "responses", "counts"]
    function: str
    better: Literal["higher", "lower"]
    bounds: tuple[float, float]
    description: str


_IN = "sprachbund_runners.scorers"

SCORERS: dict[str, ScorerRule] = {
    "auroc": ScorerRule(
        1, "ranks", f"{_IN}.auroc:auroc", "higher", (0.0, 1.0), "area under the ROC curve, ties count one half"
    ),
    "average_precision": ScorerRule(
        1, "ranks", f"{_IN}.average_precision:average_precision", "higher", (0.0, 1.0), "average precision with ties"
    ),
    "cohens_d": ScorerRule(
        1, "ranks", f"{_IN}.effect_size:cohens_d", "higher", ANY, "standardised difference of means"
    ),
    "mutual_information": ScorerRule(
        1, "ranks", f"{_IN}.mutual_information:mutual_information", "higher", (0.0, math.log(2)),
        "mutual information of the binned response and the label, in nats",
    ),
    "l1_probe": ScorerRule(
        1, "responses", f"{_IN}.l1_probe:l1_probe", "higher", ANY, "weight in an L1 logistic regression"
    ),
    "lape": ScorerRule(
        1, "counts", f"{_IN}.lape:lape_score", "higher", (-math.inf, 0.0), "minus the entropy of firing over languages"
    ),
}  # fmt: skip
