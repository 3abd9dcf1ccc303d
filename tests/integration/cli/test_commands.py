"""Every command at work: what it prints, what it queues, and its exit code."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.main import get_command

from sprachbund import workspace
from sprachbund.cli.main import app
from sprachbund.db import revisions
from sprachbund.errors import QueryError
from sprachbund.spec.reading import read_yaml

Command = Callable[..., Any]
SpecFile = Callable[..., Path]
Rows = Callable[[str], int]


def worked(ran: Any) -> Any:
    assert (ran.code, ran.err) == (0, ""), ran
    return ran


def names(group: Any, before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command, with the groups it is in."""
    found = []
    for name, command in group.commands.items():
        nested = hasattr(command, "commands")
        found += names(command, (*before, name)) if nested else [(*before, name)]
    return found


@pytest.mark.parametrize("command", names(get_command(app)), ids=" ".join)
def test_help_shows_an_example(command: tuple[str, ...], sprachbund: Command, tmp_path: Path) -> None:
    ran = worked(sprachbund(*command, "--help"))
    assert f"Usage: sprachbund {' '.join(command)}" in ran.out
    example = ran.out.partition("Example")[2]
    assert f"sprachbund {' '.join(command)}" in " ".join(example.split())
    assert list(tmp_path.iterdir()) == []


def test_help_lists_every_command(sprachbund: Command) -> None:
    listed = worked(sprachbund("--help")).out
    assert all(command[0] in listed for command in names(get_command(app)))


def test_init_makes_a_workspace_and_twice_is_harmless(tmp_path: Path, sprachbund: Command, root: Path) -> None:
    folder = tmp_path / "a" / "study"
    ran = worked(sprachbund("init", folder))
    assert {path.name for path in folder.iterdir()} >= {"sprachbund.toml", "sprachbund.db", "artifacts"}
    assert str(folder / "sprachbund.db") in ran.out
    settings = folder / "sprachbund.toml"
    settings.write_text(settings.read_text() + "# mine\n")
    assert worked(sprachbund("init", folder)).out == ran.out
    assert settings.read_text().endswith("# mine\n")


def test_submit_plans_then_queues_then_finds_it_there(sprachbund: Command, spec_file: SpecFile, rows: Rows) -> None:
    path = spec_file()
    planned = worked(sprachbund("submit", path, "--dry-run")).out
    assert "would queue" in planned
    assert "sentences through a model" in planned
    assert "overlap    fit+test: 0 texts, 0 groups" in planned
    assert rows("jobs") == rows("experiments") == 0

    first = worked(sprachbund("submit", path, "--json")).json
    n_jobs = sum(first["new"].values())
    assert first["experiment"] == "tiny"
    assert first["revision"] == 1
    assert first["existing"] == {}
    assert first["sentences"] > 0
    assert rows("jobs") == n_jobs > 0

    again = worked(sprachbund("submit", path)).out
    assert "queued     0 new jobs: none" in again
    assert f"existing   {n_jobs} jobs" in again
    assert rows("jobs") == n_jobs


def test_submit_expand_prints_a_spec_that_means_the_same(root: Path, sprachbund: Command, spec_file: SpecFile) -> None:
    expanded = worked(sprachbund("submit", spec_file(preset="careful"), "--expand")).out
    content = read_yaml(expanded, "x")
    assert content["statistics"]["confidence"] == 0.95
    (root / "expanded.yaml").write_text(expanded)
    assert read_yaml(worked(sprachbund("submit", "expanded.yaml", "--expand")).out, "x") == content


