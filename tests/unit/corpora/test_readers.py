"""Readers: every form of a corpus gives the same texts; damaged ones give one clear line."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sprachbund.corpora import Corpus, CorpusSource, fingerprint, read_corpora
from sprachbund.errors import CorpusError

Row = tuple[str, str, str, str | None]  # item, language, text, group

ROWS: list[Row] = [
    ("1", "eng", "Hello.", "a"),
    ("2", "eng", 'He said "no", twice.\nThen left.', "a"),
    ("10", "eng", "  spaces,\tand tabs ", "b"),
    ("10", "deu", "  Leerzeichen", "b"),
    ("1", "deu", "Hallo.", "a"),
    ("2", "deu", "Er sagte „nein“.\u2028Dann ging er.", "a"),
]
COLUMNS = ("item", "language", "text", "group")


def write(path: Path, rows: list[Row], *, bom: bool = False, dialect: dict[str, Any] | None = None) -> Path:
    """The rows in the format of the file's name, by a writer that is not the code under test."""
    head = b"\xef\xbb\xbf" if bom else b""
    if path.suffix == ".parquet":
        pl.DataFrame(rows, schema=COLUMNS, orient="row").write_parquet(path)
    elif path.suffix == ".jsonl":
        lines = [json.dumps(dict(zip(COLUMNS, row, strict=True)), ensure_ascii=len(row[2]) % 2 == 0) for row in rows]
        path.write_bytes(head + "".join(line + "\n" for line in lines).encode())
    else:
        buffer = io.StringIO(newline="")
        writer = csv.writer(buffer, **(dialect or {}))
        writer.writerow(COLUMNS)
        writer.writerows(["" if value is None else value for value in row] for row in rows)
        path.write_bytes(head + buffer.getvalue().encode())
    return path


def one(source: CorpusSource, languages: list[str] | None = None, base: Path | str = ".") -> Corpus:
    corpora = read_corpora(source, languages, base)
    assert len(corpora) == 1
    return corpora[0]


def refusal(source: CorpusSource, languages: list[str] | None = None, base: Path | str = ".") -> str:
    with pytest.raises(CorpusError) as caught:
        read_corpora(source, languages, base)
    message = str(caught.value)
    assert "\n" not in message
    return message


def check_rows_1_2_10(corpus: Corpus) -> None:
    assert corpus.languages == ("deu_Latn", "eng_Latn")
    for language, label in (("deu_Latn", "deu"), ("eng_Latn", "eng")):
        expected = {item: (text, group) for item, code, text, group in ROWS if code == label}
        assert corpus.text(language).frame.rows() == [(item, *expected[item]) for item in ("1", "2", "10")]


@pytest.mark.parametrize("bom", [False, True])
@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_long_tables(tmp_path: Path, suffix: str, bom: bool) -> None:
    path = write(tmp_path / f"c.{suffix}", ROWS, bom=bom)
    check_rows_1_2_10(one(CorpusSource(path=str(path))))


def test_tsv_takes_quotes_as_they_are_unless_told(tmp_path: Path) -> None:
    (tmp_path / "raw.tsv").write_bytes(b'item\tlanguage\ttext\n1\teng\t"Hi" he said\n2\teng\tI "see\n')
    raw = one(CorpusSource(path="raw.tsv"), base=tmp_path)
    assert raw.text("eng_Latn").texts == ['"Hi" he said', 'I "see']
    write(tmp_path / "quoted.tsv", ROWS, dialect={"delimiter": "\t"})
    check_rows_1_2_10(one(CorpusSource(path="quoted.tsv", quoted=True), base=tmp_path))


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12).filter(
    lambda text: bool(text.strip()) and bool(pl.Series([text]).str.strip_chars()[0])
)


@st.composite
def corpora_rows(draw: st.DrawFn) -> list[Row]:
    items = draw(st.lists(texts, min_size=1, max_size=5, unique=True))
    groups = {item: draw(st.none() | texts) for item in items}
    rows = [(item, code, draw(texts), groups[item]) for item in items for code in ("eng", "jpn")]
    return draw(st.permutations(rows))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(rows=corpora_rows())
@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_whatever_is_written_is_read(tmp_path: Path, suffix: str, rows: list[Row]) -> None:
    path = write(tmp_path / f"c.{suffix}", rows, dialect={"quoting": csv.QUOTE_ALL})
    corpus = one(CorpusSource(path=str(path)))
    for language, label in (("eng_Latn", "eng"), ("jpn_Jpan", "jpn")):
        found = {(item, label, text, group) for item, text, group in corpus.text(language).frame.rows()}
        assert found == {row for row in rows if row[1] == label}
    assert corpus.text("eng_Latn").items == corpus.text("jpn_Jpan").items


