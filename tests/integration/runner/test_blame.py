"""Which job a failure is charged to, and the bars that runners draw meanwhile."""

import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from rich.console import Console
from sqlalchemy import select

from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.errors import ModelError
from sprachbund.progress import Bars
from sprachbund.workspace import Workspace
from sprachbund_runners.jobs import Context
from sprachbund_runners.jobs.registry import JOBS
from support.engines import sqlite_only

Make = Callable[..., dict[str, Any]]


@pytest.fixture
def edits(experiment: Make) -> dict[str, Any]:
    """Three interventions in one bundle: the first one's fit runs the model, with a bar of its own."""
    experts = {"method": "experts", "k": 8}
    return experiment(
        languages=["eng_Latn", "deu_Latn"],
        interventions=[
            "none",
            {**experts, "edit": "linear_act", "fit": "incremental"},
            experts,
            {**experts, "controls": ["profile x1"]},
        ],
        embeddings={"layers": ["final"]},
        choose=None,
        statistics={"resamples": 100},
    )


def failures(space: Workspace) -> dict[str, tuple[str, int, str | None]]:
    """Label: state, failures and error of every job that is not simply done."""
    with reading(space.engine) as connection:
        rows = connection.execute(select(t.Job.label, t.Job.state, t.Job.failures, t.Job.error)).all()
    return {label: (state, n, error) for label, state, n, error in rows if (state, n) != ("done", 0)}


@sqlite_only
@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "file"])
def test_real_bars(terminal: bool, space: Workspace, edits: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    submitted = space.submit(edits)
    file = io.StringIO()
    with Bars(Console(file=file, force_terminal=terminal)) as bars:
        tally = space.run(progress=bars)
    assert (tally.done, tally.failed) == (submitted.n_new, 0)
    assert failures(space) == {}
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == []
    assert ("fitting mlp.up of block 1" in file.getvalue()) == terminal
    assert ("making edits" in file.getvalue()) == terminal


Spoil = Callable[[Sequence[Any], Iterator[Any]], Iterator[Any]]


def spoil(monkeypatch: pytest.MonkeyPatch, spoiled: Spoil) -> list[int]:
    """Let interventions run through `spoiled`; the sizes of the bundles that came."""
    plain, sizes = JOBS["intervention"], []

    def run(claims: Sequence[Any], context: Context) -> Iterator[Any]:
        sizes.append(len(claims))
        yield from spoiled(claims, plain(claims, context))

    monkeypatch.setitem(JOBS, "intervention", run)
    return sizes


@sqlite_only
@pytest.mark.parametrize("before", [0, 1, 2, 3])
def test_a_bundle_that_fails_charges_nobody(
    before: int, space: Workspace, edits: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something that jobs share fails after so many of three: each of the others gets its turn alone."""

    def sharing(claims: Sequence[Any], outcomes: Iterator[Any]) -> Iterator[Any]:
        for number, outcome in enumerate(outcomes):
            if len(claims) > 1 and number == before:
                raise KeyError("shared")
            yield outcome
        if len(claims) > 1:
            raise KeyError("shared")

    space.submit(edits)
    sizes = spoil(monkeypatch, sharing)
    assert space.run().failed == 0
    assert failures(space) == {}
    assert sizes == [3] + [1] * (3 - before)


@sqlite_only
@pytest.mark.parametrize("guilty", [0, 1, 2])
def test_only_the_guilty_one_is_charged(
    guilty: int, space: Workspace, edits: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    met: list[str] = []

    def failing(claims: Sequence[Any], outcomes: Iterator[Any]) -> Iterator[Any]:
        met[:] = met or [claim.label for claim in claims]
        for outcome in outcomes:
            if outcome.claim.label == met[guilty]:
                # Of this kind of error a first failure is the last.
                raise ModelError("of its own")
            yield outcome

    space.submit(edits)
    sizes = spoil(monkeypatch, failing)
    assert space.run().failed == 1
    charged = {label: (n, error) for label, (_, n, error) in failures(space).items() if n}
    assert charged == {met[guilty]: (1, "of its own")}
    assert sizes[0] == 3


@sqlite_only
def test_a_job_without_an_outcome(space: Workspace, edits: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Left out of a bundle it gets its turn alone; left out then, it is charged."""
    left_out: list[str] = []

    def forgetting(claims: Sequence[Any], outcomes: Iterator[Any]) -> Iterator[Any]:
        left_out[:] = left_out or [claims[-1].label]
        for outcome in outcomes:
            if outcome.claim.label != left_out[0]:
                yield outcome

    space.submit(edits)
    sizes = spoil(monkeypatch, forgetting)
    status = space.queue.status()
    before = sum(sum(status[kind].values()) for kind in ("unit_statistics", "expert_set"))
    # Two of three and one that comes later; nobody waits for the next try.
    assert space.run(max_jobs=before + 3).done == before + 3
    charged = {label: error for label, (_, n, error) in failures(space).items() if n}
    assert list(charged) == left_out
    assert "gave no outcome" in str(charged[left_out[0]])
    assert sizes[:2] == [3, 1]


@sqlite_only
def test_bars_of_a_failed_bundle_go(space: Workspace, edits: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[list[str]] = []

    def looking(claims: Sequence[Any], outcomes: Iterator[Any]) -> Iterator[Any]:
        for outcome in outcomes:
            shown.append([label for label, _, _ in bars.shown if label == "making edits"])
            if len(claims) > 1:
                raise KeyError("shared")
            yield outcome

    space.submit(edits)
    spoil(monkeypatch, looking)
    with Bars(Console(file=io.StringIO(), force_terminal=True)) as bars:
        assert space.run(progress=bars).failed == 0
    assert shown == [["making edits"]] * 4
