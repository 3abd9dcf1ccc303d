"""The recipes of CONTRIBUTING.md, followed in a copy of both packages: how many files each touches, and that it works.

All recipes are applied to one copy, one after the other, and one process runs an experiment that uses what they add.
A recipe is one entry of `RECIPES`; `EVIDENCE` is what the process says of it.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("platform/sprachbund", "runners/sprachbund_runners")


@dataclass(frozen=True)
class Recipe:
    """A heading of CONTRIBUTING.md as a patch.

    new: text by path of files to write; edited: by path, pairs of a passage that stands there once and what replaces
    it; files: how many files may be touched; evidence: what the experiment's process says where the addition works.
    """

    files: int
    evidence: Any
    new: Mapping[str, str] = field(default_factory=dict)
    edited: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)


RECIPES = {
    "A scorer": Recipe(
        files=2,
        evidence=["greatest_gap"],
        new={
            "runners/sprachbund_runners/scorers/greatest_gap.py": '''"""The gap of the greatest responses."""


def greatest_gap(positives, negatives):
    """Greatest response of the target minus that of the negatives, float64 [units]."""
    return positives.max(axis=0).astype("float64") - negatives.max(axis=0)
'''
        },
        edited={
            "platform/sprachbund/catalogue/scorers.py": (
                (
                    '    "lape": ScorerRule(',
                    '    "greatest_gap": ScorerRule(\n        1, "responses", f"{_IN}.greatest_gap:greatest_gap",'
                    ' "higher", ANY, "gap of the greatest"\n    ),\n    "lape": ScorerRule(',
                ),
            )
        },
    ),
    "An edit": Recipe(
        files=2,
        evidence=["shrink"],
        edited={
            "runners/sprachbund_runners/interventions/affine.py": (
                (
                    "def mean_act(",
                    'def shrunk(n_units: int, strength: float) -> Affine:\n    """h\' = h / (1 + strength)."""\n'
                    "    return scaled(np.full(n_units, 1.0 / (1.0 + strength)))\n\n\ndef mean_act(",
                ),
            ),
            "platform/sprachbund/catalogue/edits.py": (
                (
                    '    "add": EditRule(',
                    '    "shrink": EditRule(\n        "units", f"{_AFFINE}:shrunk", "number", 0.5, (0.0, None),'
                    " to_target=False\n    ),\n"
                    '    "add": EditRule(',
                ),
            ),
        },
    ),
    "A direction": Recipe(
        files=2,
        evidence=["first_sentence"],
        new={
            "runners/sprachbund_runners/directions/first_sentence.py": '''"""The first sentence of the target."""

import numpy as np

from sprachbund_runners.directions.subspace import Subspace


def first_sentence(responses):
    """The response to the target's first sentence minus the languages' mean."""
    shift = responses.rows[0][0] - responses.mean
    basis = (shift / np.linalg.norm(shift))[:, None]
    return Subspace("first_sentence", basis, basis, responses.mean, shift)
'''
        },
        edited={
            "platform/sprachbund/catalogue/directions.py": (
                (
                    '    "pca": DirectionRule(',
                    '    "first_sentence": DirectionRule(f"{_IN}.first_sentence:first_sentence"),\n'
                    '    "pca": DirectionRule(',
                ),
            )
        },
    ),
    "A measure on request": Recipe(
        files=2,
        # Of languages, of ordered pairs, of pairs, and of the space.
        evidence=[
            ["diameter", "deu_Latn", None],
            ["diameter", "eng_Latn", None],
            ["farthest", "deu_Latn", "eng_Latn"],
            ["farthest", "eng_Latn", "deu_Latn"],
            ["nearest", "deu_Latn", "eng_Latn"],
            ["widest", None, None],
        ],
        new={
            "runners/sprachbund_runners/evaluation/extremes.py": '''"""The farthest and the nearest items."""

import numpy as np

from sprachbund_runners.evaluation.scores import PairScores


def distances(x, y):
    return 1.0 - (x.unit.rows @ y.unit.rows.T).astype(np.float64)


def diameter(vectors):
    return {"diameter": float(distances(vectors, vectors).max())}


def farthest(x, y):
    return PairScores({"farthest": distances(x, y).max(axis=1)}, {"farthest": distances(y, x).max(axis=1)})


def nearest(x, y):
    return PairScores(both={"nearest": distances(x, y).min(axis=1)}, values={"nearest_of_all": distances(x, y).min()})


def widest(languages):
    return {"widest": max(diameter(each)["diameter"] for each in languages.values())}
''',
            "platform/sprachbund/measures/extremes.py": '''"""The farthest and the nearest items."""

from sprachbund.measures.base import Measure, Metric
from sprachbund.measures.requested import Request

NAMES = ("diameter", "farthest", "nearest", "nearest_of_all", "widest")
METRICS = tuple(Metric(name, "cosine distance", "none", 0.0, 2.0, "bootstrap", name, "ours") for name in NAMES)
_IN = "sprachbund_runners.evaluation.extremes"
MEASURES = (
    Measure("diameter", 1, "language", False, ("diameter",), "", True, f"{_IN}:diameter"),
    Measure("farthest", 1, "pair", True, ("farthest",), "", True, f"{_IN}:farthest"),
    Measure("nearest", 1, "pair", False, ("nearest", "nearest_of_all"), "", True, f"{_IN}:nearest"),
    Measure("widest", 1, "space", False, ("widest",), "", True, f"{_IN}:widest"),
)


def wants(requested, asked):
    return [requested.want_of_vectors(measure) for measure in MEASURES if asked]


REQUEST = Request("extremes", bool, False, wants)
''',
        },
    ),
    "A retrieval metric": Recipe(
        files=2,
        # Both directions; compared with a baseline too.
        evidence=[2, True],
        edited={
            "runners/sprachbund_runners/evaluation/retrieval_scores.py": (
                (
                    "    bitext = bitext_items(",
                    '    items["xsim_right"] = 1.0 - items["xsim"]\n    bitext = bitext_items(',
                ),
            ),
            "platform/sprachbund/measures/retrieval.py": (
                (
                    '    Metric(\n        "bitext_accuracy"',
                    '    Metric(\n        "xsim_right", "share", "higher", 0.0, 1.0, "wilson", "1 - xsim", "ours",'
                    ' "chosen_by"\n    ),\n'
                    '    Metric(\n        "bitext_accuracy"',
                ),
                ('"xsim", "xsim_text", ', '"xsim", "xsim_right", "xsim_text", '),
                ('"retrieval", 3, "pair"', '"retrieval", 4, "pair"'),
            ),
        },
    ),
    "A view column": Recipe(
        files=1,
        evidence=[["final"], "String"],
        edited={
            "platform/sprachbund/db/views/evaluated.py": (
                (
                    '    Column("pooling", ',
                    '    Column("same_layer", "e.layer", "text", "the layer again"),\n    Column("pooling", ',
                ),
            ),
        },
    ),
    "A table": Recipe(
        files=1,
        evidence=[0],
        edited={
            "platform/sprachbund/db/tables/texts.py": (
                (
                    "class Generation(Base):",
                    'class Remark(Base):\n    __tablename__ = "remarks"\n\n    id: Mapped[Id]\n'
                    "    remark: Mapped[str] = mapped_column(Text)\n\n\nclass Generation(Base):",
                ),
            ),
        },
    ),
    "A job kind": Recipe(
        # What it is asked, the kind, who wants it; and the module that runs it.
        files=3,
        evidence=[["final", 12.0]],
        new={
            "runners/sprachbund_runners/jobs/measure/listing.py": '''"""How many sentences there are."""

from functools import partial

from sprachbund_runners.evaluation.scores import Level
from sprachbund_runners.jobs.context import Outcome
from sprachbund_runners.jobs.evaluation_rows import NAN, EvaluationRow, write_evaluations
from sprachbund_runners.jobs.measure.labelled import Labelled
from sprachbund_runners.jobs.serving import one_by_one


def run(claims, context):
    return one_by_one(claims, context, partial(listing, context))


def listing(context, claim):
    n = Labelled.of(claim.payload, context).n
    rows = [
        EvaluationRow(
            "listing", None, None, layer, {"listed": Level(n, NAN, NAN, n, n)}, scope=claim.payload.scope_digest
        )
        for layer in claim.payload.layers
    ]
    return Outcome(claim, lambda connection: write_evaluations(connection, claim, rows))
''',
            "platform/sprachbund/measures/listing.py": '''"""How many sentences a setting was evaluated on."""

from sprachbund.measures.base import Measure, Metric
from sprachbund.measures.requested import Request
from sprachbund.work.payloads.measure import LISTING, ListingPayload

METRICS = (Metric("listed", "sentences", "none", 0.0, None, "none", "sentences of all languages", "ours"),)
LISTED = Measure("listing", 1, "space", False, ("listed",), "how many sentences there are", optional=True)
MEASURES = (LISTED,)


def wants(requested, asked):
    return [requested.want(LISTING, ListingPayload(**requested.shared(LISTED)), "listing")] if asked else []


REQUEST = Request("listing", bool, False, wants)
''',
        },
        edited={
            "platform/sprachbund/work/payloads/measure.py": (
                (
                    "@dataclass(frozen=True, slots=True, kw_only=True)\nclass GeometryEvaluationPayload(",
                    "@dataclass(frozen=True, slots=True, kw_only=True)\nclass ListingPayload(RequestedPayload):\n"
                    '    """The number of sentences."""\n\n    @property\n    def asked(self) -> dict[str, Any]:\n'
                    "        return {}\n\n\n"
                    'LISTING = Kind(\n    "listing", 1, 59, "how many sentences", ListingPayload,'
                    ' run="sprachbund_runners.jobs.measure.listing:run"\n)\n\n\n'
                    "@dataclass(frozen=True, slots=True, kw_only=True)\nclass GeometryEvaluationPayload(",
                ),
            ),
        },
    ),
}

