"""The general ABX task: is x closer to an a of its own category than to a b of another one?

    D = mean over triples (a, b, x) of 1[d(a, x) < d(b, x)] + ½ · 1[equal];   error = 1 − D, chance is .5

Which triples there are is said over label columns (the conventions of fastabx and ABXpy):
    ON      a and x share this label, b has another one
    BY      a, b and x share each of these
    ACROSS  a and b share each of these, x has another value of each
Cosine distances within 1e-12 of each other are equal: what differs by less is rounding.
x is never a itself. Triples with the same labels are a cell. Two ways to sum up:
    unweighted  the two orders of two ON values are averaged, then all pairs of ON values, then all groups (the
                combinations of BY and ACROSS values), every one counting alike
    weighted    every triple counts alike

No triplet tensor: per x the distances to its own category are sorted and those to all others searched in them,
O(n² (d + log n)) time and O(n) memory beside the distances of one block of x.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprachbund.embeddings.checked import checked_embeddings
from sprachbund.errors import ModelError, SpecError, nearest
from sprachbund.vocabulary import DISTANCES, Distance
from sprachbund_runners.evaluation.abx_kernel import count_wins
from sprachbund_runners.evaluation.similarity import blocks, unit_vectors

TIE = 1e-12
"""Cosines of unit vectors in float64 that differ by as little tie."""

BLOCK_BYTES = 1 << 23
"""Of distances held at once: 8 MiB in float64, which is some hundred x against some thousand candidates."""


@dataclass(frozen=True, slots=True)
class AbxTask:
    """ON one label, BY and ACROSS any others (all different)."""

    on: str
    by: tuple[str, ...] = ()
    across: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """`topic by language across group`."""
        parts = [self.on]
        parts += [f"by {'+'.join(self.by)}"] if self.by else []
        parts += [f"across {'+'.join(self.across)}"] if self.across else []
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class AbxVectors:
    """Embeddings as one distance sees them.

    rows: float64 [n, d], of length one unless the distance is Euclidean. squares: float64 [n], squared lengths, only
    for Euclidean. inverse: int64 [n], equal where vectors are equal bit for bit.
    """

    rows: NDArray[np.float64]
    squares: NDArray[np.float64] | None
    inverse: NDArray[np.int64]

    @property
    def tie(self) -> float:
        """Distances that differ by no more are equal; a Euclidean one has no scale of its own."""
        return TIE if self.squares is None else 0.0


@dataclass(frozen=True, slots=True)
class AbxGroup:
    """Triples that share their BY values and their ACROSS values.

    by: values. across: values of a and b. across_x: values of x (empty without ACROSS).
    classes: the values of ON. ab: int64 [m], rows of a and b, sorted by class; ab_class: int64 [m].
    x: int64 [k], rows of x; x_class: int64 [k]. Without ACROSS both are the same rows.
    """

    by: tuple[str, ...]
    across: tuple[str, ...]
    across_x: tuple[str, ...]
    classes: tuple[str, ...]
    ab: NDArray[np.int64]
    ab_class: NDArray[np.int64]
    x: NDArray[np.int64]
    x_class: NDArray[np.int64]

    @property
    def within(self) -> bool:
        """Whether x comes from the same rows as a: then x = a is left out."""
        return not self.across


@dataclass(frozen=True, slots=True)
class AbxScore:
    """One group's score.

    value, weighted: D, unweighted and weighted. triples: how many there are. cells: float64 [classes, classes], D of
    the cell with a's class (row) and b's class (column), NaN where it has no triples. n_pairs: pairs of classes.
    items: float64 [k], per x the mean over b's classes of its D, NaN where it has no triples.
    draws: float64 [r], `value` under each bootstrap draw (NaN where a draw leaves no triples); weighted_wins and
    weighted_triples: float64 [r], whose ratio is `weighted` under the draw.
    """

    value: float
    weighted: float
    triples: float
    n_pairs: int
    cells: NDArray[np.float64]
    items: NDArray[np.float64]
    draws: NDArray[np.float64]
    weighted_wins: NDArray[np.float64]
    weighted_triples: NDArray[np.float64]


def abx_vectors(embeddings: NDArray[Any], distance: Distance, name: str = "embeddings") -> AbxVectors:
    """Prepare `embeddings` [n, d]. Angular and cosine distance are monotone in each other: the same ABX.

    Raises ModelError for unusable embeddings (for a zero vector only where it needs a direction), SpecError for an
    unknown distance.
    """
    if distance not in DISTANCES:
        raise SpecError(
            f"distance: found '{distance}', expected one of {', '.join(DISTANCES)}{nearest(distance, DISTANCES)}"
        )
    array = checked_embeddings(embeddings, name).astype(np.float64)
    if distance != "euclidean":
        unit = unit_vectors(array, name)
        return AbxVectors(unit.rows, None, unit.inverse)
    squares = np.vecdot(array, array)
    if not np.isfinite(squares).all():
        raise ModelError(f"{name}: row {np.flatnonzero(~np.isfinite(squares))[0]} holds NaN, infinity or huge numbers")
    inverse = np.unique(array + 0.0, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return AbxVectors(array, squares, inverse)


def abx_groups(task: AbxTask, labels: Mapping[str, Sequence[str]]) -> list[AbxGroup]:
    """The groups of `task` over rows with these labels (each [n]), in the order of their values.

    Groups that can have no triple (one ON value only, or no x) are left out.
    Raises SpecError for a label that is missing or named twice, and if no group is left.
    """
    named = (task.on, *task.by, *task.across)
    for name in named:
        if name not in labels:
            raise SpecError(f"abx: no label '{name}', only {', '.join(sorted(labels))}{nearest(name, labels)}")
    if len(set(named)) < len(named):
        raise SpecError(f"abx: a label is named twice in '{task.name}'")
    by, by_values = _joint(task.by, labels)
    across, across_values = _joint(task.across, labels)
    on = np.asarray(labels[task.on])
    groups = []
    for number, values in enumerate(by_values):
        here = np.flatnonzero(by == number)
        if not task.across:
            groups += _group(values, (), (), on, here, here)
            continue
        for first, a_values in enumerate(across_values):
            for second, x_values in enumerate(across_values):
                if all(a != x for a, x in zip(a_values, x_values, strict=True)):
                    ab, x = here[across[here] == first], here[across[here] == second]
                    groups += _group(values, a_values, x_values, on, ab, x)
    if not groups:
        raise SpecError(f"abx: '{task.name}' has no triples: no x with an a of its {task.on} and a b of another")
    return groups


def score_group(
    vectors: AbxVectors,
    group: AbxGroup,
    multiplicities: NDArray[np.float64] | None = None,
    items: NDArray[np.int64] | None = None,
) -> AbxScore:
    """All triples of a group.

    multiplicities: float64 [r, n], how often each row of `vectors` is drawn in each bootstrap draw: triples count as
    often as their three members together, and a copy of x is as little an a as x itself.
    items: int64 [n], the item of each row where rows of one item are drawn together (translations; None: every row is
    an item of its own). An a of x's item then counts as often as x, not as its square, which would give translations
    twice their weight.
    """
    weights = np.ones((1, len(vectors.rows)))
    if multiplicities is not None:
        weights = np.concatenate([weights, multiplicities])
    m_ab, m_x = weights[:, group.ab], weights[:, group.x]
    n_classes = len(group.classes)
    size = _class_sums(m_ab, group.ab_class, n_classes)
    squared = _class_sums(m_ab * m_ab, group.ab_class, n_classes)
    named = np.arange(len(vectors.rows)) if items is None else items
    # How many a have the item of x, itself not counted.
    same = _same_items(named[group.ab], group.ab_class, named[group.x], group.x_class) - group.within
    # Σ over x and a of their multiplicities, per class.
    pairs = size * size - squared if group.within else size * _class_sums(m_x, group.x_class, n_classes)
    pairs -= _class_sums((m_x * m_x - m_x) * same, group.x_class, n_classes)
    # Both orders of two classes are averaged; where only one has triples, it stands alone.
    share = np.where(size > 0, np.where(pairs > 0, 0.5, 1.0), 0.0)
    n_pairs = np.where(pairs > 0, share.sum(axis=1, keepdims=True) - share, 0.0).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        per_size = np.where(size > 0, 1.0 / size, 0.0)
        per_pair = np.where(pairs > 0, 1.0 / pairs, 0.0)
    b_even = m_ab * (per_size * share)[:, group.ab_class]
    x_even = m_x * per_pair[:, group.x_class]
    starts = np.searchsorted(group.ab_class, np.arange(n_classes + 1)).astype(np.int64)
    own = _own_places(group)
    even, wins = np.zeros(len(weights)), np.zeros(len(weights))
    cells = np.zeros((n_classes, n_classes))
    of_x = np.full(len(group.x), np.nan)
    for rows, distances in _distance_blocks(vectors, group):
        count_wins(
            distances, group.x_class[rows], own[rows], named[group.x[rows]], named[group.ab], starts, m_ab, b_even,
            m_x[:, rows].copy(), x_even[:, rows].copy(), vectors.tie, even, wins, cells, of_x[rows],
        )  # fmt: skip
    triples = (pairs * (size.sum(axis=1, keepdims=True) - size)).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        cells = cells / (pairs[0][:, None] * size[0][None, :])
        np.fill_diagonal(cells, np.nan)
        draws = even / n_pairs
        weighted = wins[0] / triples[0]
    return AbxScore(
        value=float(draws[0]),
        weighted=float(weighted),
        triples=float(triples[0]),
        n_pairs=round(n_pairs[0]),
        cells=cells,
        items=of_x,
        draws=draws[1:],
        weighted_wins=wins[1:],
        weighted_triples=triples[1:],
    )


def joined_draws(scores: Sequence[AbxScore]) -> AbxScore:
    """One score with the draws of all: of a group that was scored some draws at a time."""
    return replace(
        scores[0],
        draws=np.concatenate([score.draws for score in scores]),
        weighted_wins=np.concatenate([score.weighted_wins for score in scores]),
        weighted_triples=np.concatenate([score.weighted_triples for score in scores]),
    )


@dataclass(frozen=True, slots=True)
class SampledScore:
    """D of randomly drawn triples with its standard error, for each way of summing up."""

    value: float
    standard_error: float
    weighted: float
    weighted_standard_error: float
    n_triples: int


def sample_group(vectors: AbxVectors, group: AbxGroup, n_triples: int, seed: Sequence[int]) -> SampledScore:
    """D of `n_triples` triples drawn with replacement, once evenly over pairs of classes and once over triples.

    The standard error is that of the drawing alone: it falls with n_triples, and says nothing about other items.
    """
    drawn = np.random.default_rng(list(seed))
    even, plain = (_wins_of(vectors, *_draw_triples(group, n_triples, way, drawn)) for way in (True, False))
    return SampledScore(
        float(even.mean()), _standard_error(even), float(plain.mean()), _standard_error(plain), n_triples
    )


def _standard_error(wins: NDArray[np.float64]) -> float:
    return float(wins.std(ddof=1) / np.sqrt(len(wins))) if len(wins) > 1 else float("nan")


def _joint(
    names: Sequence[str], labels: Mapping[str, Sequence[str]]
) -> tuple[NDArray[np.int64], list[tuple[str, ...]]]:
    """(int64 [n] which combination of these labels' values a row has, the combinations in order)."""
    n = len(next(iter(labels.values())))
    rows = list(zip(*(labels[name] for name in names), strict=True)) if names else [()] * n
    values = sorted(set(rows))
    places = {value: number for number, value in enumerate(values)}
    return np.array([places[row] for row in rows], dtype=np.int64), values


def _group(
    by: tuple[str, ...],
    across: tuple[str, ...],
    across_x: tuple[str, ...],
    on: NDArray[Any],
    ab: NDArray[np.int64],
    x: NDArray[np.int64],
) -> list[AbxGroup]:
    """The group, or nothing if it has no triple."""
    classes, ab_class = np.unique(on[ab], return_inverse=True)
    order = np.argsort(ab_class, kind="stable")
    kept = x[np.isin(on[x], classes)]
    x_class = np.searchsorted(classes, on[kept])
    has_a = np.bincount(ab_class, minlength=len(classes))[x_class] > (0 if across else 1)
    if len(classes) < 2 or not has_a.any():
        return []
    names = tuple(str(each) for each in classes)
    return [
        AbxGroup(by, across, across_x, names, ab[order], ab_class[order].astype(np.int64), kept,
                 x_class.astype(np.int64))
    ]  # fmt: skip


def _class_sums(values: NDArray[np.float64], classes: NDArray[np.int64], n_classes: int) -> NDArray[np.float64]:
    """float64 [r, n_classes] from values [r, m]."""
    out = np.zeros((len(values), n_classes))
    for row in range(len(values)):
        out[row] = np.bincount(classes, values[row], n_classes)
    return out


def _same_items(
    ab_item: NDArray[np.int64], ab_class: NDArray[np.int64], x_item: NDArray[np.int64], x_class: NDArray[np.int64]
) -> NDArray[np.float64]:
    """float64 [k]: how many of `ab` have the class and the item of each x."""
    width = max(int(ab_item.max()), int(x_item.max())) + 1
    keys, counts = np.unique(ab_class * width + ab_item, return_counts=True)
    wanted = x_class * width + x_item
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, counts[place], 0).astype(np.float64)


