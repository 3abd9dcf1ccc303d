"""Results as Polars frames, read some rows at a time: what is asked for is read, and no more is held."""

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
from sprachbund.results.reader import Reader, schema, stream_view

Kind = Literal["retrieval", "alignment"]
# One name or several; None: all there are.
Some = str | int | Sequence[str | int] | None
VIEW_OF: dict[Kind, str] = {"retrieval": "retrieval_results", "alignment": "alignment_results"}
# Settings times metrics that are sorted at once; of a setting with more layers or pairs, one layer.
BATCH = 120
_ORDER = "setting_ordinal, layer_ordinal, role, corpus, query_language, candidate_language, metric"


@dataclass(frozen=True, slots=True)
class Frames:
    """What is read of an experiment: the view, metrics (None: all), layers and settings' keys, these in its order."""

    engine: Engine
    view: str
    experiment: str
    metrics: Sequence[str] | None
    layers: Sequence[str]
    settings: Sequence[str]

    def scan(self) -> pl.LazyFrame:
        """The rows, read when they are collected: the columns asked for alone."""
        return register_io_source(self._source, schema=schema(self.view), is_pure=True)

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """The rows in the order of settings, layers and pairs, some at a time."""
        shared, where = self._where()
        for settings, layers in self._parts():
            keys, at = _named("setting", settings), _named("layer", layers)
            of_part = f"{where} AND setting_key IN ({_listed(keys)}) AND layer IN ({_listed(at)}) ORDER BY {_ORDER}"
            yield from stream_view(self.engine, self.view, of_part, {**shared, **keys, **at}, columns or ("*",))

    def _parts(self) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
        """Settings and layers that are asked for at once: some settings of few layers, else layer by layer."""
        n_metrics = len(OF_PAIRS["retrieval"].metrics if self.metrics is None else self.metrics)
        step = BATCH // max(1, len(self.layers) * n_metrics)
        if step:
            yield from ((self.settings[start : start + step], self.layers)
                        for start in range(0, len(self.settings) if self.layers else 0, step))  # fmt: skip
        else:
            yield from (([setting], [layer]) for setting in self.settings for layer in self.layers)

    def _where(self) -> tuple[dict[str, str], str]:
        params = {"experiment": self.experiment}
        where = "experiment = :experiment"
        if self.metrics is not None:
            named = _named("metric", self.metrics)
            params |= named
            where += f" AND metric IN ({_listed(named) or 'NULL'})"
        return params, where

    def _source(
        self, columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        left = n_rows
        for frame in self.batches(columns):
            # Rows are counted before they are filtered.
            found = frame if left is None else frame.head(left)
            yield found if predicate is None else found.filter(predicate)
            if left is not None:
                left -= found.height
                if not left:
                    return


def frames(
    engine: Engine, experiment: str, kind: Kind = "retrieval", *, metrics: Some = None, layers: Some = None,
    settings: Some = None,
) -> Frames:  # fmt: skip
    """What an experiment has of these metrics, layers and settings (labels, or the start of a key); None: of all.

    Raises QueryError for a kind, experiment, metric, layer or setting that does not exist.
    """
    known("kind", kind, VIEW_OF)
    metrics, wanted, labels = (_several(each) for each in (metrics, layers, settings))
    with reading(engine) as connection:
        find_experiment(connection, experiment)
        named = {find_setting(connection, each, experiment).key for each in labels or ()}
    read = Reader(engine, experiment, "test", "all")
    planned = read.layers()
    asked = set(planned if wanted is None else wanted)
    for layer in sorted(asked):
        known("layer", layer, planned)
    for metric in metrics or ():
        # Registered measures are an experiment's own.
        if "@" not in metric:
            known("metric", metric, OF_PAIRS["retrieval"].metrics if kind == "retrieval" else METRICS)
    keys = [key for key in read.settings()["setting_key"] if labels is None or key in named]
    return Frames(engine, VIEW_OF[kind], experiment, metrics, [each for each in planned if each in asked], keys)


def _several(names: Some) -> list[str] | None:
    """One name or several, as text."""
    return names if names is None else [str(each) for each in ([names] if isinstance(names, str | int) else names)]


def _named(name: str, values: Sequence[str]) -> dict[str, str]:
    return {f"{name}_{number}": value for number, value in enumerate(values)}


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(f":{name}" for name in names)
