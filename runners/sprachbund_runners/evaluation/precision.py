"""Similarity of a pair in float64 where its translations are so close together that float32 is too coarse.

Setting units can draw a whole space together: at 1 - cos = 1.6e-7 retrieval in float32 read top-1 .011 for 1.000. What
decides is the pair's own data: any translation whose two embeddings differ by less than `COARSE`. Products in float64
take about twice as long; to find out takes one product per item.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import wraps

import numpy as np

from sprachbund_runners.evaluation.distances import LanguageVectors, row_dots
from sprachbund_runners.evaluation.scores import PairMeasure, PairScores
from sprachbund_runners.evaluation.similarity import COARSE


def resolved(x: LanguageVectors, y: LanguageVectors) -> tuple[LanguageVectors, LanguageVectors, str | None]:
    """The pair, in float64 where it has to be, and a note that says so. Items i are translations of each other.

    A translation that is the same vector on both sides does not count: it ties exactly in any type.
    """
    if x.unit.rows.dtype == y.unit.rows.dtype == np.float64 or x.unit.rows.shape != y.unit.rows.shape:
        return x, y, None
    near = 1.0 - row_dots(x.unit.rows, y.unit.rows) < COARSE
    near[near] = (x.unit.rows[near] != y.unit.rows[near]).any(axis=1)
    if not near.any():
        return x, y, None
    x, y = (replace(each, unit=each.unit.widened()) for each in (x, y))
    least = np.median(1.0 - row_dots(x.unit.rows[near], y.unit.rows[near]))
    note = f"in float64: 1 - cos of {near.sum()} of {len(near)} translations is below {COARSE:g} (median {least:.1e})"
    return x, y, note


def resolving(metric: str) -> Callable[[PairMeasure], PairMeasure]:
    """Lets a measure see its pair `resolved`; the note stands under `metric`, after the measure's own."""

    def decorate(measure: PairMeasure) -> PairMeasure:
        @wraps(measure)
        def measured(x: LanguageVectors, y: LanguageVectors) -> PairScores:
            x, y, note = resolved(x, y)
            scores = measure(x, y)
            if note is None:
                return scores
            both = "; ".join(each for each in (scores.notes.get(metric), note) if each is not None)
            return replace(scores, notes={**scores.notes, metric: both})

        return measured

    return decorate
