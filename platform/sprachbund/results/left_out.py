"""Rows that a comparison goes without, and why: what failed on the way to their evaluations."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select, text

from sprachbund.db import tables as t
from sprachbund.db.dead import dead_jobs

_PLANNED = "experiment_jobs AS link JOIN jobs AS job ON job.id = link.job_id"
# From what failed downwards, through jobs that wait for it in vain, to the comparisons that do not wait; and
# comparisons that failed themselves.
_LEFT_OUT = text(f"""
    WITH RECURSIVE {dead_jobs(_PLANNED, "link.experiment_id = :experiment", causes=True)}
    SELECT need.payload ->> 'setting' AS setting, comparison.payload ->> 'role' AS role, MIN(dead.cause) AS cause,
        1 AS lost
    FROM dead
        JOIN job_edges AS edge ON edge.needs_id = dead.id AND edge.soft
        JOIN jobs AS need ON need.id = dead.id
        JOIN jobs AS comparison ON comparison.id = edge.job_id AND comparison.kind = 'comparison'
        JOIN experiment_jobs AS link ON link.job_id = comparison.id AND link.experiment_id = :experiment
    GROUP BY need.payload ->> 'setting', comparison.payload ->> 'role'
    UNION ALL
    SELECT comparison.payload -> 'settings' -> 0 ->> 'setting', comparison.payload ->> 'role', MIN(dead.cause), 0
    FROM dead JOIN jobs AS comparison ON comparison.id = dead.id AND comparison.kind = 'comparison'
    GROUP BY comparison.payload -> 'settings' -> 0 ->> 'setting', comparison.payload ->> 'role'
""").bindparams(bindparam("experiment"))  # noqa: S608 - fixed parts


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A setting that has no row in the comparisons of a role."""

    setting_key: str
    label: str
    role: str
    reason: str

    @property
    def line(self) -> str:
        return f"row '{self.label}' left out: {self.reason}"


def left_out(connection: Connection, experiment_id: int, role: str | None = None) -> list[LeftOut]:
    """Rows left out of an experiment's comparisons (of one role), with those whose baseline is, in its order."""
    rows = connection.execute(_LEFT_OUT, {"experiment": experiment_id}).all()
    failed = {(row.setting, row.role): row.cause for row in rows}
    # Others need a baseline's evaluations, not its row.
    lost = {(row.setting, row.role) for row in rows if row.lost}
    if not failed:
        return []
    reasons = _reasons(connection, failed.values())
    planned = t.ExperimentSetting
    settings = connection.execute(
        select(planned.setting_id, planned.baseline_id, planned.control_of_id, planned.label, t.Setting.key)
        .join(t.Setting, t.Setting.id == t.ExperimentSetting.setting_id)
        .where(t.ExperimentSetting.experiment_id == experiment_id)
        .order_by(t.ExperimentSetting.ordinal)
    ).all()
    named = {row.setting_id: row for row in settings}
    found = []
    for of_role in sorted({each for _, each in failed if role in (None, each)}):
        for row in settings:
            baseline = named.get(row.baseline_id)
            if (row.key, of_role) in failed:
                found.append(LeftOut(row.key, row.label, of_role, reasons[failed[row.key, of_role]]))
            # Controls are out with the row they stand beside.
            elif baseline is not None and row.control_of_id is None and (baseline.key, of_role) in lost:
                found.append(LeftOut(row.key, row.label, of_role, f"so is its baseline, '{baseline.label}'"))
    return found


def _reasons(connection: Connection, jobs: Iterable[int]) -> dict[int, str]:
    rows = connection.execute(
        select(t.Job.id, t.Job.label, t.Job.state, t.Job.error).where(t.Job.id.in_(sorted(set(jobs))))
    )
    return {
        row.id: f"job {row.id} ({row.label}) {'was cancelled' if row.state == 'cancelled' else f'failed: {row.error}'}"
        for row in rows
    }
