"""Probes: logistic regressions for one label on one setting's embeddings, layer by layer, split by item or document."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from sprachbund.queue import Claim
from sprachbund.work.payloads.measure import ProbePayload
from sprachbund_runners.evaluation.probing import Probed, probe
from sprachbund_runners.evaluation.scores import Level, levels
from sprachbund_runners.jobs.context import Context, Outcome
from sprachbund_runners.jobs.embed.embedded import Embedded
from sprachbund_runners.jobs.evaluation_rows import RESAMPLES, SEED, EvaluationRow, write_evaluations
from sprachbund_runners.jobs.measure.labelled import Labelled, write_task

log = logging.getLogger("sprachbund.runner")


def run(claims: Sequence[Claim[ProbePayload]], context: Context) -> Iterator[Outcome]:
    """Claims of one setting and corpus, a label each."""
    embedded = Embedded(context)
    step = context.progress.start("probing", sum(len(claim.payload.layers) for claim in claims))
    for claim in claims:
        payload = claim.payload
        table = Labelled.of(payload, context)
        task, seed = payload.task, payload.seed
        rows: list[EvaluationRow] = []
        tensors: dict[str, NDArray[Any]] = {}
        for layer in claim.payload.layers:
            context.check_stop()
            found = probe(
                table.embeddings(payload, embedded, layer),
                table.labels[task.label],
                table.folds,
                folds=task.folds,
                seeds=range(seed, seed + task.seeds),
                regularisation=task.regularisation,
            )
            if found.unconverged:
                log.warning("%s: %d fits at layer %s stopped early", claim.label, found.unconverged, layer)
            rows += _rows(found, table, layer, payload)
            tensors[f"{layer}/correct"] = found.correct.astype(np.float32)
            tensors[f"{layer}/predicted"] = found.predicted.astype(np.min_scalar_type(len(found.classes)))
            step(1)
        yield _outcome(claim, context, rows, tensors)


def _outcome(
    claim: Claim[ProbePayload], context: Context, rows: Sequence[EvaluationRow], tensors: dict[str, NDArray[Any]]
) -> Outcome:
    stored = context.save(tensors, {"key": claim.subject})

    def write(connection: Connection) -> None:
        write_task(connection, claim.payload, "probe")
        write_evaluations(connection, claim, rows, context.store.record(connection, stored))

    return Outcome(claim, write)


def _rows(found: Probed, table: Labelled, layer: str, payload: ProbePayload) -> Iterator[EvaluationRow]:
    """All languages together, then each."""
    scope, confidence = payload.scope_digest, payload.confidence
    metrics = _metrics(found, table, np.arange(table.n), "probe_accuracy", confidence)
    deviation = float(found.by_seed.std(ddof=1)) if len(found.by_seed) > 1 else float("nan")
    accuracy = metrics["probe_accuracy"]
    metrics["probe_seed_deviation"] = Level(deviation, np.nan, np.nan, accuracy.n_items, accuracy.n_groups)
    yield EvaluationRow("probe", None, None, layer, metrics, f"{layer}/correct", scope)
    for language in table.languages:
        here = np.flatnonzero(table.language == language)
        metrics = _metrics(found, table, here, "probe_accuracy", confidence)
        if payload.task.label == "language":
            # Of one language there is one label only: F1 and the majority say nothing.
            metrics = {"probe_accuracy": metrics["probe_accuracy"]}
        yield EvaluationRow("probe", language, None, layer, metrics, f"{layer}/correct", scope)


def _metrics(found: Probed, table: Labelled, rows: NDArray[np.intp], name: str, confidence: float) -> dict[str, Level]:
    level = accuracy_level(found, table, rows, name, confidence)
    sizes = level.n_items, level.n_groups
    return {
        name: level,
        "probe_macro_f1": Level(found.macro_f1(rows), np.nan, np.nan, *sizes),
        "probe_majority": Level(found.majority(rows), np.nan, np.nan, *sizes),
    }


def accuracy_level(found: Probed, table: Labelled, rows: NDArray[np.intp], name: str, confidence: float) -> Level:
    """Accuracy over `rows` with its bootstrap interval; all languages of an item are drawn together."""
    units = np.asarray(table.unit)[rows]
    correct = {name: found.correct[rows]}
    return levels(correct, groups=units, resamples=RESAMPLES, seed=SEED, confidence=confidence)[name]
