"""The Python API: one object over configuration, database, files and runners.

import sprachbund
ws = sprachbund.open()
experiment = ws.submit("experiment.yaml")
ws.run()
frame = ws.results(experiment)
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from sqlalchemy import Engine

from sprachbund import config
from sprachbund.catalogue.plugins import F, Kind, register
from sprachbund.config import Config
from sprachbund.db import revisions
from sprachbund.db.engine import connect
from sprachbund.errors import DatabaseError, WorkspaceError
from sprachbund.files.artifacts import ArtifactStore
from sprachbund.planning import submission
from sprachbund.planning.submission import Submission
from sprachbund.queue import Queue
from sprachbund.spec.experiment import Spec, load, parse

if TYPE_CHECKING:
    import polars as pl

    from sprachbund.mirror import Synced
    from sprachbund.results.comparison import Comparison
    from sprachbund.results.equal_cost import EqualCost
    from sprachbund.results.frames import Some


@dataclass(slots=True)
class Workspace:
    """A workspace that is open. `root` holds sprachbund.toml."""

    config: Config
    engine: Engine
    store: ArtifactStore

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database's connections."""
        self.engine.dispose()

    @property
    def root(self) -> Path:
        return self.config.root

    @property
    def queue(self) -> Queue:
        return Queue(self.engine)

    def register(self, function: F, *, kind: Kind = "scorer", name: str | None = None) -> F:
        """Make a function usable by name in specs submitted, and jobs run, by this process (docs/plugins.md).

        A scorer (positives, negatives) -> one value per unit, or with kind="measure" (x, y) -> one value per item.
        The digest of its source is part of its name and so of every key made from it. Returns the function.
        """
        return register(function, kind=kind, name=name)

    def submit(
        self,
        spec: str | os.PathLike[str] | Mapping[str, Any] | Spec,
        *,
        dry_run: bool = False,
        replace: bool = False,
    ) -> Submission:
        """Plan and queue an experiment: a file's path, a mapping with a file's fields, or a Spec.

        Relative corpus and model paths start at the file's folder, or at the current one for a mapping. Where the name
        has another plan already, raises PlanChanged unless `replace`.
        """
        if isinstance(spec, str | os.PathLike):
            checked, base = load(Path(spec)), Path(spec).resolve().parent
        else:
            checked, base = spec if isinstance(spec, Spec) else parse(dict(spec)), Path.cwd()
        return submission.submit(self.engine, self.store, checked, base, dry_run=dry_run, replace=replace)

    def run(self, *, progress: Any = None, **options: Any) -> Any:
        """Work in this process until the queue is empty; needs the `runner` extra.

        Options: device, max_tokens, watch, max_jobs, keep (see `sprachbund run --help`). Returns what was done.
        """
        try:
            from sprachbund_runners.worker import Options, Worker
        except ModuleNotFoundError as error:
            raise WorkspaceError(
                f"running jobs needs {error.name}: install `sprachbund[runner]` (queueing and querying do not)"
            ) from None
        if progress is None:
            from sprachbund.progress import Silent

            progress = Silent()
        return Worker(self.engine, self.store, progress, Options(**{"keep": self.config.keep, **options})).run()

    def results(
        self,
        experiment: str | Submission,
        kind: Literal["retrieval", "alignment"] = "retrieval",
        *,
        metrics: "Some" = None,
        layers: "Some" = None,
        settings: "Some" = None,
    ) -> "pl.DataFrame":
        """Retrieval (or distance) numbers of an experiment, as a Polars frame with the view's columns.

        metrics, layers, settings (labels, or starts of keys): this one, or these, alone; default: all. Of a large
        experiment ask for some, or `scan`.
        """
        found = self.scan(experiment, kind, metrics=metrics, layers=layers, settings=settings)
        return found.collect()

    def scan(
        self,
        experiment: str | Submission,
        kind: Literal["retrieval", "alignment"] = "retrieval",
        *,
        metrics: "Some" = None,
        layers: "Some" = None,
        settings: "Some" = None,
    ) -> "pl.LazyFrame":
        """As `results`, but read when it is collected or written (`sink_parquet`), some settings at a time."""
        from sprachbund.results.frames import frames

        name = experiment if isinstance(experiment, str) else experiment.experiment
        return frames(self.engine, name, kind, metrics=metrics, layers=layers, settings=settings).scan()

    def compare(self, experiment: str | Submission, **options: Any) -> "Comparison":
        """Settings against their baselines and controls (see `sprachbund compare --help`)."""
        from sprachbund.results import comparison

        name = experiment if isinstance(experiment, str) else experiment.experiment
        return comparison.compare(self.engine, name, store=self.store, **options)

    def equal_cost(self, experiment: str | Submission, at: str, **options: Any) -> "EqualCost":
        """The gain of every sweep at a cost, such as `bits_per_byte=1.5`; options as for `compare`."""
        from sprachbund.results import equal_cost

        found = self.compare(experiment, **options)
        return equal_cost.equal_cost(self.engine, self.store, found, *equal_cost.parse_cost(at))

    def sync(self, experiment: str | None = None) -> "Synced":
        """Bring the MLflow mirror up to date with the database (needs the `mlflow` extra)."""
        from sprachbund import mirror

        return mirror.sync(self.engine, self.config, experiment)

    def query(self, sql: str, limit_s: float = 30, params: Mapping[str, Any] | None = None) -> "pl.DataFrame":
        """A read-only query over tables and views; `:name` in it stands for a value of `params`."""
        from sprachbund.results import query

        return query.run(self.engine, sql, params, limit_s=limit_s)


def init(folder: str | os.PathLike[str] = ".") -> Workspace:
    """Make a workspace in `folder`: configuration, database at head, artifact folder. Twice is harmless."""
    root = Path(folder).resolve()
    try:
        root.mkdir(parents=True, exist_ok=True)
        path = root / config.FILE
        if not path.exists():
            path.write_text(config.TEMPLATE, encoding="utf-8")
    except OSError as error:
        raise WorkspaceError(f"{root}: cannot make a workspace here: {error.strerror}") from None
    found = config.read(root)
    from sprachbund.db import migrate

    engine = connect(found.database_url, create=True)
    migrate.upgrade(engine)
    engine.dispose()
    if "://" not in found.artifacts_url:
        Path(found.artifacts_url).mkdir(parents=True, exist_ok=True)
    return open(root)


def open(folder: str | os.PathLike[str] | None = None, *, check: bool = True) -> Workspace:
    """The workspace of `folder` (default: the current one, or the nearest above it).

    Raises WorkspaceError where there is none, DatabaseError where the database is gone or at another revision.
    """
    root = config.find(Path(folder) if folder is not None else Path.cwd())
    found = config.read(root)
    if found.database_url.removesuffix("/") == found.mlflow_tracking_uri.removesuffix("/"):
        raise DatabaseError(f"{root / config.FILE}: MLflow needs a database of its own, not [database] url")
    engine = connect(found.database_url)
    if check:
        revisions.require_current(engine)
    return Workspace(found, engine, ArtifactStore(found.artifacts_url))
