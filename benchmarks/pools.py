"""Neighbours of both sides in a large pool: time and memory, exactly in blocks and by FAISS's inverted lists.

    python benchmarks/pools.py [--items N] [--width D] [--faiss] [--json]

The exact search never holds more of the N × N matrix than one block. Printed are the wall time, what the process
takes at its peak beyond what it held before (Linux), and what the whole matrix would take; and on paper the same for
1,000,000 items. With `--faiss` (extra `faiss`) the approximate lists beside it, with their recall.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from time import perf_counter

import numpy as np

from sprachbund_runners.evaluation.neighbours import K_CSLS, Collector
from sprachbund_runners.evaluation.pools import Lists, approximate_lists
from sprachbund_runners.evaluation.similarity import BLOCK_SIZE, SimilarityMatrix, UnitVectors, unit_vectors

MIB = 2**20
PAPER = 1_000_000


def memory_mib(name: str) -> float:
    """VmRSS (now) or VmHWM (the most since `forget_peak`) of this process in MiB; Linux."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return float(line.split()[1]) / 1024
    raise SystemExit(f"/proc/self/status has no {name}: memory is measured on Linux only")


def forget_peak() -> None:
    """Let the peak start again at what the process holds now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def pool(n: int, width: int) -> tuple[UnitVectors, UnitVectors]:
    """Two sides that are translations of each other, as unit vectors: few dimensions carry most of the variance."""
    rng = np.random.default_rng(0)
    meaning = rng.standard_normal((n, 64), dtype=np.float32)
    mix = rng.standard_normal((64, width), dtype=np.float32)
    sides = []
    for _ in range(2):
        side = (meaning + 0.5 * rng.standard_normal(meaning.shape, dtype=np.float32)) @ mix
        side += 2 * rng.standard_normal((n, width), dtype=np.float32)
        sides.append(unit_vectors(side))
    return sides[0], sides[1]


def exact_lists(x: UnitVectors, y: UnitVectors) -> Lists:
    """The nearest of both sides from one pass over the matrix, of which one block is held at a time."""
    near = Collector.of(x, y, K_CSLS)
    matrix = SimilarityMatrix(x, y, BLOCK_SIZE, cache_bytes=0)
    for block, similarity in matrix.all_blocks():
        near.add(similarity, *matrix.slices(block))
    return Lists(near.forward(), near.backward(), 1.0)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=40_000)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--faiss", action="store_true", help="also search approximately")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args(arguments)
    n, width = options.items, options.width

    small = pool(2000, width)
    exact_lists(*small)  # compiles
    x, y = pool(n, width)
    forget_peak()
    before = memory_mib("VmRSS")
    start = perf_counter()
    exact = exact_lists(x, y)
    seconds = perf_counter() - start
    grown = memory_mib("VmHWM") - before
    found = float((exact.forward.place[:, 0] == np.arange(n)).mean())
    lists_mib = 2 * n * K_CSLS * (4 + 8) / MIB
    report = {
        "items": n,
        "width": width,
        "cpus": os.cpu_count(),
        "top1": found,
        "exact_seconds": seconds,
        "gflops": 2 * n * n * width / seconds / 1e9,
        "embeddings_mib": 2 * n * width * 4 / MIB,
        "search_mib": grown,
        "lists_mib": lists_mib,
        "block_mib": BLOCK_SIZE**2 * 4 / MIB,
        "whole_matrix_mib": n * n * 4 / MIB,
        "paper": {
            "items": PAPER,
            "embeddings_gib": 2 * PAPER * width * 4 / MIB / 1024,
            "lists_gib": 2 * PAPER * K_CSLS * 12 / MIB / 1024,
            "whole_matrix_gib": PAPER**2 * 4 / MIB / 1024,
            "hours_at_this_rate": seconds * (PAPER / n) ** 2 / 3600,
        },
    }
    if options.faiss:
        start = perf_counter()
        approximate = approximate_lists(x, y)
        report["faiss_seconds"] = perf_counter() - start
        report["faiss_recall"] = approximate.recall
        report["faiss_top1"] = float((approximate.forward.place[:, 0] == np.arange(n)).mean())
    if options.json:
        print(json.dumps(report, indent=2))
        return
    paper = report["paper"]
    print(f"{n:,} items x {width}, float32, {K_CSLS} nearest of both sides; {os.cpu_count()} CPUs")
    print(f"  exact, one pass      {seconds:8.1f} s   ({report['gflops']:.0f} GFLOP/s), top-1 {found:.3f}")
    print(f"  memory of embeddings {report['embeddings_mib']:8.0f} MiB")
    print(f"  memory of the search {grown:8.0f} MiB more at peak ({lists_mib:.0f} of them lists)")
    print(f"  the whole matrix     {report['whole_matrix_mib']:8.0f} MiB, never held")
    if options.faiss:
        print(
            f"  FAISS inverted lists {report['faiss_seconds']:8.1f} s   recall {report['faiss_recall']:.3f},"
            f" top-1 {report['faiss_top1']:.3f}"
        )
    print(
        f"  on paper, {PAPER:,}: embeddings {paper['embeddings_gib']:.1f} GiB, lists {paper['lists_gib']:.2f} GiB,"
        f" {paper['hours_at_this_rate']:.1f} h at this rate; the matrix would be {paper['whole_matrix_gib']:,.0f} GiB"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
