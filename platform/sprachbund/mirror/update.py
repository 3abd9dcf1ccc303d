"""Bringing MLflow up to date from the database, run by run."""

import json
import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Engine, select

from sprachbund.config import Config
from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.db.names import experiment_ids, find_experiment
from sprachbund.errors import LeaseLost
from sprachbund.measures import METRICS
from sprachbund.mirror.backend import Backend, FoundRun
from sprachbund.mirror.describe import status_text
from sprachbund.mirror.leases import Leases, Row
from sprachbund.mirror.reading import read, status
from sprachbund.mirror.records import Heatmap, Point, RunRecord, new_points
from sprachbund.progress import Silent
from sprachbund.report import charts
from sprachbund.work.keys import content_key

SETTING_FILE = "setting.json"
HEATMAP_FILE = "retrieval.png"


class Progress(Protocol):
    """Something that shows how far long work is (see sprachbund.progress)."""

    def start(self, label: str, total: int) -> Callable[[int], None]: ...


@dataclass(slots=True)
class Synced:
    """What a sync did. `elsewhere`: runs that another sync is busy with; `points`: metric values appended."""

    experiments: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    retired: int = 0
    points: int = 0
    elsewhere: int = 0


def sync(engine: Engine, config: Config, experiment: str | None = None, progress: Progress | None = None) -> Synced:
    """Bring the MLflow runs of one experiment, or of all, up to date; returns what was done.

    Only what is new is appended; a run that was deleted in MLflow is made again. Whatever stops it (MLflow away,
    Ctrl-C, a crash), the next call goes on from there.

    Raises:
        QueryError: there is no such experiment.
        WorkspaceError: mlflow is not installed, or its store cannot be reached.
    """
    with reading(engine) as connection:
        if experiment is None:
            ids = experiment_ids(connection)
        else:
            ids = {experiment: find_experiment(connection, experiment)}
    tally = Synced()
    if not ids:
        return tally
    backend = Backend.connect(config)
    leases = Leases(engine)
    for name, experiment_id in ids.items():
        with tempfile.TemporaryDirectory(prefix="sprachbund-") as folder:
            _Mirrored(backend, leases, name, experiment_id, Path(folder), tally).run(progress or Silent())
        tally.experiments += 1
    return tally


