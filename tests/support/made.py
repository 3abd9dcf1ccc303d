"""Small experiments with made-up outcomes, every number at hand in Python.

They are submitted as any other; jobs that would run a model write nothing, evaluations write made-up outcomes with the
runners' own writer, comparisons and choices are run. So the schema has one writer.
"""

import csv
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from sqlalchemy import Connection, Engine, select, update

from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.files.artifacts import ArtifactStore
from sprachbund.planning.submission import submit
from sprachbund.progress import Silent
from sprachbund.queue import Claim, Queue
from sprachbund.spec.experiment import parse
from sprachbund.work.keys import content_key
from sprachbund.work.kinds import KINDS
from sprachbund.work.payloads.compare import ADJUSTMENT, BEST, CHOICE, COMPARISON, CONTRAST
from sprachbund.work.payloads.fit import INTERVENTION
from sprachbund.work.payloads.measure import SPACE_EVALUATION
from sprachbund.work.payloads.pairs import PAIR_EVALUATION
from sprachbund.work.payloads.write import PERPLEXITY
from sprachbund_runners.evaluation.scores import Level
from sprachbund_runners.jobs import Context
from sprachbund_runners.jobs.evaluation_rows import EvaluationRow, write_evaluations
from sprachbund_runners.jobs.pair_rows import write_pair_results
from sprachbund_runners.jobs.registry import JOBS

LANGUAGES = ("deu_Latn", "eng_Latn", "fra_Latn", "jpn_Jpan")
LAYERS = ("0", "1", "10", "final")
N_BLOCKS = 10
# Computed for an earlier revision, and of no view's business.
UNASKED = "2"
RETRIEVAL = ("top1", "mrr")
DISTANCES = ("paired_distance", "unpaired_distance", "distance_gap", "centroid_distance")
N_ITEMS = 6
NAN = float("nan")
# The kinds whose jobs yield numbers.
COMPARED = {kind.name for kind in (COMPARISON, ADJUSTMENT, CHOICE, BEST, CONTRAST)}
NUMBERS = {PAIR_EVALUATION.name, SPACE_EVALUATION.name, *COMPARED}
VERSIONS = {kind.name: kind.version for kind in KINDS.values()}
EXPERTS = {"method": "experts", "targets": ["fra_Latn"]}
OTHER, STEERED = "experts fra_Latn k=10", "experts fra_Latn k=20"
SEEDS = tuple(f"random:profile seed={seed} of {STEERED}" for seed in range(3))


@dataclass(frozen=True, slots=True)
class MadeSetting:
    """What the views should say of one setting of the plan."""

    label: str
    method: str = "none"
    target: str | None = None
    k: int | None = None
    control: str | None = None
    seed: int | None = None
    control_of: str | None = None
    transform: str = "none"


