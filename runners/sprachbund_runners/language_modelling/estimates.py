"""Perplexity and bits per byte of a sample of documents, with intervals over documents."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from sprachbund.statistics import bootstrap_draws

RESAMPLES = 1000
SEED = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its interval (NaN from fewer than two documents or groups)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Documents:
    """Sums per document or group, float64 [n]: nats, scored tokens, and UTF-8 bytes of the text they stand for."""

    nats: NDArray[np.float64]
    tokens: NDArray[np.float64]
    n_bytes: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.nats)

    def by_group(self, groups: Sequence[str] | None) -> "Documents":
        """Sums per group, in the order in which groups first appear; without groups as it is."""
        if groups is None:
            return self
        number: dict[str, int] = {}
        place = np.array([number.setdefault(group, len(number)) for group in groups], dtype=np.int64)
        return self.summed(place, len(number))

    def summed(self, place: NDArray[np.int64], n: int) -> "Documents":
        """Sums over documents with the same `place` in 0 … n - 1."""
        nats, tokens, n_bytes = (
            np.bincount(place, weights=each, minlength=n).astype(np.float64)
            for each in (self.nats, self.tokens, self.n_bytes)
        )
        return Documents(nats, tokens, n_bytes)

    def take(self, chosen: NDArray[np.int64]) -> "Documents":
        """Some of them."""
        return Documents(self.nats[chosen], self.tokens[chosen], self.n_bytes[chosen])


def bits_per_byte(documents: Documents, confidence: float = 0.95) -> Estimate:
    """Bits to encode the text / its UTF-8 bytes, summed over documents, with a bootstrap interval over them.

    Comparable across tokenizers, which perplexity is not. NaN without bytes.
    """
    return _ratio(documents.nats / log(2), documents.n_bytes, confidence)


def perplexity(documents: Documents, confidence: float = 0.95) -> Estimate:
    """exp(nats / tokens), summed over documents, with a bootstrap interval over them; NaN without tokens."""
    found = _ratio(documents.nats, documents.tokens, confidence)
    return Estimate(*(float(np.exp(each)) for each in (found.value, found.low, found.high)))


def half_width(documents: Documents, confidence: float) -> float:
    """Half the width of the normal interval of bits per byte: z √(n/(n-1) Σ(bits - r·bytes)²) / Σbytes.

    The interval of a ratio of sums over a simple random sample of documents, linearised (Cochran, Sampling
    Techniques, 1977, ch. 6). Infinite from fewer than two documents.
    """
    n = len(documents)
    total = documents.n_bytes.sum()
    if n < 2 or total <= 0:
        return float("inf")
    bits = documents.nats / log(2)
    rest = bits - bits.sum() / total * documents.n_bytes
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    return float(z * np.sqrt(n / (n - 1) * np.square(rest).sum()) / total)


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64], confidence: float) -> Estimate:
    if not len(below) or below.sum() <= 0:
        return Estimate(float("nan"), float("nan"), float("nan"))
    value = float(above.sum() / below.sum())
    if len(below) < 2:
        return Estimate(value, float("nan"), float("nan"))
    parts = []
    for counts in bootstrap_draws(len(below), RESAMPLES, SEED):
        # A draw of empty documents only has no ratio.
        with np.errstate(invalid="ignore", divide="ignore"):
            parts.append((counts @ above) / (counts @ below))
    replicates = np.concatenate(parts)
    low, high = np.nanquantile(replicates, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(value, float(low), float(high))
