"""What exists outside of experiments: languages, models, corpora and stored files."""

from typing import Any

from sqlalchemy import BigInteger, Float, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from sprachbund.db.tables.base import Base, Id, Json, JsonOrNull, Key, Milliseconds, among, reference
from sprachbund.vocabulary import CORPUS_KINDS


class Language(Base):
    """Family, branches below it (names, the widest first) and coordinates are Glottolog's; NULL of unlisted codes."""

    __tablename__ = "languages"

    code: Mapped[str] = mapped_column(String(16), primary_key=True)
    iso639_3: Mapped[str] = mapped_column(String(3))
    script: Mapped[str | None] = mapped_column(String(4))
    name: Mapped[str] = mapped_column(Text)
    glottocode: Mapped[str | None] = mapped_column(String(8))
    family: Mapped[str | None] = mapped_column(Text)
    branches: Mapped[list[str] | None] = mapped_column(JsonOrNull)
    latitude: Mapped[float | None] = mapped_column(Float)
    longitude: Mapped[float | None] = mapped_column(Float)


class Model(Base):
    """One checkpoint, identified by its content; the path is only a hint for finding it."""

    __tablename__ = "models"

    id: Mapped[Id]
    fingerprint: Mapped[str] = mapped_column(String(80), unique=True)
    name: Mapped[str] = mapped_column(Text)
    path: Mapped[str] = mapped_column(Text)
    revision: Mapped[str | None] = mapped_column(Text)
    family: Mapped[str | None] = mapped_column(Text)
    step: Mapped[int | None] = mapped_column(BigInteger)
    architecture: Mapped[str] = mapped_column(Text)
    n_blocks: Mapped[int]
    hidden_size: Mapped[int]
    config: Mapped[dict[str, Any]] = mapped_column(Json)


class Artifact(Base):
    """A content-addressed file of the artifact store; `uri` is relative to the store."""

    __tablename__ = "artifacts"
    __table_args__ = (among("state", ("present", "evicted")),)

    id: Mapped[Id]
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    store: Mapped[str] = mapped_column(String(64))
    uri: Mapped[str] = mapped_column(Text)
    n_bytes: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(8))
    created_ms: Mapped[Milliseconds]


class Corpus(Base):
    __tablename__ = "corpora"
    __table_args__ = (
        among("kind", CORPUS_KINDS),
        Index(None, "collection"),
    )

    id: Mapped[Id]
    key: Mapped[Key]
    name: Mapped[str] = mapped_column(Text)
    collection: Mapped[str | None] = mapped_column(Text)
    split: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String(10))
    source: Mapped[dict[str, Any]] = mapped_column(Json)


class CorpusText(Base):
    """The sentences of one language of one corpus split, as ingested at submission."""

    __tablename__ = "corpus_texts"
    __table_args__ = (Index(None, "corpus_id"),)

    id: Mapped[Id]
    key: Mapped[Key]
    corpus_id: Mapped[int] = mapped_column(reference("corpora.id"))
    language: Mapped[str] = mapped_column(reference("languages.code"))
    fingerprint: Mapped[str] = mapped_column(String(64))
    n_items: Mapped[int]
    n_groups: Mapped[int | None]
    # Of all sentences; bytes of UTF-8, words between blanks: NULL in scripts without them.
    n_bytes: Mapped[int] = mapped_column(BigInteger)
    n_characters: Mapped[int] = mapped_column(BigInteger)
    n_words: Mapped[int | None] = mapped_column(BigInteger)
    # What a random ranking of these sentences as candidates gives, by metric.
    chance: Mapped[dict[str, float]] = mapped_column(Json)
    artifact_id: Mapped[int] = mapped_column(reference("artifacts.id"))


class ModelLanguage(Base):
    """A language that a model's published list says it was trained on; models without a known list have no rows."""

    __tablename__ = "model_languages"

    model_id: Mapped[int] = mapped_column(reference("models.id", cascade=True), primary_key=True)
    language: Mapped[str] = mapped_column(reference("languages.code"), primary_key=True)
    family: Mapped[str] = mapped_column(String(32))
    # Of the training text, where its makers say so.
    share: Mapped[float | None] = mapped_column(Float)
