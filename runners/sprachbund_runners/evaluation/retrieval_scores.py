"""Retrieval of a pair by every convention, from one similarity matrix."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprachbund_runners.evaluation.conventions import bitext_items, mexa_hits, xsim_error
from sprachbund_runners.evaluation.distances import LanguageVectors
from sprachbund_runners.evaluation.margins import Margin, Refused
from sprachbund_runners.evaluation.mining import Mined, mine
from sprachbund_runners.evaluation.neighbours import Neighbours
from sprachbund_runners.evaluation.pools import approximate_lists, listed_outcome
from sprachbund_runners.evaluation.precision import resolving
from sprachbund_runners.evaluation.retrieval import (
    RetrievalOutcome,
    Survey,
    meaning_abx,
    reciprocal_rank,
    survey,
    top_k_credit,
)
from sprachbund_runners.evaluation.scores import PairScores

COUNTS = ("greater", "ties", "n_candidates")
"""What is kept of a direction: the fields of `RetrievalOutcome`."""
RANK_METRICS = ("top1", "top5", "top10", "mrr", "meaning_abx")
"""Retrieval metrics that follow from the stored counts; of the others those are stored that may be compared."""


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


@resolving("top1")
def retrieval_scores(x: LanguageVectors, y: LanguageVectors) -> PairScores:
    """Retrieval in both directions by every convention, all from one similarity matrix.

    arrays: `forward_greater`, `forward_ties`, `forward_n_candidates` …, int32 [n] each; of pairs mined by ratio margin,
    best first, `mined_score` [m] of the embeddings' type, `mined_correct` uint8 [m] and `mined_n_gold` int64 [1].
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
        for name in COUNTS
    }
    arrays |= _mined_arrays(mine(found.forward, found.backward, x.unit, y.unit, x.groups, y.groups), x)
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


def _mined_arrays(mined: Mined | Refused, x: LanguageVectors) -> dict[str, NDArray[Any]]:
    if isinstance(mined, Refused):
        return {}
    return {
        "mined_score": mined.score.astype(x.unit.rows.dtype),
        "mined_correct": mined.correct.astype(np.uint8),
        "mined_n_gold": np.array([mined.n_gold]),
    }


@resolving("top1")
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
    mined = _mined_arrays(mine(lists.forward, lists.backward, x.unit, y.unit, x.groups, y.groups), x)
    return PairScores(found[0], found[1], arrays=mined, notes=notes)
