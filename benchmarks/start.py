"""What commands take to start: processor time of fresh processes, beside the libraries alone that a plan needs.

    python benchmarks/start.py [--repeats R]

Medians over rounds in which all take turns. `submit` plans the built-in `quick` experiment in a new workspace.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

SPRACHBUND = ("-m", "sprachbund")
COMMANDS = {
    "`sprachbund --help`": (*SPRACHBUND, "--help"),
    "`sprachbund submit --help`": (*SPRACHBUND, "submit", "--help"),
    "`sprachbund submit quick.yaml --dry-run`": (*SPRACHBUND, "submit", "quick.yaml", "--dry-run"),
    "importing SQLAlchemy's ORM, Polars, NumPy, pydantic and Typer": (
        "-c",
        "import sqlalchemy.orm, polars, numpy, pydantic, typer",
    ),
}


def seconds(arguments: tuple[str, ...], folder: Path) -> float:
    """Processor time of a fresh Python with these arguments."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description="Processor time of starting commands.")
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds((*SPRACHBUND, "init"), folder)
        template = files("sprachbund") / "templates" / "quick.yaml"
        (folder / "quick.yaml").write_text(template.read_text(encoding="utf-8"), encoding="utf-8")
        times: dict[str, list[float]] = {what: [] for what in COMMANDS}
        for turn in range(options.repeats + 1):
            for what, arguments in COMMANDS.items():
                taken = seconds(arguments, folder)
                # The first turn writes what Python keeps of compiled modules.
                times[what] += [taken] if turn else []
    print("| command | s |\n| --- | ---: |")
    for what, found in times.items():
        print(f"| {what} | {statistics.median(found):.2f} |")


if __name__ == "__main__":
    main()
