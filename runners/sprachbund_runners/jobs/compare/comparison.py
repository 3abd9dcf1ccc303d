"""Comparisons: a setting, with its controls, against its baseline, on one group of corpora and role.

An item's outcome under a setting is its mean over the ordered language pairs of a scope. Both settings are resampled
with the same draws of items (or groups), so that differences are paired. In a collection of bilingual corpora
every corpus has items, and draws, of its own. Summaries over pairs and correlations: `pair_statistics`; q-values:
`adjustment`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, insert

from sprachbund.db import tables as t
from sprachbund.db.rows import ids_of, insert_many
from sprachbund.measures import METRICS
from sprachbund.queue import Claim
from sprachbund.work.keys import content_key
from sprachbund.work.payloads.compare import ComparedSetting, ComparisonPayload
from sprachbund_runners.jobs.compare.layer_outcomes import Baselines, LayerOutcomes, read_layers
from sprachbund_runners.jobs.compare.left_out import check_ready, left_out, present
from sprachbund_runners.jobs.compare.levels import (
    ROUNDING,
    Key,
    ResampledLevel,
    levels_of,
    n_differing,
    wanted_levels,
)
from sprachbund_runners.jobs.compare.outcomes import Outcomes, needed_results
from sprachbund_runners.jobs.compare.pair_statistics import GAINS, PairValues, Place, correlation_rows, gains_by_place
from sprachbund_runners.jobs.compare.pair_tests import PairTests
from sprachbund_runners.jobs.compare.scopes import TargetScope, scope_of, scopes_of
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.serving import one_by_one
from sprachbund_runners.statistics.bootstrap import least_p, summarise_mean
from sprachbund_runners.statistics.comparisons import control_p
from sprachbund_runners.statistics.population import item_error, population_mean

# Where outcomes are is found for so many layers at once: more take memory, fewer open files more often.
LAYERS = 4


@dataclass(slots=True)
class Found:
    """The rows of a comparison so far, of the tables that have them; `controls` beside each of `rows`."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    controls: list[list[dict[str, Any]]] = field(default_factory=list)
    tests: list[PairTests] = field(default_factory=list)
    gains: dict[Place, dict[str, Any]] = field(default_factory=dict)
    correlations: list[dict[str, Any]] = field(default_factory=list)


def run(claims: Sequence[Claim[ComparisonPayload]], context: Context) -> Iterator[Outcome]:
    baselines = baselines_of([claim.payload for claim in claims])
    return one_by_one(claims, context, lambda claim: _compare(claim, context, baselines))


def baselines_of(payloads: Sequence[ComparisonPayload]) -> Baselines:
    """What comparisons of the same baseline, or of several, share."""
    scopes: dict[str, dict[TargetScope, None]] = {}
    for payload in payloads:
        references = {each.reference for each in payload.settings}
        for setting, _, scope in wanted_levels(payload):
            if setting in references:
                scopes.setdefault(setting, {})[scope] = None
    return Baselines(scopes)


def blocks(layers: Sequence[str]) -> Iterator[Sequence[str]]:
    """Layers that are read together."""
    return (layers[start : start + LAYERS] for start in range(0, len(layers), LAYERS))


def _compare(claim: Claim[ComparisonPayload], context: Context, baselines: Baselines) -> Outcome:
    with context.reading() as connection:
        check_ready(connection, claim.job_id)
        payload = present(claim.payload, left_out(connection, claim.job_id))
    found = Found()
    step = context.progress.start("comparing settings", len(payload.layers))
    for layers in blocks(payload.layers) if payload.settings else ():
        outcomes, values = Outcomes(context), PairValues.wanted(payload)
        with (
            context.reading() as connection,
            needed_results(connection, claim.job_id, payload, layers, values.metrics) as rows,
        ):
            for row in rows:
                outcomes.add(connection, row)
                values.add(row)
        members = read_members(context, outcomes, payload, layers, baselines)
        found.gains |= gains_by_place(values, payload, layers)
        found.correlations += correlation_rows(values, payload, layers)
        for layer in layers:
            context.check_stop()
            _add_layer(found, payload, layer, {setting: each[layer] for setting, each in members.items()})
            step(1)
    return Outcome(claim, lambda connection: _write(connection, claim, found))


def read_members(
    context: Context, outcomes: Outcomes, payload: ComparisonPayload, layers: Sequence[str], baselines: Baselines
) -> dict[str, dict[str, LayerOutcomes]]:
    """Outcomes of all settings that a comparison reads, by setting and layer; of claimed ones with hits."""
    scopes: dict[str, dict[TargetScope, None]] = {}
    for setting, _, scope in wanted_levels(payload):
        scopes.setdefault(setting, {})[scope] = None
    claimed = {each.setting for each in payload.claimed}
    found = {}
    for setting, of_setting in scopes.items():
        context.check_stop()
        if setting in baselines.scopes:
            found[setting] = baselines.read(outcomes, setting, layers, payload.metrics)
        else:
            tested = setting in claimed
            found[setting] = read_layers(outcomes, setting, layers, payload.metrics, of_setting, tested=tested)
    return found


