"""Wants of what is evaluated on request, one setting and corpus at a time: geometry, ABX tasks, probes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sprachbund.errors import SpecError, nearest
from sprachbund.keys import content_key
from sprachbund.kinds import ABX_EVALUATION, GEOMETRY_EVALUATION, PROBE, Kind
from sprachbund.metrics import MEASURES
from sprachbund.plan import PlanCorpus, PlannedSetting, Want, kind_key
from sprachbund.spec import Spec


@dataclass(frozen=True, slots=True)
class Requested:
    """One setting on one corpus: what the wants share.

    pairs: those evaluated. snapshots, fit_snapshots: subjects by language, `fit_snapshots` those that the
    setting's transform is fitted on.
    """

    spec: Spec
    setting: PlannedSetting
    corpus: PlanCorpus
    pairs: Sequence[tuple[str, str]]
    snapshots: Mapping[str, str]
    fit_snapshots: Mapping[str, str]
    layers: tuple[str, ...]

    def wants(self) -> Iterator[Want]:
        """All that the spec asks for. Raises SpecError for a label that the corpus does not have."""
        asked = self.spec.evaluations
        if asked.geometry:
            measures = {name: MEASURES[name].version for name in sorted(asked.geometry)}
            pairs = [list(pair) for pair in self.pairs]
            yield self._want(GEOMETRY_EVALUATION, "geometry", {"measures": measures, "pairs": pairs})
        for number, task in enumerate(asked.abx):
            where = f"evaluations.abx.{number}"
            for field, labels in (("on", [task.on]), ("by", task.by), ("across", task.across)):
                self._check(labels, f"{where}.{field}")
            content = {"on": task.on, "by": task.by, "across": task.across, "distance": task.distance,
                       "triples": task.triples, "resamples": task.resamples}  # fmt: skip
            yield self._want(ABX_EVALUATION, f"ABX {task.name}", {"task": content}, task.name)
        for number, probe in enumerate(asked.probes):
            self._check([probe.label], f"evaluations.probes.{number}.label")
            yield self._want(PROBE, f"probe of {probe.label}", {"task": probe.model_dump(mode="json")}, probe.label)

    def _check(self, labels: Sequence[str], where: str) -> None:
        for label in labels:
            if label not in self.corpus.labels:
                raise SpecError(
                    f"{where}: {self.corpus.name} has no label '{label}', only {', '.join(self.corpus.labels)}; name"
                    f" columns of further labels under columns.labels{nearest(label, self.corpus.labels)}"
                )

    def _want(self, kind: Kind, what: str, asked: Mapping[str, Any], name: str | None = None) -> Want:
        languages = sorted({language for pair in self.pairs for language in pair})
        texts = {language: self.corpus.texts[language].key for language in languages}
        inputs = {
            "setting": self.setting.key,
            "snapshots": dict(self.snapshots),
            "fit_snapshots": dict(self.fit_snapshots),
            "seed": self.spec.seed,
            "unit": self.spec.statistics.unit,
            "confidence": self.spec.statistics.confidence,
            **asked,
        }
        if "measures" not in asked:
            inputs["version"] = MEASURES["abx" if kind is ABX_EVALUATION else "probe"].version
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
                "pooling": self.spec.embeddings.pooling,
                "tokens": self.spec.embeddings.tokens,
                "scope": content_key("scope", 1, languages=languages, seed=self.spec.seed, **asked),
            },
            layers=self.layers,
            needs=(*self.snapshots.values(), *self.fit_snapshots.values()),
        )
