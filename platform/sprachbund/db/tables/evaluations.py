"""Embeddings and the numbers that are read from them."""

from typing import Any

from sqlalchemy import BigInteger, Float, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from sprachbund.db.tables.base import Base, Id, Json, Key, among, reference
from sprachbund.vocabulary import BETTER


class EvaluationNote(Base):
    """Why a metric of an evaluation has no row in `metrics`, or how it was approximated."""

    __tablename__ = "evaluation_notes"

    evaluation_id: Mapped[int] = mapped_column(reference("evaluations.id", cascade=True), primary_key=True)
    metric: Mapped[str] = mapped_column(reference("metric_names.name"), primary_key=True)
    note: Mapped[str] = mapped_column(Text)


class EvaluationTask(Base):
    """An ABX task or a probe over certain languages; `evaluations.scope_digest` is its key."""

    __tablename__ = "evaluation_tasks"

    key: Mapped[str] = mapped_column(String(40), primary_key=True)
    measure: Mapped[str] = mapped_column(String(32))
    # `topic by language`, `topic`: the languages are not part of it.
    name: Mapped[str] = mapped_column(Text)
    parameters: Mapped[dict[str, Any]] = mapped_column(Json)
    languages: Mapped[list[str]] = mapped_column(Json)


class Snapshot(Base):
    """Embeddings of one corpus language under one setting; layers are added as parts."""

    __tablename__ = "snapshots"
    __table_args__ = (Index(None, "setting_id"), Index(None, "corpus_text_id"))

    id: Mapped[Id]
    key: Mapped[Key]
    setting_id: Mapped[int] = mapped_column(reference("settings.id"))
    corpus_text_id: Mapped[int] = mapped_column(reference("corpus_texts.id"))
    pooling: Mapped[str] = mapped_column(String(16))
    tokens: Mapped[str] = mapped_column(String(16))
    dtype: Mapped[str] = mapped_column(String(16))
    n_items: Mapped[int]
    # Of all its sentences, without special tokens; NULL where some were cut, or embeddings were imported.
    n_tokens: Mapped[int | None] = mapped_column(BigInteger)
    dimension: Mapped[int]


class SnapshotPart(Base):
    __tablename__ = "snapshot_parts"
    __table_args__ = (Index(None, "job_id"), Index(None, "artifact_id"))

    snapshot_id: Mapped[int] = mapped_column(reference("snapshots.id", cascade=True), primary_key=True)
    layer: Mapped[str] = mapped_column(String(8), primary_key=True)
    job_id: Mapped[int] = mapped_column(reference("jobs.id"))
    artifact_id: Mapped[int] = mapped_column(reference("artifacts.id"))
    tensor: Mapped[str] = mapped_column(String(64))


class Evaluation(Base):
    """One measure on a language pair under one setting, on one language, or over a scope of languages."""

    __tablename__ = "evaluations"
    __table_args__ = (
        Index(None, "job_id"),
        Index(None, "corpus_id"),
        # Views look the baseline's evaluation up by these.
        Index(
            "ix_evaluations_sides",
            "setting_id",
            "corpus_id",
            "layer",
            "query_language",
            "candidate_language",
        ),
    )

    id: Mapped[Id]
    key: Mapped[Key]
    job_id: Mapped[int] = mapped_column(reference("jobs.id"))
    measure: Mapped[str] = mapped_column(String(32))
    version: Mapped[int]
    setting_id: Mapped[int] = mapped_column(reference("settings.id"))
    # What a model writes has no layer, pooling or tokens; what it writes freely has no corpus.
    corpus_id: Mapped[int | None] = mapped_column(reference("corpora.id"))
    query_language: Mapped[str | None] = mapped_column(reference("languages.code"))
    candidate_language: Mapped[str | None] = mapped_column(reference("languages.code"))
    layer: Mapped[str | None] = mapped_column(String(8))
    pooling: Mapped[str | None] = mapped_column(String(16))
    tokens: Mapped[str | None] = mapped_column(String(16))
    scope_digest: Mapped[str | None] = mapped_column(String(40))
    # Per-item outcomes of this evaluation: a prefix of tensor names in the file.
    outcomes_id: Mapped[int | None] = mapped_column(reference("artifacts.id"))
    outcomes_tensor: Mapped[str | None] = mapped_column(String(64))


class Metric(Base):
    __tablename__ = "metrics"

    evaluation_id: Mapped[int] = mapped_column(reference("evaluations.id", cascade=True), primary_key=True)
    name: Mapped[str] = mapped_column(reference("metric_names.name"), primary_key=True)
    value: Mapped[float] = mapped_column(Float)
    ci_low: Mapped[float | None] = mapped_column(Float)
    ci_high: Mapped[float | None] = mapped_column(Float)
    n_items: Mapped[int | None]
    n_groups: Mapped[int | None]


class MetricName(Base):
    __tablename__ = "metric_names"
    __table_args__ = (among("better", BETTER),)

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    unit: Mapped[str] = mapped_column(String(32))
    better: Mapped[str] = mapped_column(String(6))
    low: Mapped[float | None] = mapped_column(Float)
    high: Mapped[float | None] = mapped_column(Float)
    description: Mapped[str] = mapped_column(Text)
