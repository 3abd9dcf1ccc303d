"""Where a corpus comes from and how to read it: the part of an experiment file that describes a corpus."""

from pathlib import PurePath
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveInt, field_validator, model_validator

from sprachbund.errors import SpecError
from sprachbund.languages import table as languages
from sprachbund.vocabulary import CorpusKind

Scalar = bool | int | float | str
LANGUAGE = "{language}"
TREEBANK = ".conllu"


def _code(word: object) -> object:
    """The canonical code of a language word; a well-formed code that no table has stands for itself."""
    if not isinstance(word, str):
        return word
    try:
        return languages.resolve(word, listed=[word])
    except SpecError as error:  # pydantic adds the field's name to a ValueError only
        raise ValueError(str(error)) from error


Code = Annotated[str, BeforeValidator(_code)]
RESERVED_LABELS = ("item", "language", "group", "text")


def _as_labels(value: object) -> object:
    """`[topic]` or `topic` may stand for `{topic: topic}`."""
    if isinstance(value, str):
        value = [value]
    return {name: name for name in value} if isinstance(value, list) else value


ColumnNames = str | Annotated[tuple[str, ...], Field(min_length=1)]


class Columns(BaseModel):
    """Column names of a table. Several columns together may name an item or a group (`[book, chapter]`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    item: ColumnNames | None = Field(
        default=None, description="a meaning across languages; default `item`, in a wide table the row number"
    )
    language: str = Field(default="language", description="long layout: the language of the row")
    text: str = Field(default="text", description="long layout: the sentence")
    pivot_text: str | None = Field(default=None, description="bilingual: the translation into the pivot language")
    paraphrase: str | None = Field(default=None, description="paraphrase: the sentence in other words, same language")
    group: ColumnNames | None = Field(
        default=None, description="what dependent sentences share (article); default `group` if there is one"
    )
    split: str = Field(default="split", description="the split of the row; used if the source names a split")
    labels: Annotated[dict[str, str], BeforeValidator(_as_labels)] = Field(
        default_factory=dict, description="further labels for ABX tasks and probes: name → column, or a list of columns"
    )

    @field_validator("labels")
    @classmethod
    def _no_reserved_label(cls, labels: dict[str, str]) -> dict[str, str]:
        for name in labels:
            if name in RESERVED_LABELS:
                raise ValueError(f"'{name}' is a label of every corpus already; call yours something else")
            if not name.isidentifier():
                raise ValueError(f"'{name}' is no name for a label; use letters, digits and _")
        return dict(sorted(labels.items()))


class DatasetSource(BaseModel):
    """A dataset for `datasets.load_dataset`: on the Hub, or a local folder. Its own code is never run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, description="repository on the Hub, or a local folder")
    config: str | None = Field(
        default=None, description="its configuration; with `{language}` in it, one for each language (FLORES)"
    )
    revision: str | None = Field(default=None, description="commit, tag or branch on the Hub")


