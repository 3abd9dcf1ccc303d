"""From a meaning to a sentence in one of the five languages."""

from collections.abc import Callable

from sprachbund.errors import CorpusError, nearest
from sprachbund_runners.pretraining.phrasebook import english, french, german, japanese, spanish
from sprachbund_runners.pretraining.phrasebook.meaning import Meaning

_GRAMMARS: dict[str, Callable[[Meaning], str]] = {
    "eng_Latn": english.sentence,
    "spa_Latn": spanish.sentence,
    "deu_Latn": german.sentence,
    "fra_Latn": french.sentence,
    "jpn_Jpan": japanese.sentence,
}
LANGUAGES: tuple[str, ...] = tuple(_GRAMMARS)


def render(meaning: Meaning, language: str) -> str:
    """The sentence that says `meaning` in `language`; raises CorpusError for another language."""
    if language not in _GRAMMARS:
        raise CorpusError(
            f"phrasebook: no language {language!r}, expected one of {', '.join(LANGUAGES)}"
            f"{nearest(language, LANGUAGES)}"
        )
    text = _GRAMMARS[language](meaning)
    return text[:1].upper() + text[1:]
