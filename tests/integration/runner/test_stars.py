"""Experiments that share stars: each sees its own pairs, whoever else's the job's others are."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from sqlalchemy import func, select

from sprachbund import workspace
from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.db.names import find_setting
from sprachbund.results.number import explain_number
from sprachbund.results.snapshots import planned_pairs
from sprachbund.workspace import Workspace

Make = Callable[..., dict[str, Any]]
ALL = ["deu_Latn", "eng_Latn", "fra_Latn", "spa_Latn"]
FEW = ["deu_Latn", "fra_Latn", "spa_Latn"]
FIELDS = {
    "interventions": ["none", {"method": "experts", "k": 4}],
    "embeddings": {"layers": [1, "final"]},
    "statistics": {"resamples": 100},
    "evaluations": {"mining": True},
}


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[dict[str, Any]], Workspace]]:
    """A workspace in which nothing but one experiment was run."""
    made: list[Workspace] = []

    def run(spec: dict[str, Any]) -> Workspace:
        with monkeypatch.context() as patch:
            patch.delenv("SPRACHBUND_DATABASE_URL", raising=False)
            made.append(workspace.init(tmp_path / f"alone{len(made)}"))
        made[-1].submit(spec)
        assert made[-1].run(max_tokens=128).failed == 0
        return made[-1]

    yield run
    for each in made:
        each.close()


def check_as_alone(space: Workspace, other: Workspace, name: str) -> None:
    """Every number of the experiment is what it is where no other was run."""
    by = ["setting", "metric", "layer", "corpus", "role", "query_language", "candidate_language"]
    for kind in ("retrieval", "alignment"):
        ours, theirs = (each.results(name, kind).drop("job").sort(by) for each in (space, other))
        assert ours.height == theirs.height
        assert_frame_equal(ours, theirs, abs_tol=1e-5)
    ours, theirs = (
        each.compare(name).rows.drop("ordinal").sort("setting", "layer", "metric") for each in (space, other)
    )
    assert_frame_equal(ours, theirs, abs_tol=1e-5)
    audits = [
        each.query("select expected_cells, done_cells, missing_cells from experiment_audit where experiment = :name",
                   params={"name": name})
        for each in (space, other)
    ]  # fmt: skip
    assert_frame_equal(*audits)
    assert audits[0]["missing_cells"].item() == 0


def n_foreign(space: Workspace) -> int:
    with reading(space.engine) as connection:
        return connection.execute(select(func.count()).select_from(t.ForeignPair)).scalar_one()


def test_fewer_languages_cost_a_comparison(
    space: Workspace, experiment: Make, alone: Callable[[dict[str, Any]], Workspace]
) -> None:
    space.submit(experiment(name="whole", **FIELDS, languages=ALL, choose=None))
    assert space.run(max_tokens=128).failed == 0
    spec = experiment(name="few", **FIELDS, languages=FEW, choose=None)
    submitted = space.submit(spec)
    assert submitted.new == {"comparison": 4, "adjustment": 2, "space_evaluation": 4}
    assert space.run(max_tokens=128).failed == 0
    assert n_foreign(space) > 0
    other = alone(spec)
    check_as_alone(space, other, "few")
    found = space.compare("few")
    facts = {heading: dict(each) for heading, each in explain_number(space.engine, found, "1").parts.items()}
    assert facts["computed from"]["evaluations"] == 6
    assert len(facts["computed from"]["texts"]) == len(FEW)
    (steered,) = [label for label in submitted.settings if label != "none"]
    with reading(space.engine) as connection:
        corpus = connection.execute(select(t.Corpus.key).where(t.Corpus.split == "test")).scalar_one()
        asked = planned_pairs(connection, "few", find_setting(connection, steered, "few").key, corpus)
    assert sorted({language for each in asked for language in each.steered.snapshots}) == FEW
    # The same pairs again are nobody else's.
    space.submit({**spec, "languages": ALL}, replace=True)
    assert n_foreign(space) == 0


def test_another_text_of_a_language_is_evaluated_anew_and_not_mixed(
    space: Workspace,
    experiment: Make,
    word_corpus: Path,
    tmp_path: Path,
    alone: Callable[[dict[str, Any]], Workspace],
) -> None:
    before = experiment(name="same", **FIELDS, languages=ALL, choose=None)
    space.submit(before)
    assert space.run(max_tokens=128).failed == 0
    edited = tmp_path / f"edited{word_corpus.suffix}"
    frame = pl.read_csv(word_corpus) if word_corpus.suffix == ".csv" else pl.read_parquet(word_corpus)
    swapped = pl.when(pl.col("split") == "test").then(pl.col("spa_Latn").reverse().over("split")).otherwise("spa_Latn")
    frame = frame.with_columns(spa_Latn=swapped)
    frame.write_csv(edited) if word_corpus.suffix == ".csv" else frame.write_parquet(edited)
    after = {**before, "corpora": {
        role: {**source, "path": str(edited)} for role, source in before["corpora"].items()
    }}  # fmt: skip
    submitted = space.submit(after, replace=True)
    # A star of Spanish with the others, and its mining, for each setting.
    assert Counter(submitted.new) == {
        "snapshot": 2, "pair_evaluation": 2, "mining": 2, "space_evaluation": 2, "comparison": 2, "adjustment": 1
    }  # fmt: skip
    assert space.run(max_tokens=128).failed == 0
    check_as_alone(space, alone(after), "same")


def test_a_star_of_a_cancelled_experiment_is_run_for_who_shares_it(space: Workspace, experiment: Make) -> None:
    """What the shared star needs is wanted too, though it is of languages that nobody asks for any more."""
    space.submit(experiment(name="whole", **FIELDS, languages=ALL, choose=None))
    submitted = space.submit(experiment(name="few", **FIELDS, languages=FEW, choose=None))
    assert submitted.existing["snapshot"] == 2 * 2 * len(ALL)
    space.queue.cancel_experiment("whole")
    assert space.run(max_tokens=128).failed == 0
    assert space.compare("few").missing == []
