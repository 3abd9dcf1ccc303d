"""Functions of one's own: the page's example as it stands, and `--plugin` in separate processes' place."""

import re
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sprachbund import workspace
from sprachbund.catalogue import plugins
from sprachbund.spec.reading import read_yaml

Command = Callable[..., Any]
SpecFile = Callable[..., Path]
PAGE = (Path(__file__).resolve().parents[3] / "docs" / "plugins.md").read_text(encoding="utf-8")
SCORER, MEASURE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
EXPERTS, EVALUATIONS = (read_yaml(block, "x") for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
ROWS: list[Any] = ["none", {"method": "experts", "k": 4}]


@pytest.fixture(autouse=True)
def _no_plugins_left() -> Iterator[None]:
    plugins.forget()
    yield
    plugins.forget()


def test_the_example_of_the_page_works(root: Path, spec_file: SpecFile, capsys: pytest.CaptureFixture[str]) -> None:
    spec_file(**EXPERTS, interventions=ROWS)
    assert len([line for line in SCORER.splitlines() if line.strip()]) == 10
    (root / "own.py").write_text(SCORER, encoding="utf-8")
    runpy.run_path(str(root / "own.py"))
    (name,) = plugins.scorers()
    assert name.startswith("clear_gap@")
    assert "shape: (" in capsys.readouterr().out
    with workspace.open(root) as space:
        frame = space.query("select setting from retrieval_results")
        assert frame["setting"].str.contains(name, literal=True).any()


def test_both_commands_take_a_file(root: Path, spec_file: SpecFile, sprachbund: Command) -> None:
    path = spec_file(**EVALUATIONS, interventions=ROWS)
    ran = sprachbund("submit", path)
    assert ran.code == 2
    assert "evaluations.measures: 'step' is not registered in this process: give --plugin FILE.py" in ran.err
    (root / "own.py").write_text(MEASURE, encoding="utf-8")
    assert sprachbund("submit", path, "--plugin", "own.py").code == 0
    (name,) = plugins.measures()
    plugins.forget()
    ran = sprachbund("run", "--device", "cpu")
    assert ran.code == 2
    assert f"measure '{name}' is not registered in this process: run with --plugin FILE.py" in ran.err
    assert sprachbund("retry").code == 0
    ran = sprachbund("run", "--device", "cpu", "--plugin", "own.py")
    assert ran.code == 0, ran.err
    with workspace.open(root) as space:
        frame = space.results("tiny", "alignment")
    assert frame.filter(frame["metric"] == name)["setting"].n_unique() == 2
    for file, message in (("none.py", "there is no such file"), ("experiment.yaml", "expected a Python file")):
        ran = sprachbund("run", "--plugin", file)
        assert (ran.code, ran.err.count("\n")) == (2, 1)
        assert message in ran.err