def test_from_submit_to_comparison(root: Path, sprachbund: Command, spec_file: SpecFile, rows: Rows) -> None:
    assert worked(sprachbund("status")).out.splitlines()[-1] == "0 runners alive"
    assert worked(sprachbund("status", "--json")).json == {"jobs": {}, "runners": [], "left_out": []}
    assert worked(sprachbund("jobs", "--json")).json == []
    submitted = worked(sprachbund("submit", spec_file(), "--json")).json
    n_jobs = sum(submitted["new"].values())

    # Nothing was run: nothing to show, and the exit code says that the table is not complete.
    assert sprachbund("compare", "tiny").code == 1
    assert sprachbund("compare", "tiny", "--partial").code == 0
    ran = worked(sprachbund("run", "--device", "cpu", "--threads", 1, "--max-jobs", 5))
    assert ran.out == "5 jobs done, 0 failed\n"
    status = worked(sprachbund("status", "--json")).json["jobs"]
    assert sum(states.get("done", 0) for states in status.values()) == 5
    listed = worked(sprachbund("jobs", "tiny", "--state", "done", "--json")).json
    assert len(listed) == 5
    assert all(job["attempt"] == 1 and job["error"] is None for job in listed)
    ran = worked(sprachbund("run"))
    assert ran.out == f"{n_jobs - 5} jobs done, 0 failed\n"
    assert worked(sprachbund("run")).out == "0 jobs done, 0 failed\n"
    status = worked(sprachbund("status", "tiny", "--json")).json["jobs"]
    assert {state for states in status.values() for state in states} == {"done"}
    assert "snapshot" in worked(sprachbund("status", "tiny")).out
    kinds = {job["kind"] for job in worked(sprachbund("jobs", "--kind", "snapshot", "--json")).json}
    assert kinds == {"snapshot"}
    assert len(worked(sprachbund("jobs", "--limit", 3, "--json")).json) == 3

    shown = worked(sprachbund("show", "tiny", "--json")).json
    assert [setting["label"] for setting in shown["settings"]] == submitted["settings"]
    assert shown["audit"]["overlap"]["fit+test"]["texts"] == 0
    text = worked(sprachbund("show", "tiny")).out
    assert all(label in text for label in submitted["settings"])

    _compare(sprachbund, rows)
    _query(root, sprachbund)


def _compare(sprachbund: Command, rows: Rows) -> None:
    table = worked(sprachbund("compare", "tiny")).out
    assert "top1" in table
    found = worked(sprachbund("compare", "tiny", "--json")).json
    assert found["missing"] == []
    assert {row["setting"] for row in found["rows"]} >= {"none"}
    pairs = worked(sprachbund("compare", "tiny", "--by", "pair", "--layer", "final", "--metric", "mrr", "--json")).json
    assert {(row["query_language"], row["candidate_language"]) for row in pairs["rows"] if row["metric"] == "mrr"} == {
        ("eng_Latn", "deu_Latn"),
        ("deu_Latn", "eng_Latn"),
    }
    lines = list(csv.DictReader(io.StringIO(worked(sprachbund("compare", "tiny", "--csv")).out)))
    assert {"setting", "layer", "metric", "value"} <= set(lines[0])
    assert r"\toprule" in worked(sprachbund("compare", "tiny", "--latex")).out
    assert "| " in worked(sprachbund("compare", "tiny", "--markdown")).out
    steered = next(row["setting"] for row in found["rows"] if row["kind"] == "setting" and row["setting"] != "none")
    against = worked(sprachbund("compare", "tiny", "--vs", steered, "--json")).json
    assert {row["delta"] for row in against["rows"] if row["setting"] == steered and row["metric"] == "top1"} == {0}


def _query(root: Path, sprachbund: Command) -> None:
    sql = (
        "select setting, count(*) as n from retrieval_results where metric = :metric group by setting order by setting"
    )
    asked = ("query", sql, "--param", "metric=top1")
    found = worked(sprachbund(*asked, "--json")).json
    assert found[0].keys() == {"setting", "n"}
    assert all(row["n"] > 0 for row in found)
    lines = list(csv.DictReader(io.StringIO(worked(sprachbund(*asked, "--csv")).out)))
    assert [(row["setting"], int(row["n"])) for row in lines] == [(row["setting"], row["n"]) for row in found]
    worked(sprachbund(*asked, "--parquet", "found.parquet"))
    assert pl.read_parquet(root / "found.parquet").to_dicts() == found
    table = worked(sprachbund(*asked)).out
    assert all(row["setting"] in table for row in found)
    medians = worked(
        sprachbund("query", "select median(value) as m, quantile(value, 0.5) as q from retrieval_results", "--json")
    )
    assert medians.json[0]["m"] == medians.json[0]["q"]
    listed = worked(sprachbund("questions", "--json")).json
    assert {each["name"] for each in listed} >= {"headline", "by_language", "equal_perplexity"}
    assert worked(sprachbund("questions", "headline")).out.startswith("SELECT method")
    assert "over_models" in worked(sprachbund("questions")).out
    answered = worked(sprachbund("query", "--question", "hardware", "--param", "experiment=tiny", "--json")).json
    assert {row["outcome"] for row in answered} == {"done"}


