"""The level of a random ranking of N candidates, some of which have equal texts.

sizes: of the groups of equal texts, which add up to N. A candidate whose group has g members has g right ones where
equal texts are all gold; each candidate is as often the translation that is asked for as any other.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from math import fsum


def index(sizes: Sequence[int]) -> float | None:
    """1 / N: the right one is that of the same index alone."""
    return 1 / sum(sizes) if sizes else None


def wrong_index(sizes: Sequence[int]) -> float | None:
    """1 − 1 / N."""
    return 1 - 1 / sum(sizes) if sizes else None


def wrong_text(sizes: Sequence[int]) -> float | None:
    """Mean of 1 − g / N: the first candidate has another text."""
    right = top(1)(sizes)
    return None if right is None else 1 - right


def top(k: int) -> Callable[[Sequence[int]], float | None]:
    """Mean of 1 − C(N − g, k) / C(N, k): one of g right ones is among the first k."""

    def level(sizes: Sequence[int]) -> float | None:
        return _mean(sizes, lambda n, g: fsum(_first(n, g, k)))

    return level


def reciprocal_rank(sizes: Sequence[int]) -> float | None:
    """Mean of E[1 / place of the first of g right ones]."""
    return _mean(sizes, lambda n, g: fsum(p / place for place, p in enumerate(_first(n, g, n), 1)))


def rivals_behind(sizes: Sequence[int]) -> float | None:
    """Mean of g / (g + 1): the share of candidates of other texts behind the first of g right ones.

    Where all texts are equal nothing is told from anything: None.
    """
    return _mean(sizes, lambda n, g: g / (g + 1)) if len(sizes) > 1 else None


def _first(n: int, g: int, most: int) -> list[float]:
    """P(the first of g right ones is at place r) = C(n − r, g − 1) / C(n, g), for r up to `most`."""
    found, behind = [], 1.0
    for before in range(min(most, n - g + 1)):
        found.append(behind * g / (n - before))
        behind *= (n - before - g) / (n - before)
    return found


def _mean(sizes: Sequence[int], level: Callable[[int, int], float]) -> float | None:
    """The mean of level(N, g) over candidates, of which g in a group of g have it."""
    n = sum(sizes)
    return fsum(count * g / n * level(n, g) for g, count in Counter(sizes).items()) if n else None
