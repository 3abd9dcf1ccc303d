"""CoNLL-U treebanks: words, where they stand, and what is refused."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprachbund.corpora import CorpusSource, fingerprint, read_corpora
from sprachbund.corpora.conllu import read_treebank, word_spans
from sprachbund.corpora.text import from_parquet, to_parquet
from sprachbund.errors import CorpusError, SpecError
from sprachbund.spec.experiment import parse

REST = "\t".join("_" * 6)


def token(number: str, form: str, upos: str) -> str:
    return f"{number}\t{form}\t_\t{upos}\t{REST}"


GERMAN = [
    "# newdoc id = d1",
    "# sent_id = s1",
    "# text = Er ging im Wald.",
    token("1", "Er", "PRON"),
    token("2", "ging", "VERB"),
    token("3-4", "im", "_"),
    token("3", "in", "ADP"),
    token("4", "dem", "DET"),
    token("4.1", "nichts", "NOUN"),
    token("5", "Wald", "NOUN"),
    token("6", ".", "PUNCT"),
    "",
    "# sent_id = s2",
    "# text = Ja 10 000",
    token("1", "Ja", "INTJ"),
    token("2", "10000", "NUM"),
]
JAPANESE = [
    "# newdoc id = d1",
    "# sent_id = s2",
    "# text = はい一万",
    token("1", "はい", "INTJ"),
    token("2", "一万", "NUM"),
    "",
    "",
    "# sent_id = s1",
    "# text = 森に行った。",
    token("1", "森", "NOUN"),
    token("2", "に", "ADP"),
    token("3", "行った", "VERB"),
    token("4", "。", "PUNCT"),
    "",
]


def write(folder: Path, **files: list[str]) -> CorpusSource:
    for code, lines in files.items():
        (folder / f"{code}.conllu").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return CorpusSource(name="trees", files={code: f"{code}.conllu" for code in files})


def test_treebanks_are_a_parallel_corpus_with_words(tmp_path: Path) -> None:
    (corpus,) = read_corpora(write(tmp_path, deu_Latn=GERMAN, jpn_Jpan=JAPANESE), base=tmp_path)
    german, japanese = corpus.text("deu_Latn"), corpus.text("jpn_Jpan")
    assert german.items == japanese.items == ["s1", "s2"]
    assert german.groups == japanese.groups == ["d1", "d1"]
    assert german.texts == ["Er ging im Wald.", "Ja 10 000"]
    # A written word for two syntactic ones has no label of its own, an empty node is not written.
    assert german.word_labels == {"upos": [["PRON", "VERB", "_", "NOUN", "PUNCT"], ["INTJ", "NUM"]]}
    assert [text[slice(*span)] for text, spans in zip(german.texts, german.words, strict=True) for span in spans] == [
        "Er", "ging", "im", "Wald", ".", "Ja", "10 000",
    ]  # fmt: skip
    assert [len(spans) for spans in japanese.words] == [4, 2]
    assert german.labels == {}
    again = from_parquet(to_parquet(german), "deu_Latn", "all", expected=fingerprint(german))
    assert again.word_labels == german.word_labels
    for found, expected in zip(again.words, german.words, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_what_words_are_makes_another_text(tmp_path: Path) -> None:
    (one,) = read_corpora(write(tmp_path, deu_Latn=GERMAN), base=tmp_path)
    changed = [line.replace("INTJ", "ADV") for line in GERMAN]
    (other,) = read_corpora(write(tmp_path, deu_Latn=changed), base=tmp_path)
    assert fingerprint(one.text("deu_Latn")) != fingerprint(other.text("deu_Latn"))


def test_documents_are_groups_only_where_all_languages_have_them(tmp_path: Path) -> None:
    source = write(tmp_path, deu_Latn=GERMAN[1:], jpn_Jpan=JAPANESE)
    (corpus,) = read_corpora(source, base=tmp_path)
    assert corpus.text("jpn_Jpan").groups == [None, None]


@given(st.lists(st.text("aбé語 ́😀", min_size=1).filter(str.strip), min_size=1), st.data())
def test_words_are_found_where_they_were_put(words: list[str], data: st.DataObject) -> None:
    text, expected = "", []
    for word in words:
        text += data.draw(st.sampled_from(["", " ", "  ", " "]))
        inner = word.strip()
        expected.append((len(text), len(text) + len(inner)))
        text += inner
    assert word_spans(text, words, "here") == expected


@pytest.mark.parametrize(
    ("place", "line", "message"),
    [
        (1, "# sent = s1", r"deu_Latn.conllu, line 1: a sentence without '# sent_id = …'"),
        (2, "# text =", r"line 1: a sentence without '# text = …'"),
        (3, token("1", "Es", "PRON"), r"line 1: word 1, 'Es', is not where the text goes on: 'Er ging im Wald.'"),
        (3, "1\tEr\tPRON", r"line 4: expected 10 columns, found 3"),
        (3, token("x", "Er", "PRON"), r"line 4: 'x' is no word's number"),
        (3, token("1", "Er", ""), r"line 4: '' is no UPOS"),
        (3, token("1", " ", "PRON"), r"line 1: word 1 is empty"),
        (10, token("7.1", ".", "PUNCT"), r"line 1: no word for the rest of the text, '.'"),
    ],
)
def test_damaged_treebanks(tmp_path: Path, place: int, line: str, message: str) -> None:
    lines = [line if number == place else each for number, each in enumerate(GERMAN)]
    with pytest.raises(CorpusError, match=message):
        read_corpora(write(tmp_path, deu_Latn=lines), base=tmp_path)


def test_a_sentence_without_words(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="line 1: a sentence without words"):
        read_corpora(write(tmp_path, deu_Latn=GERMAN[1:3]), base=tmp_path)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"files": {"deu_Latn": "a.conllu", "fra_Latn": "b.txt"}},
            "files: some are .conllu treebanks and some are not",
        ),
        ({"files": {"deu_Latn": "a.conllu"}, "groups": "g.txt"}, "groups: not with .conllu files"),
    ],
)
def test_sources_that_make_no_sense(fields: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse({"name": "x", "corpora": {"test": fields}})


def test_pud(shared: Path) -> None:
    """All words of the treebanks beside the repository, against the table made of them by somebody else."""
    folder = shared / "data/ud"
    tokens = pl.read_parquet(folder / "pud_tokens.parquet")
    found = 0
    for path in sorted((folder / "pud").glob("*.conllu")):
        labels = tokens.filter(pl.col("lang") == path.name[:2]).group_by("sent_id", maintain_order=True)
        expected = {item: list(zip(part["form"], part["upos"], strict=True)) for (item,), part in labels}
        for sentence in read_treebank(path, "here"):
            written = [
                (sentence.text[start:end], upos)
                for (start, end), upos in zip(sentence.spans, sentence.upos, strict=True)
            ]
            # Between written words that stand for several, forms and labels are those of the table.
            alone = [("".join(form.split()), upos) for form, upos in written if upos != "_"]
            rest = iter([("".join(form.split()), upos) for form, upos in expected[sentence.item]])
            assert all(each in rest for each in alone), sentence.item
            assert len(expected[sentence.item]) >= len(alone) + 2 * (len(written) - len(alone))
            found += len(alone)
    assert found == 170_003
