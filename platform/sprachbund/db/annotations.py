"""What readers of results must know beside the numbers: what holds for one of them, and what a model was trained on."""

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from sprachbund.db.base import Base, reference


class EvaluationNote(Base):
    """Why a metric of an evaluation has no row in `metrics`, or how it was approximated."""

    __tablename__ = "evaluation_notes"

    evaluation_id: Mapped[int] = mapped_column(reference("evaluations.id", cascade=True), primary_key=True)
    metric: Mapped[str] = mapped_column(reference("metric_names.name"), primary_key=True)
    note: Mapped[str] = mapped_column(Text)


class ModelLanguage(Base):
    """A language that a model's published list says it was trained on; models without a known list have no rows."""

    __tablename__ = "model_languages"

    model_id: Mapped[int] = mapped_column(reference("models.id", cascade=True), primary_key=True)
    language: Mapped[str] = mapped_column(reference("languages.code"), primary_key=True)
    family: Mapped[str] = mapped_column(String(32))
