"""ABX ON language: 3 languages × 600 sentences × 768 dimensions, against the triplet tensor and fastabx.

    python benchmarks/abx.py [--items N] [--languages L] [--width D] [--repeats R] [--resamples B] [--json]

Prints in one run the processor time (of all threads), the median of rounds in which all take turns, with the median of
the rounds' ratios to ours, and the peak of memory on top of the embeddings. `triplet tensor` compares d(a, x) with
d(b, x) for all a × b × x of two languages at once, in NumPy, in float32; fastabx (Python 3.12 or newer) does the same
in PyTorch, whose memory is the growth of the largest resident set of a process of its own. All scores are checked to
agree within 1e-6 before they are timed; fastabx compares in float32 and sums in its own way: within 1e-5.
"""

import argparse
import importlib.util
import json
import multiprocessing
import os
import platform
import sys
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from sprachbund_runners.evaluation.abx import AbxTask, abx_groups, abx_vectors, score_group


def made(languages: int, items: int, width: int) -> tuple[np.ndarray, dict[str, list[str]]]:
    """Items that share a meaning across languages, and a component of each language."""
    drawn = np.random.default_rng(0)
    meaning = drawn.standard_normal((1, items, width))
    language = 0.3 * drawn.standard_normal((languages, 1, width))
    noise = 0.7 * drawn.standard_normal((languages, items, width))
    embeddings = (meaning + language + noise).reshape(-1, width).astype(np.float32)
    names = [f"l{number:02d}" for number in range(languages) for _ in range(items)]
    return embeddings, {"language": names, "item": [str(number) for number in range(items)] * languages}


def ours(embeddings: np.ndarray, labels: dict[str, list[str]], resamples: int = 0) -> float:
    (group,) = abx_groups(AbxTask("language"), labels)
    multiplicities = None
    if resamples:
        items = len(set(labels["item"]))
        counts = np.random.default_rng(1).multinomial(items, [1 / items] * items, size=resamples)
        multiplicities = np.tile(counts.astype(np.float64), (1, len(embeddings) // items))
    return score_group(abx_vectors(embeddings, "angular"), group, multiplicities).value


def triplet_tensor(embeddings: np.ndarray, labels: dict[str, list[str]]) -> float:
    """Every ordered pair of languages: the tensor of all a × b × x, then its mean without x = a."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    names = np.array(labels["language"])
    scores = []
    for first in np.unique(names):
        a = unit[names == first]
        to_a = np.arccos(np.clip(a @ a.T, -1, 1)) / np.float32(np.pi)
        for second in np.unique(names):
            if first == second:
                continue
            to_b = np.arccos(np.clip(unit[names == second] @ a.T, -1, 1)) / np.float32(np.pi)
            near, far = to_a[:, None, :], to_b[None, :, :]
            wins = (near < far) + np.float32(0.5) * (near == far)
            n = len(a)
            wins[np.arange(n), :, np.arange(n)] = 0.0
            scores.append(wins.sum(dtype=np.float64) / (n * (n - 1) * len(to_b)))
    return float(np.mean(scores))


def fastabx_score(embeddings: np.ndarray, labels: dict[str, list[str]]) -> float:
    from fastabx import Dataset, Score, Task

    dataset = Dataset.from_numpy(embeddings, {"language": labels["language"]})
    return 1.0 - float(Score(Task(dataset, on="language"), "angular").collapse())


def rounds(works: Iterable[Callable[[], Any]], repeats: int) -> np.ndarray:
    """Processor seconds, float64 [repeats, works]: all take turns."""
    times = []
    for _ in range(repeats):
        turn = [process_time()]
        for work in works:
            work()
            turn.append(process_time())
        times.append(np.diff(turn))
    return np.array(times)


def allocated(work: Callable[[], Any]) -> int:
    """Peak bytes that NumPy allocates during `work`, on top of what there was."""
    tracemalloc.start()
    work()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def _peak() -> int:
    """The largest resident set of this process in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def _resident(queue: Any, arguments: Any) -> None:
    embeddings, labels = arguments
    fastabx_score(embeddings[::50], {name: values[::50] for name, values in labels.items()})
    before = _peak()
    fastabx_score(embeddings, labels)
    queue.put(_peak() - before)


def grown(embeddings: np.ndarray, labels: dict[str, list[str]]) -> int:
    """Growth of the largest resident set, in bytes, of a fresh process that runs fastabx once."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_resident, args=(queue, (embeddings, labels)))
    process.start()
    found = queue.get()
    process.join()
    return int(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=600)
    parser.add_argument("--languages", type=int, default=3)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--resamples", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    embeddings, labels = made(options.languages, options.items, options.width)
    few = embeddings[::20], {name: values[::20] for name, values in labels.items()}
    ours(*few)  # compiles
    ours(*few, resamples=2)
    value = ours(embeddings, labels)
    works: dict[str, tuple[Callable[[], Any], Callable[[], int]]] = {
        "ours": (lambda: ours(embeddings, labels), lambda: allocated(lambda: ours(embeddings, labels))),
        f"ours, {options.resamples} bootstrap draws": (
            lambda: ours(embeddings, labels, options.resamples),
            lambda: allocated(lambda: ours(embeddings, labels, options.resamples)),
        ),
        "triplet tensor": (
            lambda: triplet_tensor(embeddings, labels),
            lambda: allocated(lambda: triplet_tensor(embeddings, labels)),
        ),
    }
    checks = {"triplet tensor": abs(triplet_tensor(embeddings, labels) - value)}
    if importlib.util.find_spec("fastabx") is None:
        print("fastabx is not installed here (it needs Python >= 3.12)", file=sys.stderr)
    else:
        works["fastabx"] = (lambda: fastabx_score(embeddings, labels), lambda: grown(embeddings, labels))
        checks["fastabx"] = abs(fastabx_score(embeddings, labels) - value)
    for name, difference in checks.items():
        if difference > (1e-5 if name == "fastabx" else 1e-6):
            print(f"{name} differs from ours by {difference:.2e}", file=sys.stderr)
            return 1
    times = rounds([work for work, _ in works.values()], options.repeats)
    seconds, ratios = np.median(times, axis=0), np.median(times / times[:, :1], axis=0)
    rows: list[dict[str, Any]] = [
        {"name": name, "seconds": float(seconds[number]), "times": float(ratios[number]), "bytes": memory()}
        for number, (name, (_, memory)) in enumerate(works.items())
    ]
    for row in rows:
        row["times_memory"] = row["bytes"] / rows[0]["bytes"]
    if options.json:
        print(json.dumps({"score": value, "differences": checks, "rows": rows}))
        return 0
    print(f"ABX ON language, {options.languages} × {options.items} × {options.width}, score {value:.6f}; "
          f"Python {platform.python_version()}, NumPy {np.__version__}, {os.cpu_count()} CPUs, "
          f"OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'unset')}")  # fmt: skip
    print(f"{'':32}{'seconds':>10}{'× ours':>8}{'MiB':>10}{'× ours':>8}")
    for row in rows:
        print(f"{row['name']:32}{row['seconds']:>10.3f}{row['times']:>8.1f}{row['bytes'] / 2**20:>10.1f}"
              f"{row['times_memory']:>8.1f}")  # fmt: skip
    for name, difference in checks.items():
        print(f"{name} differs by {difference:.1e}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
