"""Comparisons: every setting of an experiment against its baseline and its controls, on one corpus and role.

An item's outcome under a setting is its mean over the ordered language pairs of a scope. Both settings are resampled
with the same draws of items (or groups), so that differences are paired. In a collection of bilingual corpora
every corpus has items, and draws, of its own. Summaries over pairs and correlations: `pair_statistics`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, insert, select

from sprachbund.db import tables as t
from sprachbund.db.rows import chunks
from sprachbund.measures import METRICS
from sprachbund.queue import Claim
from sprachbund.vocabulary import SCOPES
from sprachbund.work.keys import content_key
from sprachbund.work.payloads.compare import ComparedSetting, ComparisonPayload
from sprachbund_runners.jobs.compare.families import Differences, Family
from sprachbund_runners.jobs.compare.left_out import check_ready, left_out, present
from sprachbund_runners.jobs.compare.outcomes import Cell, Outcomes
from sprachbund_runners.jobs.compare.pair_statistics import GAINS, PairValues, Place, correlation_rows, gains_by_place
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.serving import one_by_one
from sprachbund_runners.statistics.bootstrap import Bootstrap, bootstrap_replicates, summarise_replicates
from sprachbund_runners.statistics.comparisons import control_p, mcnemar_counts, mcnemar_exact

ROUNDING = 1e-6
TESTED = "top1"


@dataclass(frozen=True, slots=True)
class ResampledLevel:
    """A setting on one metric, layer and scope: its mean over pairs, the median pair, and bootstrap replicates."""

    value: float
    median: float
    n_pairs: int
    n_items: int
    n_groups: int
    replicates: NDArray[np.float64]


def run(claims: Sequence[Claim[ComparisonPayload]], context: Context) -> Iterator[Outcome]:
    return one_by_one(claims, context, lambda claim: _compare(claim, context))


def _compare(claim: Claim[ComparisonPayload], context: Context) -> Outcome:
    with context.reading() as connection:
        check_ready(connection, claim.subject)
        payload = present(claim.payload, left_out(connection, claim.subject))
    outcomes = Outcomes.of(context, claim, {*payload.metrics, TESTED})
    settings, compared = payload.settings, payload.claimed
    keys_compared = {each.setting for each in compared}
    rows: list[dict[str, Any]] = []
    controls: list[list[dict[str, Any]]] = []
    families: dict[tuple[str, str], Family] = {}
    groups: dict[str, Sequence[str] | None] = {}
    tests = PairTests(payload, outcomes)
    step = context.progress.start("comparing settings", len(payload.layers) * len(payload.metrics))
    for layer in payload.layers:
        for metric in payload.metrics:
            context.check_stop()
            levels = Levels(payload, outcomes, layer, metric)
            groups.update(levels.groups)
            for setting in settings:
                for scope in SCOPES if setting.target else SCOPES[:1]:
                    row = _row(levels, setting, scope, payload.confidence)
                    if row is None:
                        continue
                    rows.append({**row, "layer": layer, "metric": metric, "scope": scope})
                    controls.append(_controls(levels, setting, scope, row["value"]))
                    if setting.setting in keys_compared:
                        family = families.setdefault((metric, scope), Family())
                        family.add(rows[-1], levels.differences(setting, scope))
            step(1)
        # While the layer's outcomes are at hand.
        tests.add(layer)
    for family in families.values():
        family.adjust(payload, groups)
    tested = tests.adjusted()
    pair_values = PairValues.of(context, claim)
    gains = gains_by_place(pair_values, payload, compared, SCOPES, _pair_inside)
    correlations = correlation_rows(pair_values, payload, compared)

    def write(connection: Connection) -> None:
        keys = [setting.setting for setting in settings]
        ids: dict[str, int] = {}
        for chunk in chunks(keys):
            found = select(t.Setting.key, t.Setting.id).where(t.Setting.key.in_(chunk))
            ids.update((key, number) for key, number in connection.execute(found))
        connection.execute(delete(t.Comparison).where(t.Comparison.job_id == claim.job_id))
        connection.execute(delete(t.PairTest).where(t.PairTest.job_id == claim.job_id))
        connection.execute(delete(t.Correlation).where(t.Correlation.job_id == claim.job_id))
        if correlations:
            connection.execute(insert(t.Correlation), [_placed(row, ids, claim) for row in correlations])
        if tested:
            connection.execute(insert(t.PairTest), [{"job_id": claim.job_id, **test} for test in tested])
        if rows:
            # One statement for all: ids come back in the order of the rows.
            wanted = insert(t.Comparison).returning(t.Comparison.id, sort_by_parameter_order=True)
            values = [{**_placed(row, ids, claim), **_gained(row, gains), "key": _key(row, claim)} for row in rows]
            found_ids = connection.execute(wanted, values).scalars()
            beside = [
                {"comparison_id": comparison_id, **each}
                for comparison_id, members in zip(found_ids, controls, strict=True)
                for each in members
            ]
            if beside:
                connection.execute(insert(t.ControlComparison), beside)

    return Outcome(claim, write)


def _key(row: Mapping[str, Any], claim: Claim[ComparisonPayload]) -> str:
    place = {name: row[name] for name in ("setting", "layer", "metric", "scope")}
    return content_key("comparison", 1, job=claim.subject, **place)


def _gained(row: Mapping[str, Any], gains: Mapping[Place, Mapping[str, Any]]) -> Mapping[str, Any]:
    """What the differences pair by pair come to; nothing of a row that is not compared."""
    place = (row["setting"], row["layer"], row["metric"], row["scope"])
    return gains.get(place) or dict.fromkeys(GAINS)


def _placed(row: Mapping[str, Any], ids: Mapping[str, int], claim: Claim[ComparisonPayload]) -> dict[str, Any]:
    """A row of a table over pairs, with its job, its settings' ids and its corpus."""
    values = {name: value for name, value in row.items() if name not in ("setting", "baseline_setting")}
    return values | {
        "job_id": claim.job_id,
        "setting_id": ids[row["setting"]],
        "baseline_id": ids[row["baseline_setting"]],
        "role": claim.payload.role,
        "corpus": claim.payload.group,
        "split": claim.payload.split,
    }