def test_tables_show_what_is_there(root: Path, sprachbund: Command) -> None:
    """Brackets and colons are text; lines are 120 wide where nobody looks at a terminal, and --wide lets them be."""
    value = "[red] [/] :smile: " + "word " * 30
    sql = f"select '{value}' as a, 'end' as b"
    for command in ("query", sql, "--wide"), ("query", sql, "--csv"):
        assert value in worked(sprachbund(*command)).out
    shown = worked(sprachbund("query", sql)).out
    assert {"[red]", "[/]", ":smile:", "word", "end"} <= set(shown.split())
    assert max(map(len, shown.splitlines())) == 120


def test_query_from_standard_input(root: Path, sprachbund: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("select 1 as one;\n"))
    assert worked(sprachbund("query", "-", "--json")).json == [{"one": 1}]


def test_cancel_and_retry(sprachbund: Command, spec_file: SpecFile) -> None:
    n_jobs = sum(worked(sprachbund("submit", spec_file(), "--json")).json["new"].values())
    assert f"cancelled {n_jobs} queued jobs" in worked(sprachbund("cancel", "tiny")).out
    assert "cancelled" in worked(sprachbund("show", "tiny")).out.splitlines()[0]
    assert worked(sprachbund("run")).out == "0 jobs done, 0 failed\n"
    assert worked(sprachbund("retry")).out == "queued 0 jobs again\n"
    assert worked(sprachbund("retry", "tiny")).out == f"queued {n_jobs} jobs again\n"
    assert worked(sprachbund("run")).out == f"{n_jobs} jobs done, 0 failed\n"
    assert worked(sprachbund("retry", "tiny")).out == "queued 0 jobs again\n"


def test_views_and_presets(sprachbund: Command) -> None:
    listed = worked(sprachbund("views")).out
    assert "retrieval_results" in listed
    assert "query_language" in worked(sprachbund("views", "retrieval_results")).out
    assert worked(sprachbund("presets")).out.split() == ["steering-acl2025", "careful"]
    assert read_yaml(worked(sprachbund("presets", "careful")).out, "x")["choose"]["metric"] == "top1"


def test_database_commands(root: Path, sprachbund: Command) -> None:
    head = revisions.head()
    assert worked(sprachbund("db", "current")).out == f"database {head}, this version {head}\n"
    assert worked(sprachbund("db", "check")).out == "the schema is as it should be\n"
    assert worked(sprachbund("db", "upgrade")).out == f"schema {head} → {head}\n"
    for path in root.glob("sprachbund.db*"):
        path.unlink()
    worked(sprachbund("init"))
    assert worked(sprachbund("db", "check")).code == 0


def test_kinds_of_results_are_two(root: Path, sprachbund: Command, spec_file: SpecFile) -> None:
    assert sprachbund("submit", spec_file()).code == 0
    with workspace.open(root) as found:
        assert found.results("tiny", "alignment").is_empty()
        with pytest.raises(QueryError, match="unknown kind 'alignmen'; did you mean 'alignment'"):
            found.results("tiny", "alignmen")


def test_a_workspace_is_found_from_below(root: Path, sprachbund: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    below = root / "artifacts" / "deep"
    below.mkdir()
    monkeypatch.chdir(below)
    assert json.loads(worked(sprachbund("status", "--json")).out)["jobs"] == {}
