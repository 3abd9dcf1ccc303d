"""Responses of units, sorted once together with the language of every sentence: what rank-based scorers read.

A float32 response becomes an unsigned integer of the same order, the index of its language goes into the bits
below, and one values-only sort of those 64-bit keys ranks a unit for every target at once: no argsort, no gather.
Equal responses stay recognisable as equal upper halves, so that ties are exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numba
import numpy as np
from numpy.typing import NDArray

from sprachbund.errors import CorpusError, ModelError, SpecError

# numpy sorts up to 256 64-bit keys with a fixed network, and on some processors (AMD Zen 4) more than that with
# instructions several times slower than merging such runs.
RUN_LENGTH = 256
# Below this number of sentences every count (pairs, cubes of tie lengths) fits in 64 bits.
MAX_SENTENCES = 2_000_000


class NonFinite(ModelError):
    """A response is NaN or infinite; `row` is the unit's row, `sentence` the column, as the caller passed them.

    The scorers don't know which block and site a row is: whoever does catches this and names them.
    """

    def __init__(self, row: int, sentence: int, value: float) -> None:
        super().__init__(f"response of unit row {row} to sentence {sentence} is {value}; expected a finite number")
        self.row = row
        self.sentence = sentence
        self.value = value

    def __reduce__(self) -> tuple[type["NonFinite"], tuple[int, int, float]]:
        return NonFinite, (self.row, self.sentence, self.value)


@dataclass(frozen=True, slots=True)
class Target:
    """One language to be told from a stated list of others.

    positive: code of the target language; negatives: codes of the languages it is told from, in any order;
    name: what messages call it (the code where empty). Sentences of languages that aren't listed are ignored.
    """

    positive: int
    negatives: tuple[int, ...]
    name: str = ""

    def __post_init__(self) -> None:
        if not self.negatives:
            raise SpecError(f"target {self.label}: negatives are empty; expected at least one other language")
        if self.positive in self.negatives:
            raise SpecError(f"target {self.label}: negatives contain the target itself")
        if len(set(self.negatives)) != len(self.negatives):
            raise SpecError(f"target {self.label}: negatives name a language twice: {list(self.negatives)}")

    @property
    def label(self) -> str:
        return self.name or f"language {self.positive}"


@dataclass(frozen=True, slots=True)
class Layout:
    """Which sentences count and what they are to each target; the same for all units.

    columns int64 [used sentences]: positions in the caller's arrays; language uint64 [used sentences]: index into
    `counts`; counts int64 [languages]: sentences of each listed language; positive int64 [targets]: index of the
    target's language; negative bool [targets, languages].
    """

    targets: tuple[Target, ...]
    columns: NDArray[np.int64]
    language: NDArray[np.uint64]
    counts: NDArray[np.int64]
    positive: NDArray[np.int64]
    negative: NDArray[np.bool_]

    @property
    def n_positive(self) -> NDArray[np.int64]:
        """int64 [targets]: sentences of the target's language."""
        return self.counts[self.positive]

    @property
    def n_negative(self) -> NDArray[np.int64]:
        """int64 [targets]: sentences of all its negatives."""
        return np.where(self.negative, self.counts, 0).sum(axis=1)


def lay_out(language_of: NDArray[np.integer] | NDArray[np.bool_], targets: Sequence[Target]) -> Layout:
    """The layout of `targets` over sentences whose languages are `language_of` (integer or bool codes, 1-D).

    Raises SpecError without targets, CorpusError where a target or one of its negatives has no sentence.
    """
    codes = np.asarray(language_of)
    if codes.ndim != 1 or codes.dtype.kind not in "iub":
        raise ValueError(f"language_of: expected a 1-D array of integers, got {codes.dtype} {list(codes.shape)}")
    if codes.size > MAX_SENTENCES:
        raise CorpusError(f"language_of: {codes.size} sentences; expected at most {MAX_SENTENCES}")
    if not targets:
        raise SpecError("targets: none given; expected at least one target language")
    codes = codes.astype(np.int64)
    listed = np.array(sorted({code for t in targets for code in (t.positive, *t.negatives)}), dtype=np.int64)
    place = np.minimum(np.searchsorted(listed, codes), listed.size - 1)
    used = listed[place] == codes
    columns = np.flatnonzero(used).astype(np.int64)
    counts = np.bincount(place[used], minlength=listed.size).astype(np.int64)
    index = {int(code): i for i, code in enumerate(listed)}
    for target in targets:
        if counts[index[target.positive]] == 0:
            raise CorpusError(f"target {target.label}: no sentence of it; expected both positives and negatives")
        for code in target.negatives:
            if counts[index[code]] == 0:
                raise CorpusError(f"target {target.label}: no sentence of its negative, language {code}")
    negative = np.zeros((len(targets), listed.size), dtype=np.bool_)
    for row, target in enumerate(targets):
        negative[row, [index[code] for code in target.negatives]] = True
    positive = np.array([index[t.positive] for t in targets], dtype=np.int64)
    return Layout(tuple(targets), columns, place[used].astype(np.uint64), counts, positive, negative)