class Levels:
    """Levels of all settings on one layer and metric; resampled together, since draws cost more than columns."""

    def __init__(self, payload: ComparisonPayload, outcomes: Outcomes, layer: str, metric: str) -> None:
        self.metric = metric
        self._found: dict[tuple[str, str, str | None], ResampledLevel] = {}
        # Per corpus, for max-T: an item's share of the mean over all pairs.
        self._items: dict[tuple[str, str, str | None], dict[str, NDArray[np.float64]]] | None = (
            {} if payload.multiplicity == "max_t" else None
        )
        self.groups: dict[str, Sequence[str] | None] = {}
        wanted: dict[tuple[str, str, str | None], list[Cell]] = {}
        cells: dict[str, list[Cell]] = {}
        for setting in payload.settings:
            for scope in SCOPES if setting.target else SCOPES[:1]:
                beside = (each for variant in setting.controls.values() for each in variant)
                # In the payload's order, not a set's: the order of columns decides how sums are rounded.
                for member in dict.fromkeys([setting.setting, setting.reference, *beside]):
                    key = (member, scope, setting.target if scope != "all" else None)
                    if key not in wanted:
                        if member not in cells:
                            cells[member] = outcomes.cells(member, layer, metric)
                        wanted[key] = [cell for cell in cells[member] if _inside(cell, scope, key[2])]
        self.resample(payload, wanted)

    def level(self, setting: str, scope: str, target: str | None) -> ResampledLevel | None:
        """None where the scope has no pairs, or the metric is undefined for an item."""
        return self._found.get((setting, scope, target if scope != "all" else None))

    def differences(self, setting: ComparedSetting, scope: str) -> Differences | None:
        """Item by item what the setting adds to its baseline's mean, per corpus; None unless max-T needs them."""
        if self._items is None:
            return None
        target = setting.target if scope != "all" else None
        own, baseline = (self._items[key, scope, target] for key in (setting.setting, setting.reference))
        found = {}
        for corpus, items in own.items():
            change = items - baseline[corpus]
            change[np.abs(change) * len(change) < ROUNDING] = 0.0
            found[corpus] = change
        return found

    def resample(
        self, payload: ComparisonPayload, wanted: Mapping[tuple[str, str, str | None], Sequence[Cell]]
    ) -> None:
        """Levels of `wanted`, (setting, scope, target) → cells, in its order: the order of columns decides rounding."""
        usable = {
            key: cells
            for key, cells in wanted.items()
            if cells and not any(np.isnan(cell.items).any() for cell in cells)
        }
        replicates = {key: np.zeros(payload.resamples) for key in usable}
        counts = {key: [0, 0] for key in usable}
        corpora = sorted({cell.corpus for cells in usable.values() for cell in cells})
        for corpus in corpora:
            inside = {key: [cell for cell in cells if cell.corpus == corpus] for key, cells in usable.items()}
            inside = {key: cells for key, cells in inside.items() if cells}
            items = np.stack([np.mean([cell.items for cell in cells], axis=0) for cells in inside.values()], axis=1)
            groups = next(iter(inside.values()))[0].groups if payload.unit == "group" else None
            n_groups = len(items) if groups is None else len(set(groups))
            self.groups[corpus] = groups
            if self._items is not None:
                for place, (key, members) in enumerate(inside.items()):
                    share = len(members) / (len(usable[key]) * len(items))
                    self._items.setdefault(key, {})[corpus] = share * items[:, place]
            # Corpora of a collection are independent: each has draws of its own.
            seed = payload.seed if len(corpora) == 1 else _seed(payload.seed, corpus)
            drawn = bootstrap_replicates(items, groups, payload.resamples, seed)
            for place, (key, members) in enumerate(inside.items()):
                replicates[key] += len(members) / len(usable[key]) * drawn[:, place]
                counts[key][0] += len(items)
                counts[key][1] += n_groups
        for key, cells in usable.items():
            pairs = [float(cell.items.mean()) for cell in cells]
            n_items, n_groups = counts[key]
            self._found[key] = ResampledLevel(
                float(np.mean(pairs)), float(np.median(pairs)), len(cells), n_items, n_groups, replicates[key]
            )


