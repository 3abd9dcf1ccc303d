"""Experiments and their settings by the names that people type."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from sprachbund.db import tables as t
from sprachbund.errors import QueryError, known, nearest

# Fewer digits of a key name it by accident.
DIGITS = 4


@dataclass(frozen=True, slots=True)
class NamedSetting:
    """A setting: its id and key, and its label where it was looked up."""

    id: int
    key: str
    label: str


def experiment_ids(connection: Connection) -> dict[str, int]:
    """Ids of all experiments by name, the oldest first."""
    rows = connection.execute(select(t.Experiment.name, t.Experiment.id).order_by(t.Experiment.id))
    return {row.name: row.id for row in rows}


def find_experiment(connection: Connection, name: str) -> int:
    """The experiment's id. Raises QueryError with the nearest name if there is none."""
    ids = experiment_ids(connection)
    if not ids:
        raise QueryError(f"unknown experiment '{name}': none was submitted yet")
    known("experiment", name, ids)
    return ids[name]


def find_setting(connection: Connection, name: str, experiment: str | None = None) -> NamedSetting:
    """The setting with this label or start of a key (at least `DIGITS` digits), in one experiment or in all.

    Raises QueryError if there is none, or if the name could be several settings.
    """
    statement = (
        select(t.ExperimentSetting.label, t.Setting.id, t.Setting.key, t.Experiment.name)
        .join(t.Setting, t.Setting.id == t.ExperimentSetting.setting_id)
        .join(t.Experiment, t.Experiment.id == t.ExperimentSetting.experiment_id)
        .order_by(t.Experiment.name, t.ExperimentSetting.ordinal)
    )
    if experiment is not None:
        statement = statement.where(t.Experiment.id == find_experiment(connection, experiment))
    rows = connection.execute(statement).all()
    fitting = [row for row in rows if row.label == name]
    if not fitting and len(name) >= DIGITS:
        fitting = [row for row in rows if row.key.startswith(name)]
    by_key = {row.key: row for row in fitting}
    if len(by_key) == 1:
        return NamedSetting(fitting[0].id, fitting[0].key, fitting[0].label)
    if by_key:
        several = ", ".join(f"{key[:10]} ('{row.label}' of {row.name})" for key, row in list(by_key.items())[:4])
        narrower = "name the experiment, or give more of the key" if experiment is None else "give more of the key"
        raise QueryError(f"setting '{name}' could be {several}: {narrower}")
    where, listed = ("", "") if experiment is None else (
        f" of experiment '{experiment}'", f"; see `sprachbund show {experiment}`"
    )  # fmt: skip
    raise QueryError(f"unknown setting '{name}'{where}{nearest(name, [row.label for row in rows]) or listed}")


def find_baseline(connection: Connection, setting: NamedSetting, experiment: str) -> NamedSetting | None:
    """What the setting is compared with in the experiment; None for a setting that is a baseline itself."""
    planned = connection.execute(
        select(t.ExperimentSetting.experiment_id, t.ExperimentSetting.baseline_id).where(
            t.ExperimentSetting.setting_id == setting.id,
            t.ExperimentSetting.experiment_id == find_experiment(connection, experiment),
        )
    ).one()
    row = connection.execute(
        select(t.Setting.id, t.Setting.key, t.ExperimentSetting.label)
        .join(t.Setting, t.Setting.id == t.ExperimentSetting.setting_id)
        .where(
            t.ExperimentSetting.experiment_id == planned.experiment_id,
            t.ExperimentSetting.setting_id == planned.baseline_id,
        )
    ).one_or_none()
    return None if row is None else NamedSetting(row.id, row.key, row.label)