@dataclass(slots=True)
class _Mirrored:
    """One experiment on its way to MLflow."""

    backend: Backend
    leases: Leases
    name: str
    experiment_id: int
    folder: Path
    tally: Synced
    mlflow_id: str = ""
    found: dict[str, FoundRun] = field(default_factory=dict)

    def run(self, progress: Progress) -> None:
        self.leases.add_missing(self.experiment_id)
        try:
            # Claimed before looking what MLflow has: nobody else makes these runs from here on.
            claimed = self.leases.claim(self.experiment_id)
            self.mlflow_id = self.backend.experiment(self.name)
            self.found = {run.run_id: run for run in self.backend.runs(self.mlflow_id, self.name)}
            claimed |= self.leases.claim_also(self.experiment_id, self._outdated() - claimed.keys())
            self._bring_up(claimed, progress)
            self._retire_others()
        except LeaseLost as lost:
            # Whoever took the rows over brings them up to date.
            logging.getLogger(__name__).info("experiment %s: %s", self.name, lost)
        finally:
            self.leases.give_back(self.experiment_id)
        self.tally.elsewhere += self.leases.elsewhere(self.experiment_id)

    def _outdated(self) -> set[int]:
        """Settings whose run is gone from MLflow or has another status than the experiment's jobs.

        (Jobs that fail, and experiments that are cancelled, mark no run as behind.)
        """
        with reading(self.leases.engine) as connection:
            now = status(connection, self.experiment_id)
            rows = connection.execute(
                select(t.MlflowRun.setting_id, t.MlflowRun.run_id, t.MlflowRun.logged["status"].as_string()).where(
                    t.MlflowRun.experiment_id == self.experiment_id, t.MlflowRun.run_id.is_not(None)
                )
            ).all()
        return {setting_id for setting_id, run_id, logged in rows if run_id not in self.found or logged != now}

    def _bring_up(self, claimed: Mapping[int, Row], progress: Progress) -> None:
        if not claimed:
            return
        with reading(self.leases.engine) as connection:
            records = read(connection, self.experiment_id, list(claimed))
        step = progress.start(f"MLflow: {self.name}", len(claimed))
        unchanged: list[int] = []
        for record in records:
            row = claimed[record.setting_id]
            run_id, logged = self._known(row, record)
            update = _Update.between(record, logged)
            if run_id is not None and update.empty:
                unchanged.append(record.setting_id)
            else:
                if run_id is None:
                    run_id = self.backend.create(self.mlflow_id, record.label, record.tags, record.start_ms)
                    self.tally.created += 1
                    self._log(run_id, record, update, {})
                else:
                    self.tally.updated += 1
                    self._log(run_id, record, update, update.tags)
                self.leases.record(self.experiment_id, record.setting_id, run_id, update.after(logged))
                self.tally.points += len(update.points)
            step(1)
        self.leases.unchanged(self.experiment_id, unchanged)
        self.tally.unchanged += len(unchanged)
        for setting_id in claimed.keys() - {record.setting_id for record in records}:
            self.leases.forget(self.experiment_id, setting_id)
            step(1)

    def _known(self, row: Row, record: RunRecord) -> tuple[str | None, Mapping[str, Any]]:
        """The run that mirrors a setting and what is known to be logged in it; None if one has to be made.

        Parameters cannot be changed in MLflow. Where one differs (the experiment was submitted again with another
        pooling, say), the numbers mean something else and get a run of their own.
        """
        fitting = [
            run
            for run in self.found.values()
            if run.setting_key == record.setting_key
            and all(run.params.get(name, value) == value for name, value in record.params.items())
        ]
        kept = next((run for run in fitting if run.run_id == row.run_id), next(iter(fitting), None))
        if kept is None:
            return None, {}
        # A run that a sync made and could not record any more is logged anew: to MLflow they are the same points.
        return kept.run_id, row.logged if kept.run_id == row.run_id else {}

    def _retire_others(self) -> None:
        """Mark runs that mirror no setting of the plan (any more); they stay in MLflow for whoever wants to look."""
        with reading(self.leases.engine) as connection:
            rows = connection.execute(
                select(t.MlflowRun.run_id, t.MlflowRun.lease_owner).where(
                    t.MlflowRun.experiment_id == self.experiment_id
                )
            ).all()
        if any(row.lease_owner is not None for row in rows):
            # Another sync may have made a run that it has not recorded yet.
            return
        current = {row.run_id for row in rows}
        for run in self.found.values():
            if run.planned and run.run_id not in current:
                self.backend.log(run.run_id, {}, {"sprachbund.planned": "no"}, [])
                self.tally.retired += 1

    def _log(self, run_id: str, record: RunRecord, update: "_Update", tags: Mapping[str, str]) -> None:
        if update.params or tags or update.points:
            self.backend.log(run_id, update.params, tags, update.points)
        if SETTING_FILE in update.files:
            path = self.folder / SETTING_FILE
            path.write_text(_document(record), encoding="utf-8")
            self.backend.log_file(run_id, path)
        if HEATMAP_FILE in update.files and record.heatmap is not None:
            path = self.folder / HEATMAP_FILE
            draw(record.heatmap, path)
            self.backend.log_file(run_id, path)
        if update.status is not None:
            self.backend.set_status(run_id, record.status, record.end_ms)


@dataclass(frozen=True, slots=True)
class _Update:
    """What a run lacks."""

    params: Mapping[str, str]
    tags: Mapping[str, str]
    points: Sequence[Point]
    files: Mapping[str, str]
    status: str | None

    @classmethod
    def between(cls, record: RunRecord, logged: Mapping[str, Any]) -> "_Update":
        files = {SETTING_FILE: content_key("setting document", 1, text=_document(record))}
        if record.heatmap is not None:
            files[HEATMAP_FILE] = content_key("heatmap", 1, **asdict(record.heatmap))
        status = status_text(record.status, record.end_ms)
        return cls(
            params={name: value for name, value in record.params.items() if name not in logged.get("params", {})},
            tags=_changed(record.tags, logged.get("tags", {})),
            points=new_points(record.points, logged.get("metrics", {})),
            files=_changed(files, logged.get("files", {})),
            status=status if status != logged.get("status") else None,
        )

    @property
    def empty(self) -> bool:
        return not (self.params or self.tags or self.points or self.files or self.status)

    def after(self, logged: Mapping[str, Any]) -> dict[str, Any]:
        """What is logged once this update is."""
        metrics = {name: dict(steps) for name, steps in logged.get("metrics", {}).items()}
        for point in self.points:
            metrics.setdefault(point.name, {})[str(point.step)] = point.value
        return {
            "params": {**logged.get("params", {}), **self.params},
            "tags": {**logged.get("tags", {}), **self.tags},
            "metrics": metrics,
            "files": {**logged.get("files", {}), **self.files},
            "status": self.status or logged.get("status"),
        }


def _changed(wanted: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in wanted.items() if known.get(name) != value}


def draw(heatmap: Heatmap, path: Path) -> None:
    """Write the retrieval of one setting as a picture."""
    metric = METRICS[heatmap.metric]
    title = f"{metric.name}: {heatmap.setting}, layer {heatmap.layer}"
    grid = charts.heat_map(
        heatmap.languages, heatmap.languages, heatmap.values, low=metric.low, high=metric.high, title=title
    )
    charts.save(grid, path, dpi=120)


def _document(record: RunRecord) -> str:
    return json.dumps(record.document, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