def test_order_and_fingerprint_depend_on_no_other_language_and_no_format(tmp_path: Path) -> None:
    extra = [("1", "fra", "Salut.", "a"), ("2", "fra", "Non.", "a"), ("10", "fra", "Espaces", "b")]
    small = write(tmp_path / "small.csv", ROWS)
    large = write(tmp_path / "large.parquet", [*extra, *reversed(ROWS)])
    alone = one(CorpusSource(path=str(small)), ["eng"])
    assert fingerprint(alone.text("eng_Latn")) == fingerprint(one(CorpusSource(path=str(large))).text("eng_Latn"))


def test_whole_numbers_are_items_and_groups(tmp_path: Path) -> None:
    path = tmp_path / "c.parquet"
    frame = pl.DataFrame({"id": [10, 9, 10, 9], "lang": ["en", "en", "de", "de"], "text": list("abcd")})
    frame.with_columns(doc=pl.col("id") // 5).write_parquet(path)
    source = CorpusSource(path=str(path), columns={"item": "id", "language": "lang", "group": "doc"})
    assert one(source).text("deu_Latn").frame.rows() == [("9", "d", "1"), ("10", "c", "2")]


def test_several_columns_name_an_item(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    rows = [{"a": "x/y", "b": 1}, {"a": "x", "b": "y/1"}, {"a": "x\\", "b": 1}]
    path.write_text(
        "".join(json.dumps({**row, "language": "en", "text": f"t{n}"}) + "\n" for n, row in enumerate(rows))
    )
    columns = {"item": ["a", "b"], "group": ["a"]}
    corpus = one(CorpusSource(path=str(path), columns=columns))
    found = {text: (item, group) for item, text, group in corpus.text("eng_Latn").frame.rows()}
    assert found == {"t0": (r"x\/y/1", "x/y"), "t1": (r"x/y\/1", "x"), "t2": (r"x\\/1", "x\\")}


def test_wide_tables(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("note,en,German,abc_Latn\nn1,one,eins,x\nn2,two,zwei,y\n")
    corpus = one(CorpusSource(path=str(path), layout="wide"))
    assert corpus.languages == ("abc_Latn", "deu_Latn", "eng_Latn")
    assert corpus.text("deu_Latn").frame.rows() == [("1", "eins", None), ("2", "zwei", None)]
    named = CorpusSource(path=str(path), layout="wide", columns={"item": "note"}, filter={"note": "n2"})
    assert one(named, ["en"]).text("eng_Latn").frame.rows() == [("n2", "two", None)]


def test_wide_row_numbers_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("split,en\ndev,a\ntest,b\n")
    assert one(CorpusSource(path=str(path), layout="wide", split="test")).text("eng_Latn").items == ["2"]


def test_text_files(tmp_path: Path) -> None:
    (tmp_path / "e.txt").write_bytes("\ufeffone\u2028still one\r\ntwo\n".encode())
    (tmp_path / "d.txt").write_bytes(b"eins\nzwei\x0bdrei")
    (tmp_path / "g.txt").write_bytes(b"doc1\n\n")
    source = CorpusSource(files={"eng_Latn": "e.txt", "de": "d.txt"}, groups="g.txt")
    corpus = one(source, base=tmp_path)
    assert corpus.text("eng_Latn").frame.rows() == [("1", "one\u2028still one", "doc1"), ("2", "two", None)]
    assert corpus.text("deu_Latn").texts == ["eins", "zwei\x0bdrei"]


def test_languages_come_in_the_order_asked_for_once(tmp_path: Path) -> None:
    source = CorpusSource(path=str(write(tmp_path / "c.csv", ROWS)))
    assert one(source, ["German", "en", "de"]).languages == ("deu_Latn", "eng_Latn")


def test_a_bilingual_table_is_a_collection(tmp_path: Path) -> None:
    path = tmp_path / "tatoeba.tsv"
    path.write_text("id\tlang\ttext\ten\nd1\tdeu\tJa.\tYes.\nd2\tdeu\tNein.\tNo.\nf1\tfra\tOui.\tYes.\n")
    columns = {"item": "id", "language": "lang", "pivot_text": "en"}
    source = CorpusSource(path=str(path), kind="bilingual", columns=columns)
    corpora = read_corpora(source)
    assert [(corpus.name, corpus.collection) for corpus in corpora] == [
        ("tatoeba/deu_Latn", "tatoeba"),
        ("tatoeba/fra_Latn", "tatoeba"),
    ]
    assert [len(corpus) for corpus in corpora] == [2, 1]
    assert corpora[0].languages == ("deu_Latn", "eng_Latn")
    assert corpora[0].text("eng_Latn").frame.rows() == [("d1", "Yes.", None), ("d2", "No.", None)]
    # The pivot comes along, asked for or not, but alone it is no corpus.
    assert [corpus.name for corpus in read_corpora(source, ["en", "fr"])] == ["tatoeba/fra_Latn"]
    assert "no language to read beside eng_Latn" in refusal(source, ["en"])


# -- which rows, which languages ---------------------------------------------------------------------------


@pytest.fixture
def typed(tmp_path: Path) -> Path:
    path = tmp_path / "typed.parquet"
    pl.DataFrame(
        {
            "item": ["1", "2", "3", "4"],
            "language": ["en"] * 4,
            "text": list("abcd"),
            "ok": [True, False, None, True],
            "year": [1999, 2000, 2001, 2000],
            "score": [0.5, 1.0, 2.0, 2.5],
            "part": ["dev", "test", "test", "train"],
            "written": ["True", "false", "TRUE", "other"],
            "parts": [["x"]] * 4,
        }
    ).write_parquet(path)
    return path


@pytest.mark.parametrize(
    ("condition", "items"),
    [
        ({"ok": True}, ["1", "4"]),
        ({"ok": False}, ["2"]),
        ({"ok": [True, False]}, ["1", "2", "4"]),
        ({"year": 2000}, ["2", "4"]),
        ({"year": [1999, 2001]}, ["1", "3"]),
        ({"score": [1, 2.5]}, ["2", "4"]),
        ({"part": "test", "year": 2000}, ["2"]),
        ({"written": False}, ["2"]),
    ],
)
def test_filters(typed: Path, condition: dict[str, Any], items: list[str]) -> None:
    assert one(CorpusSource(path=str(typed), filter=condition)).text("eng_Latn").items == items


def test_a_split_is_a_value_of_the_split_column(typed: Path) -> None:
    corpus = one(CorpusSource(path=str(typed), split="test", columns={"split": "part"}))
    assert (corpus.split, corpus.text("eng_Latn").split) == ("test", "test")
    assert corpus.text("eng_Latn").items == ["2", "3"]
    assert one(CorpusSource(path=str(typed))).split == "all"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"filter": {"part": "tset"}},
            "filter.part: no row has part = 'tset', only dev, test, train; did you mean 'test'?",
        ),
        ({"filter": {"ok": "maybe"}}, "filter.ok: no row has ok = 'maybe', only false, true"),
        ({"filter": {"year": 2000.5}}, "no row has year = 2000.5"),
        ({"filter": {"prt": "dev"}}, "filter: no column 'prt', only item, language"),
        ({"filter": {"parts": "x"}}, "column 'parts' holds List(String), expected single values"),
        ({"split": "dev"}, "columns.split: no column 'split'"),
        ({"split": "tests", "columns": {"split": "part"}}, "split: no row has part = 'tests'"),
        ({"columns": {"text": "txt"}}, "columns.text: no column 'txt', only item, language, text"),
        ({"columns": {"text": "txt"}}, "did you mean 'text'?"),
        ({"columns": {"text": "year"}}, "columns.text: column 'year' holds Int64, expected text"),
        ({"columns": {"item": "score"}}, "columns.item: column 'score' holds Float64, expected text or whole numbers"),
        ({"columns": {"group": "grp"}}, "columns.group: no column 'grp'"),
        ({"languages": {"eng": "en"}}, "languages: it has no 'eng', only en; did you mean 'en'?"),
    ],
)
def test_columns_and_values_that_are_not_there(typed: Path, fields: dict[str, Any], message: str) -> None:
    found = refusal(CorpusSource(path=str(typed), **fields))
    assert found.startswith("corpus 'typed', ")
    assert message in found


