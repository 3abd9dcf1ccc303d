"""The directions that an experiment file may name: a line each, and the function that runners call."""

from dataclasses import dataclass

from sprachbund.catalogue.edits import EDITS


@dataclass(frozen=True, slots=True)
class DirectionRule:
    """One way to find directions in pooled responses.

    function: `module:name`, which runners import: Responses → Subspace, and with `ranked` also rank (int or None).
    targetless: it tells all languages apart at once, no language is its target, and it has no shift to add.
    per_input: one language against the target is enough to find it, so that inputs can have their own.
    """

    function: str
    ranked: bool = False
    targetless: bool = False
    per_input: bool = False


_IN = "sprachbund_runners.directions"

DIRECTIONS: dict[str, DirectionRule] = {
    "diff_mean": DirectionRule(f"{_IN}.means:diff_mean", per_input=True),
    "pca": DirectionRule(f"{_IN}.pca:pca", ranked=True),
    "lda": DirectionRule(f"{_IN}.lda:lda"),
    "probe": DirectionRule(f"{_IN}.probe:probe"),
    "leace": DirectionRule(f"{_IN}.leace:leace", targetless=True),
    "language_means": DirectionRule(f"{_IN}.means:language_means", ranked=True, targetless=True),
}


def edits_along(direction: str) -> tuple[str, ...]:
    """The edits that go with a direction: those of directions, without those that need a target where it has none."""
    targetless = DIRECTIONS[direction].targetless
    return tuple(name for name, rule in EDITS.items() if rule.of == "direction" and not (targetless and rule.to_target))
