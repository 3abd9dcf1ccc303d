"""From a spec to rows: what is stored, and that nothing is computed twice."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select

from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.workspace import Workspace
from sprachbund_runners.models import embed as embedding
from sprachbund_runners.models import respond as responding

Make = Callable[..., dict[str, Any]]


def count(space: Workspace, table: Any) -> int:
    with reading(space.engine) as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def states(space: Workspace) -> Counter[str]:
    with reading(space.engine) as connection:
        return Counter(connection.execute(select(t.Job.state)).scalars())


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts sentences that go through a model."""
    counted: Counter[str] = Counter()
    from sprachbund_runners.jobs import snapshot, unit_statistics

    def counting(name: str, function: Any) -> Any:
        def wrapped(loaded: Any, texts: Any, *arguments: Any, **options: Any) -> Any:
            counted[name] += len(texts)
            return function(loaded, texts, *arguments, **options)

        return wrapped

    monkeypatch.setattr(snapshot, "embed", counting("embed", embedding.embed))
    monkeypatch.setattr(unit_statistics, "respond", counting("respond", responding.respond))
    return counted


def test_one_spec_fills_every_table_and_view(space: Workspace, experiment: Make, passes: Counter[str]) -> None:
    submitted = space.submit(experiment())
    assert submitted.n_new > 0
    tally = space.run()
    assert tally.failed == 0, tally.errors
    assert tally.done == submitted.n_new
    assert states(space) == {"done": submitted.n_new}
    # Four fit languages, 30 sentences each, read once for all targets, sites and scorers.
    assert passes["respond"] == 4 * 30
    for table in (t.UnitStatistics, t.ExpertSet, t.ExpertUnit, t.Snapshot, t.SnapshotPart, t.Evaluation, t.Metric,
                  t.Comparison, t.ControlComparison, t.Choice, t.ExpertOverlap):  # fmt: skip
        assert count(space, table) > 0, table
    frame = space.results(submitted)
    # Every ordered pair of three languages at four layers, under every setting, for every retrieval metric.
    top1 = frame.filter((frame["metric"] == "top1") & (frame["role"] == "test"))
    assert top1.height == 6 * 4 * len(submitted.settings)
    assert top1["value"].is_between(0, 1).all()
    alignment = space.results(submitted, "alignment")
    assert {"paired_distance", "distance_gap", "spread", "to_target", "all_pairs_distance"} <= set(alignment["metric"])
    comparison = space.query("select * from setting_comparison where experiment = 'tiny' and metric = 'top1'")
    assert comparison.filter(comparison["q"].is_not_null()).height > 0
    audit = space.query("select * from experiment_audit where experiment = 'tiny'")
    assert audit.height > 0


def test_twice_is_once_and_one_more_language_is_one_more_language(
    space: Workspace, experiment: Make, passes: Counter[str]
) -> None:
    space.submit(experiment())
    space.run()
    passes.clear()
    again = space.submit(experiment())
    assert again.n_new == 0
    space.run()
    assert not passes
    more = space.submit(experiment(languages=["eng_Latn", "deu_Latn", "fra_Latn", "spa_Latn"]))
    space.run()
    n_test = len({*more.settings}) - 2
    n_select = sum(" of " not in label for label in more.settings) - 2
    # Spanish only: once per untransformed setting and role, and once on the fit text for centring.
    assert passes == {"embed": 30 * (n_test + n_select + 1)}


def test_one_more_layer_adds_parts_to_the_same_snapshots(
    space: Workspace, experiment: Make, passes: Counter[str]
) -> None:
    space.submit(experiment(embeddings={"layers": [1]}))
    space.run()
    snapshots, parts = count(space, t.Snapshot), count(space, t.SnapshotPart)
    space.submit(experiment(embeddings={"layers": [1, "final"]}))
    tally = space.run()
    assert tally.failed == 0, tally.errors
    assert count(space, t.Snapshot) == snapshots
    assert count(space, t.SnapshotPart) == 2 * parts
    layers = set(space.results("tiny")["layer"])
    assert layers == {"1", "final"}
    # Asking for fewer layers shows fewer, and computes nothing but the comparison anew.
    fewer = space.submit(experiment(embeddings={"layers": ["final"]}))
    assert set(fewer.new) <= {"comparison", "choice"}
    space.run()
    assert set(space.results("tiny")["layer"]) == {"final"}


def test_bundling_and_batches_change_nothing_beyond_rounding(space: Workspace, experiment: Make) -> None:
    spec = experiment(interventions=["none", {"method": "experts", "k": 12}], choose=None)
    space.submit(spec)
    space.run(max_tokens=64, bundle=1)
    values = _values(space)
    with reading(space.engine) as connection:
        keys = set(connection.execute(select(t.Evaluation.key)).scalars())
    assert len(values) == len(keys)
    other = experiment(interventions=["none", {"method": "experts", "k": 12}], choose=None, name="other")
    assert space.submit(other).n_new == 0
    assert values == _values(space)


def _values(space: Workspace) -> dict[str, tuple[float, ...]]:
    with reading(space.engine) as connection:
        rows = connection.execute(
            select(t.Evaluation.key, t.Metric.name, t.Metric.value)
            .join(t.Metric, t.Metric.evaluation_id == t.Evaluation.id)
            .order_by(t.Evaluation.key, t.Metric.name)
        ).all()
    found: dict[str, list[float]] = {}
    for key, _, value in rows:
        found.setdefault(key, []).append(value)
    return {key: tuple(np.round(values, 12)) for key, values in found.items()}


def test_snapshots_below_the_first_edited_block_equal_the_unsteered(space: Workspace, experiment: Make) -> None:
    spec = experiment(interventions=["none", {"method": "experts", "k": 4, "blocks": [2]}], choose=None)
    space.submit(spec)
    tally = space.run()
    assert tally.failed == 0, tally.errors
    frame = space.results("tiny")
    for layer, same in (("0", True), ("1", True), ("2", False), ("final", False)):
        deltas = frame.filter((frame["layer"] == layer) & (frame["metric"] == "meaning_abx"))["delta"]
        assert (deltas.abs().max() == 0) is same, layer


def test_evicted_files_are_made_again_by_the_jobs_that_made_them(space: Workspace, experiment: Make) -> None:
    few = experiment(
        interventions=["none", {"method": "experts", "k": 4}], choose=None, languages=["eng_Latn", "deu_Latn"]
    )
    space.submit(few)
    space.run()
    before = _values(space)
    with reading(space.engine) as connection:
        texts = set(connection.execute(select(t.CorpusText.artifact_id)).scalars())
        files = [each for each in connection.execute(select(t.Artifact.id)).scalars() if each not in texts]
    assert space.store.evict(space.engine, files) > 0
    space.submit({**few, "languages": ["eng_Latn", "deu_Latn", "fra_Latn"]})
    tally = space.run()
    assert tally.failed == 0, tally.errors
    assert set(states(space)) == {"done"}
    after = _values(space)
    # The old pairs keep their numbers; the new ones were computed from snapshots that were made again.
    assert before.items() <= after.items()
    assert len(after) > len(before)
