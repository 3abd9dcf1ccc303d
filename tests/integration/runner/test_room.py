"""What makes room: files that are given up, evicted, or deleted with their experiment; and what that leaves alone."""

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import column, func, select, table, text

from sprachbund.db import tables as t
from sprachbund.db.engine import reading, writing
from sprachbund.db.views import VIEWS
from sprachbund.errors import QueryError
from sprachbund.files import eviction
from sprachbund.files.bulk import BULK
from sprachbund.files.garbage import collect_garbage, find_garbage
from sprachbund.planning.deletion import delete_experiment
from sprachbund.progress import Silent
from sprachbund.results.item import explain_item
from sprachbund.work.kinds import KINDS, read_payload
from sprachbund.work.payloads.embed import SnapshotPayload
from sprachbund.work.payloads.star import Starred
from sprachbund.workspace import Workspace
from support.engines import sqlite_only
from support.finished import values
from support.open_needs import open_needs

Make = Callable[..., dict[str, Any]]
FEW: dict[str, Any] = {
    "languages": ["eng_Latn", "deu_Latn"],
    "embeddings": {"layers": [1, "final"]},
    "statistics": {"resamples": 100},
    "choose": None,
}


@pytest.fixture
def few(experiment: Make) -> Make:
    def make(name: str, *interventions: Any, **fields: Any) -> dict[str, Any]:
        return experiment(**{**FEW, "name": name, "interventions": ["none", *interventions], **fields})

    return make


def run(space: Workspace, **options: Any) -> Any:
    tally = space.run(max_tokens=128, **options)
    assert tally.failed == 0, tally.errors
    return tally


def states(space: Workspace) -> dict[str, set[str]]:
    """The states of the files of each kind."""
    found: dict[str, set[str]] = {}
    with reading(space.engine) as connection:
        for kind, bulk in BULK.items():
            rows = bulk.rows().subquery()
            of = select(t.Artifact.state).join(rows, rows.c.artifact_id == t.Artifact.id)
            found[kind] = set(connection.execute(of).scalars())
    return found


def seen(space: Workspace, experiment: str) -> dict[str, list[Any]]:
    """Every row of every view that tells of an experiment."""
    found: dict[str, list[Any]] = {}
    with reading(space.engine) as connection:
        for view in VIEWS.values():
            if any(each.name == "experiment" for each in view.columns):
                statement = select(text("*")).select_from(table(view.name)).where(column("experiment") == experiment)
                found[view.name] = sorted(map(str, connection.execute(statement)))
    return found


def counted(space: Workspace) -> dict[str, int]:
    """Rows of every table that has any, without those that only tell what happened."""
    with reading(space.engine) as connection:
        counts = {
            each.name: int(connection.execute(select(func.count()).select_from(each)).scalar_one())
            for each in t.Base.metadata.sorted_tables
        }
    return {name: n for name, n in counts.items() if n and name not in ("runners", "languages", "metric_names")}


def test_what_a_pass_makes_again_is_given_up_and_results_are_the_same(space: Workspace, few: Make) -> None:
    space.submit(few("tiny", "centring", {"method": "experts", "k": 4, "controls": ["profile x1"]}))
    tally = run(space, keep="results")
    found = states(space)
    assert {kind for kind, each in found.items() if each == {"evicted"}} == {"snapshot", "responses"}
    assert all(found[kind] == {"present"} for kind in ("moments", "ranking", "edits", "outcomes"))
    with reading(space.engine) as connection:
        gone = connection.execute(select(func.sum(t.Artifact.n_bytes)).where(t.Artifact.state == "evicted")).scalar()
    assert tally.freed == gone > 0
    kept = set(space.store.listing())
    with reading(space.engine) as connection:
        assert kept == set(connection.execute(select(t.Artifact.uri).where(t.Artifact.state == "present")).scalars())
    before = values(space)
    # One layer more needs none of what was given up but the edits and the text.
    space.submit(few("tiny", "centring", {"method": "experts", "k": 4, "controls": ["profile x1"]},
                     embeddings={"layers": [1, 2, "final"]}), replace=True)  # fmt: skip
    run(space, keep="results")
    after = values(space)
    common = before.keys() & after.keys()
    assert len(common) > 100
    assert {name: after[name] for name in common} == pytest.approx({name: before[name] for name in common}, abs=1e-5)
    # A scorer more needs the responses.
    space.submit(few("tiny", {"method": "experts", "k": 4, "scorers": ["auroc", "average_precision"]}), replace=True)
    run(space, keep="results")
    assert states(space)["responses"] == states(space)["snapshot"] == {"evicted"}


