"""Reads the parts that results and comparisons are made of."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from sqlalchemy import Engine

from sprachbund.db.views import VIEWS
from sprachbund.db.views.columns import Type
from sprachbund.measures import METRICS, METRICS_OF_PAIRS, measure_of
from sprachbund.results import query
from sprachbund.results.pair_sums import SUMS, long, pair_sums_sql
from sprachbund.vocabulary import layer_order

# Frames may be larger than what a typed-in query should give.
LIMITS: dict[str, Any] = {"limit_s": 600, "max_rows": 20_000_000}
_DTYPES: dict[Type, Any] = {
    "integer": pl.Int64,
    "flag": pl.Int64,
    "real": pl.Float64,
    "text": pl.String,
    "json": pl.String,
}


def typed(frame: pl.DataFrame, view: str, reckoned: Mapping[str, Type] | None = None) -> pl.DataFrame:
    """The types of the view's columns, whatever the rows: a column of NULLs, or no rows, tell none.

    reckoned: types of columns made from the view's, by name. Raises KeyError for a column that is neither.
    """
    types = {column.name: column.type for column in VIEWS[view].columns} | dict(reckoned or {})
    return frame.cast({name: _DTYPES[types[name]] for name in frame.columns})


def schema(view: str) -> dict[str, Any]:
    """The types of a view's columns."""
    return {column.name: _DTYPES[column.type] for column in VIEWS[view].columns}


def read_view(
    engine: Engine, view: str, where: str, params: Mapping[str, Any], columns: Sequence[str] = ("*",)
) -> pl.DataFrame:
    """Rows of a view, typed as it declares. `where` is what follows WHERE, with the parameters :named."""
    sql = f"SELECT {', '.join(columns)} FROM {view} WHERE {where}"  # noqa: S608 - our own names
    return typed(query.run(engine, sql, params, **LIMITS), view)


