"""Sentences of one language and split: their form, their fingerprint, and when two count as the same text."""

import hashlib
import io
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from sprachbund.errors import ArtifactError
from sprachbund.languages.table import UNSPACED, describe

SCHEMA = {"item": pl.String, "text": pl.String, "group": pl.String}
# Columns of further labels (topic) are named with this before them.
LABEL = "label:"
# Words, where a corpus has them: in one column where each stands ("0-3 4-9", half-open ranges of characters), in one
# column for each of their labels (upos) the labels ("DET NOUN"), with this before its name. `_` is no label.
WORDS = "words"
WORD_LABEL = "word:"
NO_LABEL = "_"


@dataclass(frozen=True, slots=True)
class Sentence:
    """One text of a corpus. `group` is what sentences that depend on each other share (article, document)."""

    item: str
    text: str
    group: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class TextSet:
    """The sentences of one language in one split, in order.

    `frame` has the String columns item, text and group and, for each further label, `label:` and its name; of a
    corpus with words also `word:` and the name of each of their labels, and `words`, where they stand. Only group may
    hold nulls. Groups of equal name are the same group within one `origin` only.
    """

    language: str
    split: str
    frame: pl.DataFrame
    origin: str = ""

    def __post_init__(self) -> None:
        if not has_schema(self.frame):
            raise ValueError(f"a TextSet has the columns {SCHEMA}, not {dict(self.frame.schema)}")

    @classmethod
    def of(
        cls, language: str, split: str, sentences: Iterable[Sentence | tuple[str, str, str | None]], origin: str = ""
    ) -> "TextSet":
        """A TextSet of `Sentence`s or of (item, text, group) triples."""
        rows = [(s.item, s.text, s.group) if isinstance(s, Sentence) else s for s in sentences]
        return cls(language, split, pl.DataFrame(rows, schema=SCHEMA, orient="row"), origin)

    def __len__(self) -> int:
        return self.frame.height

    def __iter__(self) -> Iterator[Sentence]:
        return (Sentence(*row) for row in self.frame.select(list(SCHEMA)).iter_rows())

    @property
    def items(self) -> list[str]:
        return self.frame["item"].to_list()

    @property
    def texts(self) -> list[str]:
        return self.frame["text"].to_list()

    @property
    def groups(self) -> list[str | None]:
        return self.frame["group"].to_list()

    @property
    def labels(self) -> dict[str, list[str]]:
        """Further labels of the sentences, by name."""
        names = [name for name in self.frame.columns if name.startswith(LABEL)]
        return {name.removeprefix(LABEL): self.frame[name].to_list() for name in names}

    @property
    def word_labels(self) -> dict[str, list[list[str]]]:
        """Labels of the words of every sentence, by name, `_` where a word has none; empty without words."""
        names = [name for name in self.frame.columns if name.startswith(WORD_LABEL)]
        return {name.removeprefix(WORD_LABEL): [row.split(" ") for row in self.frame[name]] for name in names}

    @property
    def words(self) -> list[npt.NDArray[np.int64]]:
        """Where the words of every sentence stand: int64 [n_words, 2], half-open ranges of its text's characters."""
        return [
            np.array([span.split("-") for span in row.split(" ")], dtype=np.int64).reshape(-1, 2)
            for row in self.frame[WORDS]
        ]


def sizes(texts: TextSet) -> dict[str, int | None]:
    """UTF-8 bytes, characters and words between blanks of all sentences; no words in scripts without blanks."""
    text = texts.frame["text"]
    spaced = describe(texts.language).script not in UNSPACED
    return {
        "n_bytes": int(text.str.len_bytes().sum()),
        "n_characters": int(text.str.len_chars().sum()),
        "n_words": int(text.str.count_matches(r"\S+").sum()) if spaced else None,
    }


def has_schema(frame: pl.DataFrame) -> bool:
    """Whether a frame has the columns of a TextSet: item, text, group, then others in order of their names."""
    rest = frame.columns[len(SCHEMA) :]
    return (
        frame.columns[: len(SCHEMA)] == list(SCHEMA)
        and all(dtype == pl.String for dtype in frame.dtypes)
        and all(is_further(name) for name in rest)
        and rest == sorted(rest)
    )


def is_further(column: str) -> bool:
    """Whether a column holds labels or words."""
    return column.startswith((LABEL, WORD_LABEL)) or column == WORDS


class _KeepLettersDigitsMarks(dict[int, int | None]):
    """A `str.translate` table that fills itself: letters, numbers and marks stay, all else goes."""

    def __missing__(self, point: int) -> int | None:
        # Variation selectors are marks by category, but only choose a glyph: they never make another text.
        selects_glyph = 0xFE00 <= point <= 0xFE0F or 0xE0100 <= point <= 0xE01EF
        keep = unicodedata.category(chr(point))[0] in "LMN" and not selects_glyph
        self[point] = point if keep else None
        return self[point]


_KEEP = _KeepLettersDigitsMarks()


def normalise(text: str) -> str:
    """The form in which two texts are compared: NFKC, case-folded, letters, digits and marks only.

    A text without any of these ("?!") stands for itself, so that it equals no other such text.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    # What is left may combine anew once the characters between are gone.
    kept = unicodedata.normalize("NFKC", folded.translate(_KEEP))
    return kept or folded.strip()


def gold_groups(texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """A number for each of N texts, shape (N,): equal where the normalised texts are, by first appearance."""
    numbers: dict[str, int] = {}
    gold = [numbers.setdefault(normalise(text), len(numbers)) for text in texts]
    return np.array(gold, dtype=np.int64)


def fingerprint(texts: TextSet) -> str:
    """40 hexadecimal digits over the ordered items, texts, groups, labels and words; not language, split or origin."""
    return _digest(b"sprachbund texts 1\n", texts.frame)


def fingerprint_of_parts(texts: TextSet, parts: Sequence[str]) -> str:
    """The same over some of the columns item, text and group alone."""
    return _digest(b"sprachbund parts 1\n", texts.frame.select(parts))


def _digest(start: bytes, frame: pl.DataFrame) -> str:
    digest = hashlib.sha256(start)
    for name in frame.columns[len(SCHEMA) :]:
        digest.update(b"label %d\n%b" % (len(name.encode()), name.encode()))
    for row in frame.iter_rows():
        for value in row:
            data = None if value is None else value.encode()
            # Lengths before values: no two different lists of strings give the same bytes.
            digest.update(b"-\n" if data is None else b"%d\n%b" % (len(data), data))
    return digest.hexdigest()[:40]


def to_parquet(texts: TextSet) -> bytes:
    """The frame (item, text, group, labels) as Parquet: the same bytes for the same content and library version."""
    buffer = io.BytesIO()
    texts.frame.write_parquet(buffer, compression="zstd", compression_level=3, statistics=True)
    return buffer.getvalue()


def from_parquet(data: bytes, language: str, split: str, origin: str = "", expected: str | None = None) -> TextSet:
    """The TextSet that `to_parquet` wrote; ArtifactError if damaged or its fingerprint is not `expected`."""
    try:
        frame = pl.read_parquet(io.BytesIO(data))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ArtifactError(f"texts of {language}, split '{split}': no readable Parquet file") from error
    if not has_schema(frame):
        raise ArtifactError(
            f"texts of {language}, split '{split}': columns {frame.columns}, expected {list(SCHEMA)} as text"
        )
    texts = TextSet(language, split, frame, origin)
    if expected is not None and (found := fingerprint(texts)) != expected:
        raise ArtifactError(f"texts of {language}, split '{split}': fingerprint {found}, expected {expected}")
    return texts
