"""How the platform grows, in sections. `plan`: submitting experiments of the sizes that the field works at; `reads`:
reading their results, which are made up (`filled.py`, `reads.py`).

    python benchmarks/growth.py [--sections plan reads] [--sizes 22x527x3 ...] [--engines sqlite postgresql]

A size is languages × settings × models [× layers]; `reads --sizes 22x790x1x32` is the whole steering study (11.7
million cells, 6 GB on disk), of which one layer is read.

Plans: real experiment files over generated text are submitted, nothing is run. Models are configurations without
weights, settings are `none` and experts of as many targets and k as it takes, at one layer, and every pair of languages
is evaluated on `test`. Each size is submitted in a process of its own. `processor`: seconds of that process,
PostgreSQL's own not among them. `again`: the same file once more, which plans nothing. Peak memory is the process's,
the libraries' ~150 MB included. Exponents are of languages, of settings and of models, by least squares in logarithms
over the sizes that differ in that alone.
"""

import argparse
import csv
import itertools
import json
import math
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from job_queue import postgresql
from sqlalchemy import func, select, text

from sprachbund.db import migrate
from sprachbund.db import tables as t
from sprachbund.db.engine import connect, reading
from sprachbund.files.artifacts import ArtifactStore
from sprachbund.planning.submission import submit
from sprachbund.spec.experiment import Spec, parse

SPAWN = multiprocessing.get_context("spawn")
PLANNED = ("6x27x1", "22x27x1", "66x27x1", "263x27x1", "22x132x1", "22x527x1", "22x527x3")
READ = ("22x790x1",)
N_ITEMS = 4
N_NEGATIVES = 12
BEFORE = {
    "22x527x1": {"jobs": 134_395, "edges": 403_569, "bytes": 190e6},
    "263x27x1": {"jobs": 0.95e6, "bytes": 3.6e9},
}
"""With a job per setting and pair; of 263 languages extrapolated."""
COLUMNS = ("jobs", "edges", "bytes", "seconds", "processor", "again", "peak")


def codes(n: int) -> list[str]:
    """n codes of made-up languages."""
    letters = "bcdfghjklmnpqrstvwxz"
    return [f"q{a}{b}_Latn" for a, b in itertools.islice(itertools.product(letters, repeat=2), n)]


def dimensions(size: str) -> tuple[int, int, int, int]:
    """Languages, settings, models and layers of LxSxM or LxSxMxK."""
    languages, settings, models, layers = (*map(int, size.split("x")), 1)[:4]
    return languages, settings, models, layers


