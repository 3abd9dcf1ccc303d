"""Differences of what is evaluated on request: ABX tasks, probes, registered measures."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprachbund_runners.evaluation.probing import ProbeCounts
from sprachbund_runners.jobs.compare.evaluated import Evaluated, Found, Place, Sides, numbered
from sprachbund_runners.jobs.evaluation_rows import whole
from sprachbund_runners.jobs.measure.labelled import Labelled
from sprachbund_runners.statistics.paired import paired_replicates, ratio_of

ABX = ("abx", "abx_weighted")


def abx(sides: Sides) -> Iterator[Found]:
    """By the draws of both, which are the same: triples count as often as their items were drawn."""
    for place, own, baseline in sides.both():
        # The cells of a task have no draws.
        if own.tensor is None or baseline.tensor is None:
            continue
        draws = [each.tensors(sides.context, *ABX) for each in (own, baseline)]
        for metric in ABX:
            if metric in own.metrics and metric in baseline.metrics:
                replicates = np.stack([each[metric] for each in draws], axis=1)
                values, sizes = (own.metrics[metric], baseline.metrics[metric]), own.sizes[metric]
                paired = paired_replicates(*values, replicates, *sizes, sides.payload.confidence)
                yield Found(place, metric, own.key, paired)


def probe(sides: Sides) -> Iterator[Found]:
    """By items, or groups of them where the experiment draws those: what probes said that had not seen them."""
    table: Labelled | None = None
    for place, own, baseline in sides.both():
        table = table or Labelled.of(own.payload, sides.context)
        classes = numbered(table.labels[own.payload.task.label])
        rows = np.arange(table.n) if place.query is None else np.flatnonzero(table.language == place.query)
        unit, n_classes = numbered(np.asarray(table.unit)[rows]), int(classes.max()) + 1
        counts = [
            ProbeCounts.of(classes[rows], _predicted(sides, each, place)[:, rows], unit, n_classes)
            for each in (own, baseline)
        ]
        statistics = {"probe_accuracy": counts[0].accuracy, "probe_macro_f1": counts[0].macro_f1}
        for metric, statistic in statistics.items():
            if metric in own.metrics and metric in baseline.metrics:
                of = f"probe {own.payload.corpus}"
                paired = sides.paired(counts[0].counts, counts[1].counts, statistic, None, of)
                if paired is not None:
                    yield Found(place, metric, own.key, replace(paired, n_items=len(rows)))


def _predicted(sides: Sides, evaluated: Evaluated, place: Place) -> NDArray[np.int64]:
    assert evaluated.outcomes_id is not None
    name = f"{place.layer}/predicted"
    with sides.context.reading() as connection:
        found = sides.context.tensors(connection, evaluated.outcomes_id, evaluated.job_id, [name])
    return found[name].astype(np.int64)


def own_measure(sides: Sides) -> Iterator[Found]:
    """By items, or groups of them where the experiment draws those: an item's mean over all pairs."""
    foreign = {(each.job, frozenset((each.first, each.second))) for each in sides.payload.foreign}
    asked = [
        (place, own, baseline)
        for place, own, baseline in sides.both()
        if all((each.job_key, frozenset((place.query, place.candidate))) not in foreign for each in (own, baseline))
    ]
    for layer in dict.fromkeys(place.layer for place, _, _ in asked):
        here = [(own, baseline) for place, own, baseline in asked if place.layer == layer]
        metric = next(iter(here[0][0].metrics))
        text = sides.context.text(here[0][0].payload.text_keys[0])
        tables = [_items([pair[side] for pair in here], metric, len(text.sentences), sides) for side in (0, 1)]
        groups = text.groups if here[0][0].payload.unit == "group" else None
        paired = sides.paired(tables[0], tables[1], ratio_of(0, 1), groups, f"pairs {here[0][0].payload.corpus}")
        if paired is not None:
            yield Found(Place("own", None, None, layer), metric, None, paired)


def _items(pairs: list[Evaluated], metric: str, n: int, sides: Sides) -> NDArray[np.float64]:
    """float64 [n, 2]: an item's mean over pairs, and 1."""
    total = np.zeros(n)
    for each in pairs:
        found: Mapping[str, Any] = each.tensors(sides.context, metric)
        total += whole(found[metric], n)
    return np.stack([total / len(pairs), np.ones(n)], axis=1)
