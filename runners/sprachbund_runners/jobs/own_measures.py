"""Registered pair measures: a user's function on the embeddings of one language pair, layer by layer."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from sprachbund import plugins
from sprachbund.errors import ModelError
from sprachbund.queue import Claim
from sprachbund.statistics import bootstrap_mean
from sprachbund_runners.evaluation import Level
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.embedded import Embedded
from sprachbund_runners.jobs.pair_evaluation import RESAMPLES, SEED, Row, compact, write_evaluations

MEASURE = "own"


def run(claims: Sequence[Claim], context: Context) -> Iterator[Outcome]:
    """Each claim's embeddings go to all its measures; values per item are kept."""
    embedded = Embedded(context)
    step = context.progress.start("own measures", len(claims))
    for claim in claims:
        context.check_stop()
        yield _measure(claim, context, embedded)
        step(1)


def _measure(claim: Claim, context: Context, embedded: Embedded) -> Outcome:
    query, candidate = claim.payload["languages"]
    measures = {name: plugins.find("measure", name) for name in claim.payload["measures"]}
    rows: list[Row] = []
    tensors: dict[str, NDArray[Any]] = {}
    for layer in claim.payload["layers"]:
        sides = _sides(claim, embedded, layer)
        values = {
            name: np.mean([item_values(plugin, x, y) for x, y in sides], axis=0) for name, plugin in measures.items()
        }
        metrics = {name: _level(items) for name, items in values.items()}
        rows.append(Row(MEASURE, query, candidate, layer, metrics, f"{layer}/{MEASURE}/both"))
        tensors |= {f"{layer}/{MEASURE}/both/{name}": compact(items) for name, items in values.items()}
    stored = context.save(tensors, {"key": claim.subject})

    def write(connection: Connection) -> None:
        write_evaluations(connection, claim, rows, context.store.record(connection, stored))

    return Outcome(claim, write)


def _sides(claim: Claim, embedded: Embedded, layer: str) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """What the measure is called with, as often as that: where one side is steered, once for each that may be it."""
    x, y = (embedded.embeddings(claim, each, layer) for each in claim.payload["languages"])
    if claim.payload.get("side", "both") == "both":
        return [(x, y)]
    plain_x, plain_y = (embedded.embeddings(claim, each, layer, plain=True) for each in claim.payload["languages"])
    return [(x, plain_y), (plain_x, y)]


def item_values(plugin: plugins.Plugin, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """float64 [n] of a measure; ModelError for another shape or a value that is not finite."""
    found = np.asarray(plugin(x.astype(np.float32), y.astype(np.float32)))
    if found.shape != (len(x),) or found.dtype.kind not in "biuf":
        raise ModelError(
            f"measure {plugin.full_name}: returned {found.dtype} {list(found.shape)}; expected float64 [{len(x)}], one"
            " value per item"
        )
    if not np.isfinite(found).all():
        item = int((~np.isfinite(found)).argmax())
        raise ModelError(f"measure {plugin.full_name}: {found[item]} for item {item}; expected a finite number")
    return found.astype(np.float64)


def _level(values: NDArray[np.float64]) -> Level:
    result = bootstrap_mean(values[:, None], resamples=RESAMPLES, seed=SEED)
    return Level(
        float(result.estimate[0]), float(result.low[0]), float(result.high[0]), result.n_items, result.n_groups
    )
