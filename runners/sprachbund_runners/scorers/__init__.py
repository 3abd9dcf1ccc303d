"""Scorers: how well a unit tells a target language from the listed negatives. Arrays in, scores out.

A scorer is one file with a function and one line in `sprachbund.catalogue.scorers`.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pkgutil import resolve_name

import numpy as np
from numpy.typing import NDArray

from sprachbund.catalogue import plugins
from sprachbund.catalogue.scorers import SCORERS as RULES
from sprachbund.errors import SpecError, nearest
from sprachbund_runners.scorers.auroc import mann_whitney_p, minimum_auroc
from sprachbund_runners.scorers.effect_size import cohens_d
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
    """A scorer as runners call it; what it reads and yields: `sprachbund.catalogue.scorers.ScorerRule`."""

    name: str
    reads: str
    function: Callable[..., NDArray[np.float64]]


SCORERS: dict[str, Scorer] = {
    name: Scorer(name, rule.reads, resolve_name(rule.function)) for name, rule in RULES.items()
}


def find_scorer(name: str) -> Scorer:
    """The scorer of that name, built in or registered; SpecError where there is none."""
    if name in SCORERS:
        return SCORERS[name]
    if "@" in name:
        plugin = plugins.find("scorer", name)
        return Scorer(name, "responses", plugin)
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
