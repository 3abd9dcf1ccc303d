"""Families of tests: what p-values, or differences item by item, come to among all tests of a family."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sprachbund_runners.statistics.comparisons import Swaps

Differences = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Family:
    """Tests of one metric that are adjusted together [tests]: ids of what they are of, and q.

    scope: of comparisons; None of tests pair by pair.
    """

    metric: str
    scope: str | None
    ids: NDArray[np.int64]
    q: NDArray[np.float64]


def adjusted_p(p: ArrayLike, rule: str) -> NDArray[np.float64]:
    """p [tests] by Benjamini and Hochberg (`bh`) or Benjamini and Yekutieli (`by`); ValueError if one is none."""
    if not np.size(p):
        return np.empty(0)
    from scipy.stats import false_discovery_control  # half a second that a runner's start need not take

    return np.asarray(false_discovery_control(p, method=rule))


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

    metric: str
    scope: str | None
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

    def adjusted(self) -> Family:
        """The family of all tests so far."""
        self._swap()
        return Family(self.metric, self.scope, np.array(self.ids, np.int64), self.swaps.adjusted())

    def _swap(self) -> None:
        if self._waiting:
            self.swaps.add(self.items.columns(self._waiting))
            self._waiting.clear()


def rows(family: Family, family_id: int, of: str) -> Iterator[dict[str, Any]]:
    """Rows of a table of adjusted tests; `of`: its column with what they are of."""
    for test, q in zip(family.ids.tolist(), family.q.tolist(), strict=True):
        yield {of: test, "family_id": family_id, "q": q}


def swapped_p(items: Items, tests: Sequence[Differences], resamples: int, seed: int) -> NDArray[np.float64]:
    """p [tests] by max-T, of differences that fit into memory together."""
    swaps = Swaps(items.groups, resamples, seed)
    swaps.add(items.columns(tests))
    return swaps.adjusted()
