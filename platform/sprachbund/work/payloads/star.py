"""What payloads of work on language pairs have in common: a job does a *star*, one language's pairs with some others.

Every pair has a key of its own, so that which pairs are done is told by content, whatever star they were done in.
"""

from abc import abstractmethod
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Self

from sprachbund.work.payloads.base import Layered, Part


@dataclass(frozen=True, slots=True)
class Pair(Part):
    """Two sides of a corpus, and the key of everything that results of this pair depend on."""

    first: str
    second: str
    key: str

    @property
    def sides(self) -> tuple[str, str]:
        return self.first, self.second


class Starred(Layered):
    """A payload of work on pairs; what is planned has all of them, a job one star. No subject has the pairs in it."""

    __slots__ = ()
    pairs: tuple[Pair, ...]
    setting: str
    group: str
    split: str

    @abstractmethod
    def part(self, pairs: Sequence[Any], layers: tuple[str, ...]) -> Self:
        """The payload of a job that does these pairs at these layers."""

    def without(self, foreign: Collection[tuple[str, str]]) -> Self:
        """The payload less the pairs of these sides."""
        if not foreign:
            return self
        return self.part([pair for pair in self.pairs if pair.sides not in foreign], self.layers)

    @property
    def needed_pairs(self) -> frozenset[str] | None:
        """Keys of the pairs that must be done before, where its needs have pairs."""
        return None

    @property
    def shared(self) -> dict[str, Any]:
        return {"setting": self.setting, "corpus": self.group, "split": self.split}

    @property
    def languages(self) -> tuple[str, ...]:
        """The sides of all its pairs."""
        return sides_of(self.pairs)

    @property
    def whose(self) -> str:
        """The pairs in words: the one there is, or whose they are."""
        if len(self.pairs) == 1:
            return " and ".join(self.pairs[0].sides)
        (centre,) = reduce(set.intersection, (set(pair.sides) for pair in self.pairs))
        return f"{centre} and {len(self.pairs)} others"


def sides_of(pairs: Iterable[Pair]) -> tuple[str, ...]:
    """Every side of the pairs, sorted."""
    return tuple(sorted({side for pair in pairs for side in pair.sides}))