def write_sources(folder: Path, languages: Sequence[str], models: int, blocks: int = 4, items: int = N_ITEMS) -> None:
    """Text of both roles, and models that nobody loads."""
    config = {"model_type": "bloom", "hidden_size": 64, "n_layer": blocks, "n_head": 2, "vocab_size": 9}
    for number in range(models):
        model = folder / f"model{number}"
        model.mkdir(parents=True)
        (model / "config.json").write_text(json.dumps(config), encoding="utf-8")
        for name in ("tokenizer.json", "model.safetensors"):
            (model / name).write_text(f"{number}'s", encoding="utf-8")
    for role in ("fit", "test"):
        with (folder / f"{role}.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(("item", "language", "text"))
            table.writerows(
                (f"{role}{number}", language, f"{role} {number} in {language}")
                for number in range(items)
                for language in languages
            )


def spec_of(languages: Sequence[str], settings: int, models: int, layers: int = 1) -> Spec:
    """`none` and experts: as many k for every target as fit, and one more for the first targets."""
    most = max(1, min(len(languages), settings - 1))
    whole, more = divmod(settings - 1, most)
    rows: list[Any] = ["none"]
    for targets, ks in ((languages[:most], range(1, whole + 1)), (languages[:more], [whole + 1])):
        if targets and ks:
            rows.append({"method": "experts", "targets": list(targets), "k": list(ks)})
    content = {
        "name": "growth",
        "models": [{"path": f"model{number}", "name": f"model{number}"} for number in range(models)],
        "corpora": {role: {"path": f"{role}.csv"} for role in ("fit", "test")},
        "targets": [languages[0]],
        "experts": {"negatives": list(languages[:N_NEGATIVES])},
        "interventions": rows,
        "embeddings": {"layers": ["final"] if layers == 1 else "all"},
    }
    return parse(content)


def plan(size: str, url: str, folder: Path) -> dict[str, float]:
    """Submits an experiment of this size twice; jobs, edges, bytes of the database, seconds and peak memory."""
    languages, settings, models, layers = dimensions(size)
    spoken = codes(languages)
    write_sources(folder, spoken, models, max(4, layers - 2))
    engine = connect(url, create=True)
    migrate.upgrade(engine)
    store = ArtifactStore(str(folder / "artifacts"))
    spec = spec_of(spoken, settings, models, layers)
    seconds, processor = [], []
    for _ in range(2):
        begun, used = time.perf_counter(), time.process_time()
        submitted = submit(engine, store, spec, folder)
        seconds.append(time.perf_counter() - begun)
        processor.append(time.process_time() - used)
    if submitted.n_new:
        raise SystemExit(f"{size}: the same experiment again planned {submitted.n_new} jobs")
    if len(submitted.settings) != settings * models:
        raise SystemExit(f"{size}: {len(submitted.settings)} settings")
    with reading(engine) as connection:
        n_bytes = (
            "SELECT pg_database_size(current_database())"
            if engine.dialect.name == "postgresql"
            else "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
        )
        found = {
            "jobs": connection.scalar(select(func.count()).select_from(t.Job)) or 0,
            "edges": connection.scalar(select(func.count()).select_from(t.JobEdge)) or 0,
            "bytes": connection.scalar(text(n_bytes)) or 0,
        }
    engine.dispose()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {**found, "seconds": seconds[0], "processor": processor[0], "again": seconds[1], "peak": peak}


def _measure(size: str, url: str, folder: str, result: str) -> None:
    os.environ["SPRACHBUND_DATABASE_URL"] = url
    Path(result).write_text(json.dumps(plan(size, url, Path(folder))), encoding="utf-8")


def in_a_process(size: str, url: str) -> dict[str, float]:
    """`plan` where nothing else has used memory."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        process = SPAWN.Process(target=_measure, args=(size, url.format(folder=folder), folder, str(result)))
        process.start()
        process.join()
        if process.exitcode:
            raise SystemExit(f"{size}: the process ended with {process.exitcode}")
        found: dict[str, float] = json.loads(result.read_text(encoding="utf-8"))
        return found


def exponents(found: dict[str, dict[str, float]], column: str) -> dict[str, float]:
    """By dimension: the slope of a column's logarithm over sizes that are otherwise the same."""
    slopes = {}
    numbers = {size: dimensions(size) for size in found}
    for place, dimension in enumerate(("languages", "settings", "models")):
        alike: dict[tuple[int, ...], list[str]] = {}
        for size, parts in numbers.items():
            alike.setdefault(parts[:place] + parts[place + 1 :], []).append(size)
        longest = max(alike.values(), key=len)
        if len(longest) > 1:
            x = [math.log(numbers[size][place]) for size in longest]
            slopes[dimension] = float(np.polyfit(x, [math.log(found[size][column]) for size in longest], 1)[0])
    return slopes


def shown(column: str, value: float) -> str:
    """A cell of the table."""
    if column in ("bytes", "peak"):
        return f"{value / 1e6:,.0f} MB"
    return f"{value:,.1f}" if column in ("seconds", "processor", "again") else f"{value:,.0f}"


def table(engine: str, found: dict[str, dict[str, float]]) -> Iterator[str]:
    """Markdown."""
    yield f"\n{engine}: languages × settings × models\n"
    yield "| size | " + " | ".join(COLUMNS) + " | jobs before | bytes before |"
    yield "| --- |" + " ---: |" * (len(COLUMNS) + 2)
    for size, row in found.items():
        before = BEFORE.get(size, {})
        was = [shown(column, before[column]) if column in before else "" for column in ("jobs", "bytes")]
        cells = [shown(column, row[column]) for column in COLUMNS]
        yield f"| {size.replace('x', ' × ')} | " + " | ".join([*cells, *was]) + " |"
    for dimension in exponents(found, "jobs"):
        slopes = [f"{exponents(found, column)[dimension]:.2f}" for column in COLUMNS]
        yield f"| exponent of {dimension} | " + " | ".join([*slopes, "", ""]) + " |"


@contextmanager
def databases(engine: str) -> Iterator[Callable[[str], str]]:
    """From a size to the URL of an empty database; `{folder}` in it stands for a folder."""
    if engine == "sqlite":
        yield lambda size: "sqlite:///{folder}/growth.db"
        return
    with postgresql(os.environ.get("SPRACHBUND_TEST_POSTGRES_URL")) as make:
        yield lambda size: make(f"growth_{size}")


def print_plans(engine: str, sizes: Sequence[str], make: Callable[[str], str]) -> dict[str, Any]:
    """Plans of these sizes."""
    found = {size: in_a_process(size, make(size)) for size in sizes}
    print("\n".join(table(engine, found)), flush=True)
    return found


def print_reads(engine: str, sizes: Sequence[str], make: Callable[[str], str]) -> dict[str, Any]:
    """What reading filled experiments of these sizes costs."""
    import reads  # it imports this module

    found = {}
    for size in sizes:
        found[size] = reads.reads(size, make(size))
        print("\n".join(reads.table(engine, size, found[size])), flush=True)
    return found


SECTIONS = {"plan": (print_plans, PLANNED), "reads": (print_reads, READ)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sections", nargs="+", default=list(SECTIONS), choices=list(SECTIONS))
    parser.add_argument("--sizes", nargs="+", metavar="LxSxM[xK]", help="of the sections; default: each has its own")
    parser.add_argument("--engines", nargs="+", default=["sqlite", "postgresql"], choices=["sqlite", "postgresql"])
    options = parser.parse_args()
    for section in options.sections:
        show, sizes = SECTIONS[section]
        for engine in options.engines:
            with databases(engine) as make:
                show(engine, options.sizes or sizes, make)


if __name__ == "__main__":
    main()
