"""What is kept of a language's outcomes: sums item by item over its pairs on one side, and means by partner."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sprachbund.vocabulary import LanguageSide

Partner = tuple[str, str]  # corpus, language
Own = tuple[str, str, LanguageSide]  # metric, language, side


@dataclass(slots=True)
class PartnerMeans:
    """One metric over the pairs of a language on one side: sums over pairs item by item, and the mean by partner.

    sums: per corpus, float64 [items].
    """

    sums: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    partners: dict[Partner, list[float]] = field(default_factory=dict)

    def add(self, corpus: str, partner: str, items: NDArray[np.float64], mean: float) -> None:
        """One more pair."""
        self.sums[corpus] = self.sums[corpus] + items if corpus in self.sums else items
        self.counts[corpus] = self.counts.get(corpus, 0) + 1
        self.partners.setdefault((corpus, partner), []).append(mean)

    def joined(self, other: "PartnerMeans") -> "PartnerMeans":
        """The pairs of both."""
        corpora, partners = {**self.sums, **other.sums}, {**self.partners, **other.partners}
        return PartnerMeans(
            {each: self.sums.get(each, 0) + other.sums.get(each, 0) for each in corpora},  # type: ignore[misc]
            {each: self.counts.get(each, 0) + other.counts.get(each, 0) for each in corpora},
            {each: self.partners.get(each, []) + other.partners.get(each, []) for each in partners},
        )

    @property
    def usable(self) -> bool:
        """Whether the metric is defined for all items of all pairs."""
        return not any(np.isnan(means).any() for means in self.partners.values())
