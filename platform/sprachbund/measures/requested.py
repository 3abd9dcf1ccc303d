"""Wants of what is evaluated on request, one setting and corpus at a time: geometry, ABX tasks, probes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sprachbund.errors import SpecError, nearest
from sprachbund.measures import MEASURES
from sprachbund.spec.experiment import Spec
from sprachbund.work.keys import content_key
from sprachbund.work.kinds import ABX_EVALUATION, GEOMETRY_EVALUATION, PROBE, Kind
from sprachbund.work.plan import PlanCorpus, PlannedSetting, Want, kind_key

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
        pairs = [list(pair) for pair in self.pairs]
        # A want each: one measure more leaves the results of the others as they are.
        for name in sorted(set(asked.geometry)):
            yield self._want(GEOMETRY_EVALUATION, name, name, {"measure": name, "pairs": pairs})
        for number, task in enumerate(asked.abx):
            where = f"evaluations.abx.{number}"
            for field, labels in (("on", [task.on]), ("by", task.by), ("across", task.across)):
                self._check(labels, f"{where}.{field}")
            content = {"on": task.on, "by": task.by, "across": task.across, "distance": task.distance,
                       "triples": task.triples, "resamples": task.resamples}  # fmt: skip
            yield self._want(ABX_EVALUATION, "abx", f"ABX {task.name}", {"task": content}, task.name)
        for number, probe in enumerate(asked.probes):
            words = probe.level == "word"
            if words and self.setting.transform != "none":
                continue  # transforms are of sentences
            self._check([probe.label], f"evaluations.probes.{number}.label", words)
            yield self._want(PROBE, "probe", f"probe of {probe.name}", {"task": probe.task}, probe.name, words)

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

    def _want(
        self,
        kind: Kind,
        measure: str,
        what: str,
        asked: Mapping[str, Any],
        name: str | None = None,
        words: bool = False,
    ) -> Want:
        languages = sorted({language for pair in self.pairs for language in pair})
        texts = {language: self.corpus.texts[language].key for language in languages}
        snapshots = self.words if words else self.snapshots
        inputs = {
            "setting": self.setting.key,
            "snapshots": dict(snapshots),
            "fit_snapshots": dict(self.fit_snapshots),
            "seed": self.spec.seed,
            "unit": self.spec.statistics.unit,
            "confidence": self.spec.statistics.confidence,
            "version": MEASURES[measure].version,
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
                **(WORD_FIELDS if words else self.spec.embeddings.pooled),
                "scope": content_key("scope", 1, languages=languages, seed=self.spec.seed, **asked),
            },
            layers=self.layers,
            needs=(*snapshots.values(), *self.fit_snapshots.values()),
        )
