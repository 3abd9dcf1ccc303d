"""Experiments, the queue of their jobs, the runners that serve it, and the MLflow mirror's state."""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from sprachbund.db.tables.base import Base, Id, Json, Milliseconds, among, reference
from sprachbund.vocabulary import ROLES

JOB_STATES = ("queued", "running", "done", "failed", "cancelled")
# Where claims look.
_READY = text("state = 'queued' AND open_needs = 0")


class Experiment(Base):
    """A name, and the revision of its spec that is planned now."""

    __tablename__ = "experiments"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(Text, unique=True)
    revision: Mapped[int]
    # That revision's, for views that read a field of it.
    spec: Mapped[dict[str, Any]] = mapped_column(Json)
    submitted_ms: Mapped[Milliseconds]
    cancelled: Mapped[bool] = mapped_column(Boolean)
    # Findings of planning that an audit needs: texts shared between roles and so on.
    audit: Mapped[dict[str, Any]] = mapped_column(Json)


class ExperimentRevision(Base):
    """What was submitted under a name: each spec, the plan it came to in short, who did, and with which program."""

    __tablename__ = "experiment_revisions"

    experiment_id: Mapped[int] = mapped_column(reference("experiments.id", cascade=True), primary_key=True)
    revision: Mapped[int] = mapped_column(Integer, primary_key=True)
    spec: Mapped[dict[str, Any]] = mapped_column(Json)
    spec_digest: Mapped[str] = mapped_column(String(40))
    plan: Mapped[dict[str, Any]] = mapped_column(Json)
    plan_digest: Mapped[str] = mapped_column(String(40))
    submitted_ms: Mapped[Milliseconds]
    submitted_by: Mapped[str | None] = mapped_column(Text)
    host: Mapped[str | None] = mapped_column(Text)
    version: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(String(12))


class ExperimentSetting(Base):
    __tablename__ = "experiment_settings"
    __table_args__ = (Index(None, "setting_id"),)

    experiment_id: Mapped[int] = mapped_column(reference("experiments.id", cascade=True), primary_key=True)
    setting_id: Mapped[int] = mapped_column(reference("settings.id"), primary_key=True)
    ordinal: Mapped[int]
    # What this experiment calls the setting; the same setting may have another label elsewhere.
    label: Mapped[str] = mapped_column(Text)
    # The label without the model: the same for the same cell of every model of the experiment.
    name: Mapped[str] = mapped_column(Text)
    # What this experiment calls the model, which others may call otherwise.
    model: Mapped[str] = mapped_column(Text)
    # The setting a control stands beside, and the one deltas are taken from.
    control_of_id: Mapped[int | None] = mapped_column(reference("settings.id"))
    baseline_id: Mapped[int | None] = mapped_column(reference("settings.id"))
    # The same for settings of which one is chosen.
    choice_key: Mapped[str | None] = mapped_column(String(40))


class ExperimentLayer(Base):
    __tablename__ = "experiment_layers"

    experiment_id: Mapped[int] = mapped_column(reference("experiments.id", cascade=True), primary_key=True)
    layer: Mapped[str] = mapped_column(String(8), primary_key=True)
    ordinal: Mapped[int]


class ExperimentCorpus(Base):
    """The corpora of an experiment and the role each plays."""

    __tablename__ = "experiment_corpora"
    __table_args__ = (among("role", ROLES), Index(None, "corpus_id"))

    experiment_id: Mapped[int] = mapped_column(reference("experiments.id", cascade=True), primary_key=True)
    corpus_id: Mapped[int] = mapped_column(reference("corpora.id"), primary_key=True)
    role: Mapped[str] = mapped_column(String(8), primary_key=True)


class ExperimentJob(Base):
    """Which jobs an experiment's plan resolved to."""

    __tablename__ = "experiment_jobs"
    __table_args__ = (Index(None, "job_id"),)

    experiment_id: Mapped[int] = mapped_column(reference("experiments.id", cascade=True), primary_key=True)
    job_id: Mapped[int] = mapped_column(reference("jobs.id", cascade=True), primary_key=True)


class ForeignPair(Base):
    """A pair of a job that an experiment uses for other pairs: it did not ask for this one, or its texts are others.

    Both directions have a row. Few experiments have any: those that share work with experiments on other pairs.
    """

    __tablename__ = "foreign_pairs"
    __table_args__ = (Index(None, "job_id"),)

    experiment_id: Mapped[int] = mapped_column(reference("experiments.id", cascade=True), primary_key=True)
    job_id: Mapped[int] = mapped_column(reference("jobs.id", cascade=True), primary_key=True)
    query_language: Mapped[str] = mapped_column(reference("languages.code"), primary_key=True)
    candidate_language: Mapped[str] = mapped_column(reference("languages.code"), primary_key=True)


