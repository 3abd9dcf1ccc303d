"""ABX evaluations: one task over label columns under one setting, layer by layer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from sprachbund.queue import Claim
from sprachbund.work.payloads.measure import AbxEvaluationPayload
from sprachbund_runners.evaluation.abx import (
    AbxGroup,
    AbxScore,
    AbxTask,
    AbxVectors,
    abx_groups,
    abx_vectors,
    joined_draws,
    sample_group,
    score_group,
)
from sprachbund_runners.evaluation.scores import Level
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.embed.embedded import Embedded
from sprachbund_runners.jobs.evaluation_rows import EvaluationRow, write_evaluations
from sprachbund_runners.jobs.measure.labelled import Labelled, write_task
from sprachbund_runners.jobs.serving import named, one_by_one

Sides = tuple[str | None, str | None]
"""The language of x and that of a and b, where the task fixes them."""
ALL: Sides = (None, None)


def run(claims: Sequence[Claim[AbxEvaluationPayload]], context: Context) -> Iterator[Outcome]:
    """Claims of one setting and corpus, a task each."""
    embedded = Embedded(context)
    return one_by_one(claims, context, lambda claim: _task(claim, context, embedded), named(claims))


def _task(claim: Claim[AbxEvaluationPayload], context: Context, embedded: Embedded) -> Outcome:
    payload, asked = claim.payload, claim.payload.task
    table = Labelled.of(payload, context)
    task = AbxTask(asked.on, asked.by, asked.across)
    groups = abx_groups(task, table.labels)
    rows: list[EvaluationRow] = []
    tensors: dict[str, NDArray[Any]] = {}
    for layer in payload.layers:
        context.check_stop()
        vectors = abx_vectors(table.embeddings(payload, embedded, layer), asked.distance, f"layer {layer}")
        if asked.triples is None:
            exact = _Exact(task, table, payload.confidence)
            parts: list[list[AbxScore]] = [[] for _ in groups]
            for multiplicities in table.multiplicities(asked.resamples, payload.seed):
                context.check_stop()
                for group, scores in zip(groups, parts, strict=True):
                    scores.append(score_group(vectors, group, multiplicities, table.items))
            for group, scores in zip(groups, parts, strict=True):
                exact.add(group, joined_draws(scores))
            found = exact.levels()
            tensors.update({f"{layer}/{name}": values for name, values in exact.tensors().items()})
        else:
            found = _sampled(task, table, vectors, groups, asked.triples, payload.seed)
        for sides, levels in found.items():
            tensor = f"{layer}/{_named(sides)}"
            kept = tensor if f"{tensor}/items" in tensors else None
            rows.append(EvaluationRow("abx", *sides, layer, levels, kept, payload.scope_digest))
    stored = context.save(tensors, {"key": claim.subject}) if tensors else None

    def write(connection: Connection) -> None:
        write_task(connection, payload, "abx")
        write_evaluations(connection, claim, rows, context.store.record(connection, stored) if stored else None)

    return Outcome(claim, write)


def _sides(task: AbxTask, group: AbxGroup) -> Sides:
    """Whose languages a group compares; one language only has no second side."""
    if "language" in task.by:
        return group.by[task.by.index("language")], None
    if "language" in task.across:
        place = task.across.index("language")
        return group.across_x[place], group.across[place]
    return ALL


@dataclass(frozen=True, slots=True)
class _Part:
    group: AbxGroup
    score: AbxScore


class _Exact:
    """Groups of one layer, summed up: all of them, by languages, and by the language of b where that is ON."""

    def __init__(self, task: AbxTask, table: Labelled, confidence: float) -> None:
        self.task, self.table, self.confidence = task, table, confidence
        self.parts: dict[Sides, list[_Part]] = {}

    def add(self, group: AbxGroup, score: AbxScore) -> None:
        for sides in dict.fromkeys((ALL, _sides(self.task, group))):
            self.parts.setdefault(sides, []).append(_Part(group, score))

    def levels(self) -> dict[Sides, dict[str, Level]]:
        found = {sides: self._level(parts) for sides, parts in self.parts.items()}
        if self.task.on == "language":
            found |= self._cells()
        return found

    def _level(self, parts: Sequence[_Part]) -> dict[str, Level]:
        scores = [part.score for part in parts]
        rows = np.unique(np.concatenate([part.group.ab for part in parts] + [part.group.x for part in parts]))
        sizes = self._sizes(rows)
        even = float(np.mean([score.value for score in scores]))
        triples = sum(score.triples for score in scores)
        weighted = sum(score.weighted * score.triples for score in scores) / triples
        even_draws, weighted_draws = _draws(scores)
        return {
            "abx": Level(even, *self._interval(even_draws), *sizes),
            "abx_weighted": Level(weighted, *self._interval(weighted_draws), *sizes),
            "abx_triples": Level(triples, np.nan, np.nan, *sizes),
        }

    def _cells(self) -> dict[Sides, dict[str, Level]]:
        """x and a in one language, b in another: the mean over groups, for each ordered pair of languages."""
        values: dict[Sides, list[float]] = {}
        for part in self.parts[ALL]:
            for row, own in enumerate(part.group.classes):
                for column, other in enumerate(part.group.classes):
                    value = float(part.score.cells[row, column])
                    if not np.isnan(value):
                        values.setdefault((own, other), []).append(value)
        found: dict[Sides, dict[str, Level]] = {}
        for sides, cells in values.items():
            rows = np.flatnonzero(np.isin(self.table.language, [each for each in sides if each]))
            found[sides] = {"abx": Level(float(np.mean(cells)), np.nan, np.nan, *self._sizes(rows))}
        return found

    def _sizes(self, rows: NDArray[np.intp]) -> tuple[int, int]:
        items, units = self.table.labels["item"], self.table.unit
        return len({items[row] for row in rows}), len({units[row] for row in rows})

    def _interval(self, draws: NDArray[np.float64]) -> tuple[float, float]:
        draws = draws[~np.isnan(draws)]
        if not len(draws):
            return float("nan"), float("nan")
        rest = (1.0 - self.confidence) / 2
        low, high = np.quantile(draws, [rest, 1.0 - rest])
        return float(low), float(high)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Per row of the table the mean of its scores as x; both scores in each draw, the same for every setting."""
        found: dict[str, NDArray[Any]] = {}
        for sides, parts in self.parts.items():
            total, count = np.zeros(self.table.n), np.zeros(self.table.n)
            for part in parts:
                scored = ~np.isnan(part.score.items)
                np.add.at(total, part.group.x[scored], part.score.items[scored])
                np.add.at(count, part.group.x[scored], 1.0)
            with np.errstate(invalid="ignore"):
                items = total / count
            prefix = _named(sides)
            found[f"{prefix}/items"] = items.astype(np.float32)
            if len(parts[0].score.draws):
                found[f"{prefix}/abx"], found[f"{prefix}/abx_weighted"] = _draws([part.score for part in parts])
        return found


