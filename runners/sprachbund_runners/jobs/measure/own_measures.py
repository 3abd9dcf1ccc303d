"""Registered pair measures: a user's function on the embeddings of one language's pairs, layer by layer."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from sprachbund.catalogue import plugins
from sprachbund.corpora.corpus import code_of
from sprachbund.errors import CorpusError, ModelError
from sprachbund.queue import Claim
from sprachbund.work.payloads.pairs import OwnMeasuresPayload
from sprachbund.work.payloads.star import Pair
from sprachbund_runners.evaluation.scores import Level
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.embed.embedded import Embedded
from sprachbund_runners.jobs.evaluation_rows import RESAMPLES, SEED, EvaluationRow, compact, write_evaluations
from sprachbund_runners.jobs.serving import cells, tensor_prefix, together
from sprachbund_runners.statistics.bootstrap import bootstrap_mean

MEASURE = "own"


def run(claims: Sequence[Claim[OwnMeasuresPayload]], context: Context) -> Iterator[Outcome]:
    """Claims of one setting and corpus, a measure of a star each; values per item are kept."""
    embedded = Embedded(context)
    step = context.progress.start("own measures", sum(cells(claim.payload) for claim in claims))
    for members in together(claims, _vectors):
        yield from _measure(members, context, embedded, step)


def _vectors(payload: OwnMeasuresPayload) -> OwnMeasuresPayload:
    """What embeddings a measure is of, whichever it is."""
    return replace(payload, measure="", pairs=tuple(replace(pair, key="") for pair in payload.pairs))


def _measure(
    claims: Sequence[Claim[OwnMeasuresPayload]], context: Context, embedded: Embedded, step: Callable[[int], None]
) -> Iterator[Outcome]:
    """Measures of the same embeddings, which are read once."""
    payload = claims[0].payload
    units = _units(payload, context)
    plugin_of = [plugins.find("measure", claim.payload.measure) for claim in claims]
    rows: list[list[EvaluationRow]] = [[] for _ in claims]
    tensors: list[dict[str, NDArray[Any]]] = [{} for _ in claims]
    for layer in payload.layers:
        for number, pair in enumerate(payload.pairs):
            context.check_stop()
            sides = _sides(payload, pair, embedded, layer)
            query, candidate = map(code_of, pair.sides)
            prefix = f"{tensor_prefix(number, layer, MEASURE)}/both"
            for place, (claim, plugin) in enumerate(zip(claims, plugin_of, strict=True)):
                values = np.mean([item_values(plugin, x, y) for x, y in sides], axis=0)
                metrics = {plugin.full_name: _level(values, units, payload.confidence)}
                key = claim.payload.pairs[number].key
                rows[place].append(EvaluationRow(MEASURE, query, candidate, layer, metrics, prefix, of=key))
                tensors[place][f"{prefix}/{plugin.full_name}"] = compact(values)
            step(len(claims))
    for claim, own, kept in zip(claims, rows, tensors, strict=True):
        yield _outcome(claim, context, own, kept)


def _outcome(
    claim: Claim[OwnMeasuresPayload], context: Context, rows: Sequence[EvaluationRow], tensors: dict[str, NDArray[Any]]
) -> Outcome:
    stored = context.save(tensors, {"key": claim.key})

    def write(connection: Connection) -> None:
        write_evaluations(connection, claim, rows, context.store.record(connection, stored))

    return Outcome(claim, write)


def _units(payload: OwnMeasuresPayload, context: Context) -> list[str] | None:
    """What intervals draw: items, or groups where the experiment says so. All texts of a corpus have the same."""
    if payload.unit == "item":
        return None
    text = context.text(payload.text_keys[0])
    if text.groups is None:
        raise CorpusError(f"statistics.unit: found 'group', but {text.language} has sentences without a group")
    return text.groups


def _sides(
    payload: OwnMeasuresPayload, pair: Pair, embedded: Embedded, layer: str
) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """What the measure is called with, as often as that: where one side is steered, once for each that may be it."""
    x, y = (embedded.embeddings(payload, each, layer) for each in pair.sides)
    if payload.side == "both":
        return [(x, y)]
    plain_x, plain_y = (embedded.embeddings(payload, each, layer, plain=True) for each in pair.sides)
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


def _level(values: NDArray[np.float64], units: list[str] | None, confidence: float) -> Level:
    result = bootstrap_mean(values[:, None], groups=units, resamples=RESAMPLES, seed=SEED, confidence=confidence)
    return Level(
        float(result.estimate[0]), float(result.low[0]), float(result.high[0]), result.n_items, result.n_groups
    )
