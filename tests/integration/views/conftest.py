"""A small made-up experiment in a database, with every number at hand in Python."""

import itertools
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import fmean, median
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, Engine, insert

from sprachbund.db import tables as t
from sprachbund.db.engine import connect
from sprachbund.measures import METRICS
from sprachbund.work.keys import content_key

LANGUAGES = ("deu_Latn", "eng_Latn", "fra_Latn", "jpn_Jpan")
LAYERS = ("0", "1", "10", "final")
RETRIEVAL = ("top1", "mrr")
DISTANCES = ("paired_distance", "unpaired_distance", "distance_gap", "centroid_distance")
COMPARED = ("top1", "mrr", "distance_gap")
SCOPES = ("all", "target_query", "target_candidate", "without_target")


@dataclass(frozen=True, slots=True)
class MadeSetting:
    """One setting to put into the database."""

    label: str
    method: str = "none"
    target: str | None = None
    k: int | None = None
    control: str | None = None
    seed: int | None = None
    control_of: str | None = None
    transform: str = "none"
    dtype: str = "float32"


SETTINGS = (
    MadeSetting("none"),
    MadeSetting("experts fra k=10", "experts", "fra_Latn", 10),
    MadeSetting("experts fra k=20", "experts", "fra_Latn", 20),
    *(
        MadeSetting(
            f"random:profile seed={seed} of experts fra k=20",
            "random",
            "fra_Latn",
            20,
            "random:profile",
            seed,
            "experts fra k=20",
        )
        for seed in range(3)
    ),
    MadeSetting("centring", transform="centring"),
)


def inside(setting: MadeSetting, metric: str, pair: tuple[str, str], scope: str) -> bool:
    """Whether a pair belongs to a scope; a distance has no direction."""
    target, (query, candidate) = setting.target, pair
    if scope == "all":
        return True
    if scope == "without_target":
        return target not in pair
    if metric in DISTANCES:
        return target in pair
    return target == (query if scope == "target_query" else candidate)


@dataclass(slots=True)
class Made:
    """What was put in. `truth[role, setting, metric, layer, query, candidate]`; languages None where absent."""

    name: str = "made"
    settings: Sequence[MadeSetting] = SETTINGS
    languages: Sequence[str] = LANGUAGES
    layers: Sequence[str] = LAYERS
    roles: Sequence[str] = ("select", "test")
    # Pairs whose job is not done (role, setting label, pair): no rows, state failed.
    failed: Sequence[tuple[str, str, tuple[str, str]]] = ()
    seed: int = 0
    truth: dict[tuple[Any, ...], float] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)

    def macro(self, role: str, setting: str, metric: str, layer: str, scope: str = "all") -> float:
        """The mean over the pairs of a scope, from the truth."""
        made = self.setting(setting)
        pairs = self.pairs(role, setting, metric, layer)
        return fmean(value for pair, value in pairs.items() if inside(made, metric, pair, scope))

    def pairs(self, role: str, setting: str, metric: str, layer: str) -> dict[tuple[str, str], float]:
        """Values per pair of languages."""
        cells = itertools.permutations(self.languages, 2)
        keys = [(role, setting, metric, layer, *pair) for pair in cells]
        return {key[4:]: self.truth[key] for key in keys if key in self.truth}

    def setting(self, label: str) -> MadeSetting:
        return next(each for each in self.settings if each.label == label)