def _draws(scores: Sequence[AbxScore]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The score of several groups in each draw, unweighted and weighted; NaN where a draw leaves no triples."""
    draws = np.stack([score.draws for score in scores])
    counted = ~np.isnan(draws)
    with np.errstate(divide="ignore", invalid="ignore"):
        # A draw may leave a group without triples: it then rests on the others.
        even = np.where(counted, draws, 0.0).sum(axis=0) / counted.sum(axis=0)
        wins = np.sum([score.weighted_wins for score in scores], axis=0)
        return even, wins / np.sum([score.weighted_triples for score in scores], axis=0)


def _named(sides: Sides) -> str:
    """The part of a tensor's name that says whose languages it is about."""
    return ">".join(each or "" for each in sides)


def _sampled(
    task: AbxTask, table: Labelled, vectors: AbxVectors, groups: Sequence[AbxGroup], n_triples: int, seed: int
) -> dict[Sides, dict[str, Level]]:
    """Drawn triples, as many from every group; groups count alike, and by their triples for the weighted score."""
    each = max(2, -(-n_triples // len(groups)))
    parts: dict[Sides, list[tuple[float, float, float, float, AbxGroup]]] = {}
    for number, group in enumerate(groups):
        drawn = sample_group(vectors, group, each, (seed, number))
        size = np.bincount(group.ab_class, minlength=len(group.classes)).astype(np.float64)
        n_x = np.bincount(group.x_class, minlength=len(group.classes))
        pairs = size * (size - 1) if group.within else size * n_x
        triples = float((pairs * (size.sum() - size)).sum())
        for sides in dict.fromkeys((ALL, _sides(task, group))):
            parts.setdefault(sides, []).append((drawn.value, drawn.standard_error, drawn.weighted, triples, group))
    found: dict[Sides, dict[str, Level]] = {}
    for sides, members in parts.items():
        rows = np.unique(np.concatenate([part[4].ab for part in members] + [part[4].x for part in members]))
        sizes = len({table.labels["item"][row] for row in rows}), len({table.unit[row] for row in rows})
        total = sum(part[3] for part in members)
        error = float(np.sqrt(np.sum(np.square([part[1] for part in members]))) / len(members))
        values = {
            "abx": float(np.mean([part[0] for part in members])),
            "abx_weighted": sum(part[2] * part[3] for part in members) / total,
            "abx_standard_error": error,
            "abx_triples": float(each * len(members)),
        }
        found[sides] = {name: Level(value, np.nan, np.nan, *sizes) for name, value in values.items()}
    return found
