"""Large pools: nearest neighbours with bounded memory, exactly or by an approximate index (FAISS).

Exact search reads the similarity matrix in blocks and keeps the k nearest of both sides: memory is the embeddings,
two lists of n × k and one block, whatever n. Above a size that the user sets, FAISS searches a share of the pool
(inverted lists). What needs only the nearest can then be read as usual; ranks beyond them are unknown, so MRR and
meaning ABX are undefined, and scores by margin look at the listed candidates alone. The recall of the lists is
measured on a sample of queries that are also searched exactly.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprachbund.errors import ModelError
from sprachbund_runners.evaluation.gold import checked_groups
from sprachbund_runners.evaluation.neighbours import K_CSLS, Neighbours, gold_copies
from sprachbund_runners.evaluation.retrieval import RetrievalOutcome
from sprachbund_runners.evaluation.similarity import BLOCK_SIZE, UnitVectors, check_same_width

SAMPLE = 256
"""Queries of each side on which recall is measured."""


@dataclass(frozen=True, slots=True)
class Lists:
    """Neighbours of both sides. recall: share of the true k nearest in the lists; 1 for exact search."""

    forward: Neighbours
    backward: Neighbours
    recall: float


def approximate_lists(
    x: UnitVectors, y: UnitVectors, k: int = K_CSLS, *, n_lists: int | None = None, n_probe: int | None = None
) -> Lists:
    """The k nearest of both sides as FAISS finds them with inverted lists over the distinct vectors.

    n_lists: cells that a side is divided into, default about 4 √n; n_probe: cells searched for a query, default a
    sixteenth of them but at least 8. Searching all cells is exact but for rounding. FAISS knows float32 alone: float64
    is searched about the candidates' mean, where float32 tells close vectors apart, and what is found is scored anew.

    Raises ModelError if widths or types differ, or FAISS is not installed.
    """
    check_same_width(x, y)
    forward = _search(x, y, k, n_lists, n_probe)
    backward = _search(y, x, k, n_lists, n_probe)
    recall = (_recall(x, y, forward) + _recall(y, x, backward)) / 2
    return Lists(forward, backward, recall)


def listed_outcome(
    near: Neighbours,
    queries: UnitVectors,
    candidates: UnitVectors,
    groups: NDArray[np.integer[Any]] | None = None,
) -> tuple[RetrievalOutcome, NDArray[np.bool_]]:
    """Ranks of the translations that are in the lists, as `survey` counts them, and bool [n]: which are.

    groups: int [n] of the candidates' texts (None: all differ). Of an item whose translation is not listed, `greater`
    is the number of listed candidates: a lower bound, past every k that the lists reach.
    """
    labels = checked_groups(groups, candidates.n, "groups")
    gold = gold_copies(near, queries, candidates, labels)
    similarity, shared = near.similarity[queries.inverse], near.shared()[queries.inverse]
    best = np.where(gold > 0, similarity, -np.inf).max(axis=1)
    listed = np.isfinite(best)
    at_best = similarity == best[:, None]
    greater = np.where(similarity > best[:, None], shared, 0).sum(axis=1)
    ties = np.where(at_best, shared - gold, 0).sum(axis=1)
    sizes = np.unique(labels, return_inverse=True, return_counts=True)
    pool = candidates.n - sizes[2][sizes[1]] + 1
    outcome = RetrievalOutcome(
        greater.astype(np.int32), np.where(listed, ties, 0).astype(np.int32), pool.astype(np.int32)
    )
    return outcome, listed


def _search(
    queries: UnitVectors, candidates: UnitVectors, k: int, n_lists: int | None, n_probe: int | None
) -> Neighbours:
    try:
        import faiss
    except ImportError as error:
        raise ModelError("approximate search needs FAISS (pip install 'sprachbund[faiss]')") from error
    known, sought = (each.distinct_rows(0, len(each.distinct)) for each in (candidates, queries))
    wide = known.dtype == np.float64
    # Of vectors of length one the nearest are the most similar, wherever the origin is.
    origin = known.mean(axis=0) if wide else np.float32(0)
    pool, asked = (np.ascontiguousarray(each - origin, dtype=np.float32) for each in (known, sought))
    n = len(pool)
    cells = min(n, n_lists or max(1, int(4 * np.sqrt(n))))
    quantiser = (faiss.IndexFlatL2 if wide else faiss.IndexFlatIP)(pool.shape[1])
    index = faiss.IndexIVFFlat(quantiser, pool.shape[1], cells, faiss.METRIC_L2 if wide else faiss.METRIC_INNER_PRODUCT)
    # The default asks for 39 vectors a cell and prints a warning where there are fewer.
    index.cp.min_points_per_centroid = 1
    index.train(pool)
    index.add(pool)
    index.nprobe = min(cells, n_probe or max(8, cells // 16))
    similarity, place = index.search(asked, min(k, n))
    if wide:
        similarity, place = _scored(sought, known, place)
    return Neighbours(np.where(place >= 0, similarity, -np.inf), place.astype(np.int64), candidates.copies)


def _scored(
    sought: NDArray[np.float64], known: NDArray[np.float64], place: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Similarities of the listed (-1: none), and their places, in descending order."""
    similarity = np.empty(place.shape)
    for start in range(0, len(place), BLOCK_SIZE):
        rows = slice(start, start + BLOCK_SIZE)
        similarity[rows] = np.vecdot(sought[rows, None, :], known[place[rows]])
    order = np.argsort(np.where(place >= 0, -similarity, np.inf), axis=1, kind="stable")
    return np.take_along_axis(similarity, order, axis=1), np.take_along_axis(place, order, axis=1)


def _recall(queries: UnitVectors, candidates: UnitVectors, near: Neighbours) -> float:
    """Share of the exact k nearest distinct candidates that a sample of queries has in its lists."""
    n = len(queries.distinct)
    sample = np.random.default_rng(0).permutation(n)[:SAMPLE]
    rows = queries.rows[queries.distinct[sample]]
    best = np.full((len(sample), near.k), -np.inf)
    place = np.full((len(sample), near.k), -1, np.int64)
    for start in range(0, len(candidates.distinct), BLOCK_SIZE):
        block = candidates.distinct_rows(start, min(start + BLOCK_SIZE, len(candidates.distinct)))
        values = np.concatenate([best, rows @ block.T], axis=1)
        places = np.concatenate(
            [place, np.broadcast_to(np.arange(len(block)) + start, (len(sample), len(block)))], axis=1
        )
        chosen = np.argsort(-values, axis=1, kind="stable")[:, : near.k]
        best, place = np.take_along_axis(values, chosen, axis=1), np.take_along_axis(places, chosen, axis=1)
    hits = (near.place[sample][:, :, None] == place[:, None, :]) & (place[:, None, :] >= 0)
    return float(hits.any(axis=1).mean())
