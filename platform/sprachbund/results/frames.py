"""Results as Polars frames, read some settings at a time: what is asked for is read, and no more is held."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl
from polars.io.plugins import register_io_source
from sqlalchemy import Engine

from sprachbund.db.engine import reading
from sprachbund.db.names import find_experiment, find_setting
from sprachbund.errors import known
from sprachbund.measures import METRICS, OF_PAIRS
from sprachbund.results.reader import Reader, read_view, schema

Kind = Literal["retrieval", "alignment"]
VIEW_OF: dict[Kind, str] = {"retrieval": "retrieval_results", "alignment": "alignment_results"}
# Settings times layers times metrics that are read at once.
BATCH = 120
_MOST = OF_PAIRS["retrieval"].metrics
_ORDER = "setting_ordinal, role, corpus, layer_ordinal, query_language, candidate_language, metric"


@dataclass(frozen=True, slots=True)
class Frames:
    """What is read of an experiment: the view, and metrics, layers and settings' keys; None where all are."""

    engine: Engine
    view: str
    experiment: str
    metrics: Sequence[str] | None
    layers: Sequence[str] | None
    settings: Sequence[str]

    def scan(self) -> pl.LazyFrame:
        """The rows, read when they are collected: the columns asked for alone."""
        return register_io_source(self._source, schema=schema(self.view), is_pure=True)

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """The rows in the order of settings, layers and pairs, a frame for some settings."""
        n_layers = len(self.layers or Reader(self.engine, self.experiment, "test", "all").layers())
        n_metrics = len(_MOST if self.metrics is None else self.metrics)
        step = max(1, BATCH // max(1, n_layers * n_metrics))
        shared, where = self._where()
        for start in range(0, len(self.settings), step):
            keys = _named("setting", self.settings[start : start + step])
            of_settings = f"{where} AND setting_key IN ({_listed(keys)}) ORDER BY {_ORDER}"
            yield read_view(self.engine, self.view, of_settings, {**shared, **keys}, columns or ("*",))

    def _where(self) -> tuple[dict[str, str], str]:
        params = {"experiment": self.experiment}
        where = "experiment = :experiment"
        for column, asked in (("metric", self.metrics), ("layer", self.layers)):
            if asked is not None:
                named = _named(column, asked)
                params |= named
                where += f" AND {column} IN ({_listed(named) or 'NULL'})"
        return params, where

    def _source(
        self, columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        left = n_rows
        for frame in self.batches(columns):
            found = frame if predicate is None else frame.filter(predicate)
            yield found if left is None else found.head(left)
            if left is not None:
                left -= min(left, found.height)
                if not left:
                    return


def frames(
    engine: Engine, experiment: str, kind: Kind = "retrieval", *, metrics: Sequence[str] | None = None,
    layers: Sequence[str | int] | None = None, settings: Sequence[str] | None = None,
) -> Frames:  # fmt: skip
    """What an experiment has of these metrics, layers and settings (labels, or the start of a key); None: of all.

    Raises QueryError for a kind, experiment, metric, layer or setting that does not exist.
    """
    known("kind", kind, VIEW_OF)
    with reading(engine) as connection:
        find_experiment(connection, experiment)
        named = [find_setting(connection, each, experiment).key for each in settings or ()]
    read = Reader(engine, experiment, "test", "all")
    if settings is None:
        named = read.settings()["setting_key"].to_list()
    asked = None if layers is None else [str(layer) for layer in layers]
    for layer in asked or ():
        known("layer", layer, read.layers())
    for metric in metrics or ():
        # Registered measures are an experiment's own.
        if "@" not in metric:
            known("metric", metric, OF_PAIRS["retrieval"].metrics if kind == "retrieval" else METRICS)
    return Frames(engine, VIEW_OF[kind], experiment, metrics, asked, named)


def collected(asked: Frames) -> pl.DataFrame:
    """All rows, in order."""
    return pl.concat([pl.DataFrame(schema=schema(asked.view)), *asked.batches()])


def _named(name: str, values: Sequence[str]) -> dict[str, str]:
    return {f"{name}_{number}": value for number, value in enumerate(values)}


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(f":{name}" for name in names)
