"""Real corpora beside the repository: what each is known to hold."""

from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from sprachbund.corpora import Corpus, CorpusSource, gold_groups, overlap, read_corpora
from sprachbund.errors import CorpusError

STUDY = ["eng", "spa", "deu", "fra", "jpn", "zho"]


def read(shared: Path, path: str, languages: list[str] | None = None, **fields: Any) -> list[Corpus]:
    return read_corpora(CorpusSource(path=path, **fields), languages, shared / "data")


def sib200(shared: Path, languages: list[str] | None = None, **fields: Any) -> Corpus:
    columns = {"item": "index_id", "language": "lang"}
    (corpus,) = read(shared, "open/sib200.parquet", languages, columns=columns, **fields)
    return corpus


def tatoeba(shared: Path, languages: list[str] | None = None) -> list[Corpus]:
    columns = {"item": "pair_id", "language": "lang", "pivot_text": "eng_text"}
    return read(shared, "open/tatoeba.parquet", languages, columns=columns, kind="bilingual")


def test_sib200(shared: Path) -> None:
    corpus = sib200(shared, STUDY)
    assert corpus.languages == ("eng_Latn", "spa_Latn", "deu_Latn", "fra_Latn", "jpn_Jpan", "zho_Hans")
    assert len(corpus) == 703
    frame = pl.read_parquet(shared / "data/open/sib200.parquet").filter(pl.col("lang") == "jpn_Jpan")
    expected = {str(row["index_id"]): row["text"] for row in frame.iter_rows(named=True)}
    japanese = corpus.text("jpn_Jpan")
    assert dict(zip(japanese.items, japanese.texts, strict=True)) == expected
    assert japanese.items == sorted(expected, key=int)
    assert len(sib200(shared).languages) == 47


def test_sib200_splits_and_topics(shared: Path) -> None:
    frame = pl.read_parquet(shared / "data/open/sib200.parquet").filter(pl.col("lang") == "eng_Latn")
    expected = frame.filter((pl.col("split") == "train") & (pl.col("category") == "health"))
    corpus = sib200(shared, ["en"], split="train", filter={"category": "health"})
    assert corpus.text("eng_Latn").items == [str(item) for item in sorted(expected["index_id"])]


def test_tatoeba_is_a_collection_of_36(shared: Path) -> None:
    corpora = tatoeba(shared)
    assert len(corpora) == 36
    assert sum(map(len, corpora)) == 22_184
    assert {corpus.collection for corpus in corpora} == {"tatoeba"}
    assert all(corpus.languages[1] == "eng_Latn" for corpus in corpora)
    (german,) = tatoeba(shared, ["de"])
    assert german.name == "tatoeba/deu_Latn"
    row = pl.read_parquet(shared / "data/open/tatoeba.parquet").filter(pl.col("lang") == "deu").row(5, named=True)
    item = german.text("deu_Latn").items.index(row["pair_id"])
    assert german.text("deu_Latn").texts[item] == row["text"]
    assert german.text("eng_Latn").texts[item] == row["eng_text"]


def test_fit_on_sib200_and_test_on_tatoeba_share_nothing(shared: Path) -> None:
    test = list(chain.from_iterable(corpus.texts.values() for corpus in tatoeba(shared)))
    fit = sib200(shared, STUDY).texts.values()
    assert not overlap(fit, test)
    assert overlap(fit, fit).n_texts == sum(len(set(gold_groups(texts.texts).tolist())) for texts in fit)


def test_pud(shared: Path) -> None:
    (corpus,) = read(shared, "ud/pud_sentences.parquet", columns={"item": "sent_id", "language": "lang"})
    assert (len(corpus.languages), len(corpus)) == (21, 1000)


def test_ntrex(shared: Path) -> None:
    columns = {"item": "sent_id", "language": "lang", "group": "doc_id"}
    path = "ntrex128/ntrex128.parquet"
    (corpus,) = read(shared, path, ["en", "zh-TW", "ekk", "srp_Latn", "sw"], columns=columns)
    assert corpus.languages == ("eng_Latn", "zho_Hant", "est_Latn", "srp_Latn", "swh_Latn")
    assert len(corpus) == 1997
    assert corpus.text("eng_Latn").items == [str(number) for number in range(1997)]
    assert len(set(corpus.text("swh_Latn").groups)) == 123
    with pytest.raises(CorpusError, match="what language is 'eng-GB', 'eng-IN'"):
        read(shared, path, columns=columns)


def test_aligned_verses_of_the_bible(shared: Path) -> None:
    columns = {"item": "verse_id", "language": "lang", "group": ["book", "chapter"]}
    path = "bible/bible_main.parquet"
    aligned: dict[str, Any] = {"columns": columns, "filter": {"aligned": True}}
    (everything,) = read(shared, path, on_missing="drop", **aligned)
    assert (len(everything.languages), len(everything)) == (14, 6_779)
    full = [code for code in everything.languages if code not in ("ind_Latn", "swh_Latn")]
    (twelve,) = read(shared, path, full, on_missing="drop", **aligned)
    assert len(twelve) == 27_060
    assert twelve.dropped > 0
    assert twelve.text("eng_Latn").groups[twelve.text("eng_Latn").items.index("Gen.3.1")] == "Gen/3"
    with pytest.raises(CorpusError, match=r"lack a language, item .* lacks zho_Hans"):
        read(shared, path, ["eng", "zho"], **aligned)


def test_xquad(shared: Path) -> None:
    columns = {"item": "qid", "language": "lang", "text": "question", "group": "article"}
    (corpus,) = read(shared, "xquad/xquad.parquet", columns=columns)
    assert (len(corpus.languages), len(corpus)) == (12, 1190)
    assert len(set(corpus.text("tha_Thai").groups)) == 48
