"""One run's parameters, tags, status and document, from the rows that were read."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row

from sprachbund.mirror.records import Group, Heatmap, Point, RunRecord
from sprachbund.work.keys import content_key

# MLflow cuts longer tags and parameters off.
TEXT_LENGTH = 5000


@dataclass(slots=True)
class Plan:
    """An experiment's jobs, seen from its settings (by key)."""

    states: Counter[str] = field(default_factory=Counter)
    finished_ms: int | None = None
    compared: set[str] = field(default_factory=set)
    all_compared: bool = True
    # (kind of evaluation, setting key, role and corpus, layer) of cells that are not all there.
    pending: set[tuple[str, str, Group, str]] = field(default_factory=set)
    done_jobs: dict[str, list[str]] = field(default_factory=dict)
    # Why a setting has no row in comparisons.
    left_out: dict[str, str] = field(default_factory=dict)
    snapshots: dict[str, set[str]] = field(default_factory=dict)


def status_of(experiment: Row[Any], states: Mapping[str, int], finished_ms: int | None) -> tuple[str, int | None]:
    """MLflow's status of an experiment's runs, and when they ended (ms; None while they run).

    states: jobs of the experiment by state. finished_ms: when the last of them ended.
    """
    if states and set(states) == {"done"}:
        status = "FINISHED"
    elif experiment.cancelled:
        status = "KILLED"
    elif states.get("failed"):
        status = "FAILED"
    else:
        return "RUNNING", None
    # Work that existed before was finished before the experiment began.
    return status, max(experiment.submitted_ms, finished_ms or 0)


def record_of(
    experiment: Row[Any],
    row: Row[Any],
    settings: Mapping[int, Row[Any]],
    plan: Plan,
    choices: Sequence[Row[Any]],
    points: tuple[Point, ...],
    layer: str | None,
    heatmap: Heatmap | None,
) -> RunRecord:
    embeddings = experiment.spec.get("embeddings", {})
    params = _params(row, embeddings)
    jobs, snapshots = plan.done_jobs.get(row.key, []), sorted(plan.snapshots.get(row.key, ()))
    control_of = settings.get(row.control_of_id)
    baseline = settings.get(row.baseline_id)
    chosen = sorted({choice.layer for choice in choices if choice.setting_id == row.setting_id})
    tags = {
        "sprachbund.experiment": experiment.name,
        "sprachbund.setting": row.key,
        "sprachbund.revision": str(experiment.revision),
        "sprachbund.planned": "yes",
        "sprachbund.control_of": control_of.label if control_of is not None else "",
        "sprachbund.baseline": baseline.label if baseline is not None else "",
        "sprachbund.chosen": "yes" if chosen else "no",
        "sprachbund.left_out": plan.left_out.get(row.key, "")[:TEXT_LENGTH],
        "sprachbund.layer": layer or "",
        "sprachbund.jobs": f"{len(jobs)} done, digest {content_key('jobs', 1, keys=jobs)}",
        "sprachbund.snapshots": _listed(snapshots),
        "mlflow.runName": row.label,
    }
    status, ended = status_of(experiment, plan.states, plan.finished_ms)
    document = {
        "experiment": experiment.name,
        "revision": experiment.revision,
        "setting": row.key,
        "label": row.label,
        "control_of": control_of.key if control_of is not None else None,
        "baseline": baseline.key if baseline is not None else None,
        "choice_key": row.choice_key,
        "left_out": plan.left_out.get(row.key),
        "chosen_layers": chosen,
        "headline_layer": layer,
        "params": params,
        "parameters": row.parameters,
        "model_fingerprint": row.fingerprint,
        "jobs_done": jobs,
        "snapshots": snapshots,
    }
    return RunRecord(
        setting_id=row.setting_id,
        setting_key=row.key,
        label=row.label,
        params=params,
        tags=tags,
        points=points,
        heatmap=heatmap,
        document=document,
        status=status,
        start_ms=experiment.submitted_ms,
        end_ms=ended,
    )


def _params(row: Row[Any], embeddings: Mapping[str, Any]) -> dict[str, str]:
    """Parameters as text; what a setting does not have is left out."""
    named = {
        "model": row.model, "model_fingerprint": row.fingerprint, "model_revision": row.model_revision,
        "model_family": row.model_family, "model_step": row.model_step, "method": row.method, "target": row.target,
        "selection": row.selection, "direction": row.direction, "edit": row.edit, "side": row.side,
        "k": row.k, "k_fraction": row.k_fraction, "strength": row.strength, "scorer": row.scorer,
        "score_site": row.score_site, "edit_site": row.edit_site, "edit_tokens": row.edit_tokens, "value": row.value,
        "value_from": row.value_from, "values_language": row.parameters.get("values_language"),
        "blocks": row.parameters.get("blocks"), "source": row.parameters.get("source"),
        "fit": row.parameters.get("fit"), "rank": row.parameters.get("rank"), "control": row.control, "seed": row.seed,
        "transform": row.transform,
        "dtype": row.dtype, "attention": row.attention, "pooling": embeddings.get("pooling"),
        "tokens": embeddings.get("tokens"),
    }  # fmt: skip
    return {name: str(value)[:TEXT_LENGTH] for name, value in named.items() if value is not None}


def _listed(keys: Sequence[str]) -> str:
    joined = " ".join(keys)
    return joined if len(joined) <= TEXT_LENGTH else f"{len(keys)}, digest {content_key('snapshots', 1, keys=keys)}"


def status_text(status: str, end_ms: int | None) -> str:
    """How a status is remembered once it is logged."""
    return status if end_ms is None else f"{status} {end_ms}"