@dataclass(frozen=True)  # not slotted: `pairs` is computed at most once, by whichever scorer asks first
class RankedResponses:
    """Sorted responses of some units.

    keys uint64 [units, used sentences], ascending in each row: the ordered bits of the response above the index of
    the sentence's language. Sentences with equal keys are interchangeable, so that anything computed from a row
    in this order doesn't depend, bit for bit, on the order in which the sentences came.
    """

    layout: Layout
    keys: NDArray[np.uint64]

    @property
    def responses(self) -> NDArray[np.float32]:
        """float32 [units, used sentences], ascending in each row (-0.0 has become 0.0)."""
        ordered = (self.keys >> np.uint64(32)).astype(np.uint32)
        sign = np.uint32(0x80000000)
        return np.where(ordered >= sign, ordered ^ sign, ~ordered).view(np.float32)

    @property
    def languages(self) -> NDArray[np.int64]:
        """int64 [units, used sentences]: for each sorted response the index of its language in the layout."""
        return (self.keys & np.uint64(0xFFFFFFFF)).astype(np.int64)

    @cached_property
    def pairs(self) -> "Pairs":
        """Comparisons of each target language with every listed one."""
        slot_of = np.full(self.layout.counts.size, -1, dtype=np.int64)
        first = np.unique(self.layout.positive)
        slot_of[first] = np.arange(first.size)
        member = self.layout.negative.copy()
        member[np.arange(member.shape[0]), self.layout.positive] = True
        wins = np.zeros((self.keys.shape[0], first.size, slot_of.size), dtype=np.int64)
        ties = np.zeros((self.keys.shape[0], member.shape[0]), dtype=np.int64)
        _count_pairs(self.keys, slot_of, member, wins, ties)
        return Pairs(np.ascontiguousarray(wins[:, slot_of[self.layout.positive]]), ties)


@dataclass(frozen=True, slots=True)
class Pairs:
    """wins int64 [units, targets, languages]: twice the number of pairs (sentence of the target, sentence of the
    language) in which the target's response is greater, plus the number of equal ones; ties int64 [units, targets]:
    the sum of t³ - t over runs of t equal responses among the target's positives and negatives."""

    wins: NDArray[np.int64]
    ties: NDArray[np.int64]