class _Writer:
    """Puts a `Made` into the tables."""

    def __init__(self, connection: Connection, made: Made) -> None:
        self.connection, self.made = connection, made
        self.random = np.random.default_rng(made.seed)
        self.runner = self.add(
            t.Runner, name="one", host="here", pid=1, capabilities={}, state="alive", started_ms=0, seen_ms=0
        )
        self.evaluations: list[dict[str, Any]] = []
        self.metrics: list[dict[str, Any]] = []

    def add(self, table: type[t.Base], **row: Any) -> int:
        inserted = self.connection.execute(insert(table).values(**row))
        return int(inserted.inserted_primary_key[0])

    def job(self, kind: str, what: str, state: str = "done", **payload: Any) -> int:
        key = content_key("job", 1, of=self.made.name, job_kind=kind, what=what)
        row = {
            "key": key, "kind": kind, "version": 1, "subject": key, "bundle": key, "payload": payload,
            "label": f"{kind} {what}", "state": state, "priority": 50, "available_ms": 0, "created_ms": 1,
            "finished_ms": 5 if state == "done" else None, "attempt": 1, "failures": int(state == "failed"),
            "losses": 0, "error": "it broke" if state == "failed" else None,
        }  # fmt: skip
        job = self.add(t.Job, **row)
        if state != "queued":
            attempt = {"job_id": job, "attempt": 1, "runner_id": self.runner, "started_ms": 1, "finished_ms": 5}
            attempt |= {"outcome": state, "environment": {"torch": "2.13"}}
            self.connection.execute(insert(t.JobAttempt).values(**attempt))
        return job

    def in_plan(self, job: int) -> int:
        self.connection.execute(insert(t.ExperimentJob).values(experiment_id=self.made.ids["experiment"], job_id=job))
        return job

    def write(self) -> None:
        made = self.made
        made.ids["experiment"] = self.add(
            t.Experiment, name=made.name, revision=2,
            spec={"embeddings": {"pooling": "mean", "tokens": "content"}}, spec_digest="0" * 40,
            submitted_ms=1_000, cancelled=False,
            audit={"overlap": {"fit+test": {"texts": 3, "groups": 1}, "select+test": {"texts": 4, "groups": 0}},
                   "dropped": {}},
        )  # fmt: skip
        model = self.add(
            t.Model, fingerprint=content_key("model", 1, of=made.name), name="tiny", path="tiny", revision="abc",
            architecture="bloom", n_blocks=3, hidden_size=8, config={},
        )  # fmt: skip
        corpora = {
            role: self.add(
                t.Corpus, key=content_key("corpus", 1, of=made.name, role=role), name="book", collection=None,
                split=f"{role} split", kind="parallel", source={},
            )
            for role in made.roles
        }  # fmt: skip
        self._settings(model)
        experiment = made.ids["experiment"]
        for ordinal, layer in enumerate(made.layers):
            self.connection.execute(
                insert(t.ExperimentLayer).values(experiment_id=experiment, layer=layer, ordinal=ordinal)
            )
        for role, corpus in corpora.items():
            self.connection.execute(
                insert(t.ExperimentCorpus).values(experiment_id=experiment, corpus_id=corpus, role=role)
            )
        made.ids |= {f"corpus {role}": corpus for role, corpus in corpora.items()}
        for role in made.roles:
            self._evaluate(role)
        self.flush()
        for role in made.roles:
            self._compare(role)

    def _settings(self, model: int) -> None:
        made = self.made
        for ordinal, each in enumerate(made.settings):
            intervention = self.add(
                t.Intervention, key=content_key("intervention", 1, of=made.name, label=each.label),
                method=each.method, target=each.target, k=each.k, control=each.control, seed=each.seed,
                score_site="mlp.up" if each.k else None, edit_site="mlp.up" if each.k else None, parameters={},
                selection="top" if each.k else None, edit="set" if each.k else None, per_language=False,
            )  # fmt: skip
            made.ids[each.label] = self.add(
                t.Setting, key=content_key("setting", 1, of=made.name, label=each.label), label="elsewhere",
                model_id=model, intervention_id=intervention, transform=each.transform, transform_parameters={},
                side="both", dtype=each.dtype, attention="eager",
            )  # fmt: skip
            self.connection.execute(
                insert(t.ExperimentSetting).values(
                    experiment_id=made.ids["experiment"],
                    setting_id=made.ids[each.label],
                    ordinal=ordinal,
                    label=each.label,
                    control_of_id=made.ids[each.control_of] if each.control_of else None,
                    baseline_id=None if ordinal == 0 else made.ids[made.settings[0].label],
                    choice_group="experts fra" if each.method == "experts" else None,
                )
            )

    def _evaluate(self, role: str) -> None:
        for setting in self.made.settings:
            for first, second in itertools.combinations(self.made.languages, 2):
                failed = (role, setting.label, (first, second)) in self.made.failed
                # Layer 2 was computed for somebody else's experiment and must not show.
                layers = [*self.made.layers, "2"]
                job = self.in_plan(
                    self.job(
                        "pair_evaluation",
                        f"{role} {setting.label} {first} {second}",
                        "failed" if failed else "done",
                        layers=layers,
                    )
                )
                self.made.ids[f"pair {role} {setting.label} {first} {second}"] = job
                if failed:
                    continue
                for layer in layers:
                    for query, candidate in ((first, second), (second, first)):
                        self.row(job, role, setting, "retrieval", layer, query, candidate, RETRIEVAL)
                    self.row(job, role, setting, "distances", layer, first, second, DISTANCES)
            job = self.in_plan(self.job("space_evaluation", f"{role} {setting.label}", layers=list(self.made.layers)))
            for layer in self.made.layers:
                for language in self.made.languages:
                    self.row(job, role, setting, "spread", layer, language, None, ("spread",), "s" * 40)
                self.row(job, role, setting, "space", layer, None, None, ("all_pairs_distance",), "s" * 40)

    def row(
        self,
        job: int,
        role: str,
        setting: MadeSetting,
        measure: str,
        layer: str,
        query: str | None,
        candidate: str | None,
        metrics: Sequence[str],
        scope_digest: str | None = None,
        values: Mapping[str, float] | None = None,
    ) -> None:
        """One evaluation and its metrics; the numbers join the truth unless they are given."""
        number = len(self.evaluations)
        key = content_key("evaluation", 1, of=self.made.name, job=job, number=number)
        self.evaluations.append(
            {
                "key": key,
                "job_id": job,
                "measure": measure,
                "version": 1,
                "setting_id": self.made.ids[setting.label],
                "corpus_id": self.made.ids[f"corpus {role}"],
                "query_language": query,
                "candidate_language": candidate,
                "layer": layer,
                "pooling": "mean",
                "tokens": "content",
                "scope_digest": scope_digest,
            }
        )
        for metric in metrics:
            value = values[metric] if values else round(float(self.random.random()), 6)
            if values is None and layer in self.made.layers:
                self.made.truth[role, setting.label, metric, layer, query, candidate] = value
            self.metrics.append({"key": key, "name": metric, "value": value, "n_items": 50})

    def flush(self) -> None:
        if not self.evaluations:
            return
        self.connection.execute(insert(t.Evaluation), self.evaluations)
        ids = dict(self.connection.execute(t.Evaluation.__table__.select().with_only_columns(
            t.Evaluation.key, t.Evaluation.id)).all())  # fmt: skip
        rows = [
            {"evaluation_id": ids[row["key"]], **{name: row[name] for name in ("name", "value", "n_items")}}
            for row in self.metrics
        ]
        self.connection.execute(insert(t.Metric), rows)
        self.evaluations, self.metrics = [], []

    def _compare(self, role: str) -> None:
        made = self.made
        how = {"confidence": 0.95, "resamples": 1000, "unit": "item", "seed": 0, "multiplicity": "bh"}
        job = self.in_plan(self.job("comparison", role, role=role, layers=list(made.layers), **how))
        made.ids[f"comparison {role}"] = job
        unfinished = {label for a_role, label, _ in made.failed if a_role == role}
        compared = [each for each in made.settings[1:] if each.label not in unfinished]
        for setting, metric, layer in itertools.product(compared, COMPARED, made.layers):
            for scope in SCOPES if setting.target else SCOPES[:1]:
                value = made.macro(role, setting.label, metric, layer, scope)
                pairs = made.pairs(role, setting.label, metric, layer)
                none = made.pairs(role, "none", metric, layer)
                baseline = fmean(none[pair] for pair in pairs if inside(setting, metric, pair, scope))
                gained: dict[str, Any] = {}
                if setting.control is None:
                    gains = [pairs[pair] - none[pair] for pair in pairs if inside(setting, metric, pair, scope)]
                    gained = {
                        "n_languages": len(made.languages), "median_gain": median(gains),
                        "median_low": median(gains) - 0.1, "median_high": median(gains) + 0.1,
                        "n_gaining": sum(gain > 0 for gain in gains), "least_gain": min(gains),
                        "greatest_gain": max(gains),
                    }  # fmt: skip
                comparison = self.add(
                    t.Comparison, key=content_key(
                        "comparison", 1, of=[made.name, role, setting.label, metric, layer, scope]
                    ),
                    job_id=job, setting_id=made.ids[setting.label], baseline_id=made.ids["none"], role=role,
                    corpus="book", split=f"{role} split", layer=layer, metric=metric, scope=scope,
                    n_pairs=sum(inside(setting, metric, pair, scope) for pair in pairs),
                    n_items=50, value=value, ci_low=value - 0.01, ci_high=value + 0.01, median=value,
                    baseline=baseline, delta=value - baseline, delta_ci_low=value - baseline - 0.02,
                    delta_ci_high=value - baseline + 0.02, p=0.01, q=0.03, family_size=7, **gained,
                )  # fmt: skip
                controls = [each.label for each in made.settings if each.control_of == setting.label]
                if controls:
                    values = [made.macro(role, label, metric, layer, scope) for label in controls]
                    self.add(
                        t.ControlComparison, comparison_id=comparison, control="random:profile",
                        n_controls=len(values), control_mean=fmean(values), control_low=min(values),
                        control_high=max(values),
                        p=(1 + sum(each >= value for each in values)) / (1 + len(values)),
                    )  # fmt: skip


