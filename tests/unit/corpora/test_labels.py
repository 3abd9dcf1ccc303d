"""Further labels of sentences: read, kept through the store, and part of a text's identity."""

import polars as pl
import pytest
from pydantic import ValidationError

from sprachbund.corpora import CorpusSource, fingerprint, read_corpora
from sprachbund.corpora.text import from_parquet, to_parquet
from sprachbund.errors import CorpusError


@pytest.fixture
def table(tmp_path):
    rows = [
        {"item": item, "language": language, "text": f"{language} {item}", "category": topic, "year": 1990 + item}
        for item, topic in ((1, "sport"), (2, "law"))
        for language in ("eng_Latn", "deu_Latn")
    ]
    path = tmp_path / "long.parquet"
    pl.DataFrame(rows).write_parquet(path)
    return path


def read(path, **columns):
    (corpus,) = read_corpora(CorpusSource(path=str(path), columns=columns))
    return corpus


def test_labels_of_a_long_table_survive_the_store(table):
    corpus = read(table, labels={"topic": "category", "when": "year"})
    text = corpus.text("eng_Latn")
    assert text.labels == {"topic": ["sport", "law"], "when": ["1991", "1992"]}
    assert [sentence.item for sentence in text] == ["1", "2"]
    again = from_parquet(to_parquet(text), "eng_Latn", "all", expected=fingerprint(text))
    assert again.labels == text.labels


def test_a_list_names_labels_as_their_columns(table):
    assert read(table, labels=["category"]).text("deu_Latn").labels == {"category": ["sport", "law"]}


def test_a_wide_tables_label_columns_are_no_languages(tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text("item,topic,eng_Latn,deu_Latn\n1,law,a,b\n2,art,c,d\n", encoding="utf-8")
    (corpus,) = read_corpora(CorpusSource(path=str(path), layout="wide", columns={"labels": "topic"}))
    assert corpus.languages == ("deu_Latn", "eng_Latn")
    assert corpus.text("deu_Latn").labels == {"topic": ["law", "art"]}


def test_labels_tell_texts_apart_and_none_change_nothing(table):
    plain, labelled, renamed = (
        read(table, **columns) for columns in ({}, {"labels": {"topic": "category"}}, {"labels": {"genre": "category"}})
    )
    prints = {fingerprint(corpus.text("eng_Latn")) for corpus in (plain, labelled, renamed)}
    assert len(prints) == 3
    assert plain.text("eng_Latn").labels == {}


def test_refusals(table, tmp_path):
    with pytest.raises(CorpusError, match=r"columns.labels.topic: no column 'categori', .*did you mean 'category'"):
        read(table, labels={"topic": "categori"})
    with pytest.raises(ValidationError, match="'language' is a label of every corpus already"):
        CorpusSource(path="x.csv", columns={"labels": ["language"]})
    with pytest.raises(ValidationError, match="'my topic' is no name for a label"):
        CorpusSource(path="x.csv", columns={"labels": {"my topic": "topic"}})
    path = tmp_path / "gap.csv"
    path.write_text("item,topic,language,text\n1,law,eng_Latn,a\n2,,eng_Latn,b\n", encoding="utf-8")
    with pytest.raises(CorpusError, match="1 rows without a topic: item '2' in eng_Latn"):
        read(path, labels=["topic"])
