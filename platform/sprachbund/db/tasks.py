"""What an evaluation on request was asked for: ABX tasks and probes."""

from typing import Any

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from sprachbund.db.base import Base, Json


class EvaluationTask(Base):
    """An ABX task or a probe over certain languages; `evaluations.scope_digest` is its key."""

    __tablename__ = "evaluation_tasks"

    key: Mapped[str] = mapped_column(String(40), primary_key=True)
    measure: Mapped[str] = mapped_column(String(32))
    # `topic by language`, `topic`: the languages are not part of it.
    name: Mapped[str] = mapped_column(Text)
    parameters: Mapped[dict[str, Any]] = mapped_column(Json)
    languages: Mapped[list[str]] = mapped_column(Json)