class Job(Base):
    """One content-keyed piece of work. `subject` names it without its layers and pairs, `bundle` its siblings."""

    __tablename__ = "jobs"
    __table_args__ = (
        among("state", JOB_STATES),
        Index(None, "subject"),
        Index(
            "ix_jobs_claim",
            "priority",
            "id",
            sqlite_where=_READY,
            postgresql_where=_READY,
        ),
        Index("ix_jobs_bundle_state", "bundle", "state"),
        Index(
            "ix_jobs_lease",
            "lease_expires_ms",
            sqlite_where=text("state = 'running'"),
            postgresql_where=text("state = 'running'"),
        ),
    )

    id: Mapped[Id]
    key: Mapped[str] = mapped_column(String(40), unique=True)
    kind: Mapped[str] = mapped_column(String(32))
    version: Mapped[int]
    subject: Mapped[str] = mapped_column(String(40))
    bundle: Mapped[str] = mapped_column(String(40))
    model: Mapped[str | None] = mapped_column(String(80))
    label: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(9))
    # How many needs are neither done nor, where they are soft, lost: see `queue/needs.py`.
    open_needs: Mapped[int]
    # Smaller is earlier.
    priority: Mapped[int]
    available_ms: Mapped[Milliseconds]
    created_ms: Mapped[Milliseconds]
    finished_ms: Mapped[int | None] = mapped_column(BigInteger)
    runner_id: Mapped[int | None] = mapped_column(reference("runners.id"))
    attempt: Mapped[int]
    lease_expires_ms: Mapped[int | None] = mapped_column(BigInteger)
    failures: Mapped[int]
    losses: Mapped[int]
    error: Mapped[str | None] = mapped_column(Text)
    # Last: SQLite reads through what comes before a column, and payloads may be long.
    payload: Mapped[dict[str, Any]] = mapped_column(Json)


class JobEdge(Base):
    __tablename__ = "job_edges"
    __table_args__ = (Index(None, "needs_id"),)

    job_id: Mapped[int] = mapped_column(reference("jobs.id", cascade=True), primary_key=True)
    needs_id: Mapped[int] = mapped_column(reference("jobs.id", cascade=True), primary_key=True)
    # The job goes on without a need that failed, and is run again when that need comes after all.
    soft: Mapped[bool] = mapped_column(Boolean)


class JobAttempt(Base):
    __tablename__ = "job_attempts"
    __table_args__ = (
        among("outcome", ("running", "done", "failed", "lost", "released")),
        Index(None, "runner_id"),
    )

    job_id: Mapped[int] = mapped_column(reference("jobs.id", cascade=True), primary_key=True)
    attempt: Mapped[int] = mapped_column(Integer, primary_key=True)
    runner_id: Mapped[int] = mapped_column(reference("runners.id"))
    started_ms: Mapped[Milliseconds]
    finished_ms: Mapped[int | None] = mapped_column(BigInteger)
    outcome: Mapped[str] = mapped_column(String(8))
    error: Mapped[str | None] = mapped_column(Text)
    environment: Mapped[dict[str, Any] | None] = mapped_column(Json)
    batch_plan: Mapped[str | None] = mapped_column(String(64))


class Runner(Base):
    __tablename__ = "runners"
    __table_args__ = (among("state", ("alive", "stopped")),)

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(Text)
    host: Mapped[str] = mapped_column(Text)
    pid: Mapped[int]
    capabilities: Mapped[dict[str, Any]] = mapped_column(Json)
    state: Mapped[str] = mapped_column(String(8))
    started_ms: Mapped[Milliseconds]
    seen_ms: Mapped[Milliseconds]


class MlflowRun(Base):
    """The mirror's state: one MLflow run per experiment and setting."""

    __tablename__ = "mlflow_runs"

    experiment_id: Mapped[int] = mapped_column(reference("experiments.id", cascade=True), primary_key=True)
    setting_id: Mapped[int] = mapped_column(reference("settings.id"), primary_key=True)
    run_id: Mapped[str | None] = mapped_column(String(64))
    dirty: Mapped[bool] = mapped_column(Boolean)
    # What was logged already, so that only what is new is appended.
    logged: Mapped[dict[str, Any]] = mapped_column(Json)
    lease_owner: Mapped[str | None] = mapped_column(String(64))
    lease_expires_ms: Mapped[int | None] = mapped_column(BigInteger)
