"""CoNLL-U treebanks: sentences as they are written, their words, and where each stands in its sentence."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from sprachbund.corpora.formats import read_lines
from sprachbund.corpora.text import NO_LABEL, WORD_LABEL, WORDS
from sprachbund.errors import CorpusError

_COLUMNS = 10
_FORM, _UPOS = 1, 3
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class TreebankSentence:
    """A sentence: its `sent_id`, its text, the document it is in, its words' places in the text and their UPOS.

    spans: half-open ranges of characters. upos: `_` for a written word that stands for several ("im": in dem).
    """

    item: str
    text: str
    group: str | None
    spans: tuple[tuple[int, int], ...]
    upos: tuple[str, ...]


def read_treebank(path: Path, where: str) -> list[TreebankSentence]:
    """The sentences of a CoNLL-U file, in its order; CorpusError that begins with `where` and names the line."""
    found = []
    document: str | None = None
    for number, lines in _blocks(read_lines(path, where)):
        comments = dict(_comment(line) for line in lines if line.startswith("#"))
        if "newdoc" in comments or "newdoc id" in comments:
            document = comments.get("newdoc id")
        here = f"{where}: {path.name}, line {number}"
        for name in ("sent_id", "text"):
            if not comments.get(name):
                raise CorpusError(f"{here}: a sentence without '# {name} = …'")
        forms, upos = [], []
        covered = 0
        for offset, line in enumerate(lines):
            if line.startswith("#"):
                continue
            fields = line.split("\t")
            if len(fields) != _COLUMNS:
                raise CorpusError(
                    f"{where}: {path.name}, line {number + offset}: expected {_COLUMNS} columns, found {len(fields)}"
                )
            first, mark, last = fields[0].partition("-")
            if "." in first:  # an empty node: nothing is written for it
                continue
            if not first.isdecimal() or (mark and not last.isdecimal()):
                raise CorpusError(f"{where}: {path.name}, line {number + offset}: '{fields[0]}' is no word's number")
            if mark:
                covered = int(last)
            elif int(first) <= covered:
                continue
            if fields[_UPOS].split() != [fields[_UPOS]]:
                raise CorpusError(f"{where}: {path.name}, line {number + offset}: '{fields[_UPOS]}' is no UPOS")
            forms.append(fields[_FORM])
            upos.append(NO_LABEL if mark else fields[_UPOS])
        if not forms:
            raise CorpusError(f"{here}: a sentence without words")
        text = comments["text"]
        spans = word_spans(text, forms, here)
        found.append(TreebankSentence(comments["sent_id"], text, document, tuple(spans), tuple(upos)))
    return found


def word_spans(text: str, forms: Sequence[str], where: str) -> list[tuple[int, int]]:
    """Where the words stand in their text, one after the other: half-open ranges of characters.

    Nothing but white space may be between them; inside a word white space need not be the same. Raises CorpusError
    that begins with `where` for a word that is not where the text goes on, and for text that is left over.
    """
    spans = []
    at = 0
    for number, form in enumerate(forms, start=1):
        at = _skip(text, at)
        start = at
        letters = "".join(form.split())
        for letter in letters:
            at = _skip(text, at) if at > start else at
            if text[at : at + 1] != letter:
                rest = text[start : start + _SHOWN]
                raise CorpusError(f"{where}: word {number}, '{form}', is not where the text goes on: '{rest}'")
            at += 1
        if not letters:
            raise CorpusError(f"{where}: word {number} is empty")
        spans.append((start, at))
    if _skip(text, at) < len(text):
        raise CorpusError(f"{where}: no word for the rest of the text, '{text[at : at + _SHOWN]}'")
    return spans


def treebank_rows(sentences: Sequence[TreebankSentence], label: str) -> pl.DataFrame:
    """Rows of a reader: label, item, text, group, and the columns of words."""
    columns = {
        "label": [label] * len(sentences),
        "item": [each.item for each in sentences],
        "text": [each.text for each in sentences],
        "group": [each.group for each in sentences],
        f"{WORD_LABEL}upos": [" ".join(each.upos) for each in sentences],
        WORDS: [" ".join(f"{start}-{end}" for start, end in each.spans) for each in sentences],
    }
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))


def _blocks(lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Each sentence's lines and the number of the first."""
    block: list[str] = []
    for number, line in enumerate([*lines, ""], start=1):
        if line.strip():
            block.append(line)
        elif block:
            yield number - len(block), block
            block = []


def _comment(line: str) -> tuple[str, str]:
    name, _, value = line.removeprefix("#").partition("=")
    return name.strip(), value.strip()


def _skip(text: str, at: int) -> int:
    """The first place from `at` on that is no white space."""
    while at < len(text) and text[at].isspace():
        at += 1
    return at
