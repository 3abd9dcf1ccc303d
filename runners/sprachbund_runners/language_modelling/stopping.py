"""Reading documents in random order until an interval is narrow enough."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# The first look; an interval of fewer documents says little. Looks grow apart, so that there are few of them.
FIRST_LOOK = 64
GROWTH = 1.5
# One narrow look may be a low estimate of the spread, made before a rare long document; two seldom are.
NARROW_LOOKS = 2


@dataclass(frozen=True, slots=True)
class Reading:
    """How far a sequential reading went: the units read, in reading order, and whether it stopped before the end."""

    units: NDArray[np.int64]
    stopped: bool
    n_looks: int


def looks(n: int) -> Iterator[int]:
    """How many units have been read at each look: 64, 96, 144 … and n."""
    size = float(FIRST_LOOK)
    while size < n:
        yield int(size)
        size *= GROWTH
    yield n


def read_until(
    n: int, seed: int, read: Callable[[NDArray[np.int64]], None], narrow: Callable[[NDArray[np.int64]], bool]
) -> Reading:
    """Read units 0 … n - 1 in an order drawn from `seed`, look by look, until `narrow` is true of those read
    twice in a row.

    `read` gets the units new at each look, `narrow` all read so far. The order is random because the first units of
    a corpus are seldom like the rest. Looking repeatedly makes intervals cover somewhat less than they state: a few
    looks, growing apart, and two narrow ones to stop at keep that small.
    """
    order = np.random.default_rng(seed).permutation(n).astype(np.int64)
    done = n_looks = row = 0
    for size in looks(n):
        read(order[done:size])
        done, n_looks = size, n_looks + 1
        row = row + 1 if size < n and narrow(order[:size]) else 0
        if row == NARROW_LOOKS:
            return Reading(order[:size], True, n_looks)
    return Reading(order[:done], False, n_looks)
