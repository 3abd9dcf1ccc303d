"""Content keys: the identity of every piece of work, made of its logical inputs only."""

import hashlib
import json
from typing import Any

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces; refuses NaN, infinities and unknown types.

    Floats that hold whole numbers keep their point (1.0 differs from 1): a count and a fraction are
    different requests.
    """
    return _ENCODER.encode(value)


def content_key(kind: str, version: int, /, **inputs: Any) -> str:
    """40 hexadecimal digits that name one piece of work: kind, version and logical inputs, nothing else."""
    body = canonical_json({"kind": kind, "version": version, "inputs": inputs})
    return hashlib.sha256(body.encode()).hexdigest()[:40]
