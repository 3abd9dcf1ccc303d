"""Scorers: how well a unit tells a target language from the listed negatives. Arrays in, scores out.

A scorer is one file with a function and one line in `SCORERS`.
"""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sprachbund.catalogue import plugins
from sprachbund.errors import SpecError, nearest
from sprachbund_runners.scorers.auroc import auroc, mann_whitney_p, minimum_auroc
from sprachbund_runners.scorers.average_precision import average_precision
from sprachbund_runners.scorers.effect_size import cohens_d
from sprachbund_runners.scorers.l1_probe import l1_probe
from sprachbund_runners.scorers.lape import lape_score
from sprachbund_runners.scorers.mutual_information import mutual_information
from sprachbund_runners.scorers.ranking import Layout, NonFinite, RankedResponses, Target, lay_out, rank_responses

__all__ = [
    "SCORERS",
    "Layout",
    "NonFinite",
    "RankedResponses",
    "Scorer",
    "Scores",
    "Target",
    "find_scorer",
    "lay_out",
    "rank_responses",
    "score_units",
]

# Sorted keys of one row block: small enough to stay in a core's cache from the sort to the last scorer.
BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Scorer:
    """One way to score units.

    reads: what its function is given.
    `ranks`: RankedResponses of some units → float64 [targets, units]; in row blocks, through `score_units`.
    `responses`: float32 [n, units] of the target and float32 [m, units] of its negatives → float64 [units]; all units
    of one site of one block at a time.
    `counts`: tokens with an activation above 0, int64 [units, languages], and all tokens, int64 [languages], the
    target's first → float64 [units]; all units of the axis at once. Units at -inf cannot be chosen.
    version: raised whenever its numbers may change (it is part of the expert set's key); better: where the experts
    are; bounds: least and greatest possible score.
    """

    name: str
    version: int
    reads: Literal["ranks", "responses", "counts"]
    function: Callable[..., NDArray[np.float64]]
    better: Literal["higher", "lower"]
    bounds: tuple[float, float]
    description: str


ANY = (-np.inf, np.inf)

SCORERS: dict[str, Scorer] = {
    scorer.name: scorer
    for scorer in (
        Scorer("auroc", 1, "ranks", auroc, "higher", (0.0, 1.0), "area under the ROC curve, ties count one half"),
        Scorer("average_precision", 1, "ranks", average_precision, "higher", (0.0, 1.0), "average precision with ties"),
        Scorer("cohens_d", 1, "ranks", cohens_d, "higher", ANY, "standardised difference of means"),
        Scorer(
            "mutual_information",
            1,
            "ranks",
            mutual_information,
            "higher",
            (0.0, math.log(2)),
            "mutual information of the binned response and the label, in nats",
        ),
        Scorer("l1_probe", 1, "responses", l1_probe, "higher", ANY, "weight in an L1 logistic regression"),
        Scorer("lape", 1, "counts", lape_score, "higher", (-np.inf, 0.0), "minus the entropy of firing over languages"),
    )
}


def find_scorer(name: str) -> Scorer:
    """The scorer of that name, built in or registered (`catalogue.plugins`); SpecError where there is none."""
    if name in SCORERS:
        return SCORERS[name]
    if "@" in name:
        plugin = plugins.find("scorer", name)
        return Scorer(name, 1, "responses", plugin, "higher", ANY, "registered by the user")
    raise SpecError(f"scorer: '{name}' is unknown; expected one of {', '.join(SCORERS)}{nearest(name, SCORERS)}")


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of all units for all targets; every array is float64 [targets, units].

    values: by scorer name; minimum_auroc: least AUROC against one negative language; effect: Cohen's d, which
    breaks ties; p_value: two-sided Mann–Whitney p; n_positive, n_negative: sentences, int64 [targets].
    """

    targets: tuple[Target, ...]
    values: dict[str, NDArray[np.float64]]
    minimum_auroc: NDArray[np.float64]
    effect: NDArray[np.float64]
    p_value: NDArray[np.float64]
    n_positive: NDArray[np.int64]
    n_negative: NDArray[np.int64]


def score_units(
    responses: NDArray[np.float32],
    language_of: NDArray[np.integer] | NDArray[np.bool_],
    targets: Sequence[Target],
    scorers: Sequence[str | Scorer] = ("auroc", "average_precision"),
    *,
    threads: int = 1,
) -> Scores:
    """Score every unit for every target, from one sort per unit.

    responses: float32 [units, sentences], the pooled response of each unit to each sentence, one row per unit;
    language_of: integer codes [sentences] (binary labels are codes too: `Target(1, (0,))`); targets: positives are the
    sentences of a target's language, negatives those of its listed languages, others are ignored;
    scorers: names or Scorer objects that read ranks; threads: row blocks served at once.

    The work is done in row blocks of about a megabyte per thread, so that memory beyond the result is bounded; neither
    blocks, threads nor the order of the sentences changes a bit of the result.
    Raises NonFinite (with the row) for NaN or infinite responses, CorpusError for a target or negative without
    sentences, SpecError for an unknown scorer or a malformed target, ValueError for arrays of another shape or dtype.
    """
    if responses.ndim != 2 or responses.dtype != np.float32:
        raise ValueError(
            f"responses: expected float32 [units, sentences], got {responses.dtype} {list(responses.shape)}"
        )
    layout = lay_out(language_of, targets)
    if len(language_of) != responses.shape[1]:
        raise ValueError(f"language_of: {len(language_of)} codes for {responses.shape[1]} sentences")
    if threads < 1:
        raise ValueError(f"threads: {threads}; expected 1 or more")
    chosen = [scorer if isinstance(scorer, Scorer) else find_scorer(scorer) for scorer in scorers]
    for scorer in chosen:
        if scorer.reads != "ranks":
            raise ValueError(f"scorer {scorer.name} reads {scorer.reads}, not ranks")
    functions = {scorer.name: scorer.function for scorer in chosen}
    n_units = responses.shape[0]
    shape = (len(layout.targets), n_units)
    values = {name: np.empty(shape) for name in functions}
    least, effect, p_value = np.empty(shape), np.empty(shape), np.empty(shape)
    rows = max(1, BLOCK_BYTES // (8 * layout.columns.size))

    def serve(first: int) -> None:
        block = slice(first, min(first + rows, n_units))
        ranked = rank_responses(responses[block], layout, first)
        least[:, block] = minimum_auroc(ranked)
        effect[:, block] = cohens_d(ranked)
        p_value[:, block] = mann_whitney_p(ranked)
        for name, function in functions.items():
            scores = function(ranked)
            if scores.shape != (len(layout.targets), ranked.keys.shape[0]):
                raise ValueError(
                    f"scorer {name}: returned shape {list(scores.shape)}; expected [targets, units],"
                    f" {[len(layout.targets), ranked.keys.shape[0]]}"
                )
            values[name][:, block] = scores

    starts = range(0, n_units, rows)
    if threads == 1:
        for start in starts:
            serve(start)
    else:
        with ThreadPoolExecutor(threads) as pool:
            # In order, so that the first bad row is the one reported; what hasn't started by then never does.
            futures = [pool.submit(serve, start) for start in starts]
            try:
                for future in futures:
                    future.result()
            finally:
                pool.shutdown(cancel_futures=True)
    return Scores(layout.targets, values, least, effect, p_value, layout.n_positive, layout.n_negative)