class CorpusSource(BaseModel):
    """One corpus: exactly one of `builtin`, `path`, `files`, `dataset`, and how to read it.

    Paths are relative to the experiment file's folder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = Field(default=None, min_length=1, description="default: that of the file, folder or dataset")
    builtin: Literal["phrasebook"] | None = None
    path: str | None = Field(default=None, min_length=1, description="a .parquet, .csv, .tsv or .jsonl table")
    files: Annotated[dict[Code, str], Field(min_length=1)] | None = Field(
        default=None,
        description="language → text file; line n of every file is item n. Or language → .conllu treebank, with words",
    )
    dataset: DatasetSource | None = None

    split: str | None = Field(
        default=None,
        min_length=1,
        description="split of the phrasebook or dataset (required there), or value of `columns.split`",
    )
    kind: CorpusKind = "parallel"
    layout: Literal["long", "wide"] = Field(
        default="long", description="long: one row per item and language; wide: one column per language"
    )
    columns: Columns = Columns()
    filter: dict[str, Scalar | list[Scalar]] = Field(
        default_factory=dict, description="column → value, or list of values, that a row must have"
    )
    languages: dict[str, Code] = Field(
        default_factory=dict, description="the corpus's own language labels → codes, where they are not clear"
    )
    pivot: Code = Field(default="eng_Latn", description="bilingual: the language of `columns.pivot_text`")
    groups: str | None = Field(default=None, min_length=1, description="with `files`: a file with one group per line")
    quoted: bool | None = Field(
        default=None, description='whether fields may be in "quotes"; default: in .csv they may, in .tsv not'
    )
    on_missing: Literal["error", "drop"] = Field(
        default="error", description="items that lack a language: refuse the corpus, or leave them out"
    )
    limit: PositiveInt | None = Field(default=None, description="at most so many items")
    sample_seed: int | None = Field(
        default=None, description="with `limit`: a random sample of the items; default the first ones"
    )
    origin: str | None = Field(
        default=None,
        min_length=1,
        description="corpora of one origin share names of groups; default: the file's folder, the dataset",
    )

    @field_validator("files", mode="before")
    @classmethod
    def _one_file_each(cls, files: object) -> object:
        if isinstance(files, dict):
            words: dict[object, object] = {}
            for word in files:
                first = words.setdefault(_code(word), word)
                if first != word:
                    raise ValueError(f"'{first}' and '{word}' are the same language")
        return files

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        kinds = ("builtin", "path", "files", "dataset")
        given = [field for field in kinds if getattr(self, field) is not None]
        if len(given) != 1:
            found = " and ".join(given) if given else "none"
            raise ValueError(f"expected exactly one of builtin, path, files, dataset; found {found}")
        kind = given[0]
        if kind in ("builtin", "dataset") and self.split is None:
            raise ValueError(f"split: required with '{kind}'")
        table_only = {"columns", "filter", "layout"} & self.model_fields_set
        if kind in ("builtin", "files") and table_only:
            raise ValueError(f"{min(table_only)}: only for tables ('path' or 'dataset'), not with '{kind}'")
        if kind == "files" and self.split is not None:
            raise ValueError("split: not with 'files'; name the files of one split")
        if kind in ("builtin", "files") and self.languages:
            raise ValueError(f"languages: not with '{kind}', whose languages are codes already")
        if self.groups is not None and kind != "files":
            raise ValueError("groups: only with 'files'; a table has 'columns.group'")
        if self.groups is not None and self.has_words:
            raise ValueError("groups: not with .conllu files, whose documents are the groups ('# newdoc id = …')")
        treebanks = [PurePath(name).suffix.lower() == TREEBANK for name in (self.files or {}).values()]
        if any(treebanks) and not all(treebanks):
            raise ValueError(f"files: some are {TREEBANK} treebanks and some are not; expected one or the other")
        if self.quoted is not None and kind != "path":
            raise ValueError("quoted: only with 'path'")
        if self.sample_seed is not None and self.limit is None:
            raise ValueError("sample_seed: only with 'limit'")
        if (self.columns.pivot_text is not None) != (self.kind == "bilingual"):
            raise ValueError("columns.pivot_text: required with 'kind: bilingual', and only there")
        if (self.columns.paraphrase is not None) != (self.kind == "paraphrase"):
            raise ValueError("columns.paraphrase: required with 'kind: paraphrase', and only there")
        if self.kind != "parallel" and self.layout == "wide":
            raise ValueError(f"layout: a {self.kind} corpus is 'long'")
        if self.languages_are_configs and self.layout == "wide":
            raise ValueError("layout: a dataset with a configuration for each language is 'long'")
        return self

    @property
    def label(self) -> str:
        """The corpus's name: the one given, or that of its file, folder or dataset."""
        if self.name is not None:
            return self.name
        if self.path is not None:
            return PurePath(self.path).stem
        if self.dataset is not None:
            return PurePath(self.dataset.name).name
        if self.files is not None:
            return PurePath(self.files[min(self.files)]).parent.name or "files"
        return str(self.builtin)

    @property
    def has_words(self) -> bool:
        """Whether its files are treebanks, which say where words stand and what they are."""
        return any(PurePath(name).suffix.lower() == TREEBANK for name in (self.files or {}).values())

    @property
    def languages_are_configs(self) -> bool:
        """Whether the dataset has one configuration for each language."""
        return self.dataset is not None and LANGUAGE in (self.dataset.config or "")
