"""What commands print at 80, 100 and 120 columns: as wide as that, with every word that --wide has."""

import pytest
from rich.cells import cell_len

SQL = "select * from planned_settings order by setting_ordinal"


@pytest.fixture
def submitted(sprachbund, spec_file):
    long = {"method": "experts", "k": 4, "scorers": ["average_precision"], "controls": ["profile x2"]}
    assert sprachbund("submit", spec_file(interventions=["none", "centring", long])).code == 0


@pytest.mark.parametrize("width", [80, 100, 120])
def test_no_word_is_broken_or_lost(submitted, sprachbund, monkeypatch, width):
    commands = (
        ("status",), ("show", "tiny"), ("views",), ("views", "retrieval_results"), ("recipes", "list"),
        ("recipes", "show", "steering-acl2025"), ("query", SQL), ("compare", "tiny", "--partial"),
        ("diff", "none", "centring"),
    )  # fmt: skip
    monkeypatch.setenv("COLUMNS", str(width))
    for command in commands:
        shown, wide = (sprachbund(*command, *more) for more in ((), ("--wide",)))
        assert (shown.code, wide.code) == (0, 0), shown.err
        # YAML of a spec or a recipe is no table.
        lines = [line for line in shown.out.splitlines() if line not in wide.out.splitlines()]
        assert max(map(cell_len, lines), default=0) <= width, command
        missing = {word for word in set(wide.out.split()) - set(shown.out.split()) if not word.startswith("─")}
        assert not missing, command


@pytest.mark.parametrize("width", [80, 100, 120])
def test_jobs_have_id_and_state(submitted, sprachbund, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    ran = sprachbund("jobs")
    lines = ran.out.splitlines()
    assert max(map(cell_len, lines)) <= width
    assert lines[0].split()[:2] == ["id", "state"]
    listed = [line.split()[:2] for line in lines[2:] if line[:1].isdigit()]
    assert listed == [[str(job["id"]), job["state"]] for job in sprachbund("jobs", "--json").json]
    assert {word for job in sprachbund("jobs", "--json").json for word in job["label"].split()} <= set(ran.out.split())


def test_without_a_terminal_lines_are_120_wide(submitted, sprachbund, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert 100 < max(map(cell_len, sprachbund("views").out.splitlines())) <= 120
    assert max(map(cell_len, sprachbund("views", "--wide").out.splitlines())) > 120
