"""The phrasebook as a corpus, and what roles of it share: nothing."""

import pytest

from sprachbund.corpora import CorpusSource, overlap, phrasebook, read_corpora
from sprachbund.errors import CorpusError


def source(split: str, **fields: int) -> CorpusSource:
    return CorpusSource(builtin="phrasebook", split=split, **fields)


def test_all_languages_in_the_phrasebooks_own_order() -> None:
    (corpus,) = read_corpora(source("select"))
    assert set(corpus.languages) == set(phrasebook.LANGUAGES)
    assert (corpus.name, corpus.kind, corpus.split) == ("phrasebook", "parallel", "select")
    for language, texts in corpus.texts.items():
        assert texts.frame.rows() == phrasebook.sentences("select", language)


def test_a_limit_takes_the_first_and_a_seed_any() -> None:
    (first,) = read_corpora(source("test", limit=7), ["ja", "English"])
    assert first.languages == ("jpn_Jpan", "eng_Latn")
    assert first.text("jpn_Jpan").frame.rows() == phrasebook.sentences("test", "jpn_Jpan", 7)
    (sample,) = read_corpora(source("test", limit=7, sample_seed=3), ["fr"])
    everything = phrasebook.sentences("test", "fra_Latn")
    assert len(sample) == 7
    assert set(sample.text("fra_Latn").frame.rows()) < set(everything)
    assert sample.text("fra_Latn").frame.rows() != everything[:7]


def test_roles_share_neither_texts_nor_groups() -> None:
    roles = [read_corpora(source(split))[0].texts.values() for split in ("fit", "select", "test")]
    assert not overlap(roles[0], roles[1])
    assert not overlap(roles[0], roles[2])
    assert not overlap(roles[1], roles[2])


def test_refusals() -> None:
    with pytest.raises(CorpusError, match="did you mean 'test'"):
        read_corpora(source("tets"))
    with pytest.raises(CorpusError, match="corpus 'phrasebook' has no language 'ko'"):
        read_corpora(source("fit"), ["en", "ko"])
