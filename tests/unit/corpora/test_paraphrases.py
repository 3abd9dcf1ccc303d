"""Corpora of paraphrases."""

import pytest
from pydantic import ValidationError

from sprachbund.corpora import read_corpora
from sprachbund.corpora.corpus import code_of, paraphrase_side
from sprachbund.corpora.source import CorpusSource
from sprachbund.errors import CorpusError

COLUMNS = {"item": "id", "language": "lang", "text": "one", "paraphrase": "two"}


def table(tmp_path, *rows):
    path = tmp_path / "pairs.tsv"
    path.write_text("\n".join(["id\tlang\tone\ttwo", *rows]) + "\n", encoding="utf-8")
    return {"path": str(path), "kind": "paraphrase", "columns": COLUMNS}


def test_every_language_is_a_corpus_with_two_sides(tmp_path):
    source = table(tmp_path, "1\tes\thola\tbuenas", "2\tes\tadiós\thasta luego", "1\tde\thallo\tguten Tag")
    german, spanish = read_corpora(CorpusSource(**source))
    assert (spanish.name, spanish.collection, spanish.kind) == ("pairs/spa_Latn", "pairs", "paraphrase")
    assert spanish.languages == ("spa_Latn",) and len(spanish) == 2 and len(german) == 1
    assert spanish.texts["spa_Latn"].texts == ["hola", "adiós"]
    other = spanish.texts[paraphrase_side("spa_Latn")]
    assert other.texts == ["buenas", "hasta luego"] and other.language == "spa_Latn"
    assert code_of(paraphrase_side("spa_Latn")) == code_of("spa_Latn") == "spa_Latn"


def test_an_empty_paraphrase_is_named(tmp_path):
    with pytest.raises(CorpusError, match="1 with an empty paraphrase: item '1' in spa_Latn"):
        read_corpora(CorpusSource(**table(tmp_path, "1\tes\thola\t")))


def test_the_column_belongs_to_the_kind(tmp_path):
    with pytest.raises(ValidationError, match=r"columns\.paraphrase: required with 'kind: paraphrase'"):
        CorpusSource(path="a.csv", kind="paraphrase")
    with pytest.raises(ValidationError, match=r"columns\.paraphrase: required with"):
        CorpusSource(path="a.csv", columns={"paraphrase": "b"})
    with pytest.raises(ValidationError, match="layout: a paraphrase corpus is 'long'"):
        CorpusSource(path="a.csv", kind="paraphrase", layout="wide", columns={"paraphrase": "b"})
    with pytest.raises(CorpusError, match=r"columns\.paraphrase: no column 'tow'"):
        read_corpora(CorpusSource(**{**table(tmp_path), "columns": {**COLUMNS, "paraphrase": "tow"}}))
