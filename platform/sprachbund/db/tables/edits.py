"""Units, what is known of them and what is done to them: statistics, expert sets, interventions, settings."""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Float, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from sprachbund.db.tables.base import Base, Id, Json, Key, among, reference
from sprachbund.vocabulary import INPUT_ROLES


class UnitStatistics(Base):
    """One pass over one language's fit text: pooled responses and moments of every unit (two files)."""

    __tablename__ = "unit_statistics"
    __table_args__ = (Index(None, "model_id"), Index(None, "corpus_text_id"), Index(None, "job_id"))

    id: Mapped[Id]
    key: Mapped[Key]
    job_id: Mapped[int] = mapped_column(reference("jobs.id"))
    model_id: Mapped[int] = mapped_column(reference("models.id"))
    corpus_text_id: Mapped[int] = mapped_column(reference("corpus_texts.id"))
    sites: Mapped[list[str]] = mapped_column(Json)
    pooling: Mapped[str] = mapped_column(String(16))
    tokens: Mapped[str] = mapped_column(String(16))
    n_items: Mapped[int]
    n_units: Mapped[int] = mapped_column(BigInteger)
    n_tokens: Mapped[int] = mapped_column(BigInteger)
    responses_id: Mapped[int] = mapped_column(reference("artifacts.id"))
    moments_id: Mapped[int] = mapped_column(reference("artifacts.id"))


class ExpertSet(Base):
    """All units ranked by one scorer for one target; the whole table is the file."""

    __tablename__ = "expert_sets"
    __table_args__ = (Index(None, "model_id"), Index(None, "job_id"))

    id: Mapped[Id]
    key: Mapped[Key]
    job_id: Mapped[int] = mapped_column(reference("jobs.id"))
    model_id: Mapped[int] = mapped_column(reference("models.id"))
    target: Mapped[str] = mapped_column(reference("languages.code"))
    scorer: Mapped[str] = mapped_column(String(64))
    scorer_version: Mapped[int]
    negatives: Mapped[list[str]] = mapped_column(Json)
    sites: Mapped[list[str]] = mapped_column(Json)
    pooling: Mapped[str] = mapped_column(String(16))
    tokens: Mapped[str] = mapped_column(String(16))
    n_units: Mapped[int] = mapped_column(BigInteger)
    n_positives: Mapped[int]
    n_negatives: Mapped[int]
    # AUROC of the mere number of tokens: how far sentence length alone separates the target.
    token_count_auroc: Mapped[float] = mapped_column(Float)
    artifact_id: Mapped[int] = mapped_column(reference("artifacts.id"))


class ExpertUnit(Base):
    """The first 5,000 units of an expert set."""

    __tablename__ = "expert_units"

    expert_set_id: Mapped[int] = mapped_column(reference("expert_sets.id", cascade=True), primary_key=True)
    rank: Mapped[int] = mapped_column(primary_key=True)
    block: Mapped[int]
    site: Mapped[str] = mapped_column(String(16))
    unit: Mapped[int]
    score: Mapped[float] = mapped_column(Float)
    effect: Mapped[float] = mapped_column(Float)
    p: Mapped[float | None] = mapped_column(Float)
    minimum_auroc: Mapped[float | None] = mapped_column(Float)
    pooled_mean: Mapped[float] = mapped_column(Float)
    token_mean: Mapped[float] = mapped_column(Float)


class ExpertOverlap(Base):
    """How many of the top k units two expert sets share; from the whole tables, not from `expert_units`."""

    __tablename__ = "expert_overlaps"

    expert_set_id: Mapped[int] = mapped_column(reference("expert_sets.id", cascade=True), primary_key=True)
    other_set_id: Mapped[int] = mapped_column(reference("expert_sets.id", cascade=True), primary_key=True, index=True)
    k: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[int] = mapped_column(reference("jobs.id"), primary_key=True, index=True)
    shared: Mapped[int]
    jaccard: Mapped[float] = mapped_column(Float)
    tied_at_cut: Mapped[int]


