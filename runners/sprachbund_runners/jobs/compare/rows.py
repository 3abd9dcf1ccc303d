"""Rows of comparisons: one setting's level against another's, its gains pair by pair, and controls beside it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, insert

from sprachbund.db import tables as t
from sprachbund.db.rows import ids_of
from sprachbund.measures import METRICS, RATIO_FLOOR, WITH_RATIO
from sprachbund.queue import Claim
from sprachbund.work.keys import content_key
from sprachbund.work.payloads.compare import OutcomesPayload
from sprachbund_runners.jobs.compare.levels import ROUNDING, ResampledLevel, n_differing
from sprachbund_runners.jobs.compare.pair_statistics import GAINS
from sprachbund_runners.jobs.compare.refits import fit_sample
from sprachbund_runners.statistics.bootstrap import least_p, summarise_mean
from sprachbund_runners.statistics.comparisons import control_p
from sprachbund_runners.statistics.population import item_error, population_mean

# The columns that say what a row is of; settings by their keys.
_SETTINGS = ("setting", "baseline_setting")
_PLACE = (*_SETTINGS, "layer", "baseline_layer", "metric", "scope", "contrast")


@dataclass(slots=True)
class ComparedRows:
    """Rows of the table, their settings by key, and the controls beside each."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    controls: list[list[dict[str, Any]]] = field(default_factory=list)

    def add(self, row: dict[str, Any], controls: list[dict[str, Any]]) -> None:
        """One more row."""
        self.rows.append(row)
        self.controls.append(controls)

    def write(self, connection: Connection, claim: Claim[Any]) -> list[int]:
        """Store them in place of what the job stored before; ids in the order of the rows."""
        connection.execute(delete(t.Comparison).where(t.Comparison.job_id == claim.job_id))
        if not self.rows:
            return []
        ids = setting_ids(connection, self.rows)
        values = [{**placed(row, ids, claim), "key": _key(row, claim)} for row in self.rows]
        # One statement for all: ids come back in the order of the rows.
        wanted = insert(t.Comparison).returning(t.Comparison.id, sort_by_parameter_order=True)
        found = list(connection.execute(wanted, values).scalars())
        beside = [
            {"comparison_id": comparison_id, **each}
            for comparison_id, members in zip(found, self.controls, strict=True)
            for each in members
        ]
        if beside:
            connection.execute(insert(t.ControlComparison), beside)
        return found


