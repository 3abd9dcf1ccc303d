"""Text sets: fingerprints, duplicates, and the way through Parquet."""

import io
import unicodedata

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprachbund.corpora import Sentence, TextSet, fingerprint, gold_groups, normalise
from sprachbund.corpora.text import from_parquet, sizes, to_parquet
from sprachbund.errors import ArtifactError

words = st.text(st.characters(codec="utf-8"), max_size=20)
triples = st.lists(st.tuples(words, words, st.none() | words), max_size=8)


def text_set(rows: list[tuple[str, str, str | None]]) -> TextSet:
    return TextSet.of("deu_Latn", "fit", rows)


def test_sentences_go_in_and_come_out() -> None:
    sentences = [Sentence("1", "Guten Tag.", "a"), Sentence("2", "Tschüss.")]
    texts = TextSet.of("deu_Latn", "fit", sentences)
    assert list(texts) == sentences
    assert (len(texts), texts.items, texts.texts) == (2, ["1", "2"], ["Guten Tag.", "Tschüss."])
    assert texts.groups == ["a", None]


def test_another_schema_is_refused() -> None:
    with pytest.raises(ValueError, match="columns"):
        TextSet("deu_Latn", "fit", pl.DataFrame({"item": [1], "text": ["x"], "group": [None]}))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Straße!", "STRASSE"),
        ("ﬁn  de siècle", "Fin de sie\u0300cle."),
        ("１２ 匹", "12匹"),
        ("¿Qué?", "que\u0301"),
        ("soft\u00adhyphen", "Soft-hyphen"),
        ("\u2764\ufe0f love", "love"),
        ("ǰ", "J̌"),
    ],
)
def test_same_text(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("no", "nó"), ("10", "100"), ("?!", "…"), ("हिन्दी", "हनद"), ("", "?"), ("か", "が"), ("🙂", "🙁")],
)
def test_other_text(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


def slow_normalise(text: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    kept = ""
    for character in folded:
        selector = "VARIATION SELECTOR" in unicodedata.name(character, "") and character > "\ufdff"
        if unicodedata.category(character)[0] in "LMN" and not selector:
            kept += character
    return unicodedata.normalize("NFKC", kept) or folded.strip()


@given(st.text() | st.text(st.sampled_from("aAäÄ\u0308\u0301\u0345\ufe0f\u200d\u00ad-.ſßİıᾳΣςǰがか\u3099 ")))
def test_normalise_equals_the_slow_reference(text: str) -> None:
    assert normalise(text) == slow_normalise(text)


@given(st.lists(st.sampled_from(["a", "A!", "b", "?", "?!", "ß", "SS", ""]), max_size=12))
def test_gold_groups_are_equal_exactly_where_normalised_texts_are(texts: list[str]) -> None:
    gold = gold_groups(texts)
    assert gold.dtype == np.int64
    assert gold.shape == (len(texts),)
    expected = [[normalise(one) == normalise(other) for other in texts] for one in texts]
    assert (gold[:, None] == gold[None, :]).tolist() == expected
    assert list(dict.fromkeys(gold.tolist())) == list(range(len(set(gold.tolist()))))


@given(triples, triples)
def test_fingerprints_are_equal_exactly_where_sentences_are(
    one: list[tuple[str, str, str | None]], other: list[tuple[str, str, str | None]]
) -> None:
    assert (fingerprint(text_set(one)) == fingerprint(text_set(other))) == (one == other)
    assert fingerprint(text_set(one)) == fingerprint(text_set(list(one)))


def test_the_fingerprint_tells_null_from_empty_order_and_columns() -> None:
    rows: list[list[tuple[str, str, str | None]]] = [
        [("1", "a", None)],
        [("1", "a", "")],
        [("a", "1", None)],
        [("1a", "", None)],
        [("1", "a", None), ("2", "b", None)],
        [("2", "b", None), ("1", "a", None)],
        [],
    ]
    assert len({fingerprint(text_set(row)) for row in rows}) == len(rows)


def test_the_fingerprint_never_changes() -> None:
    """Keys of stored results hang on it: a change here is a new version of every result."""
    texts = text_set([("1", "Grüße", "a"), ("2", "日本", None)])
    assert fingerprint(texts) == "c2358fa6287be032e4f24df56bc0318cd852f579"
    assert fingerprint(TextSet("eng_Latn", "test", texts.frame, "elsewhere")) == fingerprint(texts)


@given(triples)
def test_parquet_round_trip(rows: list[tuple[str, str, str | None]]) -> None:
    texts = text_set(rows)
    data = to_parquet(texts)
    again = from_parquet(data, "deu_Latn", "fit", expected=fingerprint(texts))
    assert again.frame.equals(texts.frame)
    assert to_parquet(text_set(list(rows))) == data


def test_damaged_parquet() -> None:
    texts = text_set([("1", "a", None)])
    data = to_parquet(texts)
    with pytest.raises(ArtifactError, match=r"deu_Latn, split 'fit'.*no readable Parquet"):
        from_parquet(data[: len(data) // 2], "deu_Latn", "fit")
    with pytest.raises(ArtifactError, match=r"fingerprint .* expected 0"):
        from_parquet(data, "deu_Latn", "fit", expected="0" * 40)
    buffer = io.BytesIO()
    pl.DataFrame({"item": ["1"]}).write_parquet(buffer)
    with pytest.raises(ArtifactError, match="columns"):
        from_parquet(buffer.getvalue(), "deu_Latn", "fit")


@given(st.lists(words, max_size=6))
def test_sizes_are_counted_sentence_by_sentence(texts: list[str]) -> None:
    made = TextSet.of("deu_Latn", "x", [(str(number), text, None) for number, text in enumerate(texts)])
    # Unicode's blanks: Python counts four separators of information to them.
    blank = "".join(each for each in map(chr, range(0x3001)) if each.isspace() and not "\x1c" <= each <= "\x1f")
    spaced = [text.translate(str.maketrans(blank, " " * len(blank))) for text in texts]
    assert sizes(made) == {
        "n_bytes": sum(len(text.encode()) for text in texts),
        "n_characters": sum(map(len, texts)),
        "n_words": sum(len([word for word in text.split(" ") if word]) for text in spaced),
    }
    assert sizes(TextSet.of("jpn_Jpan", "x", [("0", "a b", None)]))["n_words"] is None
