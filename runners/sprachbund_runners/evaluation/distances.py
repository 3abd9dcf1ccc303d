"""Distances between and within languages: cosine distance 1 - cos, in [0, 2], float64.

Between two languages whose items are translations of each other:
    paired     mean distance of an item to its translation
    unpaired   mean distance of an item to the sentences that are not its translation, every item counting alike
    gap        unpaired - paired: what is left of alignment when a common component draws everything together
    centroid   distance of the two languages' means (of the embeddings as they are, not of unit vectors)
Within one language:
    spread     mean distance of its items to its mean
    within     mean distance of two different items
Among the languages of one setting, from their means: `SpaceDistances`.

No matrix of all pairs is formed: the mean over all pairs of unit vectors is a product of their sums.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprachbund.errors import ModelError, nearest
from sprachbund_runners.evaluation.similarity import UnitVectors, check_same_width, scaled, unit_vectors

VANISHING_CENTROID = 1e-5
"""A mean shorter than this share of its items' mean length is rounding, not a direction (text centred on itself)."""

_CHUNK_ROWS = 64


@dataclass(frozen=True, slots=True)
class LanguageVectors:
    """One language under one setting at one layer.

    unit: its items as unit vectors.
    groups: int64 [n], equal where texts are the same after normalisation.
    centroid: float64 [d], the mean embedding; None if it vanishes and so has no direction.
    """

    unit: UnitVectors
    groups: NDArray[np.int64]
    centroid: NDArray[np.float64] | None


def language_vectors(
    embeddings: NDArray[Any], groups: NDArray[np.integer[Any]] | None = None, name: str = "embeddings"
) -> LanguageVectors:
    """Prepare `embeddings` [n, d] of one language; `groups` int [n] as for retrieval (None: all texts differ).

    Raises ModelError for unusable embeddings (see `unit_vectors`), ValueError if groups do not fit.
    """
    found = scaled(embeddings, name)
    unit, centroid = found.unit, found.mean
    labels = np.arange(unit.n) if groups is None else np.asarray(groups)
    if labels.shape != (unit.n,) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"{name}: expected integer groups of shape [{unit.n}], found {labels.dtype} {labels.shape}")
    vanishes = np.linalg.norm(centroid) < VANISHING_CENTROID * found.lengths.mean()
    return LanguageVectors(unit, labels.astype(np.int64), None if vanishes else centroid)


@dataclass(frozen=True, slots=True)
class ItemDistances:
    """Per item of one pair of sides; means over items are the pair's figures.

    paired: float64 [n], distance of the item's two sides.
    unpaired: float64 [n], mean distance of either side to what is not its translation, averaged over the two
        sides. NaN for an item whose text is shared by all.
    """

    paired: NDArray[np.float64]
    unpaired: NDArray[np.float64]

    @property
    def gap(self) -> NDArray[np.float64]:
        """float64 [n]: unpaired - paired."""
        return self.unpaired - self.paired


def item_distances(x: LanguageVectors, y: LanguageVectors) -> ItemDistances:
    """Paired and unpaired distances of every item, row i of x being the translation of row i of y.

    For the unpaired distance of i all j are left out whose text equals that of i on either side: they say the same.
    Symmetric in x and y. Exact in O(n d): from the sum of a side less the sums over the groups left out.

    Raises ModelError if widths or types differ, ValueError if the sides differ in length.
    """
    check_same_width(x.unit, y.unit)
    if x.unit.n != y.unit.n:
        raise ValueError(f"distances: expected as many items on both sides, found {x.unit.n} and {y.unit.n}")
    similar = row_dots(x.unit.rows, y.unit.rows)
    from_x = _unpaired(x.unit.rows, y.unit.rows, x.groups, y.groups, similar)
    from_y = _unpaired(y.unit.rows, x.unit.rows, x.groups, y.groups, similar)
    return ItemDistances(1.0 - similar, (from_x + from_y) / 2)