EXPERIMENT = r"""
import json
import sprachbund
from sprachbund import workspace

lines = ["item,split,eng_Latn,deu_Latn"]
for item in range(12):
    split = "fit" if item < 6 else "test"
    lines.append(f"{item},{split},the {item} houses stand,die {item} Häuser stehen")
open("texts.csv", "w", encoding="utf-8").write("\n".join(lines))
text = {"path": "texts.csv", "layout": "wide", "name": "texts"}
experts = {"method": "experts", "k": 4}
spec = {
    "name": "added",
    "corpora": {"fit": {**text, "split": "fit"}, "test": {**text, "split": "test"}},
    "targets": ["eng_Latn"],
    "experts": {"sites": ["mlp.up"]},
    "embeddings": {"layers": ["final"]},
    "interventions": [
        "none",
        {**experts, "scorers": "greatest_gap"},
        {**experts, "edit": "shrink"},
        {"method": "direction", "direction": "first_sentence"},
    ],
    "evaluations": {"extremes": True, "listing": True},
    "statistics": {"metrics": ["xsim_right"], "resamples": 100},
}
with workspace.init(".") as ws:
    ws.submit(spec)
    done = ws.run()
    def column(sql):
        return ws.query(sql).to_series().to_list()
    own = "select distinct {} from {} where {} order by 1"
    found = {
        "A scorer": column(own.format("scorer", "expert_sets", "scorer <> 'auroc'")),
        "An edit": column(own.format("edit", "interventions", "edit = 'shrink' and n_edited = 4")),
        "A direction": column(own.format("method", "directions", "artifact_id is not null")),
        "A measure on request": ws.query(
            "select name, query_language, candidate_language from evaluations join metrics on evaluation_id = id"
            " where name in ('diameter', 'farthest', 'nearest', 'widest') and value > 0"
            " group by 1, 2, 3 order by 1, 2, 3"
        ).rows(),
        "A retrieval metric": [
            column("select count(*) from retrieval_results where metric = 'xsim_right' and setting = 'none'")[0],
            column("select count(*) from comparisons where metric = 'xsim_right' and delta is not null")[0] > 0,
        ],
        "A view column": [
            column("select distinct same_layer from retrieval_results"),
            str(ws.results("added").schema["same_layer"]),
        ],
        "A table": column("select count(*) from remarks"),
        "A job kind": ws.query(
            "select distinct layer, value from evaluations join metrics on evaluation_id = evaluations.id"
            " join jobs on job_id = jobs.id where kind = 'listing' and name = 'listed'"
        ).rows(),
    }
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Followed:
    """The files that each recipe touched, and what the experiment's process said of each."""

    touched: Mapping[str, list[str]]
    evidence: Mapping[str, Any]


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for package in PACKAGES
        for path in sorted((folder / package).rglob("*.py"))
    }


