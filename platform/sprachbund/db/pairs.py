"""What comparison jobs find out over language pairs: correlations, and gains pair by pair summed up."""

from sqlalchemy import Float, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from sprachbund.db.base import Base, Id, reference


class Correlation(Base):
    """Pearson's correlation of two quantities over language pairs, and the slope with languages as random effects."""

    __tablename__ = "correlations"
    __table_args__ = (Index(None, "job_id"), Index(None, "setting_id"))

    id: Mapped[Id]
    job_id: Mapped[int] = mapped_column(reference("jobs.id"))
    setting_id: Mapped[int] = mapped_column(reference("settings.id"))
    baseline_id: Mapped[int] = mapped_column(reference("settings.id"))
    corpus: Mapped[str] = mapped_column(Text)
    split: Mapped[str] = mapped_column(Text)
    layer: Mapped[str] = mapped_column(String(8))
    accuracy: Mapped[str] = mapped_column(reference("metric_names.name"))
    distance: Mapped[str] = mapped_column(reference("metric_names.name"))
    # accuracy_before, accuracy_after, distance_before, distance_after, gain, distance_drop
    y: Mapped[str] = mapped_column(String(16))
    x: Mapped[str] = mapped_column(String(16))
    n_pairs: Mapped[int]
    n_languages: Mapped[int]
    value: Mapped[float] = mapped_column(Float)
    # Languages are resampled, not pairs.
    ci_low: Mapped[float] = mapped_column(Float)
    ci_high: Mapped[float] = mapped_column(Float)
    slope: Mapped[float | None] = mapped_column(Float)
    slope_low: Mapped[float | None] = mapped_column(Float)
    slope_high: Mapped[float | None] = mapped_column(Float)
    slope_p: Mapped[float | None] = mapped_column(Float)


class GainSummary(Base):
    """Differences of a setting to its baseline pair by pair: the median first, the extremes last."""

    __tablename__ = "gain_summaries"
    __table_args__ = (Index(None, "job_id"), Index(None, "setting_id"))

    id: Mapped[Id]
    job_id: Mapped[int] = mapped_column(reference("jobs.id"))
    setting_id: Mapped[int] = mapped_column(reference("settings.id"))
    baseline_id: Mapped[int] = mapped_column(reference("settings.id"))
    corpus: Mapped[str] = mapped_column(Text)
    split: Mapped[str] = mapped_column(Text)
    layer: Mapped[str] = mapped_column(String(8))
    metric: Mapped[str] = mapped_column(reference("metric_names.name"))
    scope: Mapped[str] = mapped_column(String(32))
    n_pairs: Mapped[int]
    n_languages: Mapped[int]
    median: Mapped[float] = mapped_column(Float)
    # Languages are resampled, not pairs.
    median_low: Mapped[float | None] = mapped_column(Float)
    median_high: Mapped[float | None] = mapped_column(Float)
    n_gaining: Mapped[int]
    least: Mapped[float] = mapped_column(Float)
    greatest: Mapped[float] = mapped_column(Float)
    # Languages as crossed random effects; NULL where there are too few pairs.
    mean: Mapped[float | None] = mapped_column(Float)
    mean_low: Mapped[float | None] = mapped_column(Float)
    mean_high: Mapped[float | None] = mapped_column(Float)
    mean_p: Mapped[float | None] = mapped_column(Float)
    query_variance: Mapped[float | None] = mapped_column(Float)
    candidate_variance: Mapped[float | None] = mapped_column(Float)
    residual_variance: Mapped[float | None] = mapped_column(Float)
