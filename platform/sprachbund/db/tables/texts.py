"""Texts that models wrote under a setting: free generations and translations, sample by sample."""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Float, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from sprachbund.db.tables.base import Base, Id, Json, Key, reference


class Generation(Base):
    """One run of texts under one setting: a seed's free generations, or the translations of one pair."""

    __tablename__ = "generations"
    __table_args__ = (Index(None, "job_id"), Index(None, "setting_id"))

    id: Mapped[Id]
    key: Mapped[Key]
    job_id: Mapped[int] = mapped_column(reference("jobs.id"))
    setting_id: Mapped[int] = mapped_column(reference("settings.id"))
    seed: Mapped[int | None] = mapped_column(BigInteger)
    # Of translations: the text translated, and the language translated into.
    corpus_text_id: Mapped[int | None] = mapped_column(reference("corpus_texts.id"))
    target_language: Mapped[str | None] = mapped_column(reference("languages.code"))
    # How it was written (temperature, top_p, prompt or template …) and, of translations, how scores were computed.
    parameters: Mapped[dict[str, Any]] = mapped_column(Json)
    # Different n-grams / n-grams of token ids over all samples.
    distinct_1: Mapped[float | None] = mapped_column(Float)
    distinct_2: Mapped[float | None] = mapped_column(Float)


class GeneratedText(Base):
    """One sample. `ended`: it came to its end before the limit of tokens."""

    __tablename__ = "generated_texts"

    generation_id: Mapped[int] = mapped_column(reference("generations.id", cascade=True), primary_key=True)
    sample: Mapped[int] = mapped_column(primary_key=True)
    # Of translations: the corpus item.
    item: Mapped[str | None] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    n_tokens: Mapped[int]
    ended: Mapped[bool] = mapped_column(Boolean)
    # Share of its 4-grams of token ids that came before; NULL with fewer than four tokens.
    repetition: Mapped[float | None] = mapped_column(Float)


class TextLabel(Base):
    """What an evaluation found a sample to be; `label` is the language identifier's."""

    __tablename__ = "text_labels"
    __table_args__ = (Index(None, "generation_id", "sample"),)

    job_id: Mapped[int] = mapped_column(reference("jobs.id"), primary_key=True)
    generation_id: Mapped[int] = mapped_column(reference("generations.id", cascade=True), primary_key=True)
    sample: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str | None] = mapped_column(String(8))
    probability: Mapped[float | None] = mapped_column(Float)
    degenerate: Mapped[bool] = mapped_column(Boolean)