def follow(recipe: Recipe, folder: Path) -> None:
    for name, text in recipe.new.items():
        assert not (folder / name).exists(), name
        (folder / name).write_text(text, encoding="utf-8")
    for name, passages in recipe.edited.items():
        text = (folder / name).read_text(encoding="utf-8")
        for old, new in passages:
            assert text.count(old) == 1, (name, old)
            text = text.replace(old, new)
        (folder / name).write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Followed:
    folder = tmp_path_factory.mktemp("copy")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package)
    shutil.copytree(ROOT / "migrations", folder / "migrations")
    touched: dict[str, list[str]] = {}
    before = tree(folder)
    for heading, recipe in RECIPES.items():
        follow(recipe, folder)
        after = tree(folder)
        touched[heading] = [name for name, content in after.items() if before.get(name) != content]
        before = after
    (folder / "run").mkdir()
    paths = os.pathsep.join(str(folder / each.split("/")[0]) for each in PACKAGES)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SPRACHBUND_")}
    ran = subprocess.run(
        [sys.executable, "-c", EXPERIMENT], cwd=folder / "run", env={**environment, "PYTHONPATH": paths},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
    return Followed(touched, json.loads(ran.stdout.splitlines()[-1]))


@pytest.mark.parametrize("heading", RECIPES)
def test_a_recipe_touches_few_files(followed: Followed, heading: str) -> None:
    assert len(followed.touched[heading]) == RECIPES[heading].files, followed.touched[heading]


@pytest.mark.parametrize("heading", RECIPES)
def test_what_a_recipe_adds_works(followed: Followed, heading: str) -> None:
    assert followed.evidence[heading] == RECIPES[heading].evidence


def section(heading: str) -> str:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found is not None, heading
    return found.group(1)


@pytest.mark.parametrize("heading", RECIPES)
def test_a_recipe_names_the_files_that_it_touches(heading: str) -> None:
    recipe = RECIPES[heading]
    named = {str(Path(name).with_name("NAME.py")) for name in recipe.new} | set(recipe.edited)
    assert [name for name in named if f"`{name}`" not in section(heading)] == []


def test_the_page_names_files_that_exist() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    paths = re.findall(r"`((?:platform|runners|tests|docs|migrations)/[\w/.]+)`", page)
    assert len(paths) > 20
    assert [path for path in paths if not (ROOT / path.replace("NAME.py", "")).exists()] == []
