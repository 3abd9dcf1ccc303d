"""Measures on embeddings: arrays in, numbers out. No SQL, jobs, files or torch.

A measure of scope `pair` is a function of two sides with aligned items that returns `PairScores`. To add one: a module
here, a line in `PAIR_MEASURES`, and its names in `sprachbund.metrics`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sprachbund.metrics import METRICS
from sprachbund.statistics import bootstrap_mean, wilson
from sprachbund_runners.evaluation.conventions import bitext_items, mexa_hits, xsim_error
from sprachbund_runners.evaluation.distances import (
    LanguageVectors,
    centroid_distance,
    item_distances,
    spread,
    within_distance,
)
from sprachbund_runners.evaluation.language_abx import language_abx
from sprachbund_runners.evaluation.margins import Margin, Refused
from sprachbund_runners.evaluation.mining import Mined, mine
from sprachbund_runners.evaluation.neighbours import Neighbours
from sprachbund_runners.evaluation.pools import approximate_lists, listed_outcome
from sprachbund_runners.evaluation.retrieval import (
    RetrievalOutcome,
    Survey,
    meaning_abx,
    reciprocal_rank,
    survey,
    top_k_credit,
)

Items = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class PairScores:
    """What a measure says of one unordered pair (x, y). Keys are metric names.

    forward: float64 [n] per item, x asking for y; backward: y asking for x. Empty if the measure has no direction.
    both: float64 [n] per item, of the pair as such.
    values: numbers with no per-item outcome.
    arrays: what is worth keeping in a file, by tensor name.
    notes: metric → why it is undefined (NaN) here, or how it was approximated.
    """

    forward: Items = field(default_factory=dict)
    backward: Items = field(default_factory=dict)
    both: Items = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)


PairMeasure = Callable[[LanguageVectors, LanguageVectors], PairScores]


@dataclass(frozen=True, slots=True)
class Level:
    """One metric's value with its interval. NaN: undefined here (the metric's description says when)."""

    value: float
    low: float
    high: float
    n_items: int
    n_groups: int


RANK_METRICS = ("top1", "top5", "top10", "mrr", "meaning_abx")
"""Retrieval metrics that follow from the stored counts; the others are stored item by item."""


def retrieval_items(outcome: RetrievalOutcome) -> dict[str, NDArray[np.float64]]:
    """The per-item `RANK_METRICS`, float64 [n] each, from stored counts."""
    return {
        "top1": top_k_credit(outcome, 1),
        "top5": top_k_credit(outcome, 5),
        "top10": top_k_credit(outcome, 10),
        "mrr": reciprocal_rank(outcome),
        "meaning_abx": meaning_abx(outcome),
    }


MARGIN_METRICS: dict[str, Margin] = {
    "margin_ratio_top1": "ratio",
    "margin_distance_top1": "distance",
    "csls_top1": "csls",
}


def retrieval_scores(x: LanguageVectors, y: LanguageVectors) -> PairScores:
    """Retrieval in both directions by every convention, all from one similarity matrix.

    arrays: `forward_greater`, `forward_ties`, `forward_n_candidates` …, int32 [n] each; of pairs mined by ratio margin,
    best first, `mined_score` float32 [m], `mined_correct` uint8 [m] and `mined_n_gold` int64 [1].
    """
    found = survey(x.unit, y.unit, groups_x=x.groups, groups_y=y.groups)
    notes: dict[str, str] = {}
    forward = _direction(found, x, y, notes, backward=False)
    backward = _direction(found, x, y, notes, backward=True)
    mexa = mexa_hits(found.forward, found.backward, x.unit, y.unit)
    forward["mexa"] = backward["mexa"] = mexa
    arrays: dict[str, NDArray[Any]] = {
        f"{direction}_{name}": getattr(getattr(found.cosine, direction), name)
        for direction in ("forward", "backward")
        for name in ("greater", "ties", "n_candidates")
    }
    arrays |= _mined_arrays(mine(found.forward, found.backward, x.unit, y.unit, x.groups, y.groups))
    return PairScores(forward, backward, arrays=arrays, notes=notes)


def _direction(
    found: Survey, x: LanguageVectors, y: LanguageVectors, notes: dict[str, str], *, backward: bool
) -> dict[str, NDArray[np.float64]]:
    """The per-item metrics of one direction; what is undefined is NaN, and `notes` says why."""
    asking, answering = (y, x) if backward else (x, y)
    near, back = (found.backward, found.forward) if backward else (found.forward, found.backward)
    items = retrieval_items(found.cosine.backward if backward else found.cosine.forward)
    undefined = np.full(asking.unit.n, np.nan)
    for metric, name in MARGIN_METRICS.items():
        ranks = found.margins[name]
        if isinstance(ranks, Refused):
            items[metric], notes[metric] = undefined, ranks.reason
        else:
            items[metric] = top_k_credit(ranks.backward if backward else ranks.forward, 1)
    return items | _conventions(near, back, asking, answering, notes)


def _conventions(
    near: Neighbours, back: Neighbours, asking: LanguageVectors, answering: LanguageVectors, notes: dict[str, str]
) -> dict[str, NDArray[np.float64]]:
    items = {}
    for metric, groups in (("xsim", None), ("xsim_text", answering.groups)):
        error = xsim_error(near, back, asking.unit, answering.unit, groups)
        items[metric] = _or_undefined(metric, error, asking, notes)
    bitext = bitext_items(near, asking.unit, answering.unit)
    return items | {f"bitext_{name}": values for name, values in bitext.items()}


def _or_undefined(
    metric: str,
    error: NDArray[np.float64] | Refused,
    asking: LanguageVectors,
    notes: dict[str, str],
    better: bool = False,
) -> NDArray[np.float64]:
    """The errors (with `better` their complements), or NaN and a note."""
    if isinstance(error, Refused):
        notes[metric] = error.reason
        return np.full(asking.unit.n, np.nan)
    return 1.0 - error if better else error


def _mined_arrays(mined: Mined | Refused) -> dict[str, NDArray[Any]]:
    if isinstance(mined, Refused):
        return {}
    return {
        "mined_score": mined.score.astype(np.float32),
        "mined_correct": mined.correct.astype(np.uint8),
        "mined_n_gold": np.array([mined.n_gold]),
    }


def listed_retrieval_scores(x: LanguageVectors, y: LanguageVectors) -> PairScores:
    """`retrieval_scores` for large pools, from the 10 nearest that an approximate index finds.

    A translation that is not among them is an error. MRR and meaning ABX need all ranks and are undefined; margins look
    at the listed candidates alone. `notes` has the lists' recall under `top1`. arrays: mined pairs alone.
    """
    lists = approximate_lists(x.unit, y.unit)
    undefined = "approximate search: ranks beyond the 10 nearest are not known"
    notes = {
        "top1": f"approximate search (FAISS): recall of the 10 nearest {lists.recall:.4f} on a sample of queries",
        "mrr": undefined,
        "meaning_abx": undefined,
    }
    found = []
    for asking, answering, near, back in (
        (x, y, lists.forward, lists.backward),
        (y, x, lists.backward, lists.forward),
    ):
        outcome, _ = listed_outcome(near, asking.unit, answering.unit, answering.groups)
        items = {name: top_k_credit(outcome, k) for name, k in (("top1", 1), ("top5", 5), ("top10", 10))}
        items |= dict.fromkeys(("mrr", "meaning_abx"), np.full(asking.unit.n, np.nan))
        for metric, by in MARGIN_METRICS.items():
            error = xsim_error(near, back, asking.unit, answering.unit, answering.groups, by, near.k)
            items[metric] = _or_undefined(metric, error, asking, notes, better=True)
        items |= _conventions(near, back, asking, answering, notes)
        items["mexa"] = mexa_hits(lists.forward, lists.backward, x.unit, y.unit)
        found.append(items)
    mined = _mined_arrays(mine(lists.forward, lists.backward, x.unit, y.unit, x.groups, y.groups))
    return PairScores(found[0], found[1], arrays=mined, notes=notes)


def language_abx_scores(x: LanguageVectors, y: LanguageVectors) -> PairScores:
    """Language ABX in both orders."""
    return PairScores({"language_abx": language_abx(x, y)}, {"language_abx": language_abx(y, x)})


def distance_scores(x: LanguageVectors, y: LanguageVectors) -> PairScores:
    """Cosine distances between two languages."""
    items = item_distances(x, y)
    both = {"paired_distance": items.paired, "unpaired_distance": items.unpaired, "distance_gap": items.gap}
    return PairScores(both=both, values={"centroid_distance": centroid_distance(x, y)})


def spread_values(x: LanguageVectors) -> dict[str, float]:
    """Cosine distances within one language."""
    return {"spread": spread(x), "within_distance": within_distance(x)}


PAIR_MEASURES: dict[str, PairMeasure] = {
    "retrieval": retrieval_scores,
    "language_abx": language_abx_scores,
    "distances": distance_scores,
}


def one_sided(
    measure: PairMeasure,
    steered: tuple[LanguageVectors, LanguageVectors],
    plain: tuple[LanguageVectors, LanguageVectors],
    side: Literal["query", "candidate"],
) -> PairScores:
    """A measure where only the queries, or only the candidates, are steered: a matrix for each direction.

    steered, plain: (x, y) with and without the intervention. x asking for y is read from steered x and plain y for
    side `query`, from plain x and steered y for `candidate`; y asking for x the other way round. What has no direction
    is the mean over the two matrices. Of the arrays only those of a direction are kept.
    """
    one = measure(steered[0], plain[1])
    other = measure(plain[0], steered[1])
    ahead, back = (one, other) if side == "query" else (other, one)
    arrays = {name: values for name, values in ahead.arrays.items() if name.startswith("forward_")}
    arrays |= {name: values for name, values in back.arrays.items() if name.startswith("backward_")}
    return PairScores(
        forward=ahead.forward,
        backward=back.backward,
        both={name: (values + other.both[name]) / 2 for name, values in one.both.items()},
        values={name: (value + other.values[name]) / 2 for name, value in one.values.items()},
        arrays=arrays,
        notes={**one.notes, **other.notes},
    )


def levels(
    items: Items,
    *,
    groups: NDArray[Any] | None = None,
    resamples: int = 10_000,
    seed: int = 0,
    confidence: float = 0.95,
) -> dict[str, Level]:
    """The mean of each per-item metric with the interval its `Metric` asks for.

    groups: [n] documents; whole ones are drawn by the bootstrap (Wilson takes items as independent). A metric
    undefined for some item is NaN with no interval: a mean over the rest would be of other items.

    Raises KeyError for an unregistered metric name.
    """
    found: dict[str, Level] = {}
    drawn: list[str] = []
    n_groups = {name: len(values) if groups is None else len(np.unique(groups)) for name, values in items.items()}
    for name, values in items.items():
        n = len(values)
        if np.isnan(values).any() or METRICS[name].interval == "none":
            found[name] = Level(float(values.mean()), float("nan"), float("nan"), n, n_groups[name])
        elif METRICS[name].interval == "wilson":
            low, high = wilson(values.sum(), n, confidence)
            found[name] = Level(float(values.mean()), float(low), float(high), n, n_groups[name])
        else:
            drawn.append(name)
    if drawn:
        table = np.stack([items[name] for name in drawn], axis=1)
        result = bootstrap_mean(table, groups=groups, resamples=resamples, seed=seed, confidence=confidence)
        for place, name in enumerate(drawn):
            found[name] = Level(
                float(result.estimate[place]),
                float(result.low[place]),
                float(result.high[place]),
                result.n_items,
                result.n_groups,
            )
    return {name: found[name] for name in items}