def centroid_distance(x: LanguageVectors, y: LanguageVectors) -> float:
    """Distance of the two languages' means; NaN if one vanishes. Items need not be aligned."""
    check_same_width(x.unit, y.unit)
    return _distance(x.centroid, y.centroid)


def spread(x: LanguageVectors) -> float:
    """Mean distance of the items to their language's mean; NaN if that vanishes."""
    if x.centroid is None:
        return float("nan")
    direction = x.centroid / np.linalg.norm(x.centroid)
    return float(1.0 - x.unit.resolved().rows.sum(axis=0, dtype=np.float64) @ direction / x.unit.n)


def within_distance(x: LanguageVectors) -> float:
    """Mean distance of two items of different text within one language; NaN if all texts are the same."""
    n, rows = x.unit.n, x.unit.resolved().rows
    total = rows.sum(axis=0, dtype=np.float64)
    same, sizes = _group_dots(rows, rows, x.groups, row_dots(rows, rows))
    pairs = n * n - sizes.sum()
    return float(1.0 - (total @ total - same.sum()) / pairs) if pairs > 0 else float("nan")


@dataclass(frozen=True, slots=True)
class SpaceDistances:
    """Distances among the centroids of the languages of one setting (Table 1 of Sundar et al., 2025).

    languages: their codes, in the order of every array.
    centroid_distances: float64 [languages, languages].
    all_pairs: mean over unordered pairs of different languages.
    medoid: the language whose centroid has the least summed distance to the others (the first of equals).
    to_medoid: float64 [languages], distance to the medoid; NaN for the medoid itself, whose 0 says nothing.
    to_medoid_of_others: float64 [languages], distance to the medoid of the *other* languages: never NaN by itself,
        so it can be compared before and after even if the language becomes the medoid. Equally central ones (always
        the two others of three languages) are averaged.
    to_frozen_medoid: float64 [languages] or None, distance to a medoid language named by another setting.
    """

    languages: tuple[str, ...]
    centroid_distances: NDArray[np.float64]
    all_pairs: float
    medoid: str
    to_medoid: NDArray[np.float64]
    to_medoid_of_others: NDArray[np.float64]
    to_frozen_medoid: NDArray[np.float64] | None

    def to_target(self, target: str) -> NDArray[np.float64]:
        """float64 [languages]: distance to `target`'s centroid; NaN for the target itself."""
        return _to_language(self.centroid_distances, self.languages, target, "target")

    def mean_over_others(self, values: NDArray[np.float64], target: str) -> float:
        """Mean of `values` over the languages other than `target`, the undefined (the medoid itself) left out."""
        others = np.delete(values, _index(self.languages, target, "target"))
        defined = others[~np.isnan(others)]
        return float(defined.mean()) if len(defined) else float("nan")


def space_distances(
    centroids: Mapping[str, NDArray[np.float64] | None], frozen_medoid: str | None = None
) -> SpaceDistances:
    """Distances among the centroids, each float64 [d], of at least three languages of one setting.

    frozen_medoid: a language that was the medoid under another setting (usually before the intervention).

    Raises ModelError if there are fewer than three languages, a centroid vanished (None), widths differ, or
    `frozen_medoid` is not among the languages.
    """
    languages = tuple(centroids)
    if len(languages) < 3:
        raise ModelError(f"space distances: expected at least three languages, found {len(languages)}")
    stacked = []
    for language, centroid in centroids.items():
        if centroid is None:
            raise ModelError(f"space distances: the mean of {language} vanishes (centred text?) and has no direction")
        stacked.append(centroid)
    if len({centroid.shape for centroid in stacked}) != 1:
        raise ModelError(f"space distances: widths differ: {[len(centroid) for centroid in stacked]}")
    unit = unit_vectors(np.stack(stacked).astype(np.float64), "language means").rows
    distances = 1.0 - unit @ unit.T
    distances = (distances + distances.T) / 2
    np.fill_diagonal(distances, 0.0)
    upper = np.triu_indices(len(languages), 1)
    medoid = int(distances.sum(axis=1).argmin())
    frozen = None
    if frozen_medoid is not None:
        frozen = _to_language(distances, languages, frozen_medoid, "frozen medoid")
    return SpaceDistances(
        languages=languages,
        centroid_distances=distances,
        all_pairs=float(distances[upper].mean()),
        medoid=languages[medoid],
        to_medoid=_to_language(distances, languages, languages[medoid], "medoid"),
        to_medoid_of_others=_to_medoid_of_others(distances),
        to_frozen_medoid=frozen,
    )


