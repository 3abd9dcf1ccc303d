"""Comparisons between experiments, and of the same gain over models: paired item by item, from stored outcomes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from sqlalchemy import Engine

from sprachbund.db.engine import reading
from sprachbund.db.names import find_experiment
from sprachbund.errors import QueryError, known
from sprachbund.files.artifacts import ArtifactStore
from sprachbund.measures import METRICS
from sprachbund.results.contrasts import unplanned
from sprachbund.results.reader import Reader, read_view
from sprachbund.vocabulary import SCOPES

Cell = tuple[str, str]  # setting, layer


@dataclass(frozen=True, slots=True)
class _Arm:
    """A setting of a model in an experiment, at its layer."""

    experiment: str
    model: str
    name: str
    key: str
    baseline: str | None
    target: str | None
    layer: str

    @property
    def cell(self) -> Cell:
        return self.key, self.layer


@dataclass(frozen=True, slots=True, eq=False)
class Across:
    """Rows by corpus and setting.

    Between two experiments: value and layer in the first and the second, `delta` the second minus the first, with
    interval, p and q over the rows (the items alone), and population_low, population_high, population_p (languages and
    items). Over models (`models`): `gains` to the baseline of each of n_models, `delta` their mean; differ_p of the
    gains being all the same; models_low, models_high, models_p over other models like these, from three on.
    """

    experiments: tuple[str, ...]
    models: bool
    metric: str
    role: str
    scope: str
    rows: pl.DataFrame

    def flat(self) -> pl.DataFrame:
        """The rows with lists as text, for a file that has none."""
        lists = [name for name, kind in self.rows.schema.items() if kind == pl.List]
        return self.rows.with_columns(pl.col(name).cast(pl.List(pl.String)).list.join(" ") for name in lists)


def across(
    engine: Engine,
    store: ArtifactStore,
    experiments: Sequence[str],
    *,
    models: bool = False,
    metric: str = "top1",
    layer: str | int | None = None,
    role: str = "test",
    scope: str = "all",
    progress: Any,
) -> Across:
    """Two experiments setting by setting, or the gains of one or several over their models.

    Settings are matched by their labels without the model, and where both experiments have several models by the
    model too. Each stands at the layer chosen for it, else at the last; or at `layer`. Pairs are those all have.
    Raises QueryError where nothing matches, or a name is unknown.
    """
    known("metric", metric, METRICS)
    known("scope", scope, SCOPES)
    if not models and len(set(experiments)) != 2:
        raise QueryError(
            f"expected two different experiments, found {', '.join(experiments)}; one, or more than two, with --models"
        )
    readers = [Reader(engine, each, role, scope) for each in dict.fromkeys(experiments)]
    arms: list[_Arm] = []
    for read in readers:
        with reading(engine) as connection:
            find_experiment(connection, read.experiment)
        known("role", role, read.roles())
        arms += _arms(engine, read, None if layer is None else str(layer))
    corpora = [name for name in readers[0].corpora() if all(name in read.corpora() for read in readers)]
    if not corpora:
        raise QueryError(f"{' and '.join(experiments)} have no corpus of the role {role} in common")
    rows: list[dict[str, Any]] = []
    for corpus in corpora:
        asking = unplanned(
            engine, store, [read.experiment for read in readers], role=role, group=corpus, metric=metric,
            progress=progress,
        )  # fmt: skip
        found = _over_models(asking, arms, scope) if models else _between(asking, arms, readers, scope)
        rows += [{"corpus": corpus, **row} for row in found]
    if not rows:
        names = sorted({arm.name for arm in arms})
        what = "models" if models else "experiments"
        raise QueryError(f"no setting has the same label in two {what}; there are: {', '.join(names[:6])}")
    frame = pl.DataFrame(rows, infer_schema_length=None)
    return Across(tuple(experiments), models, metric, role, scope, frame)


def _arms(engine: Engine, read: Reader, layer: str | None) -> Iterator[_Arm]:
    """The experiment's settings but controls."""
    layers = read.layers()
    if layer is not None:
        known("layer", layer, layers)
    params = {"experiment": read.experiment}
    chosen: dict[str, set[str]] = {}
    for key, at in read_view(
        engine, "chosen_settings", "experiment = :experiment", params, ("choice_key", "layer")
    ).iter_rows():
        chosen.setdefault(key, set()).add(at)
    columns = ("model", "name", "setting_key", "baseline_key", "target", "choice_key")
    where = "experiment = :experiment AND control_of_key IS NULL ORDER BY setting_ordinal"
    for row in read_view(engine, "planned_settings", where, params, columns).iter_rows(named=True):
        picked = chosen.get(row["choice_key"], set())
        at = layer or (next(iter(picked)) if len(picked) == 1 else layers[-1])
        yield _Arm(
            read.experiment, row["model"], row["name"], row["setting_key"], row["baseline_key"], row["target"], at
        )


def _between(asking: Any, arms: Sequence[_Arm], readers: Sequence[Reader], scope: str) -> list[dict[str, Any]]:
    first, second = ([arm for arm in arms if arm.experiment == read.experiment] for read in readers)
    several = any(len({arm.model for arm in each}) > 1 for each in (first, second))
    of_second = {(arm.model if several else None, arm.name): arm for arm in second}
    matched = [
        (arm, of_second[arm.model if several else None, arm.name])
        for arm in first
        if (arm.model if several else None, arm.name) in of_second
    ]
    found = asking.against([(after.cell, before.cell, after.target) for before, after in matched], scope)
    by_cells = {(row["setting"], row["layer"], row["baseline_setting"], row["baseline_layer"]): row for row in found}
    rows = []
    for before, after in matched:
        row = by_cells.get((*after.cell, *before.cell))
        if row is not None:
            rows.append(
                {"setting": before.name, "model": before.model, "other_model": after.model, "layer": before.layer,
                 "other_layer": after.layer, "value": row["baseline"], "other_value": row["value"]}
                | {name: row[name] for name in (*_NUMBERS, "q")}
            )  # fmt: skip
    return rows


_NUMBERS = (
    "delta", "delta_ci_low", "delta_ci_high", "p", "population_low", "population_high", "population_p", "n_pairs",
    "n_items", "n_groups",
)  # fmt: skip


def _over_models(asking: Any, arms: Sequence[_Arm], scope: str) -> list[dict[str, Any]]:
    by_name: dict[str, dict[Cell, _Arm]] = {}
    for arm in arms:
        if arm.baseline is not None:
            by_name.setdefault(arm.name, {}).setdefault(arm.cell, arm)
    rows = []
    for name, cells in by_name.items():
        members = list(cells.values())
        if len(members) < 2:
            continue
        asked = [(arm.cell, (str(arm.baseline), arm.layer), arm.target) for arm in members]
        found = asking.over_models(asked, scope)
        if found is not None:
            who = {"models": [arm.model for arm in members], "layers": [arm.layer for arm in members]}
            rows.append({"setting": name, **who, **found})
    return rows