SETTINGS = (
    MadeSetting("none"),
    MadeSetting(OTHER, "experts", "fra_Latn", 10),
    MadeSetting(STEERED, "experts", "fra_Latn", 20),
    *(
        MadeSetting(label, "random", "fra_Latn", 20, "random:profile", seed, STEERED)
        for seed, label in enumerate(SEEDS)
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
    languages: Sequence[str] = LANGUAGES
    layers: Sequence[str] = LAYERS
    roles: Sequence[str] = ("select", "test")
    choose: bool = False
    # Settings that the spec compares.
    compare: Sequence[tuple[str, str]] = ()
    # Perplexity by setting, in every language; others have the first one's.
    perplexity: dict[str, float] = field(default_factory=dict)
    # Pairs whose job, with all its pairs, fails (role, setting label, pair).
    failed: Sequence[tuple[str, str, tuple[str, str]]] = ()
    seed: int = 0
    settings: Sequence[MadeSetting] = SETTINGS
    # Where retrieval on the select role is best.
    best_layer: str = "final"
    truth: dict[tuple[Any, ...], float] = field(default_factory=dict)
    # Rows of settings by label, and of jobs: `pair ROLE LABEL A B` (a star's have one), `comparison ROLE LABEL`.
    ids: dict[str, int] = field(default_factory=dict)

    def chosen(self, label: str, layer: str) -> bool:
        """Whether a setting and layer were chosen: see `Maker.items`."""
        return self.choose and layer == self.best_layer and label in ("none", STEERED, "centring")

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

    def evaluated(self, role: str) -> list[MadeSetting]:
        """Nothing is chosen among controls: only `test` has them."""
        return [each for each in self.settings if role == "test" or each.control is None]

    @property
    def spec(self) -> dict[str, Any]:
        roles = ("fit", *self.roles)
        columns = {"split": "split"}
        sources = {role: {"path": "book.csv", "split": f"{role} split", "columns": columns} for role in roles}
        return {
            "name": self.name,
            "models": [{"path": "model", "name": "tiny", "dtype": "float32", "attention": "eager"}],
            "corpora": sources,
            "targets": ["fra_Latn"],
            "interventions": [
                "none", {**EXPERTS, "k": 10}, {**EXPERTS, "k": 20, "controls": ["profile x3"]}, "centring",
            ],
            "embeddings": {"layers": list(self.layers), "pooling": "mean", "tokens": "content"},
            "statistics": {"resamples": 500},
            "allow_overlap": True,
            **({"choose": {"metric": "top1"}} if self.choose else {}),
            **({"compare": [list(pair) for pair in self.compare]} if self.compare else {}),
            **({"side_effects": {"perplexity": {"corpus": sources["test"]}}} if self.perplexity else {}),
        }  # fmt: skip


def write_sources(folder: Path, made: Made) -> None:
    """A model that nobody loads, and a table of sentences; three and four texts and a group are in two roles each."""
    (folder / "model").mkdir(parents=True)
    config = {"model_type": "bloom", "hidden_size": 8, "n_layer": N_BLOCKS, "n_head": 2, "vocab_size": 9}
    (folder / "model" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    for name in ("tokenizer.json", "model.safetensors"):
        (folder / "model" / name).write_text(f"{made.name}'s", encoding="utf-8")
    shared = {("fit", 0): (made.languages[:3], "x"), ("select", 0): (made.languages, "y")}
    with (folder / "book.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("item", "language", "text", "group", "split"))
        for role, number in itertools.product(("fit", "select", "test"), range(N_ITEMS)):
            for language in made.languages:
                text = f"{made.name} {role} {number} in {language}"
                among, both = shared.get((role, number), ((), ""))
                if language in among or (role == "test" and number < 2 and language in shared_with(number, made)):
                    text = f"{made.name} {both or 'xy'[number]} in {language}"
                group = "shared" if number == 0 and role != "select" else f"{role} {number}"
                table.writerow((f"{role}{number}", language, text, group, f"{role} split"))


def shared_with(number: int, made: Made) -> Sequence[str]:
    """The languages in which a sentence of `test` is one of `fit` (0) or of `select` (1) too."""
    return made.languages[:3] if number == 0 else made.languages


@dataclass(slots=True)
class Maker:
    """Serves jobs of submitted experiments. A number depends on what it stands for only."""

    made: Made
    context: Context
    queue: Queue
    runner: int
    # By key of the setting and of the corpus.
    labels: dict[str, str] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)

    def look_up(self) -> None:
        """Learn the names in the plans of all experiments."""
        with reading(self.context.engine) as connection:
            self.labels |= dict(connection.execute(
                select(t.Setting.key, t.ExperimentSetting.label)
                .join(t.ExperimentSetting, t.ExperimentSetting.setting_id == t.Setting.id)
            ).all())  # fmt: skip
            self.roles |= dict(connection.execute(
                select(t.Corpus.key, t.ExperimentCorpus.role)
                .join(t.ExperimentCorpus, t.ExperimentCorpus.corpus_id == t.Corpus.id)
            ).all())  # fmt: skip

    def serve(self, most: int | None = None, only: tuple[str, str] | None = None) -> int:
        """Do queued jobs; those that yield numbers at most so many, and `only` of a role and label. How many did."""
        self.look_up()
        done, held = 0, []
        while claims := self.queue.claim(self.runner, VERSIONS, limit=256):
            for claim in claims:
                numbers = claim.kind in NUMBERS
                if numbers and (done == most or not self.wanted(claim, only)):
                    held.append(claim)
                    continue
                done += numbers
                self.do(claim)
        for claim in held:
            self.queue.release(claim)
        return done

    def wanted(self, claim: Claim, only: tuple[str, str] | None) -> bool:
        if only is None:
            return True
        return claim.kind not in COMPARED and self.place(claim) == only

    def do(self, claim: Claim) -> None:
        if self.fails(claim):
            self.queue.fail(claim, "it broke", retry=False)
            return
        write = self.writer(claim)
        with self.queue.finishing(claim, environment={"torch": "2.13"}) as connection:
            write(connection)

    def fails(self, claim: Claim) -> bool:
        if claim.kind != PAIR_EVALUATION.name:
            return False
        place = self.place(claim)
        return any((*place, pair.sides) in self.made.failed for pair in claim.payload.pairs)

    def place(self, claim: Claim) -> tuple[str, str]:
        """Role and label of an evaluation."""
        return self.roles[claim.payload.corpus], self.labels[claim.payload.setting]

    def writer(self, claim: Claim) -> Callable[[Connection], None]:
        if claim.kind in COMPARED:
            (outcome,) = JOBS[claim.kind]([claim], self.context)
            return outcome.write
        if claim.kind == PAIR_EVALUATION.name:
            return self.pair(claim)
        if claim.kind == SPACE_EVALUATION.name:
            return self.space(claim)
        if claim.kind == INTERVENTION.name:
            # All but layer 0 can differ.
            edited = update(t.Intervention).where(t.Intervention.key == claim.subject).values(first_block=1)
            return lambda connection: connection.execute(edited)
        if claim.kind == PERPLEXITY.name:
            return self.written(claim)
        return lambda connection: None

    def pair(self, claim: Claim) -> Callable[[Connection], None]:
        role, label = self.place(claim)
        tensors: dict[str, Any] = {}
        rows = []
        for layer, (number, pair) in itertools.product(claim.payload.layers, enumerate(claim.payload.pairs)):
            first, second = pair.sides
            ways = [("retrieval", "forward", first, second), ("retrieval", "backward", second, first)]
            ways.append(("distances", "both", first, second))
            for measure, way, query, candidate in ways:
                metrics = {}
                tensor = f"{number}/{layer}/{measure}/{way}"
                for metric in RETRIEVAL if measure == "retrieval" else DISTANCES:
                    items = tensors[f"{tensor}/{metric}"] = self.items(role, label, metric, layer, query, candidate)
                    metrics[metric] = self.level(items, role, label, metric, layer, query, candidate)
                rows.append(EvaluationRow(measure, query, candidate, layer, metrics))
        stored = self.context.save(tensors, {"key": claim.key})
        return lambda connection: write_pair_results(
            connection, claim, rows, self.context.store.record(connection, stored)
        )

    def items(self, role: str, label: str, metric: str, layer: str, *languages: str | None) -> Any:
        named = content_key("made", 1, of=[self.made.seed, role, label, metric, layer, *languages])
        values = np.random.default_rng(int(named, 16)).random(N_ITEMS)
        if (role, metric) != ("select", "top1"):
            return values
        # What is chosen is known: one layer everywhere, and the larger k.
        return values / 4 + (0.5 if layer == self.made.best_layer else 0) + (0.25 if label == STEERED else 0)

    def level(self, items: Any, role: str, label: str, metric: str, layer: str, *languages: str | None) -> Level:
        value = float(items.mean())
        if layer in self.made.layers:
            self.made.truth[(role, label, metric, layer, *languages)] = value
        return Level(value, NAN, NAN, len(items), len(items))

    def written(self, claim: Claim) -> Callable[[Connection], None]:
        values = self.made.perplexity
        value = values.get(self.labels[claim.payload.setting], next(iter(values.values())))
        level = Level(value, NAN, NAN, N_ITEMS, N_ITEMS)
        row = EvaluationRow("perplexity", claim.payload.language, None, None, {"perplexity": level})
        return lambda connection: write_evaluations(connection, claim, [row], None)

    def space(self, claim: Claim) -> Callable[[Connection], None]:
        payload = claim.payload
        role, label = self.place(claim)
        rows = []
        for layer in payload.layers:
            for measure, metric, languages in (
                ("spread", "spread", payload.languages),
                ("space", "all_pairs_distance", [None]),
            ):
                for language in languages:
                    items = self.items(role, label, metric, layer, language, None)
                    level = self.level(items, role, label, metric, layer, language, None)
                    rows.append(
                        EvaluationRow(measure, language, None, layer, {metric: level}, scope=payload.scope_digest)
                    )
        return lambda connection: write_evaluations(connection, claim, rows, None)


@dataclass(frozen=True, slots=True)
class Database:
    """An engine with the made experiment in it, and rows that no view may show."""

    engine: Engine
    made: Made

    def stored(self, role: str, label: str, metric: str, layer: str, scope: str = "all") -> Any:
        """What the comparison stored of a setting, as its table has it, with its q and family of the last plan."""
        planned = select(t.ExperimentJob.job_id)
        adjusted = (
            select(
                t.AdjustedComparison.comparison_id,
                t.AdjustedComparison.q,
                t.Family.size.label("family_size"),
                t.Family.kind.label("family_kind"),
                t.Family.threshold,
            )
            .join(t.Family, t.Family.id == t.AdjustedComparison.family_id)
            .where(t.Family.job_id.in_(planned))
            .subquery()
        )
        with reading(self.engine) as connection:
            return connection.execute(
                select(t.Comparison.__table__, *list(adjusted.c)[1:])
                .outerjoin(adjusted, adjusted.c.comparison_id == t.Comparison.id)
                .where(
                    t.Comparison.job_id == self.made.ids[f"comparison {role} {label}"],
                    t.Comparison.setting_id == self.made.ids[label],
                    t.Comparison.metric == metric, t.Comparison.layer == layer, t.Comparison.scope == scope,
                )
            ).one()  # fmt: skip


def put(engine: Engine, folder: Path, made: Made) -> Database:
    """Submit a made experiment twice, the second time with a layer less, and serve all its jobs."""
    write_sources(folder, made)
    store = ArtifactStore(folder / "artifacts")
    earlier = {**made.spec, "embeddings": {**made.spec["embeddings"], "layers": [*made.layers, UNASKED]}}
    for content in (earlier, made.spec):
        submit(engine, store, parse(content), folder, replace=True)
    maker = maker_of(made, engine, store)
    maker.serve()
    with reading(engine) as connection:
        made.ids |= _settings(connection, made) | _jobs(connection, maker)
    return Database(engine, made)


def maker_of(made: Made, engine: Engine, store: ArtifactStore) -> Maker:
    """A maker with a runner of its own."""
    queue = Queue(engine)
    runner = queue.register_runner("one", "here", 1, {"kinds": VERSIONS})
    return Maker(made, Context(engine, store, Silent()), queue, runner)


def _settings(connection: Connection, made: Made) -> dict[str, int]:
    return dict(connection.execute(
        select(t.ExperimentSetting.label, t.ExperimentSetting.setting_id)
        .join(t.Experiment, t.Experiment.id == t.ExperimentSetting.experiment_id)
        .where(t.Experiment.name == made.name)
    ).all())  # fmt: skip


def _jobs(connection: Connection, maker: Maker) -> dict[str, int]:
    rows = connection.execute(
        select(t.Job.id, t.Job.kind, t.Job.payload)
        .join(t.ExperimentJob, t.ExperimentJob.job_id == t.Job.id)
        .join(t.Experiment, t.Experiment.id == t.ExperimentJob.experiment_id)
        .where(t.Experiment.name == maker.made.name)
    )
    found = {}
    for number, kind, payload in rows:
        if kind == COMPARISON.name:
            for each in payload["settings"]:
                found[f"comparison {payload['role']} {maker.labels[each['setting']]}"] = number
        if kind == PAIR_EVALUATION.name:
            label = maker.labels[payload["setting"]]
            for pair in payload["pairs"]:
                place = maker.roles[payload["corpus"]], label, pair["first"], pair["second"]
                found[" ".join(["pair", *place])] = number
    return found