def setting_ids(connection: Connection, rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Ids of the settings that rows are of, by key."""
    return ids_of(connection, t.Setting, sorted({row[key] for row in rows for key in _SETTINGS}))


def placed(row: Mapping[str, Any], ids: Mapping[str, int], claim: Claim[Any]) -> dict[str, Any]:
    """A row of a table over pairs, with its job, its settings' ids and its corpus."""
    values = {name: value for name, value in row.items() if name not in _SETTINGS}
    return values | {
        "job_id": claim.job_id,
        "setting_id": ids[row["setting"]],
        "baseline_id": ids[row["baseline_setting"]],
        "role": claim.payload.role,
        "corpus": claim.payload.group,
        "split": claim.payload.split,
    }


def _key(row: Mapping[str, Any], claim: Claim[Any]) -> str:
    return content_key("comparison", 2, job=claim.subject, **{name: row[name] for name in _PLACE})


def row_of(
    metric: str,
    own: ResampledLevel,
    baseline: ResampledLevel,
    gains: Mapping[str, Any] | None,
    payload: OutcomesPayload,
    refitted: Sequence[float] = (),
    *,
    tested: bool,
) -> dict[str, Any]:
    """The numbers of a row but for where it stands; `tested`: with intervals of difference and ratio, and p.

    refitted: the difference, fitted on halves of the fit text.
    """
    low, high = _summary(own.value, own.replicates, own, payload.confidence)[:2]
    bounds = METRICS[metric]
    row: dict[str, Any] = {
        "n_pairs": own.n_pairs,
        "n_items": own.n_items,
        "n_groups": own.n_groups,
        "unit": payload.unit,
        "item_degrees": own.degrees,
        "value": own.value,
        # A share of less than none: Student's t knows no bounds.
        "ci_low": low if low is None or bounds.low is None else max(low, bounds.low),
        "ci_high": high if high is None or bounds.high is None else min(high, bounds.high),
        "median": own.median,
        "baseline": baseline.value,
        "delta": own.value - baseline.value,
        **(_tested(metric, own, baseline, payload) if tested else dict.fromkeys(_TESTED)),
    }
    row |= fit_sample(row["delta"], row["delta_ci_low"], row["delta_ci_high"], refitted, payload.confidence)
    return row | _gained(row, gains, payload.confidence)


_RATIO = ("ratio_ci_low", "ratio_ci_high")
_TESTED = ("delta_ci_low", "delta_ci_high", "p", "p_floor", "item_error", "n_differing", *_RATIO)


def _tested(metric: str, own: ResampledLevel, baseline: ResampledLevel, payload: OutcomesPayload) -> dict[str, Any]:
    """The columns `_TESTED`. Of one item, or group, there are no intervals and tests."""
    # Batches differ between runs: what rounding did to an embedding is no difference of settings.
    change, differences = own.value - baseline.value, own.replicates - baseline.replicates
    differences[np.abs(differences) < ROUNDING] = 0.0
    change = 0.0 if abs(change) < ROUNDING else change
    low, high, p = _summary(change, differences, own, payload.confidence)
    found = (
        low, high, p, None if p is None else least_p(payload.resamples),
        item_error(differences, own.n_drawn, own.degrees), n_differing(own, baseline, payload.unit),
        *_ratio(metric, own, baseline, payload.confidence),
    )  # fmt: skip
    return dict(zip(_TESTED, found, strict=True))


def _ratio(
    metric: str, own: ResampledLevel, baseline: ResampledLevel, confidence: float
) -> tuple[float | None, float | None]:
    """The percentile interval of value / baseline, by the draws of both; none where a draw's baseline is 0, or one item
    or group is all there is."""
    usable = metric in WITH_RATIO and baseline.value >= RATIO_FLOOR and own.degrees >= 1
    if not usable or (baseline.replicates <= 0).any():
        return None, None
    low, high = np.quantile(own.replicates / baseline.replicates, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _gained(row: Mapping[str, Any], gains: Mapping[str, Any] | None, confidence: float) -> dict[str, Any]:
    """What the differences pair by pair come to; nothing of a row that is not compared."""
    found = dict(gains or dict.fromkeys(GAINS))
    both = dict.fromkeys(("population_low", "population_high", "population_p"))
    if row["item_error"] is None or found["mean_error"] is None:
        return {**found, **both}
    degrees = min(found["mean_degrees"], row["item_degrees"])
    mean = population_mean(
        found["mean_gain"], found["mean_error"], row["item_error"], degrees, confidence,
        fit_error=row["fit_error"] or 0.0,
    )  # fmt: skip
    return {**found, "population_low": mean.low, "population_high": mean.high, "population_p": mean.p}


def _summary(
    value: float, replicates: NDArray[np.float64], level: ResampledLevel, confidence: float
) -> tuple[float | None, float | None, float | None]:
    """Interval and p; None where so few are drawn that there is none."""
    found = summarise_mean(
        value, replicates, confidence=confidence, n_items=level.n_items, n_groups=level.n_drawn, strata=level.strata
    )
    low, high, p = (None if np.isnan(each) else float(each) for each in (found.low, found.high, found.p))
    return low, high, p


def beside(
    observed: float, metric: str, controls: Mapping[str, Sequence[ResampledLevel | None]]
) -> list[dict[str, Any]]:
    """Rows of the controls beside a value, by variant; of those of which every member has a level."""
    found, better = [], METRICS[metric].better
    for variant, members in controls.items():
        values = np.array([each.value for each in members if each is not None])
        if not len(values) or len(values) < len(members) or better == "none":
            continue
        found.append(
            {
                "control": variant,
                "n_controls": len(values),
                "control_mean": float(values.mean()),
                "control_low": float(values.min()),
                "control_high": float(values.max()),
                "p": float(control_p(observed, values, better)),
            }
        )
    return found
