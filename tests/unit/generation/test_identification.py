"""The identifier knows what the platform says it knows, and finds the languages of plain sentences."""

from importlib.metadata import version

import pytest

from sprachbund.corpora import read_corpora
from sprachbund.corpora.source import CorpusSource
from sprachbund.languages import identifier
from sprachbund.languages import table as languages
from sprachbund_runners.generation.identification import identify, labels


def test_the_platform_lists_the_identifiers_labels() -> None:
    assert labels() == tuple(sorted(identifier.LABELS))
    assert version(identifier.NAME).startswith(f"{identifier.VERSION}.")


def test_labels_stand_for_codes_whatever_the_script() -> None:
    assert identifier.labels_of("eng_Latn") == ("en",)
    assert identifier.labels_of("zho_Hans") == identifier.labels_of("zho_Hant") == ("zh",)
    assert identifier.labels_of("srp_Latn") == ("sr",)
    assert identifier.labels_of("tpi_Latn") == ()
    assert identifier.labels_of("xyz") == ()


def test_most_labels_name_a_language_of_the_table() -> None:
    unknown = {label for label in identifier.LABELS if languages.find(label) is None}
    assert unknown == {"bcl", "ext", "gcf", "gcr", "gom", "guw", "hbo", "sdh", "uzs", "zxx"}


def test_sentences_are_in_their_language() -> None:
    (corpus,) = read_corpora(CorpusSource(builtin="phrasebook", split="test", limit=50))
    for code in corpus.languages:
        found = identify(corpus.text(code).texts)
        hits = sum(each.label in identifier.labels_of(code) for each in found)
        assert hits >= 45, code
        assert all(0 < each.probability <= 1 for each in found)


def test_only_listed_labels_are_given_and_the_restriction_does_not_stay() -> None:
    text = ["Der Gärtner wäscht den kleinen Stuhl."]
    assert identify(text, ["en", "fr"])[0].label in ("en", "fr")
    assert identify(text)[0].label == "de"
    with pytest.raises(ValueError, match="Unknown language"):
        identify(text, ["en", "tlh"])


def test_no_texts() -> None:
    assert identify([]) == []
