"""Results of language pairs: a row per setting, ordered pair and layer, with a column per metric."""

from sqlalchemy import Float, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from sprachbund.db.tables.base import Base, Id, reference
from sprachbund.measures import METRICS, METRICS_OF_PAIRS


class Evaluand(Base):
    """What pairs were evaluated of: a setting on a corpus, and how its sentences became embeddings."""

    __tablename__ = "evaluands"
    __table_args__ = (UniqueConstraint("setting_id", "corpus_id", "pooling", "tokens"), Index(None, "corpus_id"))

    id: Mapped[Id]
    setting_id: Mapped[int] = mapped_column(reference("settings.id"))
    corpus_id: Mapped[int] = mapped_column(reference("corpora.id"))
    pooling: Mapped[str] = mapped_column(String(16))
    tokens: Mapped[str] = mapped_column(String(16))


class PairEvaluation(Base):
    """A job that evaluated a star of pairs, and the file with their outcomes item by item."""

    __tablename__ = "pair_evaluations"
    __table_args__ = (Index(None, "outcomes_id"),)

    job_id: Mapped[int] = mapped_column(reference("jobs.id"), primary_key=True, autoincrement=False)
    outcomes_id: Mapped[int] = mapped_column(reference("artifacts.id"))


class PairResult(Base):
    """One ordered pair at one layer, `METRIC` and for drawn intervals `METRIC_low`, `METRIC_high`; NULL: undefined.

    What has no direction stands where the query is the alphabetically first language. Wilson's intervals follow from
    value and `n_items`. Several jobs may have the same pair: of texts that have changed since.
    """

    __tablename__ = "pair_results"
    __table_args__ = (
        UniqueConstraint(
            "evaluand_id", "layer", "query_language", "candidate_language", "job_id", name="uq_pair_results_place"
        ),
        Index(None, "job_id"),
    )

    id: Mapped[Id]
    job_id: Mapped[int] = mapped_column(reference("jobs.id"))
    evaluand_id: Mapped[int] = mapped_column(reference("evaluands.id"))
    layer: Mapped[str] = mapped_column(String(8))
    query_language: Mapped[str] = mapped_column(reference("languages.code"))
    candidate_language: Mapped[str] = mapped_column(reference("languages.code"))
    n_items: Mapped[int]


DRAWN_METRICS = tuple(name for name in METRICS_OF_PAIRS if METRICS[name].interval == "bootstrap")
"""Metrics of pairs whose intervals cannot be told from value and number of items."""

for _name in METRICS_OF_PAIRS:
    for _column in (_name, f"{_name}_low", f"{_name}_high") if _name in DRAWN_METRICS else (_name,):
        setattr(PairResult, _column, mapped_column(Float, nullable=True))


class PairNote(Base):
    """Why a metric of a pair is NULL, or how it was approximated."""

    __tablename__ = "pair_notes"

    result_id: Mapped[int] = mapped_column(reference("pair_results.id", cascade=True), primary_key=True)
    metric: Mapped[str] = mapped_column(reference("metric_names.name"), primary_key=True)
    note: Mapped[str] = mapped_column(Text)
