"""A made-up experiment whose jobs a test has done bit by bit, and an MLflow to mirror it in."""

import shutil
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from sprachbund.config import Config
from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.files.artifacts import ArtifactStore
from sprachbund.mirror import Synced, sync
from sprachbund.mirror.backend import prepare_environment
from sprachbund.planning.submission import submit
from sprachbund.queue import Queue
from sprachbund.spec.experiment import parse
from support.made import EXPERTS, SETTINGS, STEERED, Made, Maker, maker_of, write_sources


@dataclass(slots=True)
class World:
    """A database, an experiment to submit, who does its jobs, and a workspace's configuration."""

    engine: Engine
    config: Config
    maker: Maker
    mlflow: Any = None

    @property
    def queue(self) -> Queue:
        return self.maker.queue

    def submit(
        self,
        name: str = "study",
        layers: Sequence[str] = ("0", "10"),
        *,
        n_controls: int = 2,
        pooling: str = "mean",
        choose: bool = False,
    ) -> None:
        """Plan the unsteered model, experts and their controls; another name is the same work."""
        steered = {**EXPERTS, "k": 20, "controls": [f"profile x{n_controls}"]}
        spec = {
            **self.maker.made.spec,
            "name": name,
            "interventions": ["none", steered],
            "embeddings": {"layers": list(layers), "pooling": pooling, "tokens": "content"},
        }
        if choose:
            spec["choose"] = {"metric": "top1"}
        submit(self.engine, self.maker.context.store, parse(spec), self.config.root / "sources", replace=True)

    def work(self, most: int | None = None, only: tuple[str, str] | None = None) -> int:
        """As `Maker.serve` does."""
        return self.maker.serve(most, only)

    def mean(self, label: str, metric: str, layer: str) -> float:
        """What MLflow should show of a metric over language pairs of `test`."""
        return self.maker.made.macro("test", label, metric, layer)

    def sync(self, experiment: str | None = None) -> Synced:
        return sync(self.engine, self.config, experiment)

    def rows(self) -> list[Any]:
        """The mirror's state."""
        with reading(self.engine) as connection:
            return list(
                connection.execute(
                    select(t.MlflowRun.__table__).order_by(t.MlflowRun.experiment_id, t.MlflowRun.setting_id)
                )
            )

    def client(self) -> Any:
        if self.mlflow is None:
            from mlflow import MlflowClient

            self.mlflow = MlflowClient(tracking_uri=self.config.mlflow_tracking_uri)
        return self.mlflow

    def runs(self, name: str = "study") -> dict[str, Any]:
        """MLflow's planned runs by label; fails if one is there twice."""
        client = self.client()
        found = client.search_runs([client.get_experiment_by_name(name).experiment_id], max_results=1000)
        planned = [run for run in found if run.data.tags["sprachbund.planned"] == "yes"]
        by_label = {run.info.run_name: run for run in planned}
        assert len(by_label) == len(planned)
        return by_label

    def history(self, label: str, metric: str, name: str = "study") -> list[tuple[int, float]]:
        """(step, value) of every point of a metric, in the order of steps."""
        points = self.client().get_metric_history(self.runs(name)[label].info.run_id, metric)
        return sorted((point.step, point.value) for point in points)


@pytest.fixture(scope="session")
def mlflow_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without experiments; making one takes seconds."""
    prepare_environment()
    path = tmp_path_factory.mktemp("mlflow") / "template.db"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow = pytest.importorskip("mlflow")
        mlflow.MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


def _world(engine: Engine, template: Path, folder: Path) -> World:
    shutil.copyfile(template, folder / "mlflow.db")
    config = Config(
        root=folder,
        database_url=str(engine.url),
        artifacts_url=str(folder / "artifacts"),
        mlflow_tracking_uri=f"sqlite:///{folder / 'mlflow.db'}",
        keep="results",
    )
    settings = [each for each in SETTINGS if each.label in ("none", STEERED) or each.seed in (0, 1)]
    # Headlines are of the layer that is best for what is steered, unless another is chosen.
    languages, layers = ("deu_Latn", "eng_Latn", "fra_Latn"), ("0", "10", "final")
    made = Made("study", languages, layers, settings=settings, best_layer="0")
    write_sources(folder / "sources", made)
    return World(engine, config, maker_of(made, engine, ArtifactStore(folder / "artifacts")))


@pytest.fixture
def world(engine: Engine, mlflow_template: Path, tmp_path: Path) -> World:
    """On each engine."""
    return _world(engine, mlflow_template, tmp_path)


@pytest.fixture
def sqlite_world(sqlite_engine: Engine, mlflow_template: Path, tmp_path: Path) -> World:
    """On SQLite alone: for what does not depend on the database."""
    return _world(sqlite_engine, mlflow_template, tmp_path)


@pytest.fixture(autouse=True)
def _no_pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than all else; tests that ask for `with_pictures` draw."""
    if "with_pictures" not in request.fixturenames:
        monkeypatch.setattr("sprachbund.mirror.update.draw", lambda heatmap, path: path.write_bytes(b"a picture"))


@pytest.fixture
def with_pictures() -> None:
    """Heatmaps are drawn."""