def _own_places(group: AbxGroup) -> NDArray[np.int64]:
    """int64 [k]: where x itself is among `ab`, −1 if it is not."""
    if not group.within:
        return np.full(len(group.x), -1, dtype=np.int64)
    order = np.argsort(group.ab)
    return order[np.searchsorted(group.ab, group.x, sorter=order)]


def _distance_blocks(vectors: AbxVectors, group: AbxGroup) -> Any:
    """Yield (slice of x, float64 [x, ab] something monotone in the distance), a few rows of x at a time."""
    # Equal vectors meet the product once, so that their distances are equal bit for bit and tie.
    distinct, first, place = np.unique(vectors.inverse[group.ab], return_index=True, return_inverse=True)
    expand = None if len(distinct) == len(group.ab) else place.reshape(-1)
    chosen = group.ab if expand is None else group.ab[first]
    others = _transposed(vectors.rows, chosen)
    step = max(1, BLOCK_BYTES // (8 * len(group.ab)))
    for start in range(0, len(group.x), step):
        rows = slice(start, min(start + step, len(group.x)))
        distances = vectors.rows[group.x[rows]] @ others
        if vectors.squares is None:
            np.negative(distances, out=distances)
        else:
            # The squared length of x is the same for all of its candidates.
            distances *= -2.0
            distances += vectors.squares[chosen]
        yield rows, distances if expand is None else distances[:, expand]


def _transposed(rows: NDArray[np.float64], chosen: NDArray[np.int64]) -> NDArray[np.float64]:
    """float64 [d, m]: the chosen rows as columns, copied a few at a time so that what is read stays in the cache."""
    columns = np.empty((rows.shape[1], len(chosen)))
    for part in blocks(len(chosen), 32):
        columns[:, part] = rows[chosen[part]].T
    return columns


def _draw_triples(
    group: AbxGroup, n: int, even: bool, drawn: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Rows (a, b, x), int64 [n] each."""
    n_classes = len(group.classes)
    size = np.bincount(group.ab_class, minlength=n_classes).astype(np.float64)
    n_x = np.bincount(group.x_class, minlength=n_classes).astype(np.float64)
    pairs = size * (size - 1) if group.within else size * n_x
    # As in `score_group`: pairs of classes alike, or every triple alike.
    a_mass, b_mass = (pairs > 0, np.where(pairs > 0, 0.5, 1.0)) if even else (pairs, size)
    mass = a_mass[:, None] * b_mass[None, :]
    np.fill_diagonal(mass, 0.0)
    cell = drawn.choice(n_classes * n_classes, size=n, p=(mass / mass.sum()).reshape(-1))
    a_class, b_class = np.divmod(cell, n_classes)
    starts = np.searchsorted(group.ab_class, np.arange(n_classes))
    b = group.ab[starts[b_class] + _uniform(drawn, size[b_class])]
    if group.within:
        a_place = _uniform(drawn, size[a_class])
        x_place = _uniform(drawn, size[a_class] - 1)
        x_place += x_place >= a_place
        return group.ab[starts[a_class] + a_place], b, group.ab[starts[a_class] + x_place]
    x_order = np.argsort(group.x_class, kind="stable")
    x_starts = np.searchsorted(group.x_class[x_order], np.arange(n_classes))
    a = group.ab[starts[a_class] + _uniform(drawn, size[a_class])]
    return a, b, group.x[x_order][x_starts[a_class] + _uniform(drawn, n_x[a_class])]


def _uniform(drawn: np.random.Generator, sizes: NDArray[np.float64]) -> NDArray[np.int64]:
    return drawn.integers(0, sizes.astype(np.int64))


def _wins_of(
    vectors: AbxVectors, a: NDArray[np.int64], b: NDArray[np.int64], x: NDArray[np.int64]
) -> NDArray[np.float64]:
    """float64 [n]: 1, ½ or 0 per triple."""
    wins = np.empty(len(x))
    for start in range(0, len(x), 1024):
        part = slice(start, start + 1024)
        near, far = (_distance(vectors, rows[part], x[part]) for rows in (a, b))
        wins[part] = (near < far - vectors.tie) + 0.5 * (np.abs(near - far) <= vectors.tie)
    wins[vectors.inverse[a] == vectors.inverse[b]] = 0.5
    return wins


def _distance(vectors: AbxVectors, rows: NDArray[np.int64], x: NDArray[np.int64]) -> NDArray[np.float64]:
    dots = np.vecdot(vectors.rows[rows], vectors.rows[x])
    return -dots if vectors.squares is None else vectors.squares[rows] - 2.0 * dots
