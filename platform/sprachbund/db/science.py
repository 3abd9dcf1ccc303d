"""What runners find out: unit statistics, expert sets, settings, snapshots, evaluations."""

from typing import Any

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Float, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from sprachbund.db.base import Base, Id, Json, Key, reference


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
    condition: Mapped[str | None] = mapped_column(String(40))
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
    __table_args__ = (CheckConstraint("role IN ('select', 'values', 'source')", name="role"),)

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
    """One measure on a pair of sides, or on one setting over a scope of languages."""

    __tablename__ = "evaluations"
    __table_args__ = (
        Index(None, "job_id"),
        Index(None, "corpus_id"),
        # Views look the baseline's evaluation up by its sides.
        Index(
            "ix_evaluations_sides",
            "query_setting_id",
            "corpus_id",
            "query_layer",
            "query_language",
            "candidate_language",
        ),
    )

    id: Mapped[Id]
    key: Mapped[Key]
    job_id: Mapped[int] = mapped_column(reference("jobs.id"))
    measure: Mapped[str] = mapped_column(String(32))
    version: Mapped[int]
    query_setting_id: Mapped[int] = mapped_column(reference("settings.id"))
    candidate_setting_id: Mapped[int] = mapped_column(reference("settings.id"))
    # What a model writes has no layer, pooling or tokens; what it writes freely has no corpus.
    corpus_id: Mapped[int | None] = mapped_column(reference("corpora.id"))
    query_language: Mapped[str | None] = mapped_column(reference("languages.code"))
    candidate_language: Mapped[str | None] = mapped_column(reference("languages.code"))
    query_layer: Mapped[str | None] = mapped_column(String(8))
    candidate_layer: Mapped[str | None] = mapped_column(String(8))
    pooling: Mapped[str | None] = mapped_column(String(16))
    tokens: Mapped[str | None] = mapped_column(String(16))
    scope_digest: Mapped[str | None] = mapped_column(String(40))
    seed: Mapped[int | None] = mapped_column(BigInteger)
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
    __table_args__ = (CheckConstraint("better IN ('higher', 'lower', 'none')", name="better"),)

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    unit: Mapped[str] = mapped_column(String(32))
    better: Mapped[str] = mapped_column(String(6))
    low: Mapped[float | None] = mapped_column(Float)
    high: Mapped[float | None] = mapped_column(Float)
    description: Mapped[str] = mapped_column(Text)


class Comparison(Base):
    """One setting against its baseline on one metric and layer, over the pairs of a scope."""

    __tablename__ = "comparisons"
    __table_args__ = (Index(None, "setting_id"), Index(None, "job_id"))

    id: Mapped[Id]
    key: Mapped[Key]
    job_id: Mapped[int] = mapped_column(reference("jobs.id"))
    setting_id: Mapped[int] = mapped_column(reference("settings.id"))
    baseline_id: Mapped[int] = mapped_column(reference("settings.id"))
    # A corpus (parallel) or a collection of bilingual corpora, by name.
    corpus: Mapped[str] = mapped_column(Text)
    split: Mapped[str] = mapped_column(Text)
    layer: Mapped[str] = mapped_column(String(8))
    metric: Mapped[str] = mapped_column(reference("metric_names.name"))
    # Which ordered pairs are averaged: all, target_query, target_candidate, without_target.
    scope: Mapped[str] = mapped_column(String(32))
    n_pairs: Mapped[int]
    n_items: Mapped[int]
    n_groups: Mapped[int | None]
    value: Mapped[float] = mapped_column(Float)
    ci_low: Mapped[float | None] = mapped_column(Float)
    ci_high: Mapped[float | None] = mapped_column(Float)
    median: Mapped[float | None] = mapped_column(Float)
    baseline: Mapped[float] = mapped_column(Float)
    delta: Mapped[float] = mapped_column(Float)
    delta_ci_low: Mapped[float | None] = mapped_column(Float)
    delta_ci_high: Mapped[float | None] = mapped_column(Float)
    p: Mapped[float | None] = mapped_column(Float)
    q: Mapped[float | None] = mapped_column(Float)
    family_size: Mapped[int | None]


class ControlComparison(Base):
    """A steered setting against the distribution of one variant of its controls."""

    __tablename__ = "control_comparisons"
    __table_args__ = (Index(None, "comparison_id"),)

    id: Mapped[Id]
    comparison_id: Mapped[int] = mapped_column(reference("comparisons.id", cascade=True))
    control: Mapped[str] = mapped_column(String(32))
    n_controls: Mapped[int]
    control_mean: Mapped[float] = mapped_column(Float)
    control_low: Mapped[float] = mapped_column(Float)
    control_high: Mapped[float] = mapped_column(Float)
    p: Mapped[float] = mapped_column(Float)


class PairTest(Base):
    """McNemar's exact test of one pair's hits under a setting against the baseline's, item by item."""

    __tablename__ = "pair_tests"
    __table_args__ = (Index(None, "evaluation_id"),)

    job_id: Mapped[int] = mapped_column(reference("jobs.id"), primary_key=True)
    evaluation_id: Mapped[int] = mapped_column(reference("evaluations.id", cascade=True), primary_key=True)
    metric: Mapped[str] = mapped_column(reference("metric_names.name"), primary_key=True)
    only_setting: Mapped[int]
    only_baseline: Mapped[int]
    p: Mapped[float] = mapped_column(Float)
    q: Mapped[float] = mapped_column(Float)
    family_size: Mapped[int]


class Choice(Base):
    """What was chosen on the `select` role, per group of settings; reported on `test`."""

    __tablename__ = "choices"
    __table_args__ = (Index(None, "job_id"), Index(None, "setting_id"))

    id: Mapped[Id]
    job_id: Mapped[int] = mapped_column(reference("jobs.id"))
    choice_group: Mapped[str] = mapped_column(Text)
    setting_id: Mapped[int] = mapped_column(reference("settings.id"))
    layer: Mapped[str] = mapped_column(String(8))
    metric: Mapped[str] = mapped_column(reference("metric_names.name"))
    value: Mapped[float] = mapped_column(Float)
    n_candidates: Mapped[int]
    tied: Mapped[bool] = mapped_column(Boolean)
