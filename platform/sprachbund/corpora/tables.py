"""Tables of sentences: which columns hold what, which rows count, which languages there are.

Every reader turns into rows of the same form: label (the corpus's own word for a language), item, text, group
and, in a bilingual corpus, pivot_text; all text.
"""

from dataclasses import dataclass

import polars as pl

from sprachbund.corpora.corpus import some
from sprachbund.corpora.source import CorpusSource, Scalar
from sprachbund.corpora.text import LABEL
from sprachbund.errors import CorpusError, nearest
from sprachbund.languages import table as languages

_ROW_NUMBER = "__row_number__"


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose columns are known to exist and whose rows are those of the split and filter asked for."""

    frame: pl.LazyFrame
    source: CorpusSource
    item: tuple[str, ...] | None  # None: the row number
    group: tuple[str, ...] | None

    @classmethod
    def of(cls, frame: pl.LazyFrame, source: CorpusSource) -> "Table":
        """Check the columns that `source` names and keep the rows that it asks for."""
        schema = dict(frame.collect_schema())
        columns = source.columns
        named: list[tuple[str, tuple[str, ...]]] = []
        item = _names(columns.item)
        if item is None and source.layout == "long":
            item = ("item",)
        group = _names(columns.group)
        if group is None and "group" not in columns.model_fields_set and "group" in schema:
            group = ("group",)
        if item is not None:
            named.append(("columns.item", item))
        if group is not None:
            named.append(("columns.group", group))
        if source.layout == "long":
            named += [("columns.language", (columns.language,)), ("columns.text", (columns.text,))]
        if columns.pivot_text is not None:
            named.append(("columns.pivot_text", (columns.pivot_text,)))
        if columns.paraphrase is not None:
            named.append(("columns.paraphrase", (columns.paraphrase,)))
        named += [(f"columns.labels.{name}", (column,)) for name, column in columns.labels.items()]
        by_split = source.split is not None and source.dataset is None
        if by_split:
            named.append(("columns.split", (columns.split,)))
        named += [("filter", (column,)) for column in source.filter]
        for field, names in named:
            for name in names:
                if name not in schema:
                    raise CorpusError(
                        f"corpus '{source.label}', {field}: no column '{name}', only {some(list(schema), 12)}"
                        f"{nearest(name, schema)}"
                    )
                _check_type(source, field, name, schema[name])
        if item is None:
            frame = frame.with_row_index(_ROW_NUMBER, offset=1)
        for column, wanted in source.filter.items():
            values = wanted if isinstance(wanted, list) else [wanted]
            frame = _keep(frame, source, f"filter.{column}", column, schema[column], values)
        if by_split:
            frame = _keep(frame, source, "split", columns.split, schema[columns.split], [str(source.split)])
        return cls(frame, source, item, group)

    def labels(self) -> list[str]:
        """The languages of the table in its own words."""
        if self.source.layout == "wide":
            columns = self.source.columns
            other = {*(self.item or ()), *(self.group or ()), *self.source.filter, *columns.labels.values()}
            if self.source.split is not None:
                other.add(columns.split)
            names = self.frame.collect_schema().names()
            return [name for name in names if name not in other and self._is_language(name)]
        column = self.source.columns.language
        found = self.frame.select(pl.col(column).cast(pl.String).unique().sort()).collect()[column].to_list()
        if None in found or "" in found:
            raise CorpusError(f"corpus '{self.source.label}', columns.language: rows without a '{column}'")
        return found

    def _is_language(self, column: str) -> bool:
        # A column's name alone tells: `note` is none, `abc_Latn` is one though the table of languages lacks it.
        listed = [column] if "_" in column else []
        return column in self.source.languages or languages.find(column, listed) is not None

    def rows(self, labels: list[str]) -> pl.DataFrame:
        """The sentences of these languages: label, item, text, group and perhaps pivot_text."""
        columns = self.source.columns
        item = pl.col(_ROW_NUMBER).cast(pl.String) if self.item is None else _joined(self.item)
        group = pl.lit(None, pl.String) if self.group is None else _joined(self.group)
        common = [item.alias("item"), group.replace("", None).alias("group")]
        common += [pl.col(column).cast(pl.String).alias(LABEL + name) for name, column in columns.labels.items()]
        if self.source.layout == "wide":
            schema = dict(self.frame.collect_schema())
            for label in labels:
                _check_type(self.source, "languages", label, schema[label])
            parts = [[pl.lit(label).alias("label"), pl.col(label).cast(pl.String).alias("text")] for label in labels]
            return pl.concat([self.frame.select(*part, *common) for part in parts]).collect()
        language = pl.col(columns.language).cast(pl.String)
        texts = [pl.col(columns.text).cast(pl.String).alias("text")]
        if columns.pivot_text is not None:
            texts.append(pl.col(columns.pivot_text).cast(pl.String).alias("pivot_text"))
        if columns.paraphrase is not None:
            texts.append(pl.col(columns.paraphrase).cast(pl.String).alias("paraphrase"))
        wanted = self.frame.filter(language.is_in(labels))
        return wanted.select(language.alias("label"), *texts, *common).collect()


def _names(columns: str | tuple[str, ...] | None) -> tuple[str, ...] | None:
    return (columns,) if isinstance(columns, str) else columns


def _joined(columns: tuple[str, ...]) -> pl.Expr:
    """One name from one or several columns, null if one of them is."""
    parts = [pl.col(column).cast(pl.String) for column in columns]
    if len(parts) == 1:
        return parts[0]
    # A `/` within a part is escaped, so that the parts stay apart.
    for literal, escaped in (("\\", "\\\\"), ("/", "\\/")):
        parts = [part.str.replace_all(literal, escaped, literal=True) for part in parts]
    return pl.concat_str(parts, separator="/")


def _check_type(source: CorpusSource, field: str, column: str, dtype: pl.DataType) -> None:
    is_text = isinstance(dtype, (pl.String, pl.Categorical, pl.Enum, pl.Null))
    text = field in ("columns.text", "columns.language", "columns.pivot_text", "columns.paraphrase", "languages")
    if field.startswith("filter"):
        fits, expected = not dtype.is_nested() and dtype != pl.Object, "single values"
    elif text:
        fits, expected = is_text, "text"
    else:
        fits, expected = is_text or dtype.is_integer() or dtype == pl.Boolean, "text or whole numbers"
    if not fits:
        raise CorpusError(f"corpus '{source.label}', {field}: column '{column}' holds {dtype}, expected {expected}")


def _keep(
    frame: pl.LazyFrame, source: CorpusSource, field: str, column: str, dtype: pl.DataType, values: list[Scalar]
) -> pl.LazyFrame:
    """The rows whose `column` has one of `values`, each of which must occur."""
    found = frame.select(pl.col(column).unique()).collect()[column].drop_nulls()
    spelled = {_spelling(value, dtype): value for value in found.to_list()}
    wanted = []
    for value in values:
        spelling = _spelling(value, dtype)
        if spelling not in spelled:
            raise CorpusError(
                f"corpus '{source.label}', {field}: no row has {column} = {value!r}, only "
                f"{some(sorted(spelled), 8)}{nearest(spelling, spelled)}"
            )
        wanted.append(spelled[spelling])
    return frame.filter(pl.col(column).is_in(pl.Series(wanted, dtype=found.dtype).implode()))


def _spelling(value: object, dtype: pl.DataType) -> str:
    """How a value is compared: 1 and 1.0 are one number; in a text column true also matches TRUE."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value)
    return text.lower() if dtype == pl.String and text.lower() in ("true", "false") else text
