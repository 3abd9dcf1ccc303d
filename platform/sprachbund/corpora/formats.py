"""File formats: tables and lines of text as they are on disk, before anything is known of languages."""

import json
from pathlib import Path
from typing import Any

import polars as pl

from sprachbund.errors import CorpusError, nearest

_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_SUFFIXES = (".parquet", *_SEPARATORS, ".jsonl", ".ndjson")


def locate(name: str, base: Path, where: str) -> Path:
    """The file `name` under `base`; CorpusError that begins with `where` and names the nearest file."""
    path = base / Path(name).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        raise CorpusError(f"{where}: '{name}' is a folder, expected a file")
    folder = path.parent
    if not folder.is_dir():
        raise CorpusError(f"{where}: no file '{name}', not even its folder")
    siblings = [entry.name for entry in folder.iterdir() if entry.is_file()]
    raise CorpusError(f"{where}: no file '{name}'{nearest(path.name, siblings)}")


def scan_table(path: Path, where: str, quoted: bool | None = None) -> pl.LazyFrame:
    """A Parquet, CSV, TSV or JSON Lines file. CSV and TSV columns are text; nothing is guessed."""
    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            frame = pl.scan_parquet(path, glob=False)
            frame.collect_schema()
            return frame
        if suffix in _SEPARATORS:
            may_quote = suffix == ".csv" if quoted is None else quoted
            return _read_delimited(path, where, _SEPARATORS[suffix], may_quote)
        if suffix in (".jsonl", ".ndjson"):
            return _read_json_lines(path, where)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise CorpusError(f"{where}: cannot read {path.name}: {first_line(error)}") from error
    raise CorpusError(f"{where}: {path.name} is no table; expected {', '.join(_SUFFIXES)}")


def _read_delimited(path: Path, where: str, separator: str, quoted: bool) -> pl.LazyFrame:
    frame = pl.read_csv(
        path.read_bytes(),
        separator=separator,
        quote_char='"' if quoted else None,
        infer_schema=False,
        empty_string_is_null=False,
    )
    for column in frame.columns:
        stem, mark, number = column.rpartition("_duplicated_")
        if mark and number.isdigit() and stem in frame.columns:
            raise CorpusError(f"{where}: {path.name} has two columns '{stem}'")
    return frame.lazy()


def _read_json_lines(path: Path, where: str) -> pl.LazyFrame:
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(read_lines(path, where), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise CorpusError(f"{where}: {path.name}, line {number}: no JSON ({error.msg})") from error
        if not isinstance(row, dict):
            raise CorpusError(f"{where}: {path.name}, line {number}: expected a JSON object")
        # A JSON escape can spell half a surrogate pair, which no UTF-8 text can hold.
        if "\\ud" in line.lower() and not _is_unicode(row):
            raise CorpusError(f"{where}: {path.name}, line {number}: a lone surrogate, no valid Unicode")
        rows.append(row)
    columns = dict.fromkeys(name for row in rows for name in row)
    return pl.LazyFrame({name: _series(name, [row.get(name) for row in rows]) for name in columns})


def _series(name: str, values: list[Any]) -> pl.Series:
    types = {type(value) for value in values if value is not None}
    if types <= {str, int} and types:
        # Names such as 7 and "7a" in one column: a whole number and its digits are the same name.
        return pl.Series(name, [None if value is None else str(value) for value in values], dtype=pl.String)
    if types in (set(), {bool}, {float}):
        return pl.Series(name, values)
    return pl.Series(name, values, dtype=pl.Object)


def _is_unicode(row: dict[str, Any]) -> bool:
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def read_lines(path: Path, where: str) -> list[str]:
    """The lines of a UTF-8 text file, with or without a byte order mark, ended by LF or CR LF.

    Other separators that `str.splitlines` knows (U+2028, form feed …) belong to the text.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CorpusError(f"{where}: cannot read {path.name}: {error.strerror}") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CorpusError(f"{where}: {path.name}, line {line}: not UTF-8") from error
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def first_line(error: BaseException, length: int = 200) -> str:
    """The first line of an error's message, cut to `length`."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0] if len(lines[0]) <= length else lines[0][:length] + "…"
