"""A name that is used again: what is kept, what is refused, and what two submissions at once come to."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from sprachbund.db import tables as t
from sprachbund.db.engine import reading, writing
from sprachbund.planning import revisions as module
from sprachbund.planning.deletion import delete_experiment
from sprachbund.planning.revisions import Revision, revisions
from sprachbund.planning.submission import PlanChanged, Submission
from sprachbund.progress import Silent
from sprachbund.workspace import Workspace

Make = Callable[..., dict[str, Any]]


def kept(space: Workspace, name: str = "tiny") -> list[Revision]:
    with reading(space.engine) as connection:
        return revisions(connection, name)


def everything(space: Workspace) -> tuple[dict[str, Any], dict[str, int]]:
    """Every row of every table, and every file."""
    with reading(space.engine) as connection:
        rows = {
            table.name: sorted(map(repr, connection.execute(select(table))))
            for table in t.Base.metadata.tables.values()
        }
    return rows, space.store.listing()


@pytest.fixture
def plain(experiment: Make) -> dict[str, Any]:
    """Nothing is run here: what is planned is enough."""
    rows = ["none", {"method": "experts", "k": 4}]
    return experiment(interventions=rows, languages=["eng_Latn", "deu_Latn"], choose=None)


def test_another_plan_is_refused_and_nothing_is_written(space: Workspace, plain: dict[str, Any]) -> None:
    space.submit(plain)
    before = everything(space)
    # Of French there is no text in the store yet.
    other = {**plain, "languages": ["eng_Latn", "fra_Latn"], "description": "other"}
    with pytest.raises(PlanChanged, match=r"^experiment 'tiny' has another plan, revision 1: say --replace") as refused:
        space.submit(other)
    told = space.submit(other, dry_run=True)
    assert everything(space) == before
    assert refused.value.submission == told
    assert told.change is not None and told.change.replaces
    assert [(each.field, each.a, each.b) for each in told.change.fields] == [
        ("description", "", "other"),
        ("languages.1", "deu_Latn", "fra_Latn"),
    ]
    assert told.unused.keys() >= {"snapshot", "pair_evaluation", "adjustment"}
    done = space.submit(other, replace=True)
    assert (done.revision, done.change, done.new, done.unused) == (2, told.change, told.new, told.unused)
    with reading(space.engine) as connection:
        linked = select(func.count()).select_from(t.ExperimentJob)
        assert connection.execute(linked).scalar_one() == done.n_new + sum(done.existing.values())
        stored = connection.execute(select(t.Experiment)).one()
    first, second = kept(space)
    assert (stored.revision, stored.spec) == (2, second.asked.spec)
    assert first.asked.spec["languages"] == ["eng_Latn", "deu_Latn"]
    assert first.submitted_ms < stored.submitted_ms <= second.submitted_ms


def test_the_same_again_is_no_revision_and_reopens(space: Workspace, plain: dict[str, Any]) -> None:
    first = space.submit(plain)
    assert (first.change, first.unused, first.revision) == (None, {}, 1)
    with writing(space.engine) as connection:
        one = select(func.min(t.Job.id)).where(t.Job.open_needs == 0).scalar_subquery()
        connection.execute(t.Job.__table__.update().where(t.Job.id == one).values(state="failed"))
    (before,) = kept(space)
    again = space.submit(plain)
    assert (again.revision, again.reopened, again.n_new, again.change) == (1, 1, 0, None)
    space.queue.cancel_experiment("tiny")
    assert space.submit(plain).reopened == first.n_new
    assert kept(space) == [before]


def test_words_are_kept_without_asking(space: Workspace, plain: dict[str, Any]) -> None:
    space.submit(plain)
    said = space.submit({**plain, "description": "in other words"})
    assert said.revision == 2 and said.change is not None and not said.change.replaces
    assert [each.asked.spec["description"] for each in kept(space)] == ["", "in other words"]
    assert len({each.asked.plan_digest for each in kept(space)}) == 1
    # And back to what was: a revision of its own, since it is not what came last.
    assert space.submit(plain).revision == 3


def test_a_text_that_changed_under_its_name_is_another_plan(
    space: Workspace, plain: dict[str, Any], word_corpus: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.csv"
    mine.write_bytes(word_corpus.read_bytes())
    spec = {**plain, "corpora": {role: {**each, "path": str(mine)} for role, each in plain["corpora"].items()}}
    space.submit(spec)
    lines = mine.read_text().splitlines()
    assert lines[-1].split(",")[2] == "test"
    mine.write_text("\n".join([*lines[:-1], lines[-1] + " spa1"]) + "\n")
    # Spanish is read for its experts alone: another fit text would be another plan, this test text is not read.
    assert space.submit(spec).change is None
    mine.write_text("\n".join([*lines[:-1], lines[-1].replace("deu", "deu1 deu", 1)]) + "\n")
    with pytest.raises(PlanChanged) as refused:
        space.submit(spec)
    change = refused.value.submission.change
    assert change is not None and change.fields == ()
    assert change.parts["texts"].changed == ("test: words/test deu_Latn",)


def test_deleting_takes_the_revisions_along(space: Workspace, plain: dict[str, Any]) -> None:
    space.submit(plain)
    space.submit({**plain, "languages": ["eng_Latn", "fra_Latn"]}, replace=True)
    space.submit({**plain, "name": "other"})
    delete_experiment(space.engine, space.store, "tiny", Silent().start, dry_run=False)
    assert [each.number for each in kept(space, "other")] == [1]
    with reading(space.engine) as connection:
        assert connection.execute(select(func.count()).select_from(t.ExperimentRevision)).scalar_one() == 1
    assert space.submit(plain).revision == 1


def test_who_when_and_with_what(space: Workspace, plain: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ana")
    space.submit(plain)

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 1001")

    monkeypatch.setattr(module.getpass, "getuser", nobody)
    monkeypatch.setattr(module.socket, "gethostname", lambda: "")
    space.submit({**plain, "targets": ["deu_Latn"]}, replace=True)
    seen = space.query("SELECT * FROM experiment_history WHERE experiment = 'tiny' ORDER BY experiment_revision")
    assert seen["experiment_revision"].to_list() == [1, 2] and seen["current"].to_list() == [0, 1]
    assert seen["submitted_by"].to_list() == ["ana", None]
    assert seen["host"][0] and seen["host"][1] is None
    assert seen["spec_digest"].n_unique() == seen["plan_digest"].n_unique() == 2
    assert seen["source"].to_list() == [module.source_digest()] * 2
    with reading(space.engine) as connection:
        now = connection.execute(select(module.now_ms(connection))).scalar_one()
    assert all(now - 60_000 < each <= now for each in seen["submitted_ms"])
    audit = space.query("SELECT experiment_revision FROM experiment_audit WHERE experiment = 'tiny'")
    assert audit.item() == 2


@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize("replace", [True, False])
def test_two_at_once_come_one_after_the_other(
    space: Workspace, plain: dict[str, Any], monkeypatch: pytest.MonkeyPatch, alike: bool, replace: bool
) -> None:
    """Both have looked, and seen that there is nothing yet, before either takes the lock."""
    both = threading.Barrier(2, timeout=60)
    done: list[Submission | PlanChanged] = []
    put_bytes = type(space.store).put_bytes
    stored: dict[int, Any] = {}

    def put(store: Any, *arguments: Any) -> Any:
        # Texts are stored between the look and the lock.
        if threading.get_ident() not in stored:
            stored[threading.get_ident()] = both.wait()
        return put_bytes(store, *arguments)

    def submit(spec: dict[str, Any]) -> None:
        try:
            done.append(space.submit(spec, replace=replace))
        except PlanChanged as refused:
            done.append(refused)

    monkeypatch.setattr(type(space.store), "put_bytes", put)
    specs = [plain, plain if alike else {**plain, "targets": ["deu_Latn"]}]
    threads = [threading.Thread(target=submit, args=(spec,)) for spec in specs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(done) == len(stored) == 2
    numbers = [each.number for each in kept(space)]
    if alike:
        assert numbers == [1] and [each.revision for each in done if isinstance(each, Submission)] == [1, 1]
    elif replace:
        assert numbers == [1, 2] and {each.revision for each in done if isinstance(each, Submission)} == {1, 2}
    else:
        assert numbers == [1] and sorted(type(each).__name__ for each in done) == ["PlanChanged", "Submission"]
