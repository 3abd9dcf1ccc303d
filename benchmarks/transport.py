"""What fitting Linear-AcT costs per unit, beside plain loops over units, in one run on the same responses.

    python benchmarks/transport.py [--units N] [--sentences N] [--source-sentences N] [--json]

The loops are ours, not another package's code: each sorts one unit's target and source samples with torch.sort and fits
a line to the pairs, either by numpy.linalg.lstsq or in closed form; the transport of ml-act (Rodriguez et al. 2025) is
a loop of that kind over units. They are timed on the first `--peer-units` units. With a number of source sentences of
their own the loops repeat samples up to the least common multiple, as sorted pairs need equally many. Each time is the
processor time of the one working thread, the least of several repetitions. Results are compared before anything is
printed.
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from sprachbund_runners.interventions.affine import linear_act

Samples = NDArray[np.float32]


def microseconds(function: Callable[[], object], units: int, repetitions: int) -> float:
    """Least processor time of `function` per unit."""
    best = float("inf")
    for _ in range(repetitions):
        start = time.thread_time()
        function()
        best = min(best, time.thread_time() - start)
    return best / units * 1e6


def by_lstsq(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    slope, intercept = np.linalg.lstsq(np.stack([x, np.ones_like(x)], axis=1), y, rcond=None)[0]
    return float(slope), float(intercept)


def closed_form(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    centred = x - x.mean()
    slope = float((centred * (y - y.mean())).mean() / (centred**2).mean())
    return slope, float(y.mean() - slope * x.mean())


def loop(
    target: Samples, source: Samples, fit: Callable[..., tuple[float, float]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Slopes and intercepts [units], one unit at a time; target [n, units], source [m, units]."""
    common = int(np.lcm(len(target), len(source)))
    slopes, intercepts = np.empty(target.shape[1]), np.empty(target.shape[1])
    for unit in range(target.shape[1]):
        y = torch.sort(torch.from_numpy(target[:, unit]))[0].numpy().astype(np.float64)
        x = torch.sort(torch.from_numpy(source[:, unit]))[0].numpy().astype(np.float64)
        if len(x) != len(y):
            x, y = x.repeat(common // len(x)), y.repeat(common // len(y))
        slopes[unit], intercepts[unit] = fit(x, y)
    return slopes, intercepts


def measure(units: int, n: int, m: int, peer_units: int, repetitions: int) -> list[dict[str, float | str]]:
    rng = np.random.default_rng(0)
    target = rng.standard_normal((n, units)).astype(np.float32)
    source = (rng.gamma(2.0, size=(m, units)) - 1).astype(np.float32)
    made = linear_act(target, source)
    ours = microseconds(lambda: linear_act(target, source), units, repetitions)
    rows: list[dict[str, float | str]] = [{"work": "ours, blocks of units", "us": ours, "ratio": 1.0}]
    few = min(peer_units, units)
    part = np.ascontiguousarray(target[:, :few]), np.ascontiguousarray(source[:, :few])
    for name, fit in (("loop over units, numpy.linalg.lstsq", by_lstsq), ("loop over units, closed form", closed_form)):
        a, b = loop(*part, fit)
        if not (np.allclose(made.a[:few], a, rtol=1e-5, atol=1e-6) and np.allclose(made.b[:few], b, atol=1e-5)):
            sys.exit(f"{name}: slopes or intercepts differ from ours")
        theirs = microseconds(lambda fit=fit: loop(*part, fit), few, repetitions)  # type: ignore[misc]
        rows.append({"work": name, "us": theirs, "ratio": theirs / ours})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=4000)
    parser.add_argument("--sentences", type=int, default=1000, help="of the target")
    parser.add_argument("--source-sentences", type=int, help="of the source, as many as of the target by default")
    parser.add_argument("--peer-units", type=int, default=400)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    n, m = given.sentences, given.source_sentences or given.sentences
    rows = measure(given.units, n, m, given.peer_units, given.repetitions)
    if given.json:
        print(json.dumps({"units": given.units, "sentences": n, "source_sentences": m, "rows": rows}, indent=2))
        return
    print(f"{given.units} units, {n} target and {m} source sentences; Python {platform.python_version()}, "
          f"numpy {np.__version__}, torch {torch.__version__}")  # fmt: skip
    print("| work | µs per unit | ratio |\n| --- | ---: | ---: |")
    for row in rows:
        print(f"| {row['work']} | {row['us']:.1f} | {row['ratio']:.1f} × |")


if __name__ == "__main__":
    main()
