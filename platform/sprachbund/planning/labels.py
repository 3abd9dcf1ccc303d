"""What settings are called in tables: short, and different wherever two rows of an experiment differ.

Labels are for people. Nothing reads one: what a setting is, stands beside and is chosen from are keys.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sprachbund.catalogue.edits import EDITS
from sprachbund.spec.interventions import InterventionSpec


@dataclass(frozen=True, slots=True)
class Point:
    """One cell of a row's sweep; what the row does not sweep is None."""

    row: InterventionSpec
    where: str
    target: str | None = None
    scorer: str | None = None
    value: str | None = None
    k: int | float | None = None
    strength: float | None = None


@dataclass(frozen=True, slots=True)
class Labels:
    """Whole labels of one model's settings, put together in one place: each part is named once.

    model: its name, where the experiment has several. many_scorers: whether scorers need telling apart.
    """

    model: str | None
    many_scorers: bool

    def setting(self, row: InterventionSpec, point: Point | None, member: str | None = None) -> str:
        """Of a setting; of no edits without a `point`; with a `member`, of that control of it."""
        return self._whole(point, _transform(row), member, self.model)

    def within_model(self, row: InterventionSpec, point: Point | None, member: str | None = None) -> str:
        """As `setting`, without the model: the same for the same cell of every model."""
        return self._whole(point, _transform(row), member, None)

    def untransformed(self, point: Point | None, member: str | None = None) -> str:
        """Of what a transformed setting is made from."""
        return self._whole(point, None, member, self.model)

    def group(self, model: str, row: InterventionSpec, point: Point | None, over: Collection[str]) -> str:
        """Of the settings that are chosen from: without the fields that are chosen `over`."""
        edits = "none" if point is None else edits_label(point, True, over)
        return " ".join([model, edits, *([row.transform] if row.transform != "none" else [])])

    def _whole(self, point: Point | None, transform: str | None, member: str | None, model: str | None) -> str:
        parts = [] if point is None else [edits_label(point, self.many_scorers)]
        parts += [] if transform is None else [transform]
        name = " + ".join(parts) or "none"
        name = name if member is None or not parts else f"{member} of {name}"
        return name if model is None else f"{name} ({model})"


def _transform(row: InterventionSpec) -> str | None:
    if row.transform == "none":
        return None
    return row.transform if row.components is None else f"{row.transform} r={row.components}"


def edits_label(point: Point, many_scorers: bool, without: Collection[str] = ()) -> str:
    """The edits of a cell, `without` some of its fields."""
    row = point.row
    parts = [row.method if row.method != "direction" else str(row.direction)]
    if point.target is not None:
        parts.append(point.target)
    parts += _units(point, many_scorers, without) if row.method != "direction" else []
    parts += _edit(point, without)
    if row.sites is not None and not (row.method == "direction" and row.sites == ["block"]):
        parts.append(f"at {'+'.join(row.sites)}")
    if row.site_pairs is not None:
        scored, edited = ("+".join(sites) for sites in zip(*row.site_pairs, strict=True))
        parts.append(f"scored at {scored} edited at {edited}")
    if row.blocks is not None:
        parts.append(f"blocks {','.join(map(str, row.blocks))}")
    if row.tokens != "all":
        parts.append(f"on {row.tokens}")
    if row.side != "both":
        parts.append("queries only" if row.side == "query" else "candidates only")
    return " ".join(parts)


def _units(point: Point, many_scorers: bool, without: Collection[str]) -> list[str]:
    selection = point.row.selection
    assert selection is not None
    parts: list[str] = [] if selection.how == "top" else [selection.how]
    if selection.how == "threshold":
        parts.append(f"q={selection.q:g} effect={selection.effect:g}")
    elif "k" not in without:
        parts.append(f"k={point.k}")
    if many_scorers and point.scorer is not None:
        parts.append(point.scorer)
    return parts


def _edit(point: Point, without: Collection[str]) -> list[str]:
    row = point.row
    assert row.edit is not None
    rule = EDITS[row.edit]
    parts: list[str] = [] if row.edit in ("set", "add") else [row.edit]
    if row.rank is not None:
        parts.append(f"rank={row.rank}")
    swept = row.strength is not None and len(row.strength) > 1
    if point.strength is not None and "strength" not in without and (swept or point.strength != rule.strength):
        parts.append(f"strength={point.strength:g}")
    if point.value not in (None, "mean"):
        parts.append(str(point.value))
    if row.value_from == "tokens":
        parts.append("from tokens")
    if row.pooling is not None and row.pooling != ("mean" if rule.transport or rule.of == "direction" else None):
        parts.append(f"pooled by {row.pooling}")
    if row.source == "input" and row.method != "own":
        parts.append("from each language")
    if row.fit == "incremental":
        parts.append("incremental")
    return parts
