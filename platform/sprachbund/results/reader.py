"""Reads the parts that results and comparisons are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from sqlalchemy import Engine

from sprachbund.errors import QueryError, nearest
from sprachbund.results import query
from sprachbund.vocabulary import layer_order

# Frames may be larger than what a typed-in query should give.
LIMITS: dict[str, Any] = {"limit_s": 600, "max_rows": 20_000_000}
_INTEGERS = {
    *("k", "seed", "chosen", "job", "ordinal", "setting_ordinal", "layer_ordinal"),
    *("n_items", "n_groups", "n_pairs", "n_values", "n_controls", "n_control_variants", "family_size"),
    *("n_gaining", "n_languages", "block", "experts", "shared"),
}
_FLOATS = {
    *("k_fraction", "strength", "value", "ci_low", "ci_high", "median", "baseline", "p", "q", "control_p"),
    *("delta", "delta_ci_low", "delta_ci_high", "control_low", "control_high", "sum_value", "sum_baseline"),
    *("median_gain", "median_low", "median_high", "mean_gain", "mean_low", "mean_high", "confidence"),
    *("slope", "slope_low", "slope_high", "share", "jaccard", "mean_score"),
}


def known(what: str, word: str, choices: Any) -> None:
    """Raise QueryError unless `word` is among the choices; names the nearest."""
    if word not in choices:
        names = list(choices)
        hint = nearest(word, names) or f"; expected one of {', '.join(map(str, names[:12]))}"
        raise QueryError(f"unknown {what} '{word}'{hint}")


def known_experiment(engine: Engine, experiment: str) -> None:
    """Raise QueryError unless the experiment exists; names the nearest."""
    names = query.run(engine, "SELECT name FROM experiments ORDER BY name")["name"].to_list()
    if not names:
        raise QueryError(f"there is no experiment '{experiment}': none was submitted yet")
    known("experiment", experiment, names)


def typed(frame: pl.DataFrame) -> pl.DataFrame:
    """The same types whatever the rows: a column of NULLs, or no rows, tell none."""
    types = {
        name: pl.Int64 if name in _INTEGERS else pl.Float64 if name in _FLOATS else pl.String for name in frame.columns
    }
    return frame.cast(types)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads one experiment's parts of a comparison."""

    engine: Engine
    experiment: str
    role: str
    scope: str

    def _read(self, sql: str, **params: Any) -> pl.DataFrame:
        named = {"experiment": self.experiment, **params}
        used = {name: value for name, value in named.items() if f":{name}" in sql}
        return typed(query.run(self.engine, sql, used, **LIMITS))

    def settings(self) -> pl.DataFrame:
        return self._read(
            "SELECT s.key AS setting_key, xs.label AS setting, xs.ordinal AS ordinal, m.name AS model, "
            "i.method AS method, "
            "i.selection AS selection, i.direction AS direction, i.edit AS edit, i.strength AS strength, "
            "i.target AS target, i.k AS k, i.k_fraction AS k_fraction, i.control AS control, i.seed AS seed, "
            "s.transform AS transform, s.side AS side, xb.label AS own_baseline, sb.key AS own_baseline_key, "
            "xp.label AS control_of, sp.key AS control_of_key "
            "FROM experiments x JOIN experiment_settings xs ON xs.experiment_id = x.id "
            "JOIN settings s ON s.id = xs.setting_id JOIN interventions i ON i.id = s.intervention_id "
            "JOIN models m ON m.id = s.model_id "
            "LEFT JOIN experiment_settings xb ON xb.experiment_id = x.id AND xb.setting_id = xs.baseline_id "
            "LEFT JOIN experiment_settings xp ON xp.experiment_id = x.id AND xp.setting_id = xs.control_of_id "
            "LEFT JOIN settings sb ON sb.id = xs.baseline_id LEFT JOIN settings sp ON sp.id = xs.control_of_id "
            "WHERE x.name = :experiment ORDER BY xs.ordinal"
        )

    def layers(self) -> tuple[str, ...]:
        found = self._read(
            "SELECT xl.layer AS layer FROM experiments x JOIN experiment_layers xl ON xl.experiment_id = x.id "
            "WHERE x.name = :experiment"
        )
        return tuple(sorted(found["layer"].to_list(), key=layer_order))

    def corpora(self) -> list[str]:
        """Corpora (or collections) that have the role."""
        found = self._read(
            "SELECT DISTINCT xc.role AS role, coalesce(c.collection, c.name) AS corpus FROM experiments x "
            "JOIN experiment_corpora xc ON xc.experiment_id = x.id JOIN corpora c ON c.id = xc.corpus_id "
            "WHERE x.name = :experiment AND xc.role <> 'fit' ORDER BY 1, 2"
        )
        known("role", self.role, list(dict.fromkeys(found["role"].to_list())))
        return found.filter(pl.col("role") == self.role)["corpus"].to_list()

    def stored(self) -> pl.DataFrame:
        return self._read(
            "SELECT corpus, setting_key, layer, metric, value, ci_low, ci_high, baseline, delta, "
            "delta_ci_low, delta_ci_high, p, q, n_pairs FROM setting_comparison "
            "WHERE experiment = :experiment AND role = :role AND scope = :scope",
            role=self.role,
            scope=self.scope,
        )

    def gains(self) -> pl.DataFrame:
        """Differences to each setting's own baseline pair by pair, summed up."""
        return self._read(
            "SELECT corpus, setting_key, layer, metric, median_gain, median_low, median_high, n_gaining "
            "FROM gain_summary WHERE experiment = :experiment AND role = :role AND scope = :scope",
            role=self.role,
            scope=self.scope,
        )

    def confidence(self) -> float:
        """Of the comparison's intervals, as the experiment file has it."""
        found = self._read(
            "SELECT CAST(x.spec -> 'statistics' ->> 'confidence' AS DOUBLE PRECISION) AS confidence "
            "FROM experiments x WHERE x.name = :experiment"
        )
        return float(found["confidence"][0] or 0.95)

    def control_tests(self) -> pl.DataFrame:
        return self._read(
            "SELECT corpus, setting_key, layer, metric, control, p FROM control_comparison "
            "WHERE experiment = :experiment AND role = :role AND scope = :scope",
            role=self.role,
            scope=self.scope,
        )

    def sums(self, metrics: Sequence[str], extra: Sequence[str]) -> pl.DataFrame:
        """Sums over language pairs (or languages, for metrics of one language) by where the target stands."""
        names = {f"metric_{number}": metric for number, metric in enumerate(metrics)}
        listed = ", ".join(f":{name}" for name in names)
        columns = ", ".join(["setting_key", "layer", "layer_ordinal", "metric", "target_side", *extra])
        parts = [
            f"SELECT coalesce(collection, corpus) AS corpus, {columns}, sum(value) AS sum_value, "  # noqa: S608 - fixed names
            f"count(value) AS n_values, sum(baseline) AS sum_baseline, count(baseline) AS n_pairs FROM {view} "
            "WHERE experiment = :experiment AND role = :role AND query_setting_key = candidate_setting_key "
            f"AND metric IN ({listed}) GROUP BY coalesce(collection, corpus), {columns}"
            for view in ("retrieval_results", "alignment_results")
        ]
        frames = [self._read(part, role=self.role, **names) for part in parts]
        return pl.concat(frames)

    def chosen(self) -> pl.DataFrame:
        """Settings (key and label) and layers that were chosen on the select role."""
        return self._read(
            "SELECT DISTINCT s.key AS setting_key, xs.label AS setting, ch.layer AS layer, xs.ordinal AS ordinal "
            "FROM experiments x "
            "JOIN experiment_jobs xj ON xj.experiment_id = x.id JOIN choices ch ON ch.job_id = xj.job_id "
            "JOIN experiment_settings xs ON xs.experiment_id = x.id AND xs.setting_id = ch.setting_id "
            "JOIN settings s ON s.id = xs.setting_id "
            "WHERE x.name = :experiment ORDER BY xs.ordinal, ch.layer"
        )

    def unfinished(self) -> list[str]:
        found = self._read(
            "SELECT kind, status, count(*) AS n_values FROM job_status WHERE experiment = :experiment "
            "AND status <> 'done' GROUP BY kind, status ORDER BY kind, status"
        )
        lines = []
        for (kind,), rows in found.group_by("kind", maintain_order=True):
            states = ", ".join(f"{row['n_values']} {row['status']}" for row in rows.iter_rows(named=True))
            lines.append(f"{kind}: {rows['n_values'].sum()} jobs are not done ({states})")
        return lines
