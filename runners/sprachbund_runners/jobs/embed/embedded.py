"""Languages as evaluations see them: a snapshot's layer, transformed, as unit vectors with gold groups."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from sprachbund.embeddings.transforms import Fitted, fit_transform, transformed
from sprachbund.errors import ModelError
from sprachbund.work.payloads.measure import EmbeddingsPayload, SpaceEvaluationPayload
from sprachbund_runners.evaluation.distances import LanguageVectors, language_vectors
from sprachbund_runners.jobs.context import Context
from sprachbund_runners.jobs.embed.stored_snapshot import read_layer

KEPT = 48
# Both sides of a pair, steered and not: of the next pair of a star one language is the same.
KEPT_PLAIN = 4
# Matrices of whitening are width × width at every layer.
FITTED_BYTES = 1 << 31


@dataclass(slots=True)
class Embedded:
    """Loads language vectors for a bundle of evaluations; the last few stay in memory, and fitted transforms."""

    context: Context
    _kept: "OrderedDict[tuple[Any, ...], LanguageVectors]" = field(default_factory=OrderedDict)
    _plain: "OrderedDict[tuple[Any, ...], NDArray[Any]]" = field(default_factory=OrderedDict)
    _fitted: "OrderedDict[tuple[Any, ...], Fitted]" = field(default_factory=OrderedDict)

    def vectors(
        self, payload: EmbeddingsPayload, language: str, layer: str, text_key: str | None = None, plain: bool = False
    ) -> LanguageVectors:
        """One language of the payload's setting at a layer. Gold groups come from its text, if it has a key.

        plain: of a setting that steers one side only, the side that is not.
        """
        return self._load(_SideOfLanguage.of(payload, language, plain), layer, text_key)

    def frozen(self, payload: SpaceEvaluationPayload, language: str, layer: str) -> LanguageVectors:
        """The same language under the baseline setting, untransformed."""
        return self._load(_SideOfLanguage(language, payload.frozen[language]), layer, None)

    def embeddings(self, payload: EmbeddingsPayload, language: str, layer: str, plain: bool = False) -> NDArray[Any]:
        """float32 [n, d]: one language of the payload's setting at a layer, transformed.

        plain: as for `vectors`.
        """
        key = (_SideOfLanguage.of(payload, language, plain), layer)
        if key not in self._plain:
            self._plain[key] = self._transformed(*key)
        self._plain.move_to_end(key)
        while len(self._plain) > KEPT_PLAIN:
            self._plain.popitem(last=False)
        return self._plain[key]

    def _load(self, source: "_SideOfLanguage", layer: str, text_key: str | None) -> LanguageVectors:
        key = (source, layer, text_key)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        embeddings = self._transformed(source, layer)
        groups = None if text_key is None else self.context.text(text_key).gold
        self._kept[key] = language_vectors(embeddings, groups, f"{source.language} at layer {layer}")
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return self._kept[key]

    def _transformed(self, source: "_SideOfLanguage", layer: str) -> NDArray[Any]:
        embeddings = {source.language: read_layer(self.context, source.snapshot, layer)}
        return transformed(source.transform, embeddings, lambda: self._fit(source, layer))[source.language]

    def _fit(self, source: "_SideOfLanguage", layer: str) -> Fitted:
        if source.language not in dict(source.fitted_on):
            raise ModelError(f"{source.transform} of {source.language}: no snapshot of the fit text was planned")
        key = (source.transform, source.components, source.fitted_on, layer)
        if key not in self._fitted:
            vectors = {language: read_layer(self.context, snapshot, layer) for language, snapshot in source.fitted_on}
            self._fitted[key] = fit_transform(source.transform, vectors, source.components)
            while len(self._fitted) > 1 and sum(each.n_bytes for each in self._fitted.values()) > FITTED_BYTES:
                self._fitted.popitem(last=False)
        self._fitted.move_to_end(key)
        return self._fitted[key]


@dataclass(frozen=True, slots=True)
class _SideOfLanguage:
    """Where one language's vectors come from: its snapshot and those its transform is fitted on."""

    language: str
    snapshot: str
    transform: str = "none"
    fitted_on: tuple[tuple[str, str], ...] = ()
    components: int | None = None

    @classmethod
    def of(cls, payload: EmbeddingsPayload, language: str, plain: bool = False) -> "_SideOfLanguage":
        side = payload.side_of(plain)
        fitted = side.fitted
        if payload.transform == "centring":
            # Each language's mean is its own: other languages would only tell equal vectors apart.
            fitted = {each: fitted[each] for each in fitted if each == language}
        return cls(
            language, side.snapshots[language], payload.transform, tuple(sorted(fitted.items())), payload.components
        )
