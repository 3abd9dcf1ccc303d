"""Statistics over language pairs for a comparison: gains pair by pair, and the correlations of the study's Table 2.

They read the metrics of finished evaluations. Pairs share languages: intervals resample languages, or take languages
as random effects; pairs are never taken as independent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row

from sprachbund.measures import METRICS, measure_of
from sprachbund.work.payloads.compare import ComparedSetting, ComparisonPayload, OutcomesPayload
from sprachbund_runners.jobs.compare.levels import ROUNDING
from sprachbund_runners.jobs.compare.scopes import TargetScope, inside, scope_of, scopes_of
from sprachbund_runners.statistics.bootstrap import dyadic_bootstrap_correlation
from sprachbund_runners.statistics.crossed import crossed_effects
from sprachbund_runners.statistics.dyadic import dyadic_bootstrap_median

ACCURACY = "top1"
DISTANCES = ("paired_distance", "centroid_distance")
# What is correlated with what: Sundar et al., ACL 2025, Table 2.
CORRELATED = (
    ("accuracy_after", "distance_after"),
    ("accuracy_before", "distance_before"),
    ("distance_after", "distance_before"),
    ("gain", "distance_drop"),
)

# Below this the dyadic bootstrap's interval of a median covers too seldom: .57 of cases at 3 languages, .83 at 5.
FEWEST_LANGUAGES = 8
# Draws of languages, at most: an interval needs no more, and each draw looks at every pair.
LANGUAGE_DRAWS = 2000

Pair = tuple[str, str, str]  # corpus, query, candidate
Place = tuple[str, str, str, str]  # setting, layer, metric, scope


_CROSSED = (
    "mean_gain", "mean_low", "mean_high", "mean_p", "mean_error", "mean_degrees", "query_variance",
    "candidate_variance", "residual_variance",
)  # fmt: skip
# The columns of a comparison that gains come to.
GAINS = (
    "n_languages",
    "median_gain",
    "median_low",
    "median_high",
    "n_gaining",
    "least_gain",
    "greatest_gain",
    *_CROSSED,
)


@dataclass(slots=True)
class PairValues:
    """Metrics of a comparison's claimed settings and baselines by (setting, layer, metric) and pair."""

    settings: frozenset[str]
    metrics: tuple[str, ...]
    values: dict[tuple[str, str, str], dict[Pair, float]] = field(default_factory=dict)

    @classmethod
    def wanted(cls, payload: ComparisonPayload) -> "PairValues":
        """None yet of those that a comparison's gains and correlations are of."""
        settings = frozenset(key for each in payload.claimed for key in (each.setting, each.reference))
        return cls(settings, tuple(dict.fromkeys([*payload.metrics, ACCURACY, *DISTANCES])))

    def add(self, row: Row[Any]) -> None:
        """The values of a needed result (`needed_results` with `metrics`)."""
        pair = (row.corpus, row.query_language, row.candidate_language)
        # Paraphrases pair a language with itself: there are no two languages to resample.
        if row.setting not in self.settings or pair[1] == pair[2]:
            return
        for name in self.metrics:
            value = getattr(row, name)
            if value is not None:
                self.values.setdefault((row.setting, row.layer, name), {})[pair] = value

    def cells(self, setting: str, layer: str, metric: str) -> dict[Pair, float]:
        """Value per pair; of a metric without direction each pair once."""
        return self.values.get((setting, layer, metric), {})

    def both_ways(self, setting: str, layer: str, metric: str) -> dict[Pair, float]:
        """Value per ordered pair; a distance is the same both ways."""
        cells = self.cells(setting, layer, metric)
        if directed(metric):
            return cells
        return {**cells, **{(corpus, b, a): value for (corpus, a, b), value in cells.items()}}


def directed(metric: str) -> bool:
    """Whether a pair has a value for each direction."""
    return measure_of(metric).directed


def gains_by_place(
    values: PairValues, payload: ComparisonPayload, layers: Sequence[str]
) -> dict[Place, dict[str, Any]]:
    """The columns `GAINS` of each compared setting, layer, metric and scope that has pairs."""
    found = {}
    for setting in payload.claimed:
        for layer in layers:
            for metric in payload.metrics:
                after = values.cells(setting.setting, layer, metric)
                before = values.cells(setting.reference, layer, metric)
                for name in scopes_of(setting.target):
                    gains = gains_of(after, before, metric, scope_of(name, setting.target), payload)
                    if gains is not None:
                        found[setting.setting, layer, metric, name] = gains
    return found


def gains_of(
    after: Mapping[Pair, float], before: Mapping[Pair, float], metric: str, scope: TargetScope, payload: OutcomesPayload
) -> dict[str, Any] | None:
    """The columns `GAINS` over the pairs of a scope that have both values; None where there are none."""
    pairs = [pair for pair in after if pair in before and inside(scope, *pair[1:], directed(metric))]
    if not pairs:
        return None
    return summed_up(np.array([after[pair] - before[pair] for pair in pairs]), pairs, metric, payload)


