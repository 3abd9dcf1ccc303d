"""Declarative base, naming convention and column types shared by all tables."""

from collections.abc import Iterable
from typing import Annotated

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, Integer, MetaData, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

Json = JSON().with_variant(JSONB(), "postgresql")
# None is NULL in it, not JSON's null: of a list that may be missing.
JsonOrNull = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
# SQLite only auto-numbers INTEGER PRIMARY KEY, which is 64-bit there anyway.
BigId = BigInteger().with_variant(Integer(), "sqlite")

Id = Annotated[int, mapped_column(BigId, primary_key=True)]
Key = Annotated[str, mapped_column(String(40), unique=True)]
Milliseconds = Annotated[int, mapped_column(BigInteger)]


class Base(DeclarativeBase):
    """All tables of Sprachbund; times are epoch milliseconds from the database's clock."""

    metadata = MetaData(naming_convention=NAMING)


def reference(target: str, *, cascade: bool = False) -> ForeignKey:
    """A foreign key; `cascade` deletes the row with its parent."""
    return ForeignKey(target, ondelete="CASCADE" if cascade else None)


def among(column: str, words: Iterable[str]) -> CheckConstraint:
    """A check that a column holds one of the words."""
    return CheckConstraint(f"{column} IN ({', '.join(repr(word) for word in words)})", name=column)
