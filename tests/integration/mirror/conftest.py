"""A made-up experiment whose jobs a test finishes one by one, and an MLflow to mirror it in."""

import itertools
import shutil
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, delete, insert, select, update

from sprachbund.config import Config
from sprachbund.db import tables as t
from sprachbund.db.engine import now_ms, reading, writing
from sprachbund.db.rows import upsert
from sprachbund.mirror import Synced, sync
from sprachbund.mirror.backend import prepare_environment
from sprachbund.queue import Queue, insert_jobs
from sprachbund.work.keys import content_key
from sprachbund.work.kind import Kind
from sprachbund.work.payloads.base import Payload
from sprachbund.work.payloads.compare import CHOICE, COMPARISON, ChoicePayload, ComparedSetting, ComparisonPayload
from sprachbund.work.payloads.measure import SPACE_EVALUATION, SideSnapshots, SpaceEvaluationPayload
from sprachbund.work.payloads.pairs import PAIR_EVALUATION, PairEvaluationPayload
from sprachbund.work.payloads.star import Pair
from sprachbund.work.payloads.stored import to_json

LANGUAGES = ("deu_Latn", "eng_Latn", "fra_Latn")
PAIRS = tuple(itertools.combinations(LANGUAGES, 2))
KINDS = {"pair_evaluation": 1, "space_evaluation": 1, "comparison": 1, "choice": 1}
N_BLOCKS = 12
# label: (method, target, k, control, seed, control_of)
SETTINGS: dict[str, tuple[Any, ...]] = {
    "none": ("none", None, None, None, None, None),
    "experts fra k=20": ("experts", "fra_Latn", 20, None, None, None),
    "random seed=0": ("random", "fra_Latn", 20, "random:profile", 0, "experts fra k=20"),
    "random seed=1": ("random", "fra_Latn", 20, "random:profile", 1, "experts fra k=20"),
}


def value_of(setting: str, metric: str, layer: str, *languages: str | None) -> float:
    """A number in [0, 1) that depends on what it stands for only."""
    return int(content_key("value", 1, of=[setting, metric, layer, *languages])[:8], 16) / 2**32


def mean_of(setting: str, metric: str, layer: str) -> float:
    """The macro mean over ordered pairs (of a distance: over unordered ones)."""
    pairs = list(PAIRS) if metric.endswith(("distance", "gap")) else list(itertools.permutations(LANGUAGES, 2))
    return sum(value_of(setting, metric, layer, *pair) for pair in pairs) / len(pairs)


