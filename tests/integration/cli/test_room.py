"""`sprachbund gc`, `evict`, `delete`, and a run that keeps results only."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
SpecFile = Callable[..., Path]


@pytest.fixture
def finished(root: Path, sprachbund: Command, spec_file: SpecFile) -> Path:
    assert sprachbund("submit", spec_file()).code == 0
    assert sprachbund("run", "--device", "cpu").code == 0
    return root


def size(root: Path) -> int:
    return sum(path.stat().st_size for path in (root / "artifacts").rglob("*") if path.is_file())


def test_a_run_says_what_it_gives_up(root: Path, sprachbund: Command, spec_file: SpecFile) -> None:
    sprachbund("submit", spec_file())
    ran = sprachbund("run", "--device", "cpu", "--keep", "results")
    assert ran.code == 0
    assert "kB of embeddings and responses given up" in ran.out
    explained = ("explain", "eng:deu", "--item", "3", "--experiment", "tiny", "--setting", "experts eng_Latn k=4")
    lost = sprachbund(*explained)
    assert (lost.code, lost.err.count("\n")) == (2, 1)
    assert "4 of 4 files of embeddings at layer 1 were not kept" in lost.err
    assert "given up" not in sprachbund("run", "--device", "cpu", "--keep", "all").out
    assert sprachbund(*explained).code == 0
    wrong = sprachbund("run", "--keep", "result")
    assert (wrong.code, wrong.err) == (
        2, "sprachbund: --keep: found 'result', expected results or all; did you mean 'results'?\n",
    )  # fmt: skip


def test_each_says_beforehand_what_it_frees(finished: Path, sprachbund: Command) -> None:
    stray = finished / "artifacts" / "ab" / ("0" * 62 + ".bin")
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"stray")
    os.utime(stray, (0, 0))
    for command in (("gc",), ("evict", "tiny", "--kind", "snapshot"), ("delete", "tiny")):
        before = size(finished)
        told = sprachbund(*command, "--dry-run", "--json")
        assert told.code == 0 and told.json["dry_run"]
        assert size(finished) == before
        unasked = sprachbund(*command)
        assert (unasked.code, unasked.err.count("\n")) == (2, 1)
        assert "say --yes" in unasked.err
        done = sprachbund(*command, "--yes", "--json")
        assert done.code == 0
        assert done.json["freed_bytes"] == told.json["freed_bytes"] == before - size(finished) > 0
    assert size(finished) == 0
    assert not stray.exists()


def test_what_people_are_told(finished: Path, sprachbund: Command) -> None:
    assert sprachbund("gc", "--dry-run").out.splitlines() == [
        "unfinished   0 files, 0 bytes", "unrecorded   0 files, 0 bytes", "unreferenced 0 files, 0 bytes",
        "would free 0 bytes",
    ]  # fmt: skip
    evicted = sprachbund("evict", "tiny", "--kind", "snapshot", "--kind", "edits", "--yes").out.splitlines()
    assert evicted[0].startswith("evict  15 files, ") and evicted[-1].startswith("freed ")
    deleted = sprachbund("delete", "tiny", "--yes").out
    assert "12 snapshot" in deleted and "keep   0 jobs that other experiments have too" in deleted
    assert "none was submitted yet" in sprachbund("delete", "tiny", "--yes").err


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("evict", "tiny", "--kind", "snapshots"), "did you mean 'snapshot'?"),
        (("evict", "tinny", "--kind", "snapshot"), "did you mean 'tiny'?"),
        (("delete", "tinny"), "did you mean 'tiny'?"),
    ],
)
def test_mistakes_are_one_line(
    root: Path, sprachbund: Command, spec_file: SpecFile, command: tuple[str, ...], said: str
) -> None:
    sprachbund("submit", spec_file())
    ran = sprachbund(*command)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert said in ran.err


def test_an_unknown_word_in_the_settings(root: Path, sprachbund: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPRACHBUND_ARTIFACTS_KEEP", "al")
    ran = sprachbund("status")
    assert ran.code == 2
    assert "artifacts.keep: found 'al', expected results or all; did you mean 'all'?" in ran.err
