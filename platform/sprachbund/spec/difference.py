"""What tells two structures of fields apart, place by place."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any

from sprachbund.work.keys import canonical_json


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that two sides have different values in; None where a side does not have it."""

    field: str
    a: Any
    b: Any


def differences(a: Any, b: Any, place: str = "") -> tuple[Difference, ...]:
    """The places in which two JSON values differ, such as `interventions.2.k`; 1 differs from 1.0, as it does in keys.

    Entries of lists are brought into line first: what was taken out stands at its old place, all else at its new one.
    """
    return tuple(_differences(a, b, place))


def _differences(a: Any, b: Any, place: str) -> Iterator[Difference]:
    if _same(a, b):
        return
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for name in sorted({*a, *b}):
            yield from _differences(a.get(name), b.get(name), _inside(place, name))
    elif isinstance(a, list) and isinstance(b, list):
        yield from _of_lists(a, b, place)
    else:
        yield Difference(place, a, b)


def _of_lists(a: list[Any], b: list[Any], place: str) -> Iterator[Difference]:
    before, after = ([canonical_json(each) for each in side] for side in (a, b))
    aligned = SequenceMatcher(None, before, after, autojunk=False)
    for what, start_a, end_a, start_b, end_b in aligned.get_opcodes():
        if what == "equal":
            continue
        for old, new in zip_longest(range(start_a, end_a), range(start_b, end_b)):
            if new is None:
                yield Difference(_inside(place, old), a[old], None)
            elif old is None:
                yield Difference(_inside(place, new), None, b[new])
            else:
                yield from _differences(a[old], b[new], _inside(place, new))


def _same(a: Any, b: Any) -> bool:
    return canonical_json(a) == canonical_json(b)


def _inside(place: str, name: Any) -> str:
    return f"{place}.{name}" if place else str(name)