def put_names(connection: Connection, languages: Sequence[str] = LANGUAGES) -> None:
    """Languages and metric names, where they are missing."""
    known = {row[0] for row in connection.execute(t.Language.__table__.select().with_only_columns(t.Language.code))}
    for code in languages:
        if code not in known:
            connection.execute(insert(t.Language).values(code=code, iso639_3=code[:3], script=code[4:], name=code))
    names = {row[0] for row in connection.execute(t.MetricName.__table__.select().with_only_columns(t.MetricName.name))}
    for metric in METRICS.values():
        if metric.name not in names:
            connection.execute(
                insert(t.MetricName).values(
                    name=metric.name,
                    unit=metric.unit,
                    better=metric.better,
                    low=metric.low,
                    high=metric.high,
                    description=metric.description,
                )
            )


def put(connection: Connection, made: Made) -> _Writer:
    """Write a made experiment; the writer can add more rows (then `flush`)."""
    put_names(connection, made.languages)
    writer = _Writer(connection, made)
    writer.write()
    return writer


def choose(connection: Connection, writer: _Writer, label: str, layer: str, tied: bool = False) -> None:
    """A choice on the select role."""
    job = writer.in_plan(writer.job("choice", "select"))
    writer.add(
        t.Choice, job_id=job, choice_group="experts fra", setting_id=writer.made.ids[label], layer=layer,
        metric="top1", value=0.5, n_candidates=8, tied=tied,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Database:
    """An engine with the made experiment in it, and rows that no view may show."""

    engine: Engine
    made: Made


@pytest.fixture(scope="session", params=("sqlite", "postgresql"))
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The made experiment on each engine; tests only read it."""
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("views") / "made.db"
        shutil.copyfile(request.getfixturevalue("_sqlite_template"), path)
        url = f"sqlite:///{path}"
    else:
        url = request.getfixturevalue("new_postgres")(request.getfixturevalue("_postgres_template"))
    engine = connect(url)
    made = Made()
    with engine.begin() as connection:
        writer = put(connection, made)
        choose(connection, writer, "experts fra k=20", "final")
        # The same pair evaluated by an older version of the job, which this plan does not resolve to.
        older = writer.job("pair_evaluation", "older", layers=["0"])
        none = made.setting("none")
        old = {"top1": 0.999}
        writer.row(older, "test", none, "retrieval", "0", "deu_Latn", "eng_Latn", ("top1",), values=old)
        writer.flush()
    yield Database(engine, made)
    engine.dispose()


@pytest.fixture
def make(engine: Engine) -> Callable[..., Database]:
    """Puts other made experiments into a fresh database, on each engine."""
    return partial(_put_one, engine)


@pytest.fixture
def make_sqlite(sqlite_engine: Engine) -> Callable[..., Database]:
    """Like `make`, on SQLite alone: for what happens after the reading."""
    return partial(_put_one, sqlite_engine)


def _put_one(engine: Engine, **changes: Any) -> Database:
    made = Made(**changes)
    with engine.begin() as connection:
        put(connection, made)
    return Database(engine, made)