@dataclass(slots=True)
class World:
    """A database, a queue with one runner, and a workspace's configuration."""

    engine: Engine
    config: Config
    queue: Queue
    runner: int
    mlflow: Any = None

    def submit(
        self,
        name: str = "study",
        settings: Sequence[str] = tuple(SETTINGS),
        layers: Sequence[str] = ("0", "12"),
        *,
        pooling: str = "mean",
        choose: bool = False,
    ) -> dict[str, int]:
        """Plan an experiment as a submission does: rows, jobs per layer, runs that are behind; jobs by key."""
        with writing(self.engine) as connection:
            self._base(connection)
            found = connection.execute(select(t.Experiment.id).where(t.Experiment.name == name)).scalar()
            values = {
                "spec": {"embeddings": {"pooling": pooling, "tokens": "content"}},
                "spec_digest": "",
                "submitted_ms": now_ms(connection),
                "cancelled": False,
                "audit": {},
            }
            if found is None:
                statement = insert(t.Experiment).values(name=name, revision=1, **values).returning(t.Experiment.id)
                found = connection.execute(statement).scalar_one()
            else:
                values["revision"] = t.Experiment.revision + 1
                connection.execute(update(t.Experiment).where(t.Experiment.id == found).values(**values))
            for table in (t.ExperimentJob, t.ExperimentSetting, t.ExperimentLayer, t.ExperimentCorpus):
                connection.execute(delete(table).where(table.experiment_id == found))
            ids = {label: self._setting(connection, label) for label in settings}
            for ordinal, label in enumerate(settings):
                control_of = SETTINGS[label][5]
                row = {
                    "experiment_id": found, "setting_id": ids[label], "ordinal": ordinal, "label": label,
                    "control_of_id": ids[control_of] if control_of else None,
                    "baseline_id": ids["none"] if label != "none" else None, "choice_group": None, "name": label,
                }  # fmt: skip
                connection.execute(insert(t.ExperimentSetting).values(row))
                row = {"experiment_id": found, "setting_id": ids[label]}
                upsert(connection, t.MlflowRun, {**row, "dirty": True, "logged": {}}, list(row), ["dirty"])
            for ordinal, layer in enumerate(layers):
                connection.execute(insert(t.ExperimentLayer).values(experiment_id=found, layer=layer, ordinal=ordinal))
            for role in ("select", "test"):
                corpus = connection.execute(select(t.Corpus.id).where(t.Corpus.split == role)).scalar_one()
                connection.execute(insert(t.ExperimentCorpus).values(experiment_id=found, corpus_id=corpus, role=role))
            jobs = self._jobs(settings, layers, pooling, choose)
            made = insert_jobs(connection, jobs, [])
            connection.execute(
                insert(t.ExperimentJob), [{"experiment_id": found, "job_id": job_id} for job_id in made.values()]
            )
        return made

    @staticmethod
    def _base(connection: Connection) -> None:
        for code in LANGUAGES:
            row = {"code": code, "iso639_3": code[:3], "script": code[4:], "name": code}
            upsert(connection, t.Language, row, ["code"], [])
        for role in ("select", "test"):
            row = {
                "key": content_key("corpus", 1, role=role), "name": "book", "split": role, "kind": "parallel",
                "source": {},
            }  # fmt: skip
            upsert(connection, t.Corpus, row, ["key"], [])
        row = {
            "fingerprint": "f" * 40, "name": "tiny", "path": "tiny", "architecture": "bloom", "n_blocks": N_BLOCKS,
            "hidden_size": 8, "config": {},
        }  # fmt: skip
        upsert(connection, t.Model, row, ["fingerprint"], [])

    @staticmethod
    def _setting(connection: Connection, label: str) -> int:
        method, target, k, control, seed, _ = SETTINGS[label]
        row = {
            "key": content_key("intervention", 1, label=label), "method": method, "target": target, "k": k,
            "control": control, "seed": seed, "per_language": False, "parameters": {},
        }  # fmt: skip
        upsert(connection, t.Intervention, row, ["key"], [])
        intervention = connection.execute(
            select(t.Intervention.id).where(t.Intervention.key == row["key"])
        ).scalar_one()
        model = connection.execute(select(t.Model.id)).scalar_one()
        row = {
            "key": content_key("setting", 1, label=label), "label": label, "model_id": model,
            "intervention_id": intervention, "transform": "none", "transform_parameters": {}, "side": "both",
            "dtype": "float32", "attention": "eager",
        }  # fmt: skip
        upsert(connection, t.Setting, row, ["key"], [])
        return int(connection.execute(select(t.Setting.id).where(t.Setting.key == row["key"])).scalar_one())

    @staticmethod
    def _jobs(settings: Sequence[str], layers: Sequence[str], pooling: str, choose: bool) -> list[dict[str, Any]]:
        jobs: list[dict[str, Any]] = []

        def job(kind: Kind, label: str, payload: Payload) -> None:
            stored = to_json(payload)
            key = content_key("job", 1, job_kind=kind.name, label=label, payload=stored)
            row = {
                "key": key, "kind": kind.name, "version": 1, "subject": key, "bundle": key, "model": None,
                "payload": stored, "label": label, "priority": list(KINDS).index(kind.name),
            }  # fmt: skip
            jobs.append(row)

        for role, label, layer in itertools.product(("select", "test"), settings, layers):
            if role == "select" and SETTINGS[label][5]:
                continue
            snapshots = {code: content_key("snapshot", 1, setting=label, language=code) for code in LANGUAGES}
            fields = {
                "setting": content_key("setting", 1, label=label), "corpus": content_key("corpus", 1, role=role),
                "layers": (layer,), "pooling": pooling, "tokens": "content", "transform": "none",
                "steered": SideSnapshots(snapshots, {}), "measures": {},
            }  # fmt: skip
            for pair in PAIRS:
                evaluation = PairEvaluationPayload(
                    **fields, pairs=(Pair(*pair, content_key("pair", 1, of=pair)),), group="book", split=role, texts={}
                )
                job(PAIR_EVALUATION, f"{role} {label} {layer}", evaluation)
            space = SpaceEvaluationPayload(**fields, languages=tuple(LANGUAGES), target=None, frozen={})
            job(SPACE_EVALUATION, f"{role} {label} {layer}", space)
        compared = tuple(ComparedSetting(label, None, None, {}) for label in settings)
        for role in ("select", "test"):
            # With the pairs of these snapshots it is another comparison.
            pairs = tuple((pooling, *pair) for pair in PAIRS)
            comparison = ComparisonPayload(
                group="book", split=role, role=role, settings=compared, pairs=pairs, layers=tuple(layers),
                metrics=("top1", "distance_gap"), resamples=200, confidence=0.95, unit="item", multiplicity="bh",
                seed=0,
            )  # fmt: skip
            job(COMPARISON, f"{role} comparison", comparison)
        if choose:
            job(CHOICE, "choice", ChoicePayload(comparison="select", metric="top1", scope="all", groups=()))
        return jobs

    def work(self, most: int | None = None, only: str = "") -> int:
        """Finish queued jobs whose label has `only` in it, at most so many; returns how many."""
        done = 0
        held = []
        while most is None or done < most:
            claims = self.queue.claim(self.runner, KINDS)
            if not claims:
                break
            if only not in claims[0].label:
                held.append(claims[0])
                continue
            with self.queue.finishing(claims[0]) as connection:
                getattr(self, f"_{claims[0].kind}")(connection, claims[0])
            done += 1
        for claim in held:
            self.queue.release(claim)
        return done

    def _pair_evaluation(self, connection: Connection, claim: Any) -> None:
        first, second = claim.payload.pairs[0].sides
        for measure, pairs, metrics in (
            ("retrieval", ((first, second), (second, first)), ("top1", "mrr")),
            ("distances", ((first, second),), ("distance_gap",)),
        ):
            for query, candidate in pairs:
                self._evaluation(connection, claim, measure, metrics, query, candidate)

    def _space_evaluation(self, connection: Connection, claim: Any) -> None:
        self._evaluation(connection, claim, "space", ("all_pairs_distance",), None, None)
        for language in LANGUAGES:
            self._evaluation(connection, claim, "spread", ("spread",), language, None)

    @staticmethod
    def _evaluation(
        connection: Connection,
        claim: Any,
        measure: str,
        metrics: Sequence[str],
        query: str | None,
        candidate: str | None,
    ) -> None:
        payload = claim.payload
        key = t.Setting.key == payload.setting
        setting = connection.execute(select(t.Setting.id, t.Setting.label).where(key)).one()
        corpus = connection.execute(select(t.Corpus.id).where(t.Corpus.key == payload.corpus)).scalar_one()
        (layer,) = payload.layers
        evaluation = connection.execute(
            insert(t.Evaluation).values(
                key=content_key("evaluation", 1, of=[claim.key, measure, query, candidate]), job_id=claim.job_id,
                measure=measure, version=1, setting_id=setting.id,
                corpus_id=corpus, query_language=query, candidate_language=candidate, layer=layer,
                pooling=payload.pooling, tokens="content",
            ).returning(t.Evaluation.id)
        ).scalar_one()  # fmt: skip
        connection.execute(
            insert(t.Metric),
            [
                {
                    "evaluation_id": evaluation,
                    "name": metric,
                    "value": value_of(setting.label, metric, layer, query, candidate),
                }
                for metric in metrics
            ],
        )

    def _comparison(self, connection: Connection, claim: Any) -> None:
        payload = claim.payload
        ids = dict(connection.execute(select(t.Setting.label, t.Setting.id)).all())
        for label, layer, metric in itertools.product(
            [each.setting for each in payload.settings], payload.layers, payload.metrics
        ):
            if payload.role == "select" and SETTINGS[label][5]:
                continue
            value, baseline = mean_of(label, metric, layer), mean_of("none", metric, layer)
            comparison = connection.execute(
                insert(t.Comparison).values(
                    key=content_key("comparison", 1, of=[claim.key, label, layer, metric]), job_id=claim.job_id,
                    setting_id=ids[label], baseline_id=ids["none"], role=payload.role, corpus="book",
                    split=payload.role, layer=layer, metric=metric, scope="all", n_pairs=6, n_items=50,
                    value=value, baseline=baseline, delta=value - baseline, p=None if label == "none" else 0.01,
                    q=None if label == "none" else 0.04,
                ).returning(t.Comparison.id)
            ).scalar_one()  # fmt: skip
            if label.startswith("experts") and payload.role == "test":
                connection.execute(
                    insert(t.ControlComparison).values(
                        comparison_id=comparison, control="random:profile", n_controls=2, control_mean=0.5,
                        control_low=0.4, control_high=0.6, p=1 / 3,
                    )
                )  # fmt: skip

    @staticmethod
    def _choice(connection: Connection, claim: Any) -> None:
        chosen = connection.execute(select(t.Setting.id).where(t.Setting.label == "experts fra k=20")).scalar_one()
        connection.execute(
            insert(t.Choice).values(
                job_id=claim.job_id, choice_group="experts fra", setting_id=chosen, layer="0", metric="top1", value=0.5,
                n_candidates=2, tied=False,
            )
        )  # fmt: skip

    @staticmethod
    def mean(setting: str, metric: str, layer: str) -> float:
        """What MLflow should show of a metric over language pairs."""
        return mean_of(setting, metric, layer)

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
    )
    queue = Queue(engine)
    return World(engine, config, queue, queue.register_runner("first", "host", 1, {"kinds": KINDS}))


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