def test_labels_are_mapped(tmp_path: Path) -> None:
    rows: list[Row] = [("1", label, label, None) for label in ("eng", "eng-GB", "eng-US", "de", "xyz")]
    source: Callable[..., CorpusSource] = lambda **languages: CorpusSource(  # noqa: E731
        path=str(write(tmp_path / "c.csv", rows)), languages=languages
    )
    assert "what language is 'eng-GB', 'eng-US'? Say so under 'languages'" in refusal(source())
    assert one(source(), ["en", "xyz"]).languages == ("eng_Latn", "xyz")
    # What is said outweighs what is guessed: the label `eng` gives way.
    assert one(source(**{"eng-US": "en"}), ["en"]).text("eng_Latn").texts == ["eng-US"]
    twice = refusal(source(**{"eng-US": "en", "eng-GB": "en"}), ["en"])
    assert "are both eng_Latn; say under 'languages' which one is" in twice


def test_two_labels_of_one_language_are_refused(tmp_path: Path) -> None:
    rows: list[Row] = [("1", "ara", "a", None), ("1", "arb", "b", None), ("1", "eng", "c", None)]
    source = CorpusSource(path=str(write(tmp_path / "c.csv", rows)))
    assert "'ara' and 'arb' are both arb_Arab" in refusal(source)
    assert one(source, ["en"]).languages == ("eng_Latn",)