def test_files_stay_while_somebody_needs_or_keeps_them(space: Workspace, few: Make) -> None:
    space.submit(few("kept", {"method": "experts", "k": 4}, keep="all"))
    space.submit(few("given", {"method": "experts", "k": [4, 9]}))
    run(space, keep="results")
    with reading(space.engine) as connection:
        rows = BULK["snapshot"].rows().subquery()
        kept = select(t.ExperimentJob.job_id).join(t.Experiment).where(t.Experiment.name == "kept")
        of = select(t.Artifact.state, rows.c.job_id.in_(kept)).join(rows, rows.c.artifact_id == t.Artifact.id)
        found = set(map(tuple, connection.execute(of)))
    assert found == {("present", True), ("evicted", False)}
    # Where a job still waits for what a snapshot holds, that stays, whatever anybody keeps.
    with writing(space.engine) as connection:
        first = select(t.Job.id).where(t.Job.kind == "pair_evaluation").order_by(t.Job.id).limit(1)
        evaluation = connection.execute(first).scalar_one()
        connection.execute(t.Job.__table__.update().where(t.Job.id == evaluation).values(state="failed"))
        connection.execute(t.Experiment.__table__.update().values(spec={}))
    eviction.give_up(space.engine, space.store, "results")
    with reading(space.engine) as connection:
        needed = select(t.JobEdge.needs_id).where(t.JobEdge.job_id == evaluation)
        of = select(t.Artifact.state, rows.c.job_id.in_(needed)).join(rows, rows.c.artifact_id == t.Artifact.id)
        assert set(map(tuple, connection.execute(of))) == {("present", True), ("evicted", False)}


def test_an_item_is_explained_once_its_embeddings_are_made_again(space: Workspace, few: Make) -> None:
    space.submit(few("tiny", "centring"))
    run(space, keep="results")

    def explain() -> Any:
        return explain_item(space.engine, space.store, "eng:deu", "3", experiment="tiny", setting="centring")

    with pytest.raises(QueryError, match=r"4 of 4 files .* were not kept; .* `sprachbund run --keep all`"):
        explain()
    assert run(space, keep="all").done == 4
    assert explain().sides[0].top


def test_eviction_names_what_is_shared_and_leaves_it(space: Workspace, few: Make) -> None:
    space.submit(few("one", {"method": "experts", "k": 4}))
    space.submit(few("two", {"method": "experts", "k": 9}))
    run(space, keep="all")
    with reading(space.engine) as connection:
        one = connection.execute(select(t.Experiment.id).where(t.Experiment.name == "one")).scalar_one()
    found = eviction.evictable(space.engine, one, ["snapshot"], shared=False)
    # Both have the unsteered setting's two languages on two texts.
    assert [each.shared_with for each in found.left["shared"]] == [("two",)] * 4
    assert len(found.going) == 4 and not found.left["needed"]
    freed = eviction.evict(space.engine, space.store, found.going, lambda n: None)
    assert freed == sum(each.n_bytes for each in found.going) > 0
    everything = eviction.evictable(space.engine, one, ["snapshot", "outcomes"], shared=True)
    assert {each.kind for each in everything.going} == {"snapshot", "outcomes"}
    assert not everything.left["shared"]
    eviction.evict(space.engine, space.store, everything.going, lambda n: None)
    before = values(space)
    statistics = {"resamples": 100, "metrics": ["csls_top1"]}
    space.submit(few("one", {"method": "experts", "k": 4}, statistics=statistics), replace=True)
    run(space, keep="all")
    after = values(space)
    assert {name: after[name] for name in before} == pytest.approx(before, abs=1e-5)


