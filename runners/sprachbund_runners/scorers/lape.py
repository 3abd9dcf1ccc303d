"""Language activation probability entropy (LAPE; Tang et al. 2024): few languages make a specific unit fire.

It is token-level: what it needs of a corpus are two counts per language, which add up batch by batch, so that nothing
is kept per sentence or token. The paper takes the 1 % of all units with the lowest entropy and then asks which
languages own them; here each target ranks the units that it owns, so that k is comparable with other scorers.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sprachbund.errors import CorpusError, SpecError


@dataclass(frozen=True, slots=True)
class Lape:
    """probability float64 [units, languages]: share of a language's tokens with an activation above 0; entropy float64
    [units]: of the probabilities normalised over languages, in nats, inf where no probability exceeds `threshold`;
    threshold: the percentile that a probability must exceed; owned bool [units, languages]: those that do."""

    probability: NDArray[np.float64]
    entropy: NDArray[np.float64]
    threshold: float
    owned: NDArray[np.bool_]


def lape(active: NDArray[np.integer], tokens: NDArray[np.integer], percentile: float = 0.95) -> Lape:
    """Entropy of each unit's activation over languages; lower is more specific.

    active: integer [units, languages], tokens of a language at which the unit's activation is above 0; tokens: integer
    [languages]; percentile: of all probabilities of all units and languages, .95 in the paper: a unit that exceeds it
    in no language hardly fires at all, and its entropy says nothing.
    Raises CorpusError for a language without tokens, SpecError for fewer than two languages or a percentile outside
    (0, 1), ValueError for counts that can't be.
    """
    if active.ndim != 2 or tokens.shape != active.shape[1:] or active.shape[0] == 0:
        raise ValueError(
            f"active, tokens: shapes {list(active.shape)}, {list(tokens.shape)}; expected [units,"
            " languages] and [languages]"
        )
    if tokens.size < 2:
        raise SpecError(f"languages: found {tokens.size}; expected at least 2 for an entropy over languages")
    if not 0 < percentile < 1:
        raise SpecError(f"percentile: found {percentile}; expected a number between 0 and 1")
    if (tokens <= 0).any():
        raise CorpusError(f"tokens: language at position {int((tokens <= 0).argmax())} has none; expected some of each")
    if (active < 0).any() or (active > tokens).any():
        raise ValueError("active: found a count below 0 or above the language's number of tokens")
    probability = active / tokens
    # The paper's code: the k-th smallest of all probabilities, k = round(percentile × how many there are).
    rank = max(1, round(percentile * probability.size))
    threshold = float(np.partition(probability, rank - 1, axis=None)[rank - 1])
    owned = probability > threshold
    alive = owned.any(axis=1)
    entropy = np.full(len(active), np.inf)
    share = probability[alive] / probability[alive].sum(axis=1, keepdims=True)
    entropy[alive] = -np.where(share > 0, share * np.log(np.where(share > 0, share, 1.0)), 0.0).sum(axis=1)
    return Lape(probability, entropy, threshold, owned)


def lape_score(active: NDArray[np.integer], tokens: NDArray[np.integer]) -> NDArray[np.float64]:
    """Minus the entropy for units that the first language owns, -inf for all others: float64 [units].

    active, tokens: as for `lape`, the target's in the first column, its negatives' in the others. The percentile is
    the paper's, .95 over all units and languages. Units at -inf are not ranked and cannot be chosen.
    """
    result = lape(active, tokens)
    return np.where(result.owned[:, 0], -result.entropy, -np.inf)