def test_a_language_that_is_not_there(tmp_path: Path) -> None:
    source = CorpusSource(path=str(write(tmp_path / "c.csv", ROWS)))
    assert refusal(source, ["Germn"]) == (
        "corpus 'c' has no language 'Germn', only deu_Latn, eng_Latn; did you mean 'deu_Latn' (German)?"
    )
    assert refusal(source, ["kor"]) == "corpus 'c' has no language 'kor', only deu_Latn, eng_Latn"
    assert "no language to read" in refusal(source, [])
    with pytest.raises(CorpusError, match="has no fra_Latn, only"):
        one(source).text("fra_Latn")


# -- alignment ---------------------------------------------------------------------------------------------


def test_missing_items_are_named_or_dropped_and_counted(tmp_path: Path) -> None:
    rows = [row for row in ROWS if row[:2] not in {("2", "deu"), ("1", "eng")}]
    path = str(write(tmp_path / "c.csv", rows))
    assert refusal(CorpusSource(path=path)) == (
        "corpus 'c' is not parallel: of 3 items 2 lack a language, item '1' lacks eng_Latn; "
        "item '2' lacks deu_Latn (on_missing: drop leaves them out)"
    )
    corpus = one(CorpusSource(path=path, on_missing="drop"))
    assert (corpus.dropped, corpus.text("deu_Latn").items, corpus.text("eng_Latn").items) == (2, ["10"], ["10"])
    assert one(CorpusSource(path=path), ["de"]).text("deu_Latn").items == ["1", "10"]
    apart: list[Row] = [("1", "eng", "a", None), ("2", "deu", "b", None)]
    nothing = CorpusSource(path=str(write(tmp_path / "d.csv", apart)), on_missing="drop")
    assert "no item is in all of deu_Latn, eng_Latn" in refusal(nothing)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("1", "eng", "again", "a"), "1 items occur more than once: item '1' in eng_Latn"),
        (("3", "eng", " \t", "a"), "1 with an empty text: item '3' in eng_Latn"),
        (("3", "eng", "", "a"), "1 with an empty text: item '3' in eng_Latn"),
        (("", "eng", "x", "a"), "1 rows without an item"),
        (("3", "", "x", "a"), "rows without a 'language'"),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_damaged_rows(tmp_path: Path, suffix: str, row: Row, message: str) -> None:
    source = CorpusSource(path=str(write(tmp_path / f"c.{suffix}", [*ROWS, row])))
    assert message in refusal(source)