def test_a_deleted_experiment_leaves_the_other_as_it_was(space: Workspace, few: Make) -> None:
    one = few("one", "centring", {"method": "experts", "k": [4, 9], "controls": ["profile x1"]})
    two = few("two", {"method": "experts", "k": 4}, languages=["eng_Latn", "deu_Latn", "fra_Latn"])
    space.submit(two)
    run(space)
    alone = counted(space)
    space.submit(one)
    run(space)
    before, with_both, listed = seen(space, "two"), counted(space), space.store.listing()
    assert all(rows for name, rows in before.items() if name == "retrieval_results")
    told = delete_experiment(space.engine, space.store, "one", Silent().start, dry_run=True)
    assert (counted(space), space.store.listing()) == (with_both, listed)
    done = delete_experiment(space.engine, space.store, "one", Silent().start, dry_run=False)
    assert (done.jobs, done.rows, done.files, done.kept) == (told.jobs, told.rows, told.files, told.kept)
    assert seen(space, "two") == before
    assert counted(space) == alone
    assert sum(listed.values()) - sum(space.store.listing().values()) == done.files.n_bytes > 0
    again = space.submit(one)
    assert again.new == done.jobs
    assert sum(again.existing.values()) == done.kept
    run(space)
    assert counted(space) == with_both
    assert seen(space, "two") == before
    for name in ("one", "two"):
        delete_experiment(space.engine, space.store, name, Silent().start, dry_run=False)
    assert counted(space) == {}
    assert space.store.listing() == {}
    with pytest.raises(QueryError, match="unknown experiment 'one'"):
        delete_experiment(space.engine, space.store, "one", Silent().start, dry_run=True)


@pytest.mark.parametrize("seed", range(3))
def test_any_set_of_experiments_survives_a_deletion(space: Workspace, few: Make, seed: int) -> None:
    """Plans that share jobs at random, one of them submitted twice with other content."""
    drawn = random.Random(seed)

    def spec(name: str) -> dict[str, Any]:
        steered = {"method": drawn.choice(["experts", "union"]), "k": drawn.sample([3, 4, 9], drawn.randint(1, 2))}
        return few(
            name,
            *drawn.sample(["centring", "centring_transductive", "whitening"], drawn.randint(0, 2)),
            {**steered, "controls": drawn.choice([[], ["profile x1"]])},
            languages=drawn.sample(["eng_Latn", "deu_Latn", "fra_Latn", "spa_Latn"], drawn.randint(2, 3)),
            embeddings={"layers": drawn.sample([0, 1, 2, "final"], drawn.randint(1, 3))},
        )

    names = ["a", "b", "c"]
    specs = {name: spec(name) for name in names}
    space.submit(spec(drawn.choice(names)))
    for name in names:
        space.submit(specs[name], replace=True)
    with writing(space.engine) as connection:
        connection.execute(t.Job.__table__.update().values(state="done", open_needs=0))
    for deleted in drawn.sample(names, 2):
        kept = [name for name in names if name != deleted]
        before, planned = {name: _plan(space, name) for name in kept}, _jobs(space, deleted)
        done = delete_experiment(space.engine, space.store, deleted, Silent().start, dry_run=False)
        assert {name: _plan(space, name) for name in kept} == before
        for name in kept:
            again = space.submit(specs[name], dry_run=True)
            assert (again.n_new, again.reopened) == (0, 0)
        gone = planned.keys() - _jobs(space).keys()
        # What an earlier plan made of jobs that are gone went as well.
        assert Counter(planned[key][0] for key in gone) <= Counter(done.jobs)
        assert done.kept == len(planned) - len(gone)
        # Layers that several jobs had come back in one; pairs of languages in as few stars as now cover them.
        again = {subjects: kind for kind, subjects, _ in (planned[key] for key in gone)}
        new = space.submit(specs[deleted], dry_run=True).new
        assert new.keys() == set(again.values())
        assert {kind: n for kind, n in new.items() if not issubclass(KINDS[kind].payload, Starred)} == Counter(
            kind for kind in again.values() if not issubclass(KINDS[kind].payload, Starred)
        )
        _check_whole(space)
        # Once more for good: the same work, at no layer more. Jobs of an earlier plan had layers that this one lacks.
        space.submit(specs[deleted])
        redone = _work(_jobs(space, deleted))
        assert redone <= _work(planned)
        # A star that it shared may have had pairs that it did not ask for: it does without their embeddings now.
        lacking = {work[:2] for work in _work(planned)} - {work[:2] for work in redone}
        asked = specs[deleted]["languages"]
        assert all(kind == "snapshot" and subject.split()[0] not in asked for kind, subject in lacking)
        with writing(space.engine) as connection:
            connection.execute(t.Job.__table__.update().values(state="done", open_needs=0))