def _add_layer(found: Found, payload: ComparisonPayload, layer: str, outcomes: Mapping[str, LayerOutcomes]) -> None:
    levels = levels_of(payload, outcomes)
    for metric in payload.metrics:
        for setting in payload.settings:
            for scope in scopes_of(setting):
                row = _row(levels, setting, metric, scope, payload)
                if row is not None:
                    found.rows.append({**row, "layer": layer, "metric": metric, "scope": scope})
                    found.controls.append(_controls(levels, setting, metric, scope, row["value"]))
    for each in payload.claimed:
        found.tests.append(PairTests.of(outcomes[each.setting].hits, outcomes[each.reference].hits))


def _write(connection: Connection, claim: Claim[ComparisonPayload], found: Found) -> None:
    for table in (t.Comparison, t.PairTest, t.Correlation):
        connection.execute(delete(table).where(table.job_id == claim.job_id))
    ids = ids_of(connection, t.Setting, sorted({row[key] for row in found.rows for key in _SETTINGS}))
    if found.correlations:
        connection.execute(insert(t.Correlation), [_placed(row, ids, claim) for row in found.correlations])
    for tests in found.tests:
        insert_many(connection, t.PairTest, ({"job_id": claim.job_id, **row} for row in tests.rows()))
    if not found.rows:
        return
    # One statement for all: ids come back in the order of the rows.
    wanted = insert(t.Comparison).returning(t.Comparison.id, sort_by_parameter_order=True)
    values = [
        {**_placed(row, ids, claim), **_gained(row, found.gains, claim.payload.confidence), "key": _key(row, claim)}
        for row in found.rows
    ]
    found_ids = connection.execute(wanted, values).scalars()
    beside = [
        {"comparison_id": comparison_id, **each}
        for comparison_id, members in zip(found_ids, found.controls, strict=True)
        for each in members
    ]
    if beside:
        connection.execute(insert(t.ControlComparison), beside)


_SETTINGS = ("setting", "baseline_setting")


def _key(row: Mapping[str, Any], claim: Claim[ComparisonPayload]) -> str:
    place = {name: row[name] for name in ("setting", "layer", "metric", "scope")}
    return content_key("comparison", 1, job=claim.subject, **place)


def _gained(row: Mapping[str, Any], gains: Mapping[Place, Mapping[str, Any]], confidence: float) -> Mapping[str, Any]:
    """What the differences pair by pair come to; nothing of a row that is not compared."""
    place = (row["setting"], row["layer"], row["metric"], row["scope"])
    found = gains.get(place)
    if found is None or found["mean_error"] is None or row["item_error"] is None:
        return found or dict.fromkeys(GAINS)
    degrees = min(found["mean_degrees"], row["item_degrees"])
    both = population_mean(found["mean_gain"], found["mean_error"], row["item_error"], degrees, confidence)
    return {**found, "population_low": both.low, "population_high": both.high, "population_p": both.p}


def _placed(row: Mapping[str, Any], ids: Mapping[str, int], claim: Claim[ComparisonPayload]) -> dict[str, Any]:
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


def _row(
    levels: Mapping[Key, ResampledLevel], setting: ComparedSetting, metric: str, name: str, payload: ComparisonPayload
) -> dict[str, Any] | None:
    scope = scope_of(name, setting.target)
    own = levels.get((setting.setting, metric, scope))
    baseline = levels.get((setting.reference, metric, scope))
    if own is None or baseline is None:
        return None
    low, high = _summary(own.value, own.replicates, own, payload.confidence)[:2]
    bounds = METRICS[metric]
    row: dict[str, Any] = {
        "setting": setting.setting,
        "baseline_setting": setting.reference,
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
        **dict.fromkeys(_TESTED),
        "population_low": None,
        "population_high": None,
        "population_p": None,
    }
    return row if setting.baseline is None else row | _tested(own, baseline, payload)


_TESTED = ("delta_ci_low", "delta_ci_high", "p", "p_floor", "item_error", "n_differing")


def _tested(own: ResampledLevel, baseline: ResampledLevel, payload: ComparisonPayload) -> dict[str, Any]:
    """The columns `_TESTED`. Of one item, or group, there are no intervals and tests."""
    # Batches differ between runs: what rounding did to an embedding is no difference of settings.
    change, differences = own.value - baseline.value, own.replicates - baseline.replicates
    differences[np.abs(differences) < ROUNDING] = 0.0
    change = 0.0 if abs(change) < ROUNDING else change
    low, high, p = _summary(change, differences, own, payload.confidence)
    found = (
        low, high, p, None if p is None else least_p(payload.resamples),
        item_error(differences, own.n_drawn, own.degrees), n_differing(own, baseline, payload.unit),
    )  # fmt: skip
    return dict(zip(_TESTED, found, strict=True))


def _summary(
    value: float, replicates: NDArray[np.float64], level: ResampledLevel, confidence: float
) -> tuple[float | None, float | None, float | None]:
    """Interval and p; None where so few are drawn that there is none."""
    found = summarise_mean(
        value, replicates, confidence=confidence, n_items=level.n_items, n_groups=level.n_drawn, strata=level.strata
    )
    low, high, p = (None if np.isnan(each) else float(each) for each in (found.low, found.high, found.p))
    return low, high, p


def _controls(
    levels: Mapping[Key, ResampledLevel], setting: ComparedSetting, metric: str, name: str, observed: float
) -> list[dict[str, Any]]:
    found = []
    scope, better = scope_of(name, setting.target), METRICS[metric].better
    for variant, members in setting.controls.items():
        values = [levels.get((member, metric, scope)) for member in members]
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
