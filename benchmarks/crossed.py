"""Crossed effects over language pairs: by the structure of the design, beside matrices of all pairs by all pairs.

    python benchmarks/crossed.py [--pairs N ...] [--dense N] [--corpora N] [--json]

Ordered pairs of as few languages as have that many, with one covariate; of several corpora each pair on each. The dense
reference is that of the tests, made to be obvious and no peer in speed: up to `--dense` pairs it shows how matrices of
all pairs by all pairs grow, and the benchmark stops where coefficients, errors or variances differ from its by more
than 1e-10 of their scale. Times are processor times of one thread, the least of three (dense:
once); memory is the peak of NumPy's and Python's allocations during one more call. The exponent is that of pairs in
time, by least squares in logarithms, over sizes from 1,000 pairs.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import importlib.util
import itertools
import json
import math
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sprachbund_runners.statistics.crossed import crossed_effects

REFERENCE = Path(__file__).parents[1] / "tests" / "unit" / "statistics" / "crossed_reference.py"
COMPARED = ("coefficients", "standard_errors", "query_variance", "candidate_variance", "residual_variance",
            "role_covariance", "direction_covariance")  # fmt: skip


def dense() -> Callable[..., Any]:
    """The slow reference."""
    found = importlib.util.spec_from_file_location("crossed_reference", REFERENCE)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module
    found.loader.exec_module(module)
    function: Callable[..., Any] = module.crossed_effects
    return function


def made(n_pairs: int, corpora: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Values, query and candidate languages by name, and a covariate, of n pairs."""
    languages = 2
    while languages * (languages - 1) * corpora < n_pairs:
        languages += 1
    pairs = np.array(list(itertools.permutations(range(languages), 2)) * corpora)
    random = np.random.default_rng(0)
    query, candidate = pairs[np.sort(random.permutation(len(pairs))[:n_pairs])].T
    table = random.normal(size=(languages, languages))
    x = random.normal(size=n_pairs)
    y = 0.3 * x + random.normal(size=languages)[query] + 0.7 * random.normal(size=languages)[candidate]
    y += 0.5 * (table + table.T)[query, candidate] + 0.3 * random.normal(size=n_pairs)
    names = np.array([f"l{number:04d}" for number in range(languages)])
    return y, names[query], names[candidate], x


def seconds(function: Callable[[], object], repetitions: int) -> float:
    best = math.inf
    for _ in range(repetitions):
        start = time.process_time()
        function()
        best = min(best, time.process_time() - start)
    return best


def peak(function: Callable[[], object]) -> float:
    """MiB allocated at once during a call."""
    tracemalloc.start()
    function()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / 2**20


def exponent(sizes: Sequence[int], times: Sequence[float]) -> float:
    """Of size in time, from 1,000 pairs; NaN of fewer than two sizes."""
    large = [(math.log(size), math.log(taken)) for size, taken in zip(sizes, times, strict=True) if size >= 1000]
    return float(np.polyfit(*zip(*large, strict=True), 1)[0]) if len(large) > 1 else math.nan


def check(found: Any, expected: Any, scale: float) -> None:
    for name in COMPARED:
        difference = np.abs(np.asarray(getattr(found, name)) - expected[name]).max()
        if difference > 1e-10 * scale:
            sys.exit(f"{name} differs from the reference's by {difference}")


def measure(sizes: Sequence[int], most_dense: int, corpora: int) -> list[dict[str, Any]]:
    reference, rows = dense(), []
    for size in sizes:
        given = made(size, corpora)
        found = crossed_effects(*given)
        row: dict[str, Any] = {"pairs": size, "languages": found.n_languages}
        row |= {"s": seconds(lambda g=given: crossed_effects(*g), 3), "mib": peak(lambda g=given: crossed_effects(*g))}
        if size <= most_dense:
            check(found, reference(*given), float(np.abs(given[0]).max()) ** 2)
            row["dense_s"] = seconds(lambda g=given: reference(*g), 1)
            row["dense_mib"] = peak(lambda g=given: reference(*g))
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sizes = [200, 500, 1000, 2000, 5000, 20_000, 68_906]
    parser.add_argument("--pairs", type=int, nargs="+", default=sizes)
    parser.add_argument("--dense", type=int, default=2000, help="most pairs of the reference")
    parser.add_argument("--corpora", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = measure(given.pairs, given.dense, given.corpora)
    both = [row for row in rows if "dense_s" in row]
    ours, theirs = (
        exponent([row["pairs"] for row in part], [row[name] for row in part])
        for part, name in ((rows, "s"), (both, "dense_s"))
    )
    if given.json:
        print(
            json.dumps({"corpora": given.corpora, "rows": rows, "exponent": ours, "dense_exponent": theirs}, indent=2)
        )
        return
    print("| pairs | languages | s | MiB | dense: s | MiB |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for row in rows:
        beside = f"| {row['dense_s']:.3f} | {row['dense_mib']:.0f} |" if "dense_s" in row else "| | |"
        print(f"| {row['pairs']:,} | {row['languages']} | {row['s']:.3f} | {row['mib']:.1f} {beside}")
    print(f"\ntime grows with pairs to the power of {ours:.2f}; dense {theirs:.2f}")


if __name__ == "__main__":
    main()
