"""Wants of what is evaluated on request, one setting and corpus at a time: geometry, ABX tasks, probes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sprachbund.errors import SpecError, nearest
from sprachbund.measures.base import Measure
from sprachbund.work.keys import content_key
from sprachbund.work.kinds import GEOMETRY_EVALUATION, Kind
from sprachbund.work.plan import PlanCorpus, PlannedSetting, Want, kind_key

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
        pairs = [list(pair) for pair in self.pairs]
        asked = {"measure": measure.name, "pairs": pairs}
        return self.want(GEOMETRY_EVALUATION, measure, measure.name, asked)

    def want(
        self,
        kind: Kind,
        measure: Measure,
        what: str,
        asked: Mapping[str, Any],
        name: str | None = None,
        words: bool = False,
    ) -> Want:
        """A want of this setting on this corpus; `what` is asked, in words, `name` what results call a task."""
        languages = sorted({language for pair in self.pairs for language in pair})
        texts = {language: self.corpus.texts[language].key for language in languages}
        snapshots = self.words if words else self.snapshots
        inputs = {
            "setting": self.setting.key,
            "snapshots": dict(snapshots),
            "fit_snapshots": dict(self.fit_snapshots),
            "seed": self.seed,
            "unit": self.unit,
            "confidence": self.confidence,
            "version": measure.version,
            **asked,
        }
        subject = kind_key(kind, **inputs, texts=texts)
        return Want(
            kind=kind,
            subject=subject,
            label=f"{what} of {self.setting.label} on {self.corpus.name}",
            bundle=content_key("bundle", 1, kind=kind.name, setting=self.setting.key, corpus=self.corpus.key),
            payload={
                **inputs,
                "task_name": name,
                "corpus": self.corpus.key,
                "languages": languages,
                "texts": texts,
                "transform": self.setting.transform,
                "components": self.setting.transform_parameters.get("components"),
                **(WORD_FIELDS if words else self.pooled),
                "scope": content_key("scope", 1, languages=languages, seed=self.seed, **asked),
            },
            layers=self.layers,
            needs=(*snapshots.values(), *self.fit_snapshots.values()),
        )


@dataclass(frozen=True, slots=True)
class Request:
    """What the spec may ask of a measure: a field of `evaluations`, and the wants of what is asked in it.

    type: as pydantic reads it; default: what asks for nothing.
    """

    field: str
    type: Any
    default: Any
    wants: Callable[[Requested, Any], Iterator[Want]]