def stream_view(
    engine: Engine, view: str, where: str, params: Mapping[str, Any], columns: Sequence[str]
) -> Iterator[pl.DataFrame]:
    """As `read_view`, some rows at a time."""
    sql = f"SELECT {', '.join(columns)} FROM {view} WHERE {where}"  # noqa: S608 - our own names
    for frame in query.stream(engine, sql, params, limit_s=LIMITS["limit_s"]):
        yield typed(frame, view)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads one experiment's parts of a comparison, at one layer or (None) at all."""

    engine: Engine
    experiment: str
    role: str
    scope: str
    layer: str | None = None

    def _rows(self, sql: str, **params: Any) -> pl.DataFrame:
        return query.run(self.engine, sql, {"experiment": self.experiment, **params}, **LIMITS)

    def _compared(self, view: str, *columns: str) -> pl.DataFrame:
        """Columns of a view over comparisons, in this role and scope."""
        params = {"experiment": self.experiment, "role": self.role, "scope": self.scope, **self._at_layer}
        where = f"experiment = :experiment AND role = :role AND scope = :scope{self._layers}"
        return read_view(self.engine, view, where, params, ("corpus", "setting_key", "layer", "metric", *columns))

    def settings(self) -> pl.DataFrame:
        found = read_view(
            self.engine, "planned_settings", "experiment = :experiment ORDER BY setting_ordinal",
            {"experiment": self.experiment},
            ("setting_key", "setting", "setting_ordinal", "model", "method", "selection", "direction", "edit",
             "strength", "target", "k", "k_fraction", "control", "seed", "transform", "side", "baseline_setting",
             "baseline_key", "control_of", "control_of_key"),
        )  # fmt: skip
        return found.rename(
            {"setting_ordinal": "ordinal", "baseline_setting": "own_baseline", "baseline_key": "own_baseline_key"}
        )

    def layers(self) -> tuple[str, ...]:
        found = self._rows(
            "SELECT xl.layer AS layer FROM experiments x JOIN experiment_layers xl ON xl.experiment_id = x.id "
            "WHERE x.name = :experiment"
        )
        return tuple(sorted(found["layer"].to_list(), key=layer_order))

    def roles(self) -> list[str]:
        """What is evaluated: the roles of the experiment's corpora but `fit`."""
        return list(dict.fromkeys(self._evaluated()["role"].to_list()))

    def corpora(self) -> list[str]:
        """Corpora (or collections) that have the role."""
        return self._evaluated().filter(pl.col("role") == self.role)["corpus"].to_list()

    def _evaluated(self) -> pl.DataFrame:
        return self._rows(
            "SELECT DISTINCT xc.role AS role, coalesce(c.collection, c.name) AS corpus FROM experiments x "
            "JOIN experiment_corpora xc ON xc.experiment_id = x.id JOIN corpora c ON c.id = xc.corpus_id "
            "WHERE x.name = :experiment AND xc.role <> 'fit' ORDER BY 1, 2"
        )

    def stored(self, columns: Sequence[str]) -> pl.DataFrame:
        """What comparisons found."""
        return self._compared("setting_comparison", *columns)

    def gains(self) -> pl.DataFrame:
        """Differences to each setting's own baseline pair by pair, summed up."""
        return self._compared(
            "gain_summary", "median_gain", "median_low", "median_high", "n_gaining", "mean_gain", "population_low",
            "population_high", "population_p",
        )  # fmt: skip

    def confidence(self) -> float:
        """Of the comparison's intervals, as the experiment file has it."""
        found = self._rows(
            "SELECT CAST(x.spec -> 'statistics' ->> 'confidence' AS DOUBLE PRECISION) AS confidence "
            "FROM experiments x WHERE x.name = :experiment"
        )
        return float(found["confidence"][0])

    def pair_tests(self, metric: str) -> pl.DataFrame:
        """The interval, p and q of every pair, as the views of results have them."""
        names = (
            "setting_key",
            "layer",
            "metric",
            "query_language",
            "candidate_language",
            "ci_low",
            "ci_high",
            "p",
            "q",
        )
        return self._of_results((metric,), names, self._layers, **self._at_layer)

    def chances(self, metrics: Sequence[str]) -> pl.DataFrame:
        """corpus, metric, query_language, candidate_language, chance: of the pairs of the first setting there is."""
        names = ("metric", "query_language", "candidate_language", "chance")
        ranked = [metric for metric in metrics if METRICS[metric].chance is not None]
        layer = self.layer or self.layers()[0]
        key = self.settings()["setting_key"][0]
        return self._of_results(ranked, names, " AND layer = :layer AND setting_key = :key", layer=layer, key=key)

    def _of_results(self, metrics: Sequence[str], columns: Sequence[str], where: str, **params: Any) -> pl.DataFrame:
        """Columns of the views over results of pairs, and the corpus or its collection as `corpus`."""
        frames = []
        for view, own in (("retrieval_results", True), ("alignment_results", False)):
            asked = [metric for metric in metrics if (measure_of(metric).name == "retrieval") == own]
            named = {f"metric_{number}": metric for number, metric in enumerate(asked)}
            listed = ", ".join(f":{name}" for name in named) or "NULL"
            condition = f"experiment = :experiment AND role = :role AND metric IN ({listed}){where}"
            known = {"experiment": self.experiment, "role": self.role, **named, **params}
            frames.append(read_view(self.engine, view, condition, known, ("corpus", "collection", *columns)))
        found = pl.concat(frames).with_columns(corpus=pl.coalesce("collection", "corpus"))
        return found.drop("collection")

    def control_tests(self) -> pl.DataFrame:
        return self._compared("control_comparison", "control", "p")

    def sums(self, metrics: Sequence[str], extra: Sequence[str]) -> pl.DataFrame:
        """Sums over language pairs (or languages, for metrics of one language) by where the target stands."""
        of_pairs = [metric for metric in metrics if metric in METRICS_OF_PAIRS]
        others = [metric for metric in metrics if metric not in METRICS_OF_PAIRS]
        frames = [self._of_pairs(of_pairs, extra)] if of_pairs else []
        frames += [self._of_others(others, extra)] if others else []
        order = ["corpus", "setting_key", "layer", "layer_ordinal", "metric", "target_side", *extra, *SUMS]
        return pl.concat([typed(frame.select(order), "alignment_results", SUMS) for frame in frames])

    def _of_pairs(self, metrics: Sequence[str], extra: Sequence[str]) -> pl.DataFrame:
        found = self._rows(pair_sums_sql(metrics, extra, self.layer is not None), role=self.role, **self._at_layer)
        return long(found, metrics, extra)

    def _of_others(self, metrics: Sequence[str], extra: Sequence[str]) -> pl.DataFrame:
        names = {f"metric_{number}": metric for number, metric in enumerate(metrics)}
        listed = ", ".join(f":{name}" for name in names)
        columns = ", ".join(["setting_key", "layer", "layer_ordinal", "metric", "target_side", *extra])
        return self._rows(
            f"SELECT coalesce(collection, corpus) AS corpus, {columns}, sum(value) AS sum_value, "  # noqa: S608 - fixed names
            f"count(value) AS n_values, sum(baseline) AS sum_baseline, count(baseline) AS n_baselines "
            f"FROM alignment_results WHERE experiment = :experiment AND role = :role AND metric IN ({listed})"
            f"{self._layers} GROUP BY coalesce(collection, corpus), {columns}",
            role=self.role, **names, **self._at_layer,
        )  # fmt: skip

    @property
    def _layers(self) -> str:
        """SQL: the condition on a view's layer."""
        return "" if self.layer is None else " AND layer = :layer"

    @property
    def _at_layer(self) -> dict[str, str]:
        return {} if self.layer is None else {"layer": self.layer}

    def chosen(self) -> pl.DataFrame:
        """Settings (key and label) and layers that were chosen on the select role."""
        return read_view(
            self.engine, "chosen_settings", "experiment = :experiment ORDER BY setting_ordinal, layer",
            {"experiment": self.experiment}, ("setting_key", "setting", "layer"),
        ).unique(maintain_order=True)  # fmt: skip

    def unfinished(self) -> pl.DataFrame:
        """kind, status, n_jobs of jobs that are not done."""
        return self._rows(
            "SELECT kind, status, count(*) AS n_jobs FROM job_status WHERE experiment = :experiment "
            "AND status <> 'done' GROUP BY kind, status ORDER BY kind, status"
        )


def means(sums: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Means over language pairs by `keys`, of what `Reader.sums` has: value, baseline and n_pairs.

    The mean over all pairs of a scope is stored with its interval (view setting_comparison); this is for breakdowns,
    for metrics that are not compared, and until the comparison's job is done.
    """
    n_values, n_baselines = pl.col("n_values").sum(), pl.col("n_baselines").sum()
    return sums.group_by(keys, maintain_order=True).agg(
        value=pl.col("sum_value").sum() / n_values,
        baseline=pl.when(n_baselines > 0).then(pl.col("sum_baseline").sum() / n_baselines),
        n_pairs=n_values,
    )
