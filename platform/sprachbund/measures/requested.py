"""Wants of what is evaluated on request, one setting and corpus at a time: geometry, ABX tasks, probes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sprachbund.errors import SpecError, nearest
from sprachbund.measures.base import Measure
from sprachbund.work.kind import Kind
from sprachbund.work.payloads.measure import (
    GEOMETRY_EVALUATION,
    GeometryEvaluationPayload,
    RequestedPayload,
    SideSnapshots,
)
from sprachbund.work.plan import PlanCorpus, PlannedSetting, Want

# How a word's pieces become its embedding, whatever is done with a sentence's tokens.
WORD_FIELDS = {"pooling": "mean", "tokens": "word"}


@dataclass(frozen=True, slots=True)
class Requested:
    """One setting on one corpus: what the wants share.

    pairs: those evaluated. snapshots, fit_snapshots: subjects by language, `fit_snapshots` those that the
    setting's transform is fitted on. words: subjects of the snapshots with a row per word, by language. pooled: how a
    sentence's tokens become its embedding.
    """

    setting: PlannedSetting
    corpus: PlanCorpus
    pairs: Sequence[tuple[str, str]]
    snapshots: Mapping[str, str]
    fit_snapshots: Mapping[str, str]
    layers: tuple[str, ...]
    words: Mapping[str, str]
    pooled: Mapping[str, str]
    seed: int
    unit: str
    confidence: float

    def check(self, labels: Sequence[str], where: str, words: bool = False) -> None:
        """Raise SpecError for a label that the corpus does not have."""
        known = (*self.corpus.word_labels, *self.corpus.labels) if words else self.corpus.labels
        for label in labels:
            if label not in known:
                of_words = label in self.corpus.word_labels
                more = (
                    "it is one of words: 'level: word'"
                    if of_words
                    else "name columns of further labels under columns.labels"
                )
                raise SpecError(
                    f"{where}: {self.corpus.name} has no label '{label}'{' of sentences' if of_words else ''}, only"
                    f" {', '.join(known)}; {more}{nearest(label, known)}"
                )

    def want_of_vectors(self, measure: Measure) -> Want:
        """A want of a measure of languages, pairs or the space that has no parameters."""
        payload = GeometryEvaluationPayload(
            **self.shared(measure, labelled=False), measure=measure.name, pairs=tuple(self.pairs)
        )
        return self.want(GEOMETRY_EVALUATION, payload, measure.name)

    def shared(self, measure: Measure, words: bool = False, labelled: bool = True) -> dict[str, Any]:
        """The fields that every payload has; with `words` it is about rows of words, and not `labelled` reads none."""
        texts = self.corpus.texts
        languages = tuple(sorted({language for pair in self.pairs for language in pair}))
        return {
            "setting": self.setting.key,
            "corpus": self.corpus.key,
            "languages": languages,
            "texts": {each: texts[each].as_whole if labelled else texts[each].as_documents for each in languages},
            "steered": SideSnapshots(self.words if words else self.snapshots, self.fit_snapshots),
            "transform": self.setting.transform,
            "components": self.setting.transform_parameters.get("components"),
            **(WORD_FIELDS if words else self.pooled),
            "seed": self.seed,
            "unit": self.unit,
            "confidence": self.confidence,
            "version": measure.version,
        }

    def want(self, kind: Kind, payload: RequestedPayload, what: str) -> Want:
        """A want of this setting on this corpus; `what` says in words what is asked."""
        return Want.of(kind, payload, f"{what} of {self.setting.label} on {self.corpus.name}", self.layers)


@dataclass(frozen=True, slots=True)
class Request:
    """What the spec may ask of a measure: a field of `evaluations`, and the wants of what is asked in it.

    type: as pydantic reads it; default: what asks for nothing.
    """

    field: str
    type: Any
    default: Any
    wants: Callable[[Requested, Any], Iterator[Want]]
