"""Families of tests: what p-values, or differences item by item, come to among all tests of a family."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from sprachbund_runners.statistics.comparisons import Swaps

Differences = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class FamilyName:
    """What tests of a family have alike. scope: of comparisons; None of tests pair by pair. kind: `steered`, …"""

    metric: str
    scope: str | None
    kind: str


@dataclass(frozen=True, slots=True)
class Family:
    """Tests that are adjusted together [tests]: ids of what they are of, and q.

    threshold: a p up to here has q <= alpha, given the others; None where draws are too few for any such p.
    q_floor: the least q that so many swaps can give; None where q follows from p.
    """

    name: FamilyName
    ids: NDArray[np.int64]
    q: NDArray[np.float64]
    threshold: float | None
    q_floor: float | None = None

    @classmethod
    def by_p(
        cls, name: FamilyName, ids: Sequence[int] | NDArray[np.int64], p: ArrayLike, rule: str, alpha: float,
        floor: float,
    ) -> "Family":  # fmt: skip
        """The family of tests with these p, of which none can be below `floor`."""
        q = adjusted_p(p, rule)
        reached = threshold(q, rule, alpha)
        return cls(name, np.asarray(ids, np.int64), q, reached if reached >= floor else None)


def adjusted_p(p: ArrayLike, rule: str) -> NDArray[np.float64]:
    """p [tests] by Benjamini and Hochberg (`bh`) or Benjamini and Yekutieli (`by`); ValueError if one is none."""
    if not np.size(p):
        return np.empty(0)
    from scipy.stats import false_discovery_control  # half a second that a runner's start need not take

    return np.asarray(false_discovery_control(p, method=rule))


def threshold(q: ArrayLike, rule: str, alpha: float) -> float:
    """The p up to which a test of the family counts as found: alpha · max(1, found) / tests, of `by` / Σ 1/rank too."""
    found = np.asarray(q)
    share = alpha * max(1, int((found <= alpha).sum())) / len(found)
    return share if rule == "bh" else share / float((1 / np.arange(1, len(found) + 1)).sum())


@dataclass(frozen=True, slots=True)
class Items:
    """The items of all corpora of a group, one corpus after the other. groups: numbers, None where each is its own."""

    starts: Mapping[str, int]
    n: int
    groups: Sequence[int] | None

    @classmethod
    def of(cls, corpora: Mapping[str, tuple[int, Sequence[str] | None]], unit: str) -> "Items":
        """Of corpora with so many items and, by item, these groups; `unit`: what is swapped, items or groups."""
        starts: dict[str, int] = {}
        labels: list[Any] = []
        for corpus, (n, groups) in sorted(corpora.items()):
            starts[corpus] = len(labels)
            # Groups of different corpora are different groups.
            labels += [(corpus, each) for each in (range(n) if groups is None or unit == "item" else groups)]
        names = {label: number for number, label in enumerate(dict.fromkeys(labels))}
        together = None if len(names) == len(labels) else [names[label] for label in labels]
        return cls(starts, len(labels), together)

    def columns(self, differences: Sequence[Differences]) -> NDArray[np.float64]:
        """Differences [items, tests]; a corpus that a test does not use counts as 0 there."""
        table = np.zeros((self.n, len(differences)))
        for column, each in enumerate(differences):
            for corpus, items in each.items():
                start = self.starts[corpus]
                table[start : start + len(items), column] = items
        return table


@dataclass(slots=True)
class SwappedFamily:
    """A family adjusted by max-T; `most`: tests whose differences are held at once."""

    name: FamilyName
    items: Items
    swaps: Swaps
    most: int
    ids: list[int] = field(default_factory=list)
    _waiting: list[Differences] = field(default_factory=list)

    def add(self, test: int, differences: Differences) -> None:
        """One more test, by the id of what it is of."""
        self.ids.append(test)
        self._waiting.append(differences)
        if len(self._waiting) >= self.most:
            self._swap()

    def adjusted(self, alpha: float) -> Family:
        """The family of all tests so far. Its threshold is that of |T|, as the p of a normal deviate."""
        self._swap()
        critical = self.swaps.critical(alpha)
        reached = None if math.isinf(critical) else float(2 * ndtr(-critical))
        ids = np.array(self.ids, np.int64)
        return Family(self.name, ids, self.swaps.adjusted(), reached, 1 / (1 + self.swaps.resamples))

    def _swap(self) -> None:
        if self._waiting:
            self.swaps.add(self.items.columns(self._waiting))
            self._waiting.clear()


def row_of(family: Family) -> dict[str, Any]:
    """The row of a family, but for its job and role."""
    return {
        **asdict(family.name), "size": len(family.ids), "threshold": family.threshold, "q_floor": family.q_floor,
    }  # fmt: skip


def alpha_of(confidence: float) -> float:
    """What q is held against, up to the rounding of 1 - .95."""
    return round(1 - confidence, 12)


def rows(family: Family, family_id: int, of: str) -> Iterator[dict[str, Any]]:
    """Rows of a table of adjusted tests; `of`: its column with what they are of."""
    for test, q in zip(family.ids.tolist(), family.q.tolist(), strict=True):
        yield {of: test, "family_id": family_id, "q": q}
