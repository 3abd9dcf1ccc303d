"""Revisions at the command line: what is refused, shown and compared."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sprachbund.spec.reading import read_yaml

Command = Callable[..., Any]
SpecFile = Callable[..., Path]
Rows = Callable[[str], int]


@pytest.fixture
def revised(sprachbund: Command, spec_file: SpecFile) -> Path:
    """Submitted, then with another language in place of German, then under other words."""
    assert sprachbund("submit", spec_file()).code == 0
    changed = {"languages": ["eng_Latn", "fra_Latn"]}
    assert sprachbund("submit", spec_file(**changed), "--replace").code == 0
    last = spec_file(**changed, description="in other words")
    assert sprachbund("submit", last).code == 0
    return last


def test_another_plan_is_shown_and_refused(sprachbund: Command, spec_file: SpecFile, rows: Rows) -> None:
    first = sprachbund("submit", spec_file(), "--json").json
    assert (first["change"], first["unused"], first["dry_run"]) == (None, {}, False)
    n_jobs, path = rows("jobs"), spec_file(statistics={"resamples": 150})
    refused = sprachbund("submit", path)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert refused.err.startswith("sprachbund: experiment 'tiny' has another plan, revision 1: say --replace")
    head, _, row = refused.out.splitlines()[:3]
    assert (head.split(), row.split()) == (["field", "revision", "1", "now"], ["statistics.resamples", "100", "150"])
    assert "work       2 otherwise: comparison, adjustment" in refused.out
    assert "unused     6 jobs of revision 1: 4 comparison, 2 adjustment" in refused.out
    told = sprachbund("submit", path, "--json")
    assert (told.code, told.err) == (2, refused.err)
    dry = sprachbund("submit", path, "--dry-run")
    assert (dry.code, dry.err) == (0, "")
    assert refused.out in dry.out and dry.out.endswith("to plan this in place of revision 1: --replace\n")
    dry = sprachbund("submit", path, "--dry-run", "--json").json
    assert dry == told.json
    assert dry["change"]["fields"] == [{"field": "statistics.resamples", "a": 100, "b": 150}]
    assert dry["change"]["parts"]["work"]["changed"] == ["comparison", "adjustment"]
    assert (rows("jobs"), rows("experiment_revisions")) == (n_jobs, 1)

    done = sprachbund("submit", path, "--replace")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("experiment tiny, revision 2\n") and refused.out in done.out
    again = sprachbund("submit", path)
    assert again.code == 0 and "revision 2" in again.out and "resamples" not in again.out
    assert rows("experiment_revisions") == 2


def test_show_prints_a_revision_as_a_file(sprachbund: Command, revised: Path, root: Path) -> None:
    shown = sprachbund("show", "tiny", "--json").json
    assert (shown["revision"], shown["spec"]["description"]) == (3, "in other words")
    assert {"submitted_by", "host", "version", "source", "plan_digest"} <= shown.keys()
    assert sprachbund("show", "tiny").out.startswith("tiny: revision 3, submitted 20")
    first = sprachbund("show", "tiny", "--revision", 1)
    assert first.out.startswith("# tiny: revision 1, submitted ")
    assert "; current is revision 3\n" in first.out
    found = sprachbund("show", "tiny", "--revision", 1, "--json").json
    assert found["spec"] == read_yaml(first.out, "x") and found["spec"]["languages"] == ["eng_Latn", "deu_Latn"]
    assert (found["revision"], found["current"]) == (1, 3)
    (root / "first.yaml").write_text(first.out)
    assert sprachbund("submit", "first.yaml").code == 2
    assert sprachbund("submit", "first.yaml", "--replace", "--json").json["revision"] == 4
    for number in (0, 5):
        lost = sprachbund("show", "tiny", "--revision", number)
        assert (lost.code, lost.err) == (2, f"sprachbund: there is no revision {number}; expected 1 to 4\n")


def test_diff_compares_two_revisions(sprachbund: Command, revised: Path) -> None:
    last = sprachbund("diff", "--revisions", "tiny").out.splitlines()
    assert [line[:13] for line in last[:2]] == ["a  revision 2", "b  revision 3"]
    assert "description" in last[4] and last[5:] == ["the plan is the same"]
    far = sprachbund("diff", "--revisions", "tiny", 1, 3).out
    assert "languages.1  deu_Latn  fra_Latn" in far
    assert "languages  1 more: fra_Latn; 1 less: deu_Latn" in far
    found = sprachbund("diff", "--revisions", "tiny", 1, "--json").json
    assert (found["a"]["revision"], found["b"]["revision"]) == (1, 3)
    assert {"field": "languages.1", "a": "deu_Latn", "b": "fra_Latn"} in found["change"]["fields"]
    assert sprachbund("diff", "--revisions", "tiny", 2, 2).out.endswith("no difference\n")
    assert sprachbund("diff", "--revisions", "tiny", 2, 2, "--json").json["change"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--revisions", "tiny", "0"), "there is no revision 0; expected 1 to 3"),
        (("--revisions", "tiny", "1", "x"), "revision is 'x'; expected a number from 1 to 3"),
        (("--revisions", "tiyn"), "unknown experiment 'tiyn'; did you mean 'tiny'?"),
        (("none",), "diff: expected two settings, or --revisions EXPERIMENT"),
        ((), "diff: expected two settings, or --revisions EXPERIMENT"),
    ],
)
def test_bad_input(sprachbund: Command, revised: Path, arguments: tuple[str, ...], said: str) -> None:
    ran = sprachbund("diff", *arguments)
    assert (ran.code, ran.err) == (2, f"sprachbund: {said}\n")


def test_one_revision_has_nothing_to_be_compared_with(sprachbund: Command, spec_file: SpecFile) -> None:
    sprachbund("submit", spec_file())
    ran = sprachbund("diff", "--revisions", "tiny")
    assert (ran.code, ran.err) == (
        2, "sprachbund: experiment 'tiny' has one revision: there is nothing to compare it with\n",
    )  # fmt: skip


def test_a_recipe_is_submitted_alike(sprachbund: Command, root: Path, rows: Rows) -> None:
    recipe = ("recipes", "submit", "steering-acl2025")
    assert sprachbund(*recipe).code == 0
    other = (*recipe, "--set", "k=0.02")
    refused = sprachbund(*other)
    assert refused.code == 2 and "say --replace" in refused.err and "interventions." in refused.out
    assert sprachbund(*other, "--replace").code == 0
    assert rows("experiment_revisions") == 2
