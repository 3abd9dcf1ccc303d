"""What jobs that measure language pairs are asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from sprachbund.vocabulary import POOLED_TRANSFORMS, SteeredSide
from sprachbund.work.keys import content_key
from sprachbund.work.kind import Kind
from sprachbund.work.payloads.measure import EmbeddingsPayload, EvaluationPayload, SideSnapshots
from sprachbund.work.payloads.star import Pair, Starred, sides_of


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedPairsPayload(EmbeddingsPayload, Starred):
    """Pairs of whose embeddings something is measured.

    side: which side of the pair is steered. texts: keys by side. group, split: the corpora it is evaluated beside.
    """

    pairs: tuple[Pair, ...]
    group: str
    split: str
    texts: Mapping[str, str]
    side: SteeredSide = "both"

    def part(self, pairs: Sequence[Pair], layers: tuple[str, ...]) -> Self:
        sides = sides_of(pairs)
        return replace(
            self,
            pairs=tuple(pairs),
            layers=layers,
            steered=self._of(self.steered, sides),
            plain=None if self.plain is None else self._of(self.plain, sides),
            texts={each: self.texts[each] for each in sides},
        )

    def _of(self, side: SideSnapshots, sides: Sequence[str]) -> SideSnapshots:
        """What these sides need; a transform that is fitted on all languages together needs all of them."""
        fitted = side.fitted
        if self.transform not in POOLED_TRANSFORMS:
            fitted = {each: fitted[each] for each in sides if each in fitted}
        return SideSnapshots({each: side.snapshots[each] for each in sides}, fitted)

    @property
    def text_keys(self) -> tuple[str, ...]:
        return tuple(self.texts.values())

    @property
    def place(self) -> dict[str, str]:
        """What all evaluations of the same embeddings on the same corpus have alike."""
        return {"setting": self.setting, "corpus": self.corpus, "pooling": self.pooling, "tokens": self.tokens}


@dataclass(frozen=True, slots=True, kw_only=True)
class PairEvaluationPayload(EmbeddedPairsPayload):
    """Retrieval and distances of pairs.

    approximate_above: items above which search is approximate, where the corpus has more. measures: their versions.
    """

    approximate_above: int | None = None
    measures: Mapping[str, int]

    @property
    def inputs(self) -> dict[str, Any]:
        return {**self.place, "measures": dict(self.measures)}


PAIR_EVALUATION = Kind(
    "pair_evaluation", 3, 50, "retrieval in both directions and distances of one language's pairs",
    PairEvaluationPayload, run="sprachbund_runners.jobs.measure.pair_evaluation:run",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnMeasuresPayload(EmbeddedPairsPayload):
    """A registered measure of what pair evaluations look at."""

    measure: str
    version: int
    unit: str
    confidence: float

    @property
    def asked(self) -> dict[str, Any]:
        """What is asked of a pair."""
        return {
            "measure": self.measure,
            "version": self.version,
            "unit": self.unit,
            "confidence": self.confidence,
        }

    @property
    def inputs(self) -> dict[str, Any]:
        return {**self.place, **self.asked}


OWN_MEASURES = Kind(
    "own_measures", 3, 52, "a registered measure of one language's pairs",
    OwnMeasuresPayload, run="sprachbund_runners.jobs.measure.own_measures:run",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MinedPair(Pair):
    """A pair whose mined pairs of sentences are scored: the keys of the evaluated pairs that have them, and of the one
    that tells the threshold."""

    scored: str
    tuned_on: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MiningPayload(EvaluationPayload, Starred):
    """F1 of mined pairs. `scored`, `tuned_on`: subjects of the pair evaluations that are scored and that tell the
    thresholds."""

    pairs: tuple[MinedPair, ...]
    group: str
    split: str
    scored: str
    tuned_on: str
    version: int

    def part(self, pairs: Sequence[MinedPair], layers: tuple[str, ...]) -> Self:
        return replace(self, pairs=tuple(pairs), layers=layers)

    @property
    def inputs(self) -> dict[str, Any]:
        return {"scored": self.scored, "tuned_on": self.tuned_on, "measure": self.version}

    @property
    def needs(self) -> tuple[str, ...]:
        return (self.scored, self.tuned_on)

    @property
    def needed_pairs(self) -> frozenset[str]:
        return frozenset(key for pair in self.pairs for key in (pair.scored, pair.tuned_on))


MINING = Kind(
    "mining", 2, 58, "one language's pairs mined above a threshold tuned on select",
    MiningPayload, run="sprachbund_runners.jobs.measure.mining:run",
)  # fmt: skip


def pair_key(kind: Kind, **inputs: Any) -> str:
    """The identity of one pair's results by a kind of work."""
    return content_key(f"{kind.name} of a pair", kind.version, **inputs)