def _work(jobs: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]]) -> set[tuple[str, str, str]]:
    return {
        (kind, subject, layer)
        for kind, subjects, layers in jobs.values()
        for subject in subjects
        for layer in layers or ("",)
    }


def _jobs(space: Workspace, experiment: str | None = None) -> dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """Kind, subjects and layers of an experiment's jobs, or of all, by key.

    Subjects are of stars the keys of their pairs; snapshots have their language too.
    """
    planned = select(t.ExperimentJob.job_id).join(t.Experiment).where(t.Experiment.name == experiment)
    every = select(t.Job.key, t.Job.kind, t.Job.subject, t.Job.payload)
    with reading(space.engine) as connection:
        rows = connection.execute(every if experiment is None else every.where(t.Job.id.in_(planned)))
        found = {}
        for key, kind, subject, stored in rows:
            payload = read_payload(kind, stored, key)
            subjects = (f"{payload.language} {subject}" if isinstance(payload, SnapshotPayload) else subject,)
            if isinstance(payload, Starred):
                subjects = tuple(pair.key for pair in payload.pairs)
            found[key] = (kind, subjects, tuple(stored.get("layers") or ()))
        return found


def _plan(space: Workspace, experiment: str) -> set[tuple[Any, ...]]:
    """Jobs of an experiment with what they need, its settings and its texts."""
    statements = (
        "SELECT job.key, need.key FROM experiments e JOIN experiment_jobs l ON l.experiment_id = e.id"
        " JOIN jobs job ON job.id = l.job_id LEFT JOIN job_edges edge ON edge.job_id = job.id"
        " LEFT JOIN jobs need ON need.id = edge.needs_id WHERE e.name = :name",
        "SELECT s.key, x.label FROM experiments e JOIN experiment_settings x ON x.experiment_id = e.id"
        " JOIN settings s ON s.id = x.setting_id WHERE e.name = :name",
        "SELECT x.key, a.uri FROM experiments e JOIN experiment_corpora c ON c.experiment_id = e.id"
        " JOIN corpus_texts x ON x.corpus_id = c.corpus_id JOIN artifacts a ON a.id = x.artifact_id"
        " WHERE e.name = :name",
    )
    with reading(space.engine) as connection:
        return {tuple(row) for each in statements for row in connection.execute(text(each), {"name": experiment})}


def _check_whole(space: Workspace) -> None:
    """Every key that a job names is there, and every file that a row names; open needs are counted right."""
    stored, expected = open_needs(space.engine)
    assert stored == expected
    with reading(space.engine) as connection:
        subjects = set(connection.execute(select(t.Job.subject)).scalars())
        settings = set(connection.execute(select(t.Setting.key)).scalars())
        texts = set(connection.execute(select(t.CorpusText.key)).scalars())
        for kind, payload in connection.execute(select(t.Job.kind, t.Job.payload)):
            if kind == "snapshot":
                assert payload["setting"] in settings
                assert payload["text"]["key"] in texts
                assert payload["intervention"] is None or payload["intervention"] in subjects
            if kind == "unit_statistics":
                assert payload["text"]["key"] in texts
        uris = connection.execute(select(t.Artifact.uri).where(t.Artifact.state == "present")).scalars().all()
    assert set(uris) == set(space.store.listing())


@sqlite_only
def test_the_rest_of_a_run_is_collected(space: Workspace, few: Make) -> None:
    """Of a finished run there is no garbage; what nobody recorded, or evicted and came back, is."""
    space.submit(few("tiny", {"method": "experts", "k": 4}))
    run(space)
    assert find_garbage(space.engine, space.store, 0).n_bytes == 0
    stray = space.store.put_bytes(b"nobody's", ".bin")
    assert find_garbage(space.engine, space.store).n_bytes == 0
    before = space.store.listing()
    assert collect_garbage(space.engine, space.store, Silent().start, 0).unrecorded.n_bytes == stray.n_bytes
    assert before.keys() - space.store.listing().keys() == {stray.uri}
