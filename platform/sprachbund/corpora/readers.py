"""Readers: from a corpus source to aligned texts in the languages asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from sprachbund.corpora import phrasebook
from sprachbund.corpora.alignment import align, check_rows
from sprachbund.corpora.conllu import read_treebank, treebank_rows
from sprachbund.corpora.corpus import Corpus, code_of, paraphrase_side, some
from sprachbund.corpora.formats import first_line, locate, read_lines, scan_table
from sprachbund.corpora.source import LANGUAGE, CorpusSource, DatasetSource
from sprachbund.corpora.tables import Table
from sprachbund.corpora.text import TextSet, is_further
from sprachbund.errors import CorpusError, nearest
from sprachbund.languages import table as names

_ROWS = {"label": pl.String, "item": pl.String, "text": pl.String, "group": pl.String}


class Reader(Protocol):
    """Something with sentences in several languages, each under the corpus's own label."""

    def labels(self) -> list[str]: ...

    def rows(self, labels: list[str]) -> pl.DataFrame:
        """Columns label, item, text, group and, in a bilingual corpus, pivot_text (of paraphrases: paraphrase)."""


def read_corpora(source: CorpusSource, languages: Sequence[str] | None = None, base: Path | str = ".") -> list[Corpus]:
    """The corpora that `source` describes: one if parallel, one for each language if bilingual or of paraphrases.

    `languages` are codes or other words for languages, default all that there are; in a bilingual corpus the
    pivot language always comes along. Relative paths start at `base`. Raises CorpusError.
    """
    reader = _reader(source, Path(base))
    chosen = _choose_labels(source, reader.labels(), languages)
    rows = reader.rows(list(chosen.values()))
    codes = {label: code for code, label in chosen.items()}
    rows = rows.with_columns(pl.col("label").replace_strict(codes, return_dtype=pl.String).alias("language"))
    if source.kind == "parallel":
        check_rows(rows, source.label)
        return [_corpus(rows, source, list(chosen), source.label, None, _origin(source, Path(base)))]
    other = "paraphrase" if source.kind == "paraphrase" else "pivot_text"
    check_rows(rows, source.label, ("text", other))
    parts = rows.partition_by("language", as_dict=True)
    corpora = []
    for code in chosen:
        part = parts[(code,)]
        side = paraphrase_side(code) if source.kind == "paraphrase" else source.pivot
        both = pl.concat([part, part.with_columns(pl.lit(side).alias("language"), pl.col(other).alias("text"))])
        name = f"{source.label}/{code}"
        pair = [code, side]
        corpora.append(_corpus(both, source, pair, name, source.label, _origin(source, Path(base))))
    return corpora


def _corpus(
    rows: pl.DataFrame, source: CorpusSource, codes: list[str], name: str, collection: str | None, origin: str
) -> Corpus:
    items, dropped = align(rows, source, codes, name)
    split = source.split or "all"
    order = pl.DataFrame({"item": items}, schema={"item": pl.String})
    parts = rows.partition_by("language", as_dict=True)
    texts = {}
    for code in codes:
        frame = order.join(parts[(code,)], on="item", how="left", maintain_order="left")
        further = sorted(column for column in frame.columns if is_further(column))
        texts[code] = TextSet(code_of(code), split, frame.select("item", "text", "group", *further), origin)
    return Corpus(name, collection, source.kind, split, texts, dropped)


