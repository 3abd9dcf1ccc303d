"""Job kinds: each is declared once, beside its payload; the table KINDS, and what runners run, follow.

Count a version up when a kind's results change for the same inputs: old results then keep their keys and
new ones are computed beside them.
"""

from collections.abc import Mapping
from typing import Any

from sprachbund.work.kind import Kind
from sprachbund.work.payloads import compare, difference, embed, fit, measure, pairs, write
from sprachbund.work.payloads.base import Payload
from sprachbund.work.payloads.stored import from_json

_FAMILIES = (fit, embed, pairs, measure, write, difference, compare)
_DECLARED = [kind for family in _FAMILIES for kind in vars(family).values()]
KINDS: dict[str, Kind] = {kind.name: kind for kind in _DECLARED if isinstance(kind, Kind)}
"""Every kind by its name."""


def read_payload(kind: str, stored: Mapping[str, Any], what: str) -> Payload:
    """The payload of a stored job of a kind, called `what` where it raises DatabaseError: its fields are others."""
    return from_json(KINDS[kind].payload, stored, what)
