"""A workspace on each engine, runners that pause in a few jobs of each kind, and what an undisturbed run gives."""

import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sprachbund import workspace
from sprachbund.workspace import Workspace
from support.finished import counts, values
from support.runners import FORKING, PROGRAM, Runner, Start

Make = Callable[..., dict[str, Any]]


@pytest.fixture
def space(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """A workspace on each engine."""
    monkeypatch.setenv("SPRACHBUND_DATABASE_URL", database_url)
    monkeypatch.chdir(tmp_path)
    with workspace.init(tmp_path) as made:
        yield made


@pytest.fixture
def small(experiment: Make) -> dict[str, Any]:
    """A few jobs of each kind."""
    return experiment(
        interventions=["none", {"method": "experts", "k": 4, "controls": ["profile x2"]}],
        embeddings={"layers": [1, "final"]},
        choose=None,
        statistics={"resamples": 100},
    )


@pytest.fixture
def start(space: Workspace, tmp_path: Path, database_url: str) -> Iterator[Start]:
    """Starts `sprachbund run` as a process of its own, to pause in a job kind."""
    runners: list[Runner] = []

    def started(
        *arguments: str, pause: str | None = None, point: str = "check", nth: int = 1, nap: float = 0
    ) -> Runner:
        name = f"runner{len(runners)}"
        given = {
            "folder": str(tmp_path),
            "name": name,
            "environment": {"SPRACHBUND_DATABASE_URL": database_url},
            "arguments": ["run", "--device", "cpu", "--threads", "1", "--max-tokens", "128", *arguments],
            "pause": pause,
            "point": point,
            "nth": nth,
            "nap": nap,
        }
        options = {"init_globals": {"GIVEN": given}}
        process = FORKING.Process(target=runpy.run_path, args=(str(PROGRAM),), kwargs=options)
        process.start()
        runners.append(Runner(process, tmp_path, name))
        return runners[-1]

    yield started
    for runner in runners:
        if runner.process.is_alive():
            runner.process.kill()
            runner.process.join(10)


@pytest.fixture(scope="session")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, word_corpus: Path, _sqlite_template: Path
) -> Callable[[dict[str, Any]], tuple[dict[str, int], dict[str, float]]]:
    """Rows and values of a run that nothing happened to; made once."""
    made: list[tuple[dict[str, int], dict[str, float]]] = []

    def run(spec: dict[str, Any]) -> tuple[dict[str, int], dict[str, float]]:
        if not made:
            with pytest.MonkeyPatch.context() as patch:
                patch.delenv("SPRACHBUND_DATABASE_URL", raising=False)
                with workspace.init(tmp_path_factory.mktemp("undisturbed")) as quiet:
                    quiet.submit(spec)
                    tally = quiet.run(max_tokens=128)
                    assert tally.failed == 0, tally.errors
                    made.append((counts(quiet), values(quiet)))
        return made[0]

    return run
