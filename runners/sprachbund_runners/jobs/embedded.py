"""Languages as evaluations see them: a snapshot's layer, transformed, as unit vectors with gold groups."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sprachbund.errors import ModelError
from sprachbund.queue import Claim
from sprachbund_runners.evaluation.distances import LanguageVectors, language_vectors
from sprachbund_runners.evaluation.transforms import fit_centring
from sprachbund_runners.jobs.context import Context
from sprachbund_runners.jobs.snapshot import read_layer

KEPT = 48


@dataclass(slots=True)
class Embedded:
    """Loads language vectors for a bundle of evaluations; the last few stay in memory."""

    context: Context
    _kept: "OrderedDict[tuple[Any, ...], LanguageVectors]" = field(default_factory=OrderedDict)

    def vectors(self, claim: Claim, language: str, layer: str, text_key: str | None = None) -> LanguageVectors:
        """One language of the claim's setting at a layer. Gold groups come from its text, if it has a key."""
        payload = claim.payload
        snapshot = payload["snapshots"][language]
        return self._load(
            snapshot, payload["transform"], payload["fit_snapshots"].get(language), language, layer, text_key
        )

    def frozen(self, claim: Claim, language: str, layer: str) -> LanguageVectors:
        """The same language under the baseline setting, untransformed."""
        return self._load(claim.payload["frozen_snapshots"][language], "none", None, language, layer, None)

    def _load(
        self, snapshot: str, transform: str, fitted_on: str | None, language: str, layer: str, text_key: str | None
    ) -> LanguageVectors:
        key = (snapshot, transform, fitted_on, layer, text_key)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        embeddings = read_layer(self.context, snapshot, layer)
        if transform != "none":
            fit: Mapping[str, Any] = {language: embeddings}
            if transform == "centring":
                if fitted_on is None:
                    raise ModelError(f"centring of {language}: no snapshot of the fit text was planned")
                fit = {language: read_layer(self.context, fitted_on, layer)}
            embeddings = fit_centring(fit).apply(embeddings, language)
        groups = None if text_key is None else self.context.text(text_key).gold
        self._kept[key] = language_vectors(embeddings, groups, f"{language} at layer {layer}")
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return self._kept[key]