class Direction(Base):
    """A vector at one site of one block found by a direction method."""

    __tablename__ = "directions"

    id: Mapped[Id]
    key: Mapped[Key]
    job_id: Mapped[int] = mapped_column(reference("jobs.id"), index=True)
    model_id: Mapped[int] = mapped_column(reference("models.id"))
    target: Mapped[str | None] = mapped_column(reference("languages.code"))
    others: Mapped[list[str]] = mapped_column(Json)
    method: Mapped[str] = mapped_column(String(32))
    rank: Mapped[int]
    site: Mapped[str] = mapped_column(String(16))
    block: Mapped[int]
    artifact_id: Mapped[int] = mapped_column(reference("artifacts.id"))


class Intervention(Base):
    """A map from input language (or `*`) to edits; `none` is one too. The edits are the file."""

    __tablename__ = "interventions"

    id: Mapped[Id]
    key: Mapped[Key]
    method: Mapped[str] = mapped_column(String(32))
    target: Mapped[str | None] = mapped_column(reference("languages.code"))
    k: Mapped[int | None] = mapped_column(BigInteger)
    k_fraction: Mapped[float | None] = mapped_column(Float)
    strength: Mapped[float | None] = mapped_column(Float)
    control: Mapped[str | None] = mapped_column(String(32))
    seed: Mapped[int | None] = mapped_column(BigInteger)
    scorer: Mapped[str | None] = mapped_column(String(64))
    score_site: Mapped[str | None] = mapped_column(Text)
    selection: Mapped[str | None] = mapped_column(String(16))
    direction: Mapped[str | None] = mapped_column(String(32))
    edit: Mapped[str | None] = mapped_column(String(16))
    edit_site: Mapped[str | None] = mapped_column(Text)
    edit_tokens: Mapped[str | None] = mapped_column(String(16))
    # Edits differ by input language, which then has to be known.
    per_language: Mapped[bool] = mapped_column(Boolean)
    value: Mapped[str | None] = mapped_column(String(32))
    value_from: Mapped[str | None] = mapped_column(String(16))
    parameters: Mapped[dict[str, Any]] = mapped_column(Json)
    n_edited: Mapped[int | None] = mapped_column(BigInteger)
    first_block: Mapped[int | None]
    # √ΣE(h − v)² over the fit tokens, the root of the expected squared shift; its square's ratio to the experts'.
    shift_norm: Mapped[float | None] = mapped_column(Float)
    shift_ratio: Mapped[float | None] = mapped_column(Float)
    artifact_id: Mapped[int | None] = mapped_column(reference("artifacts.id"))


class InterventionInput(Base):
    """The key of an expert set, unit statistics or direction that an intervention is made of."""

    __tablename__ = "intervention_inputs"
    __table_args__ = (among("role", INPUT_ROLES),)

    intervention_id: Mapped[int] = mapped_column(reference("interventions.id", cascade=True), primary_key=True)
    role: Mapped[str] = mapped_column(String(8), primary_key=True)
    input_key: Mapped[str] = mapped_column(String(40), primary_key=True)
    input_kind: Mapped[str] = mapped_column(String(32))


class Setting(Base):
    """Model + intervention + transform + numerics: the thing that is compared."""

    __tablename__ = "settings"
    __table_args__ = (Index(None, "model_id"), Index(None, "intervention_id"))

    id: Mapped[Id]
    key: Mapped[Key]
    label: Mapped[str] = mapped_column(Text)
    model_id: Mapped[int] = mapped_column(reference("models.id"))
    intervention_id: Mapped[int] = mapped_column(reference("interventions.id"))
    transform: Mapped[str] = mapped_column(String(32))
    transform_parameters: Mapped[dict[str, Any]] = mapped_column(Json)
    # Which side of a pair is steered and transformed: both, or one of query and candidate.
    side: Mapped[str] = mapped_column(String(16))
    dtype: Mapped[str] = mapped_column(String(16))
    attention: Mapped[str] = mapped_column(String(16))
