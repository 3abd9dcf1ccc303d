"""Interventions: from expert sets and unit statistics to the edits that a pass applies."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select, update

from sprachbund.architectures import UnitBlock
from sprachbund.db import tables as t
from sprachbund.errors import ModelError
from sprachbund.queue import Claim
from sprachbund.spec import parse_value
from sprachbund.tensors import load_tensors, read_metadata
from sprachbund_runners.interventions.controls import Selection, experts_values, matched_shift, random_units, union
from sprachbund_runners.interventions.edits import UnitAffine, to_edits
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.expert_set import Ranking, Statistics, find_ranking, find_statistics
from sprachbund_runners.jobs.unit_statistics import place_name
from sprachbund_runners.models.moments import TokenMoments, merge_all

_FIELDS = ("unit", "a", "b", "lo", "hi")


@dataclass(slots=True)
class _Axis:
    """The units that may be edited: those of the wanted sites and blocks, on a flat axis of their own."""

    units: list[UnitBlock]
    # Position on the rankings' axis of every unit of this one.
    parent: NDArray[np.int64]

    @classmethod
    def of(cls, whole: Sequence[tuple[int, str, int]], sites: Sequence[str], blocks: Sequence[int] | None) -> "_Axis":
        units, parents, start, offset = [], [], 0, 0
        for block, site, width in whole:
            if site in sites and (blocks is None or block in blocks):
                units.append(UnitBlock(block, site, width, offset))
                parents.append(np.arange(start, start + width))
                offset += width
            start += width
        return cls(units, np.concatenate(parents))

    def top(self, ranking: Ranking, k: int) -> NDArray[np.int64]:
        """The k best units of a ranking that lie on this axis."""
        place = np.full(len(ranking.order), -1, dtype=np.int64)
        place[self.parent] = np.arange(len(self.parent))
        here = place[ranking.order]
        return here[here >= 0][:k]

    def gather(self, by_place: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """One value per unit of this axis, from arrays per (block, site)."""
        return np.concatenate([by_place[place_name(part.block, part.site)] for part in self.units])


def run(claims: Sequence[Claim], context: Context) -> Iterator[Outcome]:
    """Edits of each claim; rankings and values are read once per bundle."""
    rankings: dict[str, Ranking] = {}
    values: dict[tuple[str, str, str], dict[str, NDArray[np.float64]]] = {}
    step = context.progress.start("making edits", len(claims))
    for claim in claims:
        context.check_stop()
        yield _make(claim, context, rankings, values)
        step(1)


def _make(
    claim: Claim,
    context: Context,
    rankings: dict[str, Ranking],
    values: dict[tuple[str, str, str], dict[str, NDArray[np.float64]]],
) -> Outcome:
    payload = claim.payload
    for key in payload["experts"].values():
        if key not in rankings:
            rankings[key] = find_ranking(context, key)
    chosen = [rankings[key] for key in payload["experts"].values()]
    axis = _Axis.of(chosen[0].axis, payload["sites"], payload["blocks"])
    statistics = find_statistics(context, [payload["values"], *payload["source"].values()])
    wanted = (payload["values"], payload["value"], payload["value_from"])
    if wanted not in values:
        values[wanted] = _set_values(
            statistics[payload["values"]], chosen[0].axis, payload["value"], payload["value_from"]
        )
    all_values = axis.gather(values[wanted])
    experts = union([axis.top(ranking, payload["k"]) for ranking in chosen])
    moments = _moments([statistics[key] for key in payload["source"].values()], axis)
    selection = Selection(experts, all_values[experts].astype(np.float32))
    ratio: float | None = None
    control = payload["control"]
    if control is not None and payload["seed"] is not None:
        selection, ratio = _randomise(payload, control, axis, selection, all_values, moments)
    edits = to_edits(axis.units, selection.units, selection.values, payload["tokens"])
    shift = _expected_shift(selection, moments)
    stored = context.save(edit_tensors(edits), {"key": claim.subject, "edits": edit_header(edits)})

    def write(connection: Connection) -> None:
        connection.execute(
            update(t.Intervention)
            .where(t.Intervention.key == claim.subject)
            .values(
                n_edited=len(selection.units),
                first_block=min(edit.block for edit in edits),
                shift_norm=float(np.sqrt(shift)),
                shift_ratio=ratio,
                artifact_id=context.store.record(connection, stored),
            )
        )

    return Outcome(claim, write)


def _randomise(
    payload: Mapping[str, Any],
    control: Mapping[str, Any],
    axis: _Axis,
    experts: Selection,
    all_values: NDArray[np.float64],
    moments: TokenMoments,
) -> tuple[Selection, float | None]:
    variant = "matched" if control["variant"] == "shift" else control["variant"]
    units = random_units(axis.units, experts.units, payload["seed"], variant)
    own = Selection(units, all_values[units].astype(np.float32))
    if control["values"] == "experts":
        own = experts_values(axis.units, units, experts.units, experts.values, payload["seed"])
    if variant != "matched":
        return own, float(_expected_shift(own, moments) / _expected_shift(experts, moments))
    matched = matched_shift(axis.units, experts, own, moments.mean, moments.variance)
    return matched.selection, matched.overall_ratio


def _expected_shift(selection: Selection, moments: TokenMoments) -> float:
    """Σ E(h − v)² = Σ variance + (mean − v)² over the fit tokens of all source languages."""
    variance, mean = moments.variance[selection.units], moments.mean[selection.units]
    return float((variance + (mean - selection.values) ** 2).sum())


def _moments(statistics: Sequence[Statistics], axis: _Axis) -> TokenMoments:
    parts = []
    for each in statistics:
        tensors = load_tensors(each.moments)
        names = [place_name(part.block, part.site) for part in axis.units]
        parts.append(
            TokenMoments(
                int(tensors[f"{names[0]}/count"][0]),
                np.concatenate([tensors[f"{name}/mean"] for name in names]),
                np.concatenate([tensors[f"{name}/m2"] for name in names]),
            )
        )
    return merge_all(parts)


def _set_values(
    statistics: Statistics, axis: Sequence[tuple[int, str, int]], value: str, value_from: str
) -> dict[str, NDArray[np.float64]]:
    """What every unit would be set to, per (block, site)."""
    statistic, level = parse_value(value)
    found: dict[str, NDArray[np.float64]] = {}
    for block, site, width in axis:
        name = place_name(block, site)
        if statistic == "zero":
            found[name] = np.zeros(width)
        elif value_from == "tokens":
            if statistic != "mean":
                raise ModelError(f"value '{value}' from tokens: per-token values are not kept, only their mean")
            found[name] = load_tensors(statistics.moments, [f"{name}/mean"])[f"{name}/mean"]
        else:
            pooled = load_tensors(statistics.responses, [name])[name]
            if statistic == "mean":
                found[name] = pooled.mean(axis=0, dtype=np.float64)
            else:
                found[name] = np.quantile(pooled.astype(np.float64), level, axis=0)
    return found


def edit_header(edits: Sequence[UnitAffine]) -> list[list[str | int]]:
    """Site, block and tokens of every edit, in the order of their tensors."""
    return [[edit.site, edit.block, edit.tokens] for edit in edits]


def edit_tensors(edits: Sequence[UnitAffine]) -> dict[str, NDArray[Any]]:
    """The arrays of every edit under `number/field`."""
    return {f"{number}/{name}": getattr(edit, name) for number, edit in enumerate(edits) for name in _FIELDS}


def find_edits(context: Context, key: str) -> list[UnitAffine]:
    """The stored edits of an intervention; none for the intervention `none`."""
    with context.reading() as connection:
        row = connection.execute(select(t.Intervention).where(t.Intervention.key == key)).one()
        if row.method == "none":
            return []
        job = connection.execute(select(t.Job.id).where(t.Job.subject == key)).scalar_one()
        path = context.artifact(connection, row.artifact_id, job)
    tensors = load_tensors(path)
    return [
        UnitAffine(site, block, **{name: tensors[f"{number}/{name}"] for name in _FIELDS}, tokens=tokens)
        for number, (site, block, tokens) in enumerate(read_metadata(path)["edits"])
    ]
