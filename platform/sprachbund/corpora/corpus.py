"""A corpus: texts in several languages that share their items."""

from collections.abc import Sequence
from dataclasses import dataclass

from sprachbund.corpora.text import TextSet
from sprachbund.errors import CorpusError, nearest
from sprachbund.vocabulary import CorpusKind

_PARAPHRASE = "/paraphrase"


def paraphrase_side(language: str) -> str:
    """What the paraphrases of a language go by where its own sentences go by its code."""
    return language + _PARAPHRASE


def code_of(side: str) -> str:
    """The language code of a side of a corpus: of a language, or of its paraphrases."""
    return side.removesuffix(_PARAPHRASE)


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """Aligned sentences: all text sets have the same items, groups and order.

    `parallel`: every language was asked for. `bilingual`: one language with its own translations into a pivot
    language (`texts` holds both), one of several in a `collection`. `paraphrase`: one language twice, its sentences
    under its code and their paraphrases under `paraphrase_side`, one of several in a collection. `dropped` counts the
    items that lacked a language and were left out by `on_missing: drop`.
    """

    name: str
    collection: str | None
    kind: CorpusKind
    split: str
    texts: dict[str, TextSet]
    dropped: int = 0

    @property
    def languages(self) -> tuple[str, ...]:
        """Language codes."""
        return tuple(dict.fromkeys(code_of(side) for side in self.texts))

    def __len__(self) -> int:
        return len(next(iter(self.texts.values())))

    def text(self, language: str) -> TextSet:
        """The texts of a language code; CorpusError with the nearest one it has."""
        if language not in self.texts:
            near = nearest(language, self.texts)
            raise CorpusError(f"corpus '{self.name}' has no {language}, only {some(list(self.texts))}{near}")
        return self.texts[language]


def some(names: Sequence[str], shown: int = 5) -> str:
    """`a, b, c and 7 more`, for error messages."""
    more = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {more} more" if more > 0 else "")
