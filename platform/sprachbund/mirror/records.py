"""What an MLflow run should hold, and how its metrics are called."""

import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Headline metrics per run, over all roles and corpora: MLflow's pages get slow with many names.
MOST_HEADLINES = 50
# Earlier ones are kept where the names of all would be too many.
METRIC_ORDER = (
    "top1",
    "mrr",
    "distance_gap",
    "meaning_abx",
    "paired_distance",
    "unpaired_distance",
    "language_abx",
    "centroid_distance",
    "spread",
    "all_pairs_distance",
    "to_target",
    "to_medoid",
    "to_medoid_of_others",
    "to_frozen_medoid",
    "within_distance",
    "top5",
    "top10",
)
HEADLINE_STEP = 0
# A mean that the database and numpy sum in another order is the same number.
SAME = 1e-9

Group = tuple[str, str]  # role, and the corpus' or its collection's name


@dataclass(frozen=True, slots=True)
class LoggedValue:
    """One metric value; `at_ms` is when the job that found it finished, so that logging it twice is once."""

    name: str
    step: int
    value: float
    at_ms: int


@dataclass(frozen=True, slots=True)
class Value:
    """A macro mean over language pairs (or languages), and what a comparison says of it."""

    value: float
    at_ms: int
    delta: float | None = None
    q: float | None = None
    control_p: float | None = None
    # Over other languages and items like these.
    population_low: float | None = None
    population_high: float | None = None
    population_p: float | None = None
    # Where it was chosen, against what was chosen of the baseline.
    best_delta: float | None = None
    best_q: float | None = None
    best_population_p: float | None = None


@dataclass(frozen=True, slots=True)
class Heatmap:
    """One retrieval metric per ordered language pair: `values[query][candidate]`, None where there is none."""

    setting: str
    layer: str
    metric: str
    languages: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """Everything one run should hold now. `document` becomes setting.json."""

    setting_id: int
    setting_key: str
    label: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    points: tuple[LoggedValue, ...]
    heatmap: Heatmap | None
    document: Mapping[str, Any]
    status: str
    start_ms: int
    end_ms: int | None


def layer_step(layer: str, n_blocks: int) -> int:
    """The step of a layer's points: its block, and one more than the last block for `final`."""
    return n_blocks + 1 if layer == "final" else int(layer)


def metric_part(name: str) -> str:
    """`name` as a part of a metric's name: MLflow allows letters, digits, `_-. :`, and slashes set apart parts.

    A changed name gets a piece of its digest, so that two corpora never share a metric.
    """
    clean = re.sub(r"[^\w.\- :]", "_", name)[:100]
    if clean == name and name.strip("."):
        return name
    return f"{clean}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


_TESTED = ("delta", "q", "control_p")
# Of the metric that leads.
BEYOND = ("population_low", "population_high", "population_p", "best_delta", "best_q", "best_population_p")


def headline_kinds(compared: Iterable[str], n_groups: int) -> tuple[tuple[str, str], ...]:
    """(metric, kind) pairs that each role and corpus may have as headlines; kinds are fields of `Value`.

    The first metric that is compared has them all, the others value, delta, q and control_p.

    Depends on the plan only (which metrics are compared, how many role × corpus groups there are), never on what
    is known so far: a name that was logged once goes on being logged.
    """
    inside = set(compared)
    wanted: list[tuple[str, str]] = []
    for metric in (*METRIC_ORDER, *sorted(inside.difference(METRIC_ORDER))):
        wanted.append((metric, "value"))
        if metric in inside:
            first = not any(kind == "delta" for _, kind in wanted)
            wanted += [(metric, kind) for kind in (_TESTED + BEYOND if first else _TESTED)]
    return tuple(wanted[: max(1, MOST_HEADLINES // max(1, n_groups))])


def headline_name(role: str, corpus: str, metric: str, kind: str) -> str:
    """`test/phrasebook/top1`, and `test/phrasebook/top1_delta` for another kind."""
    return f"{role}/{metric_part(corpus)}/{metric}" + ("" if kind == "value" else f"_{kind}")


def curve_name(role: str, corpus: str, metric: str) -> str:
    """The name of a metric's curve over layers: `layers/test/phrasebook/top1`."""
    return f"layers/{role}/{metric_part(corpus)}/{metric}"


def points_of(
    values: Mapping[tuple[str, str], Mapping[str, Mapping[str, Value]]],
    kinds: Sequence[tuple[str, str]],
    *,
    n_blocks: int,
    layer: str | None,
    since_ms: int,
) -> tuple[LoggedValue, ...]:
    """Curves and headlines of one run.

    values: (role, corpus) → metric → layer → Value. layer: the headlines' layer; without one there are none.
    since_ms: headlines are no older than this (a new choice or submission may move
    them to another layer, an adjustment gives other q-values, and MLflow shows the latest). What is not finite is
    left out.
    """
    found: list[LoggedValue] = []
    for (role, corpus), metrics in values.items():
        wanted = {metric for metric, kind in kinds if kind == "value"}
        for metric in wanted & metrics.keys():
            name = curve_name(role, corpus, metric)
            found += [
                LoggedValue(name, layer_step(each, n_blocks), known.value, known.at_ms)
                for each, known in metrics[metric].items()
            ]
        for metric, kind in kinds:
            known_here = None if layer is None else metrics.get(metric, {}).get(layer)
            value = None if known_here is None else getattr(known_here, kind)
            if known_here is not None and value is not None:
                name = headline_name(role, corpus, metric, kind)
                found.append(LoggedValue(name, HEADLINE_STEP, value, max(known_here.at_ms, since_ms)))
    return tuple(sorted((each for each in found if math.isfinite(each.value)), key=lambda each: (each.name, each.step)))


def new_points(points: Iterable[LoggedValue], logged: Mapping[str, Mapping[str, float]]) -> list[LoggedValue]:
    """Those of `points` that differ from what was logged (name → step → value)."""
    found = []
    for point in points:
        before = logged.get(point.name, {}).get(str(point.step))
        if before is None or not math.isclose(before, point.value, rel_tol=SAME, abs_tol=1e-12):
            found.append(point)
    return found
