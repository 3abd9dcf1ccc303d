"""The measures of a pair of languages, by name, and pairs of which one side is steered."""

from pkgutil import resolve_name
from typing import Literal

from sprachbund.measures import OF_PAIRS
from sprachbund_runners.evaluation.distances import (
    LanguageVectors,
    centroid_distance,
    item_distances,
    spread,
    within_distance,
)
from sprachbund_runners.evaluation.language_abx import language_abx
from sprachbund_runners.evaluation.precision import resolving
from sprachbund_runners.evaluation.scores import PairMeasure, PairScores


@resolving("language_abx")
def language_abx_scores(x: LanguageVectors, y: LanguageVectors) -> PairScores:
    """Language ABX in both orders."""
    return PairScores({"language_abx": language_abx(x, y)}, {"language_abx": language_abx(y, x)})


@resolving("paired_distance")
def distance_scores(x: LanguageVectors, y: LanguageVectors) -> PairScores:
    """Cosine distances between two languages."""
    items = item_distances(x, y)
    both = {"paired_distance": items.paired, "unpaired_distance": items.unpaired, "distance_gap": items.gap}
    return PairScores(both=both, values={"centroid_distance": centroid_distance(x, y)})


def spread_values(x: LanguageVectors) -> dict[str, float]:
    """Cosine distances within one language."""
    return {"spread": spread(x), "within_distance": within_distance(x)}


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


PAIR_MEASURES: dict[str, PairMeasure] = {name: resolve_name(measure.function) for name, measure in OF_PAIRS.items()}
"""Those of every pair that is evaluated."""