def test_null_texts_are_empty_texts(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text('{"item": 1, "language": "en", "text": "x"}\n{"item": 2, "language": "en"}\n')
    assert "1 with an empty text: item '2' in eng_Latn" in refusal(CorpusSource(path=str(path)))


def test_groups_must_agree_between_languages(tmp_path: Path) -> None:
    rows: list[Row] = [("1", "eng", "x", "a"), ("1", "deu", "y", "b")]
    message = refusal(CorpusSource(path=str(write(tmp_path / "c.csv", rows))))
    assert "1 items are in different groups in different languages: '1'" in message


@pytest.fixture
def hundred(tmp_path: Path) -> str:
    rows: list[Row] = [(str(n), code, f"{code} {n}", None) for code in ("eng", "deu") for n in range(100)]
    return str(write(tmp_path / "c.csv", rows))


def test_the_first_items_are_the_first_by_number(hundred: str) -> None:
    assert one(CorpusSource(path=hundred, limit=12)).text("eng_Latn").items == [str(n) for n in range(12)]
    assert len(one(CorpusSource(path=hundred, limit=1000))) == 100


def test_a_sample_is_the_same_for_every_language_and_grows(hundred: str) -> None:
    def items(limit: int, seed: int, languages: list[str] | None = None) -> list[str]:
        corpus = one(CorpusSource(path=hundred, limit=limit, sample_seed=seed), languages)
        (found,) = {tuple(texts.items) for texts in corpus.texts.values()}
        return list(found)

    assert items(10, 1) == items(10, 1, ["de"])
    assert items(10, 1) != items(10, 2)
    assert set(items(10, 1)) < set(items(20, 1))
    assert items(20, 1) == sorted(items(20, 1), key=int) != [str(n) for n in range(20)]


# -- files that are not what they should be ----------------------------------------------------------------


def test_files_that_are_not_there(tmp_path: Path) -> None:
    write(tmp_path / "sib200.csv", ROWS)
    (tmp_path / "folder").mkdir()
    source: Callable[[str], CorpusSource] = lambda path: CorpusSource(name="n", path=path)  # noqa: E731
    found = refusal(source("sib20.csv"), base=tmp_path)
    assert found == "corpus 'n', path: no file 'sib20.csv'; did you mean 'sib200.csv'?"
    assert "is a folder, expected a file" in refusal(source("folder"), base=tmp_path)
    assert "not even its folder" in refusal(source("nowhere/a.csv"), base=tmp_path)
    files = CorpusSource(name="n", files={"de": "sib200.cs"})
    expected = "corpus 'n', files.deu_Latn: no file 'sib200.cs'; did you mean 'sib200.csv'?"
    assert refusal(files, base=tmp_path) == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("c.txt", b"x", "c.txt is no table; expected .parquet, .csv, .tsv, .jsonl"),
        ("c.csv", b"", "cannot read c.csv"),
        ("c.csv", b"item,language,text\n1,en,x,y\n", "cannot read c.csv"),
        ("c.csv", b"item,language,text\n1,en,\xff\n", "cannot read c.csv"),
        ("c.csv", b"item,language,text,text\n1,en,x,y\n", "c.csv has two columns 'text'"),
        ("c.csv", b"item,language,text\n1,en,x\n\n2,en,y\n", "rows without a 'language'"),
        ("c.parquet", b"PAR1 no", "cannot read c.parquet"),
        ("c.jsonl", b'{"item": 1}\n{"item": }\n', "c.jsonl, line 2: no JSON"),
        ("c.jsonl", b'{"item": 1}\n[1]\n', "c.jsonl, line 2: expected a JSON object"),
        ("c.jsonl", b'{"item": 1}\n{"text": "\\ud83d"}\n', "c.jsonl, line 2: a lone surrogate"),
        ("c.jsonl", b'{"item": 1}\n\xff\n', "c.jsonl, line 2: not UTF-8"),
        ("c.jsonl", b'{"item": 1.5, "language": "en", "text": "x"}', "column 'item' holds Float64"),
        ("c.jsonl", b'{"item": 1, "language": "en", "text": ["x"]}', "column 'text' holds Object"),
        ("c.jsonl", b"", "no column 'item'"),
    ],
)
def test_damaged_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    found = refusal(CorpusSource(path=name), base=tmp_path)
    assert found.startswith("corpus 'c'")
    assert message in found


def test_a_surrogate_pair_is_one_character(tmp_path: Path) -> None:
    row = b'{"item": 36893488147419103232, "language": "en", "text": "\\ud83d\\ude00"}'
    (tmp_path / "c.jsonl").write_bytes(row)
    corpus = one(CorpusSource(path="c.jsonl"), base=tmp_path)
    assert corpus.text("eng_Latn").frame.rows() == [("36893488147419103232", "😀", None)]


def test_text_files_of_different_length(tmp_path: Path) -> None:
    (tmp_path / "e.txt").write_text("one\ntwo\n")
    (tmp_path / "d.txt").write_text("eins\n")
    source = CorpusSource(name="n", files={"eng_Latn": "e.txt", "deu_Latn": "d.txt"})
    message = "corpus 'n' is not parallel: 'd.txt' has 1 lines, 'e.txt' has 2"
    assert refusal(source, base=tmp_path) == message
    grouped = CorpusSource(name="n", files={"eng_Latn": "e.txt"}, groups="d.txt")
    assert "groups: 'd.txt' has 1 lines, 'e.txt' has 2" in refusal(grouped, base=tmp_path)
    (tmp_path / "d.txt").write_text("eins\n\n")
    assert "1 with an empty text: item '2' in deu_Latn" in refusal(source, base=tmp_path)


def test_one_language_less_needs_not_its_file(tmp_path: Path) -> None:
    (tmp_path / "e.txt").write_text("one\n")
    source = CorpusSource(files={"eng_Latn": "e.txt", "deu_Latn": "missing.txt"})
    assert one(source, ["en"], tmp_path).text("eng_Latn").texts == ["one"]
