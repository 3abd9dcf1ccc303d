"""Comparisons: every setting of an experiment against its baseline and its controls, on one corpus and role.

An item's outcome under a setting is its mean over the ordered language pairs of a scope. Both settings are resampled
with the same draws of items (or groups), so that differences are paired; a collection of bilingual corpora
has its own items in each corpus, drawn apart, and is averaged over corpora.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, insert, select

from sprachbund.db import tables as t
from sprachbund.keys import content_key
from sprachbund.metrics import METRICS
from sprachbund.queue import Claim
from sprachbund.statistics import (
    benjamini_hochberg,
    benjamini_yekutieli,
    bootstrap_replicates,
    control_p,
    summarise_replicates,
)
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.outcomes import Cell, Outcomes

SCOPES = ("all", "target_query", "target_candidate", "without_target")


@dataclass(frozen=True, slots=True)
class Level:
    """A setting on one metric, layer and scope: its mean over pairs, the median pair, and bootstrap replicates."""

    value: float
    median: float
    n_pairs: int
    n_items: int
    n_groups: int
    replicates: NDArray[np.float64]


def run(claims: Sequence[Claim], context: Context) -> Iterator[Outcome]:
    for claim in claims:
        yield _compare(claim, context)


def _compare(claim: Claim, context: Context) -> Outcome:
    payload = claim.payload
    outcomes = Outcomes.of(context, claim)
    settings: list[dict[str, Any]] = payload["settings"]
    rows: list[dict[str, Any]] = []
    controls: list[list[dict[str, Any]]] = []
    step = context.progress.start("comparing settings", len(payload["layers"]) * len(payload["metrics"]))
    for layer in payload["layers"]:
        for metric in payload["metrics"]:
            context.check_stop()
            levels = _Levels(payload, outcomes, layer, metric)
            for setting in settings:
                for scope in SCOPES if setting["target"] else SCOPES[:1]:
                    row = _row(levels, setting, scope, payload["confidence"])
                    if row is not None:
                        rows.append({**row, "layer": layer, "metric": metric, "scope": scope})
                        controls.append(_controls(levels, setting, scope, row["value"]))
            step(1)
    _adjust(rows, payload["multiplicity"])

    def write(connection: Connection) -> None:
        keys = [setting["setting"] for setting in settings]
        ids: dict[str, int] = {}
        for start in range(0, len(keys), 400):
            found = select(t.Setting.key, t.Setting.id).where(t.Setting.key.in_(keys[start : start + 400]))
            ids.update(connection.execute(found).all())  # type: ignore[arg-type]
        for row, beside in zip(rows, controls, strict=True):
            values = dict(row)
            setting, baseline = values.pop("setting"), values.pop("baseline_setting")
            comparison_id = connection.execute(
                insert(t.Comparison)
                .values(
                    key=content_key("comparison", 1, job=claim.subject, setting=setting, layer=row["layer"],
                                    metric=row["metric"], scope=row["scope"]),
                    job_id=claim.job_id,
                    setting_id=ids[setting],
                    baseline_id=ids[baseline],
                    corpus=payload["group"],
                    split=payload["split"],
                    **values,
                )
                .returning(t.Comparison.id)
            ).scalar_one()  # fmt: skip
            if beside:
                connection.execute(
                    insert(t.ControlComparison), [{"comparison_id": comparison_id, **each} for each in beside]
                )

    return Outcome(claim, write)


class _Levels:
    """Levels of all settings on one layer and metric, each computed once."""

    def __init__(self, payload: Mapping[str, Any], outcomes: Outcomes, layer: str, metric: str) -> None:
        self.metric = metric
        self._payload = payload
        self._outcomes = outcomes
        self._layer = layer
        self._found: dict[tuple[str, str, str | None], Level | None] = {}

    def level(self, setting: str, scope: str, target: str | None) -> Level | None:
        """None where the scope has no pairs, or the metric is undefined for an item."""
        key = (setting, scope, target)
        if key not in self._found:
            cells = self._outcomes.cells(setting, self._layer, self.metric)
            self._found[key] = _level([cell for cell in cells if _inside(cell, scope, target)], self._payload)
        return self._found[key]


def _inside(cell: Cell, scope: str, target: str | None) -> bool:
    if scope == "all":
        return True
    if cell.query is None or cell.candidate is None:
        return False
    if not cell.directed:
        # A distance has no direction: the target is on both sides, or on none.
        return (target in (cell.query, cell.candidate)) != (scope == "without_target")
    if scope == "target_query":
        return cell.query == target
    if scope == "target_candidate":
        return cell.candidate == target
    return target not in (cell.query, cell.candidate)


def _level(cells: Sequence[Cell], payload: Mapping[str, Any]) -> Level | None:
    if not cells or any(np.isnan(cell.items).any() for cell in cells):
        return None
    by_corpus: dict[str, list[Cell]] = {}
    for cell in cells:
        by_corpus.setdefault(cell.corpus, []).append(cell)
    replicates = np.zeros(payload["resamples"])
    n_items = n_groups = 0
    for members in by_corpus.values():
        items = np.mean([cell.items for cell in members], axis=0)
        groups = members[0].groups if payload["unit"] == "group" else None
        weight = len(members) / len(cells)
        replicates += weight * bootstrap_replicates(items, groups, payload["resamples"], payload["seed"])
        n_items += len(items)
        n_groups += len(items) if groups is None else len(set(groups))
    pair_values = [float(cell.items.mean()) for cell in cells]
    return Level(
        float(np.mean(pair_values)), float(np.median(pair_values)), len(cells), n_items, n_groups, replicates
    )


def _row(levels: _Levels, setting: Mapping[str, Any], scope: str, confidence: float) -> dict[str, Any] | None:
    own = levels.level(setting["setting"], scope, setting["target"])
    baseline = levels.level(setting["baseline"] or setting["setting"], scope, setting["target"])
    if own is None or baseline is None:
        return None
    shared = {"confidence": confidence, "n_items": own.n_items, "n_groups": own.n_groups}
    itself = summarise_replicates(own.value, own.replicates, **shared)
    row: dict[str, Any] = {
        "setting": setting["setting"],
        "baseline_setting": setting["baseline"] or setting["setting"],
        "n_pairs": own.n_pairs,
        "n_items": own.n_items,
        "n_groups": own.n_groups,
        "value": own.value,
        "ci_low": float(itself.low),
        "ci_high": float(itself.high),
        "median": own.median,
        "baseline": baseline.value,
        "delta": own.value - baseline.value,
        "delta_ci_low": None,
        "delta_ci_high": None,
        "p": None,
        "q": None,
        "family_size": None,
    }
    if setting["baseline"] is not None:
        difference = summarise_replicates(row["delta"], own.replicates - baseline.replicates, **shared)
        row |= {
            "delta_ci_low": float(difference.low),
            "delta_ci_high": float(difference.high),
            "p": float(difference.p),
        }
    return row


def _controls(
    levels: _Levels, setting: Mapping[str, Any], scope: str, observed: float
) -> list[dict[str, Any]]:
    found = []
    better = METRICS[levels.metric].better
    for variant, members in setting["controls"].items():
        values = [levels.level(member, scope, setting["target"]) for member in members]
        present = np.array([value.value for value in values if value is not None])
        if len(present) < len(members) or better == "none":
            continue
        found.append(
            {
                "control": variant,
                "n_controls": len(present),
                "control_mean": float(present.mean()),
                "control_low": float(present.min()),
                "control_high": float(present.max()),
                "p": float(control_p(observed, present, better)),
            }
        )
    return found


def _adjust(rows: Sequence[dict[str, Any]], multiplicity: str) -> None:
    """q-values within one family: all settings × layers of one metric and scope, controls among them."""
    adjust = benjamini_hochberg if multiplicity == "bh" else benjamini_yekutieli
    families: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        if row["p"] is not None:
            families.setdefault((row["metric"], row["scope"]), []).append(row)
    for family in families.values():
        for row, q in zip(family, adjust(np.array([row["p"] for row in family])), strict=True):
            row["q"] = float(q)
            row["family_size"] = len(family)
