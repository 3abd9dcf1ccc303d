"""Scopes: which language pairs are averaged."""

from sprachbund.vocabulary import SCOPES

TargetScope = tuple[str, str | None]
"""A scope and the target language that it is about; None where it is about none."""


def scope_of(name: str, target: str | None) -> TargetScope:
    """A setting's scope by its name."""
    return name, None if name == "all" else target


def scopes_of(target: str | None) -> list[str]:
    """The names of the scopes of what steers towards a target: without one there is but one."""
    return list(SCOPES if target else SCOPES[:1])


def inside(scope: TargetScope, query: str | None, candidate: str | None, directed: bool) -> bool:
    """Whether a pair is averaged. A distance has no direction: the target is on both of its sides, or on none."""
    name, target = scope
    if name == "all":
        return True
    if query is None or candidate is None:
        return False
    if not directed:
        return (target in (query, candidate)) != (name == "without_target")
    if name == "target_query":
        return query == target
    if name == "target_candidate":
        return candidate == target
    return target not in (query, candidate)