def _seed(seed: int, corpus: str) -> int:
    return int(content_key("draws", 1, seed=seed, corpus=corpus)[:12], 16)


def _inside(cell: Cell, scope: str, target: str | None) -> bool:
    if scope == "all":
        return True
    if cell.query is None or cell.candidate is None:
        return False
    return _pair_inside(scope, cell.query, cell.candidate, cell.directed, target)


def _pair_inside(scope: str, query: str, candidate: str, directed: bool, target: str | None) -> bool:
    """Whether a pair is averaged. A distance has no direction: the target is on both of its sides, or on none."""
    if scope == "all":
        return True
    if not directed:
        return (target in (query, candidate)) != (scope == "without_target")
    if scope == "target_query":
        return query == target
    if scope == "target_candidate":
        return candidate == target
    return target not in (query, candidate)


def _row(levels: Levels, setting: ComparedSetting, scope: str, confidence: float) -> dict[str, Any] | None:
    own = levels.level(setting.setting, scope, setting.target)
    baseline = levels.level(setting.reference, scope, setting.target)
    if own is None or baseline is None:
        return None
    itself = _summary(own.value, own.replicates, own, confidence)
    row: dict[str, Any] = {
        "setting": setting.setting,
        "baseline_setting": setting.reference,
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
    if setting.baseline is not None:
        differences = own.replicates - baseline.replicates
        # Batches differ between runs: what rounding did to an embedding is no difference of settings.
        differences[np.abs(differences) < ROUNDING] = 0.0
        difference = _summary(row["delta"], differences, own, confidence)
        row |= {
            "delta_ci_low": float(difference.low),
            "delta_ci_high": float(difference.high),
            "p": float(difference.p),
        }
    return row


def _summary(value: float, replicates: NDArray[np.float64], level: ResampledLevel, confidence: float) -> Bootstrap:
    return summarise_replicates(
        value, replicates, confidence=confidence, n_items=level.n_items, n_groups=level.n_groups
    )


def _controls(levels: Levels, setting: ComparedSetting, scope: str, observed: float) -> list[dict[str, Any]]:
    found = []
    better = METRICS[levels.metric].better
    for variant, members in setting.controls.items():
        values = [levels.level(member, scope, setting.target) for member in members]
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


class PairTests:
    """McNemar's exact test of top-1 for every ordered pair; one family over settings × layers × pairs.

    Counts are never pooled over pairs, which share items. A pair with a tie for the first place has credits between
    0 and 1 and no such test.
    """

    def __init__(self, payload: ComparisonPayload, outcomes: Outcomes) -> None:
        self._payload, self._outcomes = payload, outcomes
        self._family = Family()
        self._groups: dict[str, Sequence[str] | None] = {}

    def add(self, layer: str) -> None:
        """The tests of one layer."""
        swapped = self._payload.multiplicity == "max_t"
        for setting in self._payload.claimed:
            baseline = {
                (cell.corpus, cell.query, cell.candidate): cell
                for cell in self._outcomes.cells(setting.reference, layer, TESTED)
            }
            for cell in self._outcomes.cells(setting.setting, layer, TESTED):
                before = baseline.get((cell.corpus, cell.query, cell.candidate))
                if before is None or not all(np.isin(each.items, (0.0, 1.0)).all() for each in (cell, before)):
                    continue
                only_setting, only_baseline = mcnemar_counts(cell.items, before.items)
                test = {
                    "result_id": cell.evaluation_id,
                    "metric": TESTED,
                    "only_setting": only_setting,
                    "only_baseline": only_baseline,
                }
                self._groups[cell.corpus] = cell.groups if self._payload.unit == "group" else None
                self._family.add(test, {cell.corpus: cell.items - before.items} if swapped else None)

    def adjusted(self) -> list[dict[str, Any]]:
        """All tests, with p and q-values."""
        rows = self._family.rows
        p = mcnemar_exact([row["only_setting"] for row in rows], [row["only_baseline"] for row in rows])
        for row, value in zip(rows, p.tolist(), strict=True):
            row["p"] = value
        self._family.adjust(self._payload, self._groups)
        return rows
