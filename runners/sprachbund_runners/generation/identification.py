"""Language identification by py3langid: naive Bayes over byte n-grams, its model inside the wheel."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any


@dataclass(frozen=True, slots=True)
class Identified:
    """The most likely language of a text by the identifier's label (ISO 639-1 or -3), and its probability."""

    label: str
    probability: float


@cache
def _model() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def labels() -> tuple[str, ...]:
    """Every label the identifier may give, sorted."""
    model = _model()
    model.set_languages(None)
    return tuple(sorted(model.labels))


def identify(texts: Sequence[str], among: Sequence[str] | None = None) -> list[Identified]:
    """The language of each text, of the labels `among` (None: of all the identifier's).

    A text without anything to go by gets a label that means nothing, at the probability of chance: leave those out
    first. Raises ValueError for a label that the identifier lacks.
    """
    model = _model()
    model.set_languages(None if among is None else list(among))
    return [Identified(*model.classify(text)) for text in texts]