def rank_responses(responses: NDArray[np.float32], layout: Layout, first_row: int = 0) -> RankedResponses:
    """Sort `responses` (float32 [units, sentences]) for `layout`; `first_row` is added to rows in messages.

    Only sentences of listed languages are read. Raises NonFinite at the first response among them that is NaN or
    infinite: an overflowed activation has no rank that means anything.
    """
    n_rows, n = responses.shape[0], layout.columns.size
    runs = 1
    while runs * RUN_LENGTH < n:
        runs *= 2
    length = -(-n // runs)
    padded = np.empty((n_rows, runs * length), dtype=np.uint64)
    bits = np.ascontiguousarray(responses).view(np.uint32)
    row, sentence = _pack(bits, layout.columns, layout.language, padded)
    if row >= 0:
        raise NonFinite(first_row + row, sentence, float(responses[row, sentence]))
    padded.reshape(n_rows, runs, length).sort(axis=2)
    if runs == 1:
        return RankedResponses(layout, padded)
    keys = np.empty((n_rows, n), dtype=np.uint64)
    _merge(padded, length, keys)
    return RankedResponses(layout, keys)


# The kernels index with unsigned integers: with signed ones numba tests each index for a negative value.


@numba.njit(cache=True, nogil=True)
def _pack(bits, columns, language, keys):  # type: ignore[no-untyped-def]
    """Fill `keys`, with the greatest integer beyond the last column; the (row, column) of the first response that
    isn't finite, or (-1, -1)."""
    n = columns.size
    for row in range(bits.shape[0]):
        greatest = np.uint32(0)
        for i in range(n):
            b = bits[row, np.uint64(columns[i])]
            magnitude = b & np.uint32(0x7FFFFFFF)
            greatest = max(greatest, magnitude)
            # Positive floats sort as their bits; negative ones in reverse, below them; -0.0 is 0.0.
            ordered = b | np.uint32(0x80000000)
            if b != magnitude and magnitude != 0:
                ordered = ~b
            keys[row, i] = (np.uint64(ordered) << np.uint64(32)) | language[i]
        for i in range(n, keys.shape[1]):
            keys[row, i] = np.uint64(0xFFFFFFFFFFFFFFFF)
        if greatest >= np.uint32(0x7F800000):
            for i in range(n):
                if bits[row, columns[i]] & np.uint32(0x7FFFFFFF) >= np.uint32(0x7F800000):
                    return row, columns[i]
    return -1, -1


@numba.njit(cache=True, nogil=True)
def _merge(padded, length, keys):  # type: ignore[no-untyped-def]
    """Fill `keys` with the rows of `padded` (destroyed), which consist of 2^p ascending runs of `length` keys.

    Two runs of equal length are merged from both ends at once: after as many steps as one run is long everything is
    placed, neither end can leave its run, and no branch depends on the keys.
    """
    one = np.uint64(1)
    width = padded.shape[1]
    scratch = np.empty(width, dtype=np.uint64)
    for row in range(padded.shape[0]):
        source, sink = padded[row], scratch
        half = length
        while half < width:
            for begin in range(0, width, 2 * half):
                low = left_up = np.uint64(begin)
                right_up = low + np.uint64(half)
                left_down = right_up - one
                high = right_down = left_down + np.uint64(half)
                for _ in range(half):
                    a, b = source[left_up], source[right_up]
                    left = a <= b
                    sink[low] = a if left else b
                    left_up += np.uint64(left)
                    right_up += np.uint64(not left)
                    low += one
                    a, b = source[left_down], source[right_down]
                    left = a > b
                    sink[high] = a if left else b
                    left_down -= np.uint64(left)
                    right_down -= np.uint64(not left)
                    high -= one
            source, sink = sink, source
            half *= 2
        keys[row] = source[: keys.shape[1]]


@numba.njit(cache=True, nogil=True)
def _count_pairs(keys, slot_of, member, wins, ties):  # type: ignore[no-untyped-def]
    """Fill `wins` [units, target languages, languages] and `ties` [units, targets]; see Pairs."""
    n_languages = slot_of.size
    n = np.uint64(keys.shape[1])
    one = np.uint64(1)
    language_bits = np.uint64(0xFFFFFFFF)
    below = np.empty(n_languages, dtype=np.int64)  # twice the sentences of each language with a smaller response
    run = np.zeros(n_languages, dtype=np.int64)
    won = np.empty((wins.shape[1], n_languages), dtype=np.int64)
    for row in range(keys.shape[0]):
        below[:] = 0
        won[:] = 0
        first = np.uint64(0)
        while first < n:
            key = keys[row, first]
            end = first + one
            while end < n and key ^ keys[row, end] <= language_bits:  # the same response
                end += one
            if end == first + one:
                language = key & language_bits
                slot = slot_of[language]
                if slot >= 0:
                    for other in range(n_languages):
                        won[np.uint64(slot), other] += below[other]
                below[language] += 2
            else:
                for i in range(first, end):
                    run[keys[row, i] & language_bits] += 1
                for language in range(n_languages):
                    slot = slot_of[language]
                    if slot >= 0 and run[language] > 0:
                        for other in range(n_languages):
                            won[slot, other] += run[language] * (below[other] + run[other])
                for target in range(member.shape[0]):
                    tied = np.int64(0)
                    for language in range(n_languages):
                        if member[target, language]:
                            tied += run[language]
                    ties[row, target] += tied * tied * tied - tied
                for language in range(n_languages):
                    below[language] += 2 * run[language]
                    run[language] = 0
            first = end
        wins[row] = won