def correlation_rows(values: PairValues, payload: ComparisonPayload, layers: Sequence[str]) -> list[dict[str, Any]]:
    """Correlations over ordered pairs (a distance counts for both directions), per distance metric.

    None where there are fewer than three pairs or one side is constant.
    """
    rows = []
    for setting in payload.claimed:
        for layer in layers:
            for distance in DISTANCES:
                pairs, columns = _columns(values, setting, layer, distance)
                for y, x in CORRELATED if pairs else ():
                    row = _correlated(columns, y, x, pairs, payload)
                    if row is not None:
                        place = {"layer": layer, "accuracy": ACCURACY, "distance": distance, "y": y, "x": x}
                        who = {"setting": setting.setting, "baseline_setting": setting.reference}
                        rows.append({**who, **place, **row})
    return rows


def _languages(pairs: Sequence[Pair]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Query and candidate of pairs as places among their languages' sorted names: numbers sort faster than names."""
    place = {name: number for number, name in enumerate(sorted({name for pair in pairs for name in pair[1:]}))}
    query, candidate = (np.array([place[pair[side]] for pair in pairs], np.int64) for side in (1, 2))
    return query, candidate


def summed_up(
    gains: NDArray[np.float64], pairs: Sequence[Pair], metric: str, payload: OutcomesPayload
) -> dict[str, Any]:
    """A row's numbers over the differences of all pairs [pairs] in a metric."""
    query, candidate = _languages(pairs)
    n_languages = len(np.union1d(query, candidate))
    row: dict[str, Any] = {
        "n_languages": n_languages,
        "median_gain": float(np.median(gains)),
        "median_low": None,
        "median_high": None,
        "n_gaining": _gaining(gains, metric),
        "least_gain": float(gains.min()),
        "greatest_gain": float(gains.max()),
    }
    if n_languages >= FEWEST_LANGUAGES:
        median = dyadic_bootstrap_median(
            gains, query, candidate, resamples=min(payload.resamples, LANGUAGE_DRAWS), seed=payload.seed,
            confidence=payload.confidence,
        )  # fmt: skip
        row |= {"median_low": float(median.low), "median_high": float(median.high)}
    if len(pairs) < 3:
        return row | dict.fromkeys(_CROSSED)
    crossed = crossed_effects(gains, query, candidate, ordered=directed(metric), confidence=payload.confidence)
    return row | {
        "mean_gain": float(crossed.coefficients[0]),
        "mean_low": float(crossed.low[0]),
        "mean_high": float(crossed.high[0]),
        "mean_p": float(crossed.p[0]),
        "mean_error": float(crossed.standard_errors[0]),
        "mean_degrees": crossed.degrees,
        "query_variance": crossed.query_variance,
        "candidate_variance": crossed.candidate_variance,
        "residual_variance": crossed.residual_variance,
    }


def _gaining(gains: NDArray[np.float64], metric: str) -> int | None:
    """How many pairs get better, by more than rounding; None where neither way is better."""
    better = METRICS[metric].better
    if better == "none":
        return None
    return int(((gains if better == "higher" else -gains) > ROUNDING).sum())


def _columns(
    values: PairValues, setting: ComparedSetting, layer: str, distance: str
) -> tuple[list[Pair], dict[str, NDArray[np.float64]]]:
    own, base = setting.setting, setting.reference
    parts = {
        "accuracy_after": values.both_ways(own, layer, ACCURACY),
        "accuracy_before": values.both_ways(base, layer, ACCURACY),
        "distance_after": values.both_ways(own, layer, distance),
        "distance_before": values.both_ways(base, layer, distance),
    }
    pairs = [pair for pair in parts["accuracy_after"] if all(pair in part for part in parts.values())]
    columns = {name: np.array([part[pair] for pair in pairs]) for name, part in parts.items()}
    columns["gain"] = columns["accuracy_after"] - columns["accuracy_before"]
    columns["distance_drop"] = columns["distance_before"] - columns["distance_after"]
    return pairs, columns


def _correlated(
    columns: Mapping[str, NDArray[np.float64]], y: str, x: str, pairs: Sequence[Pair], payload: ComparisonPayload
) -> dict[str, Any] | None:
    query, candidate = _languages(pairs)
    between = y.startswith("distance")
    if between:
        # Two distances: each pair once.
        once = query < candidate
        columns, query, candidate = {name: each[once] for name, each in columns.items()}, query[once], candidate[once]
    try:
        found = dyadic_bootstrap_correlation(
            columns[x], columns[y], query, candidate, resamples=min(payload.resamples, LANGUAGE_DRAWS),
            seed=payload.seed, confidence=payload.confidence,
        )  # fmt: skip
    except ValueError:
        return None
    row: dict[str, Any] = {
        "n_pairs": len(query),
        "n_languages": found.n_groups,
        "value": float(found.estimate),
        "ci_low": float(found.low),
        "ci_high": float(found.high),
    }
    # A gain is what is left of the level before: the level after is modelled on it instead.
    outcome, covariates = (
        ("accuracy_after", np.column_stack([columns[x], columns["accuracy_before"]]))
        if y == "gain"
        else (y, columns[x][:, None])
    )
    try:
        model = crossed_effects(
            columns[outcome], query, candidate, covariates, ordered=not between, confidence=payload.confidence
        )
    except ValueError:
        return row | {"slope": None, "slope_low": None, "slope_high": None, "slope_p": None}
    return row | {
        "slope": float(model.coefficients[1]),
        "slope_low": float(model.low[1]),
        "slope_high": float(model.high[1]),
        "slope_p": float(model.p[1]),
    }