def _to_medoid_of_others(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    sums = distances.sum(axis=1)
    without = sums[:, None] - distances  # [candidate, left out]: summed distance over the languages that remain
    np.fill_diagonal(without, np.inf)
    # Of three languages the two others are always equally central: only rounding would choose between them.
    central = without <= without.min(axis=0) + 1e-12
    return np.asarray((distances * central).sum(axis=0) / central.sum(axis=0))


def _to_language(
    distances: NDArray[np.float64], languages: Sequence[str], language: str, role: str
) -> NDArray[np.float64]:
    place = _index(languages, language, role)
    out = distances[:, place].copy()
    out[place] = np.nan
    return out


def _index(languages: Sequence[str], language: str, role: str) -> int:
    if language not in languages:
        raise ModelError(f"{role}: {language} is not among the evaluated languages{nearest(language, languages)}")
    return languages.index(language)


def _distance(x: NDArray[np.float64] | None, y: NDArray[np.float64] | None) -> float:
    if x is None or y is None:
        return float("nan")
    return float(1.0 - (x / np.linalg.norm(x)) @ (y / np.linalg.norm(y)))


def row_dots(x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """float64 [n]: x_i · y_i, accumulated in float64 a few rows at a time."""
    out = np.empty(len(x))
    for start in range(0, len(x), _CHUNK_ROWS):
        rows = slice(start, start + _CHUNK_ROWS)
        out[rows] = np.vecdot(x[rows].astype(np.float64), y[rows].astype(np.float64))
    return out


def _unpaired(
    x: NDArray[Any],
    y: NDArray[Any],
    groups: NDArray[np.int64],
    other: NDArray[np.int64],
    own: NDArray[np.float64],
) -> NDArray[np.float64]:
    """float64 [n]: mean distance of x_i to all y_j but those with i's group on either side; own: x_i · y_i."""
    n = len(x)
    similar, left = _dots_with(x, y.sum(axis=0, dtype=np.float64)), np.full(n, float(n))
    # Same group on one side or the other: |groups| + |other| - |both|.
    for labels, sign in ((groups, 1.0), (other, 1.0), (_joint_groups(groups, other), -1.0)):
        dots, sizes = _group_dots(x, y, labels, own)
        similar -= sign * dots
        left -= sign * sizes
    return np.where(left > 0, 1.0 - similar / np.where(left > 0, left, 1.0), np.nan)


def _dots_with(x: NDArray[Any], vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 [n]: x_i · vector."""
    out = np.empty(len(x))
    for start in range(0, len(x), _CHUNK_ROWS):
        rows = slice(start, start + _CHUNK_ROWS)
        out[rows] = x[rows].astype(np.float64) @ vector
    return out


def _group_dots(
    x: NDArray[Any], y: NDArray[Any], groups: NDArray[np.int64], own: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(float64 [n] x_i · the sum of y over i's group, float64 [n] group sizes); own: x_i · y_i."""
    _, inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)
    dots = own.copy()
    shared = np.flatnonzero(counts[inverse] > 1)
    if len(shared):
        labels, members = np.unique(inverse[shared], return_inverse=True)
        sums = np.zeros((len(labels), y.shape[1]))
        np.add.at(sums, members, y[shared].astype(np.float64))
        dots[shared] = row_dots(x[shared], sums[members])
    return dots, counts[inverse].astype(np.float64)


def _joint_groups(x: NDArray[np.int64], y: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64 [n]: equal where both groups are."""
    return np.unique(np.stack([x, y], axis=1), axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
