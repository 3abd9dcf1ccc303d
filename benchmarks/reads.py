"""What reading results costs, command by command, each in a process of its own, on a filled experiment."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filled import fill
from growth import codes, dimensions, spec_of, write_sources
from sqlalchemy import Connection, Engine, text

from sprachbund import workspace
from sprachbund.planning.submission import submit
from sprachbund.results.questions import questions

NAME = "growth"
# What a cell is stored in: numbers, and tests with their q.
OF_CELLS = {"results": ("pair_results", "pair_notes"), "tests": ("pair_tests", "adjusted_pair_tests")}
_QUESTION = """
import sys, sprachbund
from sprachbund.results.questions import find
question = find(sys.argv[1])
values = {"experiment": "growth", "layer": "final", "ratio": 1.1}
sprachbund.open().query(question.sql, limit_s=600, params={name: values[name] for name in question.parameters})
"""
_RESULTS = "import sprachbund; print(sprachbund.open().results('growth', metrics=['top1'], layers=['final']).height)"
_SCAN = """
import sprachbund, tempfile
with tempfile.TemporaryDirectory() as folder:
    sprachbund.open().scan("growth", layers=["final"]).sink_parquet(folder + "/all.parquet")
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a process: wall and processor seconds, and peak memory in bytes."""

    seconds: float
    processor: float
    peak: float


# A small process between: what its child used is told apart from what this one did.
_WATCHED = """
import json, resource, subprocess, sys, time
begun = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
seconds, used = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
if done.returncode:
    sys.exit(done.stderr[-2000:])
print(json.dumps([seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024]))
"""


def measured(command: Sequence[str], folder: Path) -> Cost:
    """What a command costs; SystemExit with what it said where it fails (1 says that cells are missing)."""
    watched = [sys.executable, "-S", "-E", "-c", _WATCHED, *command]
    done = subprocess.run(watched, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)[:200]}: {done.stderr}")
    return Cost(*json.loads(done.stdout))


def commands(one_layer: bool) -> Iterator[tuple[str, list[str]]]:
    """What is measured, by what it is called."""
    program = [sys.executable, "-m", "sprachbund"]
    layer = [] if one_layer else ["--layer", "final"]
    yield "compare", [*program, "compare", NAME, *layer]
    yield "compare --by pair", [*program, "compare", NAME, "--by", "pair", *layer]
    yield "compare --by pair --csv", [*program, "compare", NAME, "--by", "pair", "--csv", *layer]
    yield "report", [*program, "report", NAME, "--out", "report.html", *layer]
    yield "ws.results, top1", [sys.executable, "-c", _RESULTS]
    yield "ws.scan, all metrics, to Parquet", [sys.executable, "-c", _SCAN]
    for question in questions().values():
        # Of many layers only what asks for one is asked.
        if one_layer or "layer" in question.parameters:
            yield f"documented question {question.name}", [sys.executable, "-c", _QUESTION, question.name]


def made(size: str, url: str, folder: Path) -> tuple[Engine, dict[str, int]]:
    """A workspace with a filled experiment, and how many rows it has by table."""
    languages, settings, models, layers = dimensions(size)
    os.environ["SPRACHBUND_DATABASE_URL"] = url.format(folder=folder)
    space = workspace.init(folder)
    spoken = codes(languages)
    write_sources(folder, spoken, models, max(4, layers - 2))
    submit(space.engine, space.store, spec_of(spoken, settings, models, layers), folder)
    return space.engine, fill(space.engine, NAME)


def bytes_of(connection: Connection, tables: Sequence[str]) -> float:
    """Bytes of tables and of their indexes."""
    if connection.dialect.name == "postgresql":
        sizes = (text("SELECT pg_total_relation_size(:name)").bindparams(name=name) for name in tables)
        return float(sum(connection.execute(size).scalar_one() for size in sizes))
    listed = ", ".join(f"'{name}'" for name in tables)
    size = f"SELECT sum(pgsize) FROM dbstat JOIN sqlite_master m USING (name) WHERE m.tbl_name IN ({listed})"  # noqa: S608
    return float(connection.execute(text(size)).scalar_one())


def reads(size: str, url: str) -> dict[str, Any]:
    """Cells, bytes a cell, and the cost of every command."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        engine, rows = made(size, url, folder)
        with engine.connect() as connection:
            n_cells = rows["pair_results"]
            sizes = {what: bytes_of(connection, tables) / n_cells for what, tables in OF_CELLS.items()}
        engine.dispose()
        return {"cells": n_cells, "bytes": sizes, "commands": {
            what: measured(command, folder) for what, command in commands(dimensions(size)[3] == 1)
        }}  # fmt: skip


def table(engine: str, size: str, found: dict[str, Any]) -> Iterator[str]:
    """Markdown."""
    sizes = " + ".join(f"{n:.0f} bytes of {what}" for what, n in found["bytes"].items())
    yield f"\n{engine}: {size.replace('x', ' × ')}, {found['cells']:,} cells, each {sizes}\n"
    yield "| read | seconds | processor | peak memory |"
    yield "| --- | ---: | ---: | ---: |"
    for what, cost in found["commands"].items():
        yield f"| {what} | {cost.seconds:.1f} | {cost.processor:.1f} | {cost.peak / 1e6:,.0f} MB |"
