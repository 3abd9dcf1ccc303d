"""Wants of what is evaluated on request, one setting and corpus at a time: geometry, ABX tasks, probes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sprachbund.errors import SpecError, nearest
from sprachbund.measures import MEASURES
from sprachbund.measures.abx import AbxSpec
from sprachbund.measures.probing import ProbeSpec
from sprachbund.spec.experiment import Spec
from sprachbund.work.kinds import ABX_EVALUATION, GEOMETRY_EVALUATION, PROBE, Kind
from sprachbund.work.payloads.measure import (
    AbxEvaluationPayload,
    AbxTaskInputs,
    GeometryEvaluationPayload,
    ProbeInputs,
    ProbePayload,
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
    setting's transform is fitted on. words: subjects of the snapshots with a row per word, by language.
    """

    spec: Spec
    setting: PlannedSetting
    corpus: PlanCorpus
    pairs: Sequence[tuple[str, str]]
    snapshots: Mapping[str, str]
    fit_snapshots: Mapping[str, str]
    layers: tuple[str, ...]
    words: Mapping[str, str]

    def wants(self) -> Iterator[Want]:
        """All that the spec asks for. Raises SpecError for a label that the corpus does not have."""
        asked = self.spec.evaluations
        # A want each: one measure more leaves the results of the others as they are.
        for name in sorted(set(asked.geometry)):
            yield self._geometry(name)
        for number, task in enumerate(asked.abx):
            where = f"evaluations.abx.{number}"
            for field, labels in (("on", [task.on]), ("by", task.by), ("across", task.across)):
                self._check(labels, f"{where}.{field}")
            yield self._abx(task)
        for number, probe in enumerate(asked.probes):
            words = probe.level == "word"
            if words and self.setting.transform != "none":
                continue  # transforms are of sentences
            self._check([probe.label], f"evaluations.probes.{number}.label", words)
            yield self._probe(probe)

    def _geometry(self, name: str) -> Want:
        payload = GeometryEvaluationPayload(**self._shared(name), measure=name, pairs=tuple(self.pairs))
        return self._want(GEOMETRY_EVALUATION, payload, name)

    def _abx(self, task: AbxSpec) -> Want:
        asked = AbxTaskInputs(
            on=task.on,
            by=tuple(task.by),
            across=tuple(task.across),
            distance=task.distance,
            triples=task.triples,
            resamples=task.resamples,
        )
        payload = AbxEvaluationPayload(**self._shared("abx"), task=asked, task_name=task.name)
        return self._want(ABX_EVALUATION, payload, f"ABX {task.name}")

    def _probe(self, probe: ProbeSpec) -> Want:
        asked = ProbeInputs(
            label=probe.label,
            level=probe.level,
            folds=probe.folds,
            seeds=probe.seeds,
            regularisation=probe.regularisation,
        )
        shared = self._shared("probe", words=probe.level == "word")
        return self._want(PROBE, ProbePayload(**shared, task=asked, task_name=probe.name), f"probe of {probe.name}")

    def _check(self, labels: Sequence[str], where: str, words: bool = False) -> None:
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

    def _shared(self, measure: str, words: bool = False) -> dict[str, Any]:
        """The fields that every payload has."""
        languages = tuple(sorted({language for pair in self.pairs for language in pair}))
        return {
            "setting": self.setting.key,
            "corpus": self.corpus.key,
            "languages": languages,
            "texts": {language: self.corpus.texts[language].key for language in languages},
            "steered": SideSnapshots(self.words if words else self.snapshots, self.fit_snapshots),
            "transform": self.setting.transform,
            "components": self.setting.transform_parameters.get("components"),
            **(WORD_FIELDS if words else self.spec.embeddings.pooled),
            "seed": self.spec.seed,
            "unit": self.spec.statistics.unit,
            "confidence": self.spec.statistics.confidence,
            "version": MEASURES[measure].version,
        }

    def _want(self, kind: Kind, payload: RequestedPayload, what: str) -> Want:
        return Want.of(kind, payload, f"{what} of {self.setting.label} on {self.corpus.name}", self.layers)