def _choose_labels(source: CorpusSource, labels: list[str], wanted: Sequence[str] | None) -> dict[str, str]:
    """Code → label of the languages wanted, in that order; all of them, sorted, if `wanted` is None."""
    where = f"corpus '{source.label}'"
    for label in source.languages:
        if label not in labels:
            raise CorpusError(f"{where}, languages: it has no '{label}', only {some(labels)}{nearest(label, labels)}")
    found: dict[str, list[str]] = {}
    unclear = []
    for label in labels:
        if label in source.languages:
            found.setdefault(source.languages[label], []).insert(0, label)
        elif (code := names.find(label, listed=[label])) is not None:
            found.setdefault(code, []).append(label)
        else:
            unclear.append(label)
    bilingual = source.kind == "bilingual"
    if wanted is None:
        if unclear:
            raise CorpusError(
                f"{where}: what language is {some([repr(label) for label in unclear])}? "
                "Say so under 'languages', or name the languages to read"
            )
        codes = sorted(code for code in found if not (bilingual and code == source.pivot))
    else:
        codes = []
        for word in wanted:
            code = names.find(word, listed=found)
            if bilingual and code == source.pivot:
                continue
            if code is None or code not in found:
                near = names.suggestion(word, found) if found else ""
                raise CorpusError(f"{where} has no language {word!r}, only {some(sorted(found)) or 'none'}{near}")
            codes.append(code)
    codes = list(dict.fromkeys(codes))
    if not codes:
        raise CorpusError(f"{where}: no language to read" + (f" beside {source.pivot}" if bilingual else ""))
    for code in codes:
        explicit = [label for label in found[code] if label in source.languages]
        if len(explicit) > 1 or (not explicit and len(found[code]) > 1):
            both = " and ".join(repr(label) for label in found[code][:2])
            raise CorpusError(f"{where}: {both} are both {code}; say under 'languages' which one is")
    return {code: found[code][0] for code in codes}


def _reader(source: CorpusSource, base: Path) -> Reader:
    where = f"corpus '{source.label}'"
    if source.builtin is not None:
        return _Phrasebook(source)
    if source.path is not None:
        path = locate(source.path, base, f"{where}, path")
        return Table.of(scan_table(path, f"{where}, path", source.quoted), source)
    if source.files is not None:
        return _Treebanks(source, base) if source.has_words else _TextFiles(source, base)
    dataset = source.dataset
    assert dataset is not None  # CorpusSource has exactly one of the four
    if source.languages_are_configs:
        return _DatasetByLanguage(source, dataset, base)
    return Table.of(_load(source, dataset, dataset.config, base), source)


def _origin(source: CorpusSource, base: Path) -> str:
    if source.origin is not None:
        return source.origin
    if source.dataset is not None:
        return f"dataset {source.dataset.name}"
    if source.builtin is not None:
        return f"builtin {source.builtin}"
    name = source.path or min((source.files or {}).values())
    return f"folder {(base / Path(name).expanduser()).resolve().parent}"


@dataclass(frozen=True, slots=True)
class _Phrasebook:
    source: CorpusSource

    def labels(self) -> list[str]:
        return list(phrasebook.LANGUAGES)

    def rows(self, labels: list[str]) -> pl.DataFrame:
        # A sample needs every item to choose from; the first ones do not.
        count = self.source.limit if self.source.sample_seed is None else None
        split = str(self.source.split)  # which it refuses if there is none
        rows = [
            (label, item, text, group)
            for label in labels
            for item, text, group in phrasebook.sentences(split, label, count)
        ]
        return pl.DataFrame(rows, schema=_ROWS, orient="row")


@dataclass(frozen=True, slots=True)
class _TextFiles:
    source: CorpusSource
    base: Path

    def labels(self) -> list[str]:
        return list(self.source.files or {})

    def rows(self, labels: list[str]) -> pl.DataFrame:
        where = f"corpus '{self.source.label}'"
        files = self.source.files or {}
        texts = {}
        for label in labels:
            field = f"{where}, files.{label}"
            texts[label] = read_lines(locate(files[label], self.base, field), field)
        first = labels[0]
        count = len(texts[first])
        for label in labels[1:]:
            if len(texts[label]) != count:
                raise CorpusError(
                    f"{where} is not parallel: '{files[first]}' has {count} lines, "
                    f"'{files[label]}' has {len(texts[label])}"
                )
        groups: list[str | None] = [None] * count
        if self.source.groups is not None:
            lines = read_lines(locate(self.source.groups, self.base, f"{where}, groups"), f"{where}, groups")
            if len(lines) != count:
                raise CorpusError(
                    f"{where}, groups: '{self.source.groups}' has {len(lines)} lines, '{files[first]}' has {count}"
                )
            groups = [line.strip() or None for line in lines]
        items = [str(number) for number in range(1, count + 1)]
        return pl.concat(
            pl.DataFrame({"label": [label] * count, "item": items, "text": texts[label], "group": groups}, schema=_ROWS)
            for label in labels
        )


