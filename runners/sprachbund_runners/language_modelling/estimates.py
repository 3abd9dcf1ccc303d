"""Perplexity and bits per byte of a sample of documents, with intervals over documents."""

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from sprachbund_runners.statistics.bootstrap import bootstrap_draws

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


def bits_per_byte(documents: Documents, confidence: float = 0.95, *, sequential: bool = False) -> Estimate:
    """Bits to encode the text / its UTF-8 bytes, summed over documents, with a bootstrap interval over them.

    sequential: with the interval of `half_width`, which a reading was stopped by.
    Comparable across tokenizers, which perplexity is not. NaN without bytes.
    """
    return _ratio(documents.nats / log(2), documents.n_bytes, confidence, sequential)


def perplexity(documents: Documents, confidence: float = 0.95, *, sequential: bool = False) -> Estimate:
    """exp(nats / tokens), summed over documents, with a bootstrap interval over them; NaN without tokens.

    sequential: as for bits per byte.
    """
    found = _ratio(documents.nats, documents.tokens, confidence, sequential)
    return Estimate(*(float(np.exp(each)) for each in (found.value, found.low, found.high)))


def half_width(documents: Documents, confidence: float) -> float:
    """Half the width of an interval of bits per byte that stays honest where few long documents weigh much: t · se.

    se is the jackknife's of the ratio of sums (Tukey, Annals of Mathematical Statistics 29, 1958), which exceeds the
    linearised one where documents differ in length; t is Student's with (Σbytes)² / Σbytes² - 1 degrees of freedom, the
    documents there would be if all were as long (Kish, Survey Sampling, 1965). Infinite from fewer than two documents.
    """
    return _half_width(documents.nats / log(2), documents.n_bytes, confidence)


def _half_width(above: NDArray[np.float64], below: NDArray[np.float64], confidence: float) -> float:
    n, total = len(below), float(below.sum())
    others = total - below
    if n < 2 or not (others > 0).all():
        return float("inf")
    without = (above.sum() - above) / others
    error = np.sqrt((n - 1) / n * np.square(without - without.mean()).sum())
    alike = total**2 / float(np.square(below).sum())
    return float(stdtrit(max(1.0, alike - 1), 0.5 + confidence / 2) * error)


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64], confidence: float, sequential: bool) -> Estimate:
    if not len(below) or below.sum() <= 0:
        return Estimate(float("nan"), float("nan"), float("nan"))
    value = float(above.sum() / below.sum())
    if len(below) < 2:
        return Estimate(value, float("nan"), float("nan"))
    if sequential:
        half = _half_width(above, below, confidence)
        # Of one document with text and empty ones nothing is known about others.
        low, high = (max(0.0, value - half), value + half) if np.isfinite(half) else (float("nan"), float("nan"))
        return Estimate(value, low, high)
    parts = []
    for counts in bootstrap_draws(len(below), RESAMPLES, SEED):
        # A draw of empty documents only has no ratio.
        with np.errstate(invalid="ignore", divide="ignore"):
            parts.append((counts @ above) / (counts @ below))
    replicates = np.concatenate(parts)
    low, high = np.nanquantile(replicates, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(value, float(low), float(high))
