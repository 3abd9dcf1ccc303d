"""Differences of two specs, place by place."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sprachbund.spec.difference import Difference, differences
from sprachbund.work.keys import canonical_json

VALUES = st.recursive(
    st.booleans() | st.integers(0, 3) | st.floats(0, 1).map(lambda value: round(value, 1)) | st.sampled_from("ab"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
    max_leaves=12,
)


def applied(a: Any, found: list[tuple[list[str], Any, Any]]) -> Any:
    """`a` with its differences made good."""
    if any(not path for path, _, _ in found):
        ((_, _, b),) = found
        return b
    if isinstance(a, list):
        removed = {int(path[0]) for path, _, b in found if len(path) == 1 and b is None}
        added = {int(path[0]): b for path, a, b in found if len(path) == 1 and a is None}
        kept = iter([each for place, each in enumerate(a) if place not in removed])
        made = [added[place] if place in added else next(kept) for place in range(len(a) - len(removed) + len(added))]
        found = [each for each in found if len(each[0]) > 1 or None not in each[1:]]
        places: Any = range(len(made))
    else:
        made = dict(a)  # type: ignore[assignment]
        places = {path[0] for path, _, _ in found}
    for place in places:
        inside = [(path[1:], old, new) for path, old, new in found if path[0] == str(place)]
        if inside:
            made[place] = applied(a.get(place) if isinstance(a, dict) else made[place], inside)
    return made if isinstance(made, list) else {name: each for name, each in made.items() if each is not None}


@given(VALUES)
def test_nothing_differs_from_itself(value: Any) -> None:
    assert differences(value, value) == ()


@given(VALUES, VALUES)
def test_differences_say_all_there_is_to_say(a: Any, b: Any) -> None:
    found = differences(a, b)
    assert (found == ()) == (canonical_json(a) == canonical_json(b))
    listed = [(each.field.split(".") if each.field else [], each.a, each.b) for each in found]
    assert all(canonical_json(old) != canonical_json(new) for _, old, new in listed)
    assert canonical_json(applied(a, listed) if listed else a) == canonical_json(b)


def test_places() -> None:
    before = {"seed": 0, "targets": ["a", "b", "c"], "rows": [{"k": 1, "edit": "set"}, {"k": 5}], "choose": {"by": "x"}}
    after = {"seed": 0, "targets": ["a", "c", "d"], "rows": ["none", {"k": 1, "edit": "set"}, {"k": [5, 9]}]}
    assert differences(before, after) == (
        Difference("choose", {"by": "x"}, None),
        Difference("rows.0", None, "none"),
        Difference("rows.2.k", 5, [5, 9]),
        Difference("targets.1", "b", None),
        Difference("targets.2", None, "d"),
    )


def test_a_count_is_no_share_and_a_flag_no_number() -> None:
    assert differences({"k": 1, "l": [True]}, {"k": 1.0, "l": [1]}) == (
        Difference("k", 1, 1.0),
        Difference("l.0", True, 1),
    )