@dataclass(frozen=True, slots=True)
class _Treebanks:
    """One CoNLL-U file for each language; sentences of equal `sent_id` are one item."""

    source: CorpusSource
    base: Path

    def labels(self) -> list[str]:
        return list(self.source.files or {})

    def rows(self, labels: list[str]) -> pl.DataFrame:
        files = self.source.files or {}
        parts = []
        for label in labels:
            field = f"corpus '{self.source.label}', files.{label}"
            parts.append(treebank_rows(read_treebank(locate(files[label], self.base, field), field), label))
        rows = pl.concat(parts)
        # Documents are the same in all languages or unknown.
        return rows if rows["group"].null_count() == 0 else rows.with_columns(pl.lit(None, pl.String).alias("group"))


@dataclass(frozen=True, slots=True)
class _DatasetByLanguage:
    """A dataset with one configuration for each language, as FLORES+ has."""

    source: CorpusSource
    dataset: DatasetSource
    base: Path

    def labels(self) -> list[str]:
        library = _datasets(self.source)
        where = _dataset_where(self.source, self.dataset)
        before, _, after = str(self.dataset.config).partition(LANGUAGE)
        try:
            configs = library.get_dataset_config_names(
                _dataset_path(self.dataset, self.base), revision=self.dataset.revision
            )
        except Exception as error:  # the library and its HTTP stack raise errors of many kinds
            raise CorpusError(f"{where}: {first_line(error)}") from error
        labels = [
            config[len(before) : len(config) - len(after)]
            for config in configs
            if config.startswith(before) and config.endswith(after) and len(config) > len(before) + len(after)
        ]
        # A configuration such as `all` beside those of the languages is none of them; `abc_Latn` is one.
        return [
            label
            for label in labels
            if label in self.source.languages or names.find(label, [label] if "_" in label else []) is not None
        ]

    def rows(self, labels: list[str]) -> pl.DataFrame:
        column = self.source.columns.language
        parts = []
        for label in labels:
            config = str(self.dataset.config).replace(LANGUAGE, label)
            frame = _load(self.source, self.dataset, config, self.base)
            table = Table.of(frame.with_columns(pl.lit(label).alias(column)), self.source)
            parts.append(table.rows([label]))
        return pl.concat(parts)


def _datasets(source: CorpusSource) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise CorpusError(
            f"corpus '{source.label}', dataset: needs the package datasets (pip install 'sprachbund[runner]')"
        ) from error
    return datasets


def _dataset_where(source: CorpusSource, dataset: DatasetSource) -> str:
    return f"corpus '{source.label}', dataset '{dataset.name}'"


def _dataset_path(dataset: DatasetSource, base: Path) -> str:
    local = base / Path(dataset.name).expanduser()
    return str(local) if local.is_dir() else dataset.name


def _load(source: CorpusSource, dataset: DatasetSource, config: str | None, base: Path) -> pl.LazyFrame:
    library = _datasets(source)
    try:
        loaded = library.load_dataset(
            _dataset_path(dataset, base), config, split=source.split, revision=dataset.revision
        )
    except Exception as error:  # the library and its HTTP stack raise errors of many kinds
        configuration = f", config '{config}'" if config else ""
        raise CorpusError(
            f"{_dataset_where(source, dataset)}{configuration}, split '{source.split}': {first_line(error)}"
        ) from error
    frame: pl.DataFrame = loaded.to_polars()
    return frame.lazy()
