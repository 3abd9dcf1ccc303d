"""MLflow behind a few calls, its failures in one line. The only place that imports mlflow, and lazily."""

import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from sqlalchemy import create_engine, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from sprachbund.config import Config, hide_password
from sprachbund.errors import WorkspaceError
from sprachbund.mirror.records import LoggedValue

# Opens the experiment in the training view, not in the one for language-model applications.
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development", "sprachbund.mirror": "1"}
METRICS_PER_CALL = 1000
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Seven helper processes of the server that nobody here needs.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    # MLflow would try for many minutes; a later sync catches up anyway.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
}
SQL_BACKENDS = ("sqlite", "postgresql", "mysql", "mssql")


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run that MLflow has."""

    run_id: str
    setting_key: str
    params: Mapping[str, str]
    planned: bool


def prepare_environment() -> None:
    """Set what MLflow reads at import, where the user has not set it."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


@dataclass(slots=True)
class Backend:
    """A connection to the tracking store of a workspace."""

    uri: str
    artifacts: Path | None
    client: Any

    @classmethod
    def connect(cls, config: Config) -> "Backend":
        """Raises WorkspaceError where mlflow is not installed or its store cannot be reached."""
        prepare_environment()
        uri = config.mlflow_tracking_uri
        local = is_database(uri)
        if local:
            _probe(uri)
        with warnings.catch_warnings():
            # Deprecations between MLflow and the libraries it uses are not ours to mend.
            warnings.simplefilter("ignore")
            try:
                from mlflow import MlflowClient
            except ModuleNotFoundError as error:
                raise WorkspaceError(f"the MLflow mirror needs {error.name}: install `sprachbund[mlflow]`") from None
            with _translated(uri):
                client = MlflowClient(tracking_uri=uri)
                client.search_experiments(max_results=1)
        return cls(uri, artifacts_folder(config) if local else None, client)

    def experiment(self, name: str) -> str:
        """The id of the MLflow experiment of this name, made (or restored) if need be."""
        from mlflow.exceptions import MlflowException

        with _translated(self.uri):
            found = self.client.get_experiment_by_name(name)
            if found is None:
                location = None if self.artifacts is None else (self.artifacts / name).as_uri()
                try:
                    return str(self.client.create_experiment(name, artifact_location=location, tags=EXPERIMENT_TAGS))
                except MlflowException as error:
                    if error.error_code != "RESOURCE_ALREADY_EXISTS":
                        raise
                    # Another sync was faster.
                    found = self.client.get_experiment_by_name(name)
            if found.lifecycle_stage != "active":
                self.client.restore_experiment(found.experiment_id)
            for tag, value in EXPERIMENT_TAGS.items():
                if tag not in found.tags:
                    self.client.set_experiment_tag(found.experiment_id, tag, value)
            return str(found.experiment_id)

    def runs(self, experiment_id: str, name: str) -> list[FoundRun]:
        """The runs of an experiment that the mirror made and nobody deleted, oldest first."""
        found: list[FoundRun] = []
        token = None
        while True:
            with _translated(self.uri):
                page = self.client.search_runs(
                    [experiment_id],
                    filter_string=f"tags.`sprachbund.experiment` = '{name}'",
                    order_by=["attributes.start_time ASC"],
                    max_results=1000,
                    page_token=token,
                )
            found += [
                FoundRun(
                    run.info.run_id,
                    run.data.tags.get("sprachbund.setting", ""),
                    run.data.params,
                    run.data.tags.get("sprachbund.planned") == "yes",
                )
                for run in page
            ]
            token = page.token
            if not token:
                return found

    def create(self, experiment_id: str, label: str, tags: Mapping[str, str], start_ms: int) -> str:
        """A new run; its tags are there from the start, so that it is found even if nothing else was recorded."""
        with _translated(self.uri):
            run = self.client.create_run(experiment_id, start_time=start_ms, tags=dict(tags), run_name=label)
        return str(run.info.run_id)

    def log(
        self, run_id: str, params: Mapping[str, str], tags: Mapping[str, str], points: Sequence[LoggedValue]
    ) -> None:
        """Append to a run in as few calls as MLflow's limits allow."""
        from mlflow.entities import Metric, Param, RunTag

        metrics = [Metric(point.name, point.value, point.at_ms, point.step) for point in points]
        first = METRICS_PER_CALL - len(params) - len(tags)
        batches = [metrics[:first]]
        batches += [metrics[start : start + METRICS_PER_CALL] for start in range(first, len(metrics), METRICS_PER_CALL)]
        with _translated(self.uri):
            for number, batch in enumerate(batches):
                self.client.log_batch(
                    run_id,
                    metrics=batch,
                    params=[Param(*item) for item in params.items()] if number == 0 else [],
                    tags=[RunTag(*item) for item in tags.items()] if number == 0 else [],
                )

    def set_status(self, run_id: str, status: str, end_ms: int | None) -> None:
        """RUNNING, or one of the ends with its time."""
        with _translated(self.uri):
            if end_ms is None:
                self.client.update_run(run_id, status=status)
            else:
                self.client.set_terminated(run_id, status=status, end_time=end_ms)

    def log_file(self, run_id: str, path: Path) -> None:
        """Store a file with a run, under its own name; it replaces an older one."""
        with _translated(self.uri):
            self.client.log_artifact(run_id, str(path))


def is_database(uri: str) -> bool:
    """Whether a tracking URI names a database that this process opens itself."""
    return uri.split(":", 1)[0].split("+", 1)[0] in SQL_BACKENDS


def artifacts_folder(config: Config) -> Path:
    """Where artifacts of a local MLflow lie."""
    return config.root.resolve() / "mlartifacts"


def _probe(uri: str) -> None:
    """Try a database once: MLflow itself would go on trying for minutes, and would make missing folders."""
    try:
        url = make_url(uri)
    except ArgumentError:
        raise WorkspaceError("[mlflow] tracking_uri cannot be read; expected sqlite:///mlflow.db or http://…") from None
    if url.get_backend_name() == "sqlite":
        folder = Path(str(url.database)).absolute().parent
        if not folder.is_dir():
            raise _away(uri, f"folder {folder} does not exist")
    try:
        engine = create_engine(url)
        try:
            with engine.connect():
                pass
        finally:
            engine.dispose()
    except (SQLAlchemyError, ModuleNotFoundError) as error:
        raise _away(uri, str(getattr(error, "orig", error))) from None


@contextmanager
def _translated(uri: str) -> Iterator[None]:
    """MLflow's failures, and those of its database and its connections, as one WorkspaceError."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise _away(uri, str(error)) from error


def _away(uri: str, reason: str) -> WorkspaceError:
    lines = reason.strip().splitlines() or ["no reason given"]
    said = f"MLflow at {hide_password(uri)}: {_without_secrets(lines[0], uri)[:300]}"
    return WorkspaceError(f"{said}; nothing is lost, `sprachbund sync` catches up later")


def _without_secrets(text: str, uri: str) -> str:
    """`text` without the password of `uri`, as it is written there or decoded."""
    text = hide_password(text.replace(uri, hide_password(uri)))
    written = re.search(r"://[^/@:]*:([^@/]*)@", uri)
    if written is not None and written[1]:
        for secret in {written[1], unquote(written[1])}:
            text = text.replace(secret, "***")
    return text
