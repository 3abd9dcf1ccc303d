"""Comparisons: a setting, with its controls, against its baseline, on one group of corpora and role.

An item's outcome under a setting is its mean over the ordered language pairs of a scope. Both settings are resampled
with the same draws of items (or groups), so that differences are paired. In a collection of bilingual corpora
every corpus has items, and draws, of its own. Summaries over pairs and correlations: `pair_statistics`; q-values:
`adjustment`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import Connection, delete, insert

from sprachbund.db import tables as t
from sprachbund.db.rows import insert_many
from sprachbund.queue import Claim
from sprachbund.work.payloads.compare import ComparisonPayload
from sprachbund_runners.jobs.compare.language_gains import gains_by_language
from sprachbund_runners.jobs.compare.layer_outcomes import Baselines, LayerOutcomes, read_layers
from sprachbund_runners.jobs.compare.left_out import check_ready, left_out, present
from sprachbund_runners.jobs.compare.levels import levels_of, wanted_levels
from sprachbund_runners.jobs.compare.outcomes import Outcomes, needed_results
from sprachbund_runners.jobs.compare.pair_statistics import PairValues, Place, correlation_rows, gains_by_place
from sprachbund_runners.jobs.compare.pair_tests import PairTests
from sprachbund_runners.jobs.compare.refits import refit_differences, refits_of
from sprachbund_runners.jobs.compare.rows import ComparedRows, beside, placed, row_of, setting_ids
from sprachbund_runners.jobs.compare.scopes import TargetScope, scope_of, scopes_of
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.serving import one_by_one

# Where outcomes are is found for so many layers at once: more take memory, fewer open files more often.
LAYERS = 4


@dataclass(slots=True)
class Found:
    """What a comparison has found so far, by the tables that have it."""

    rows: ComparedRows = field(default_factory=ComparedRows)
    # By the number of the row that they belong to.
    languages: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    tests: list[PairTests] = field(default_factory=list)
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
        gains = gains_by_place(values, payload, layers)
        found.correlations += correlation_rows(values, payload, layers)
        for layer in layers:
            context.check_stop()
            _add_layer(found, payload, layer, {setting: each[layer] for setting, each in members.items()}, gains)
            step(1)
    return Outcome(claim, lambda connection: _write(connection, claim, found))


def read_members(
    context: Context, outcomes: Outcomes, payload: ComparisonPayload, layers: Sequence[str], baselines: Baselines
) -> dict[str, dict[str, LayerOutcomes]]:
    """Outcomes of all settings that a comparison reads, by setting and layer; of claimed ones with hits."""
    scopes: dict[str, dict[TargetScope, None]] = {}
    for setting, _, scope in wanted_levels(payload):
        for key in (setting, *refits_of(payload.refits, [setting])):
            scopes.setdefault(key, {})[scope] = None
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


def _add_layer(
    found: Found,
    payload: ComparisonPayload,
    layer: str,
    outcomes: Mapping[str, LayerOutcomes],
    gains: Mapping[Place, Mapping[str, Any]],
) -> None:
    levels = levels_of(payload, outcomes)
    claimed = {each.setting for each in payload.claimed}
    for metric in payload.metrics:
        for setting in payload.settings:
            for name in scopes_of(setting.target):
                scope = scope_of(name, setting.target)
                value = partial(_value, outcomes, metric, scope)
                own, baseline = (levels.get((key, metric, scope)) for key in (setting.setting, setting.reference))
                if own is not None and baseline is not None:
                    gained = gains.get((setting.setting, layer, metric, name))
                    tested = setting.baseline is not None
                    sides = setting.setting, setting.reference
                    refitted = refit_differences(payload.refits, *sides, value, value) if tested else ()
                    row = row_of(metric, own, baseline, gained, payload, refitted, tested=tested)
                    place = {
                        "setting": setting.setting, "baseline_setting": setting.reference, "layer": layer,
                        "baseline_layer": layer, "metric": metric, "scope": name, "contrast": None,
                    }  # fmt: skip
                    controls = {
                        variant: [levels.get((member, metric, scope)) for member in members]
                        for variant, members in setting.controls.items()
                    }
                    found.rows.add({**place, **row}, beside(own.value, metric, controls))
                    if name == "all" and setting.setting in claimed:
                        _add_languages(found, payload, metric, outcomes[setting.setting], outcomes[setting.reference])
    for each in payload.claimed:
        found.tests.append(PairTests.of(outcomes[each.setting].hits, outcomes[each.reference].hits))


def _value(outcomes: Mapping[str, LayerOutcomes], metric: str, scope: TargetScope, setting: str) -> float | None:
    means = outcomes[setting].means.get((metric, scope))
    return None if means is None else means.mean


def _add_languages(
    found: Found, payload: ComparisonPayload, metric: str, own: LayerOutcomes, baseline: LayerOutcomes
) -> None:
    """What each language gains, of the row that was added last."""
    gains = gains_by_language(
        own.languages, baseline.languages, metric, own.corpora, payload.unit == "group", payload.confidence
    )
    found.languages += [(len(found.rows.rows) - 1, each) for each in gains]


def _write(connection: Connection, claim: Claim[ComparisonPayload], found: Found) -> None:
    for table in (t.PairTest, t.Correlation):
        connection.execute(delete(table).where(table.job_id == claim.job_id))
    rows = found.rows.write(connection, claim)
    # What it wrote before went with its comparisons.
    insert_many(
        connection, t.ComparisonLanguage, ({"comparison_id": rows[row], **each} for row, each in found.languages)
    )
    for tests in found.tests:
        insert_many(connection, t.PairTest, ({"job_id": claim.job_id, **row} for row in tests.rows()))
    if found.correlations:
        ids = setting_ids(connection, found.correlations)
        connection.execute(insert(t.Correlation), [placed(row, ids, claim) for row in found.correlations])
