"""Which runs are behind, and whose turn it is to bring them up to date.

A claim clears `dirty` at once and leaves a lease: a job that finishes meanwhile sets `dirty` again, which stays; a
sync that dies leaves a lease that runs out, and its rows are claimed anew.
"""

import socket
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Engine, and_, delete, exists, func, insert, not_, or_, select, update

from sprachbund.db import tables as t
from sprachbund.db.engine import now_ms, reading, writing
from sprachbund.errors import LeaseLost

LEASE_MS = 120_000


@dataclass(frozen=True, slots=True)
class Row:
    """A run's state as it was claimed."""

    setting_id: int
    run_id: str | None
    logged: Mapping[str, Any]


def _owner() -> str:
    return f"{socket.gethostname()[:40]}-{uuid.uuid4().hex[:16]}"


@dataclass(slots=True)
class Leases:
    """The claims of one sync."""

    engine: Engine
    lease_ms: int = LEASE_MS
    owner: str = field(default_factory=_owner)

    def add_missing(self, experiment_id: int) -> None:
        """A row for each planned setting that has none."""
        behind = select(t.ExperimentSetting.setting_id).where(
            t.ExperimentSetting.experiment_id == experiment_id,
            not_(
                exists().where(
                    t.MlflowRun.experiment_id == experiment_id,
                    t.MlflowRun.setting_id == t.ExperimentSetting.setting_id,
                )
            ),
        )
        with reading(self.engine) as connection:
            if connection.execute(behind.limit(1)).first() is None:
                return
        with writing(self.engine) as connection:
            rows = [
                {"experiment_id": experiment_id, "setting_id": setting_id, "dirty": True, "logged": {}}
                for setting_id in connection.execute(behind).scalars()
            ]
            if rows:
                connection.execute(insert(t.MlflowRun), rows)

    def claim(self, experiment_id: int) -> dict[int, Row]:
        """Rows that are behind, no longer planned, or left by a sync that died, by setting."""
        planned = exists().where(
            t.ExperimentSetting.experiment_id == t.MlflowRun.experiment_id,
            t.ExperimentSetting.setting_id == t.MlflowRun.setting_id,
        )
        behind = or_(t.MlflowRun.dirty, t.MlflowRun.lease_owner.is_not(None), not_(planned))
        return self._claim(experiment_id, behind)

    def claim_also(self, experiment_id: int, setting_ids: Collection[int]) -> dict[int, Row]:
        """These rows too, though they are up to date as far as the database knows."""
        return self._claim(experiment_id, t.MlflowRun.setting_id.in_(setting_ids))

    def _claim(self, experiment_id: int, which: ColumnElement[bool]) -> dict[int, Row]:
        with writing(self.engine) as connection:
            # Finishing jobs share this row: none can slip between its look at `dirty` and its commit.
            experiment = select(t.Experiment.id).where(t.Experiment.id == experiment_id)
            connection.execute(experiment.with_for_update())
            now = int(connection.execute(select(now_ms(connection))).scalar_one())
            rows = connection.execute(
                update(t.MlflowRun)
                .where(
                    t.MlflowRun.experiment_id == experiment_id,
                    or_(t.MlflowRun.lease_expires_ms.is_(None), t.MlflowRun.lease_expires_ms < now),
                    which,
                )
                .values(dirty=False, lease_owner=self.owner, lease_expires_ms=now + self.lease_ms)
                .returning(t.MlflowRun.setting_id, t.MlflowRun.run_id, t.MlflowRun.logged)
            ).all()
        return {row.setting_id: Row(row.setting_id, row.run_id, row.logged) for row in rows}

    def record(self, experiment_id: int, setting_id: int, run_id: str, logged: Mapping[str, Any]) -> None:
        """Note what a run holds now, end its lease, and renew those that remain.

        Raises:
            LeaseLost: another sync took the row over.
        """
        with writing(self.engine) as connection:
            done = connection.execute(
                update(t.MlflowRun)
                .where(self._mine(experiment_id), t.MlflowRun.setting_id == setting_id)
                .values(run_id=run_id, logged=dict(logged), lease_owner=None, lease_expires_ms=None)
            ).rowcount
            if done != 1:
                raise LeaseLost("another sync took over this experiment's runs: it goes on, this one stops")
            connection.execute(
                update(t.MlflowRun)
                .where(self._mine(experiment_id))
                .values(lease_expires_ms=now_ms(connection) + self.lease_ms)
            )

    def unchanged(self, experiment_id: int, setting_ids: Collection[int]) -> None:
        """End the leases of runs that held everything already."""
        if not setting_ids:
            return
        with writing(self.engine) as connection:
            connection.execute(
                update(t.MlflowRun)
                .where(self._mine(experiment_id), t.MlflowRun.setting_id.in_(setting_ids))
                .values(lease_owner=None, lease_expires_ms=None)
            )

    def forget(self, experiment_id: int, setting_id: int) -> None:
        """Drop the row of a setting that is no longer planned, unless a submission planned it again meanwhile."""
        with writing(self.engine) as connection:
            connection.execute(
                delete(t.MlflowRun).where(
                    self._mine(experiment_id), t.MlflowRun.setting_id == setting_id, not_(t.MlflowRun.dirty)
                )
            )

    def give_back(self, experiment_id: int) -> None:
        """Whatever is still claimed is behind again."""
        with writing(self.engine) as connection:
            connection.execute(
                update(t.MlflowRun)
                .where(self._mine(experiment_id))
                .values(dirty=True, lease_owner=None, lease_expires_ms=None)
            )

    def elsewhere(self, experiment_id: int) -> int:
        """How many of an experiment's rows another sync is busy with."""
        with reading(self.engine) as connection:
            return int(
                connection.execute(
                    select(func.count()).where(
                        t.MlflowRun.experiment_id == experiment_id,
                        t.MlflowRun.lease_owner.is_not(None),
                        t.MlflowRun.lease_owner != self.owner,
                    )
                ).scalar_one()
            )

    def _mine(self, experiment_id: int) -> ColumnElement[bool]:
        return and_(t.MlflowRun.experiment_id == experiment_id, t.MlflowRun.lease_owner == self.owner)
