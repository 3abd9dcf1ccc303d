"""Payloads as the column jobs.payload has them: JSON, made and read here only."""

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from sprachbund.errors import DatabaseError
from sprachbund.work.payloads.base import Payload

P = TypeVar("P", bound=Payload)

# Metadata of a field that planning has and the job does not need.
NOT_STORED = {"stored": False}


def to_json(payload: Payload) -> dict[str, Any]:
    """What the column holds."""
    left_out = {each.name for each in fields(payload) if not each.metadata.get("stored", True)}
    found: dict[str, Any] = _adapter(type(payload)).dump_python(payload, mode="json", exclude=left_out)
    return found


def from_json(kind: type[P], stored: Mapping[str, Any], what: str) -> P:
    """The payload that the column of `what` holds; DatabaseError names the first field that is not as expected."""
    try:
        found: P = _adapter(kind).validate_python(stored)
        return found
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise DatabaseError(
            f"jobs.payload of {what}: {place}: {first['msg'].lower()}; another version of sprachbund planned this job:"
            " submit its experiment again with this one"
        ) from None


@cache
def _adapter(kind: type[Payload]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def layers_in(column: Any) -> Any:
    """SQL: the layers of a stored payload; NULL where it has none."""
    return column["layers"]
