"""Retrieval of 1,012 translations at width 4,096, both directions, against a plain loop, xSIM's procedure and mteb.

    python benchmarks/retrieval.py [--items N] [--width D] [--languages L] [--repeats R] [--json]

First all pairs of L languages at one layer from their raw embeddings: as runners do them, which scale a language to
unit length once for all its pairs, and by mteb, which scales both sides of every pair. Then works on a single pair:
`ours` counts from raw embeddings to both directions' ranks, margins, CSLS, xSIM, bitext scores, MEXA and mined pairs;
`ours, scaled once` leaves out scaling. The loop holds the whole matrix and sorts every row; the xSIM procedure is
LASER's, step by step, in NumPy (and with FAISS, which LASER uses, where the extra `faiss` is installed); mteb (extra
`bench`) has no ranks, only its bitext scores. All are timed on float32.

Times are the processor's (of all threads; for one thread set OMP_NUM_THREADS=1), medians of rounds in which all take
turns; ratios are medians of the rounds' ratios: a busy machine then slows both alike. Before timing top-1, xSIM and all
four bitext scores are checked to agree within 1e-6.
"""

import argparse
import importlib.util
import json
import os
import platform
import sys
import warnings
from collections.abc import Callable, Mapping
from itertools import combinations, permutations
from time import process_time
from typing import Any

import numpy as np

from sprachbund_runners.evaluation.distances import language_vectors
from sprachbund_runners.evaluation.retrieval_scores import retrieval_scores
from sprachbund_runners.evaluation.similarity import unit_vectors


def rounds(works: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, np.ndarray]:
    """Processor seconds of each, float64 [repeats]: all take turns, after one turn that is not counted."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats + 1):
        for name, work in works.items():
            start = process_time()
            work()
            times[name].append(process_time() - start)
    return {name: np.array(found[1:]) for name, found in times.items()}


def loop_ranks(queries: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Ranks in one direction the plain way: the whole matrix, a sort of each row, a search for the gold."""
    queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    candidates = candidates / np.linalg.norm(candidates, axis=1, keepdims=True)
    similarity = queries @ candidates.T
    order = np.argsort(-similarity, axis=1)
    return np.array([int(np.flatnonzero(order[i] == i)[0]) + 1 for i in range(len(order))])


def exact_search(queries: np.ndarray, candidates: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k largest products of every query and where they are, in descending order: the whole matrix at once."""
    similarity = queries @ candidates.T
    nearest = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
    values = np.take_along_axis(similarity, nearest, axis=1)
    order = np.argsort(-values, axis=1)
    return np.take_along_axis(values, order, axis=1), np.take_along_axis(nearest, order, axis=1)


def faiss_search() -> Callable[[np.ndarray, np.ndarray, int], tuple[np.ndarray, np.ndarray]] | None:
    """The same by FAISS's exact index, as LASER calls it; None if it is not installed."""
    if importlib.util.find_spec("faiss") is None:
        return None
    import faiss

    def search(queries: np.ndarray, candidates: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        index = faiss.IndexFlatIP(candidates.shape[1])
        index.add(candidates)
        return index.search(queries, k)

    return search


def xsim_procedure(queries: np.ndarray, candidates: np.ndarray, search: Any = exact_search, k: int = 4) -> float:
    """xSIM's error with the ratio margin: search both ways, then score each query's k candidates one by one."""
    queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    candidates = candidates / np.linalg.norm(candidates, axis=1, keepdims=True)
    forward, place = search(queries, candidates, k)
    backward, _ = search(candidates, queries, k)
    mean, other = forward.mean(axis=1), backward.mean(axis=1)
    errors = 0
    for i in range(len(queries)):
        margins = [forward[i, j] / ((mean[i] + other[place[i, j]]) / 2) for j in range(k)]
        errors += place[i, int(np.argmax(margins))] != i
    return errors / len(queries)


def all_pairs(languages: list[np.ndarray]) -> None:
    """Every pair of languages in both directions, as a runner does a setting's layer."""
    for x, y in combinations([language_vectors(each) for each in languages], 2):
        retrieval_scores(x, y)


class CosineModel:
    """All that mteb's bitext evaluator asks of a model once embeddings are there: its own cosine similarity."""

    def similarity(self, a: Any, b: Any) -> Any:
        from mteb.similarity_functions import cos_sim

        return cos_sim(a, b)


def mteb_direction() -> Callable[[np.ndarray, np.ndarray], dict[str, float]] | None:
    """mteb's search and bitext scores in one direction, by its own evaluator; None if it is not installed."""
    if importlib.util.find_spec("mteb") is None:
        return None
    import torch
    from mteb._evaluators.text.bitext_mining_evaluator import BitextMiningEvaluator
    from mteb.abstasks.text.bitext_mining import AbsTaskBitextMining

    warnings.filterwarnings("ignore", message="To copy construct from a tensor")
    # Neither method reads the instance: encoding, which would, is not what is measured.
    search, metrics = BitextMiningEvaluator._similarity_search, AbsTaskBitextMining._compute_metrics

    def score(queries: np.ndarray, candidates: np.ndarray) -> dict[str, float]:
        nearest = search(None, torch.from_numpy(queries), torch.from_numpy(candidates), CosineModel())
        return metrics(None, nearest, [(i, i) for i in range(len(queries))])

    return score


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=1012)
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--languages", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args(arguments)

    rng = np.random.default_rng(0)
    x = rng.standard_normal((options.items, options.width), dtype=np.float32)
    y, *more = (x + 14 * rng.standard_normal(x.shape, dtype=np.float32) for _ in range(options.languages - 1))
    languages = [x, y, *more]
    unit_x, unit_y = unit_vectors(x), unit_vectors(y)

    sides = language_vectors(x), language_vectors(y)
    everything = retrieval_scores(*sides)
    top1 = float(everything.forward["top1"].mean())
    assert top1 == np.mean(loop_ranks(x, y) == 1), "the loop disagrees"
    xsim = float(everything.forward["xsim"].mean())
    assert abs(xsim_procedure(x, y) - xsim) < 1e-6, "the xSIM procedure disagrees"
    works: dict[str, Callable[[], Any]] = {
        "ours": lambda: retrieval_scores(language_vectors(x), language_vectors(y)),
        "ours, scaled once": lambda: retrieval_scores(*sides),
        "one matrix product (the floor)": lambda: unit_x.rows @ unit_y.rows.T,
        "xSIM procedure, both directions": lambda: (xsim_procedure(x, y), xsim_procedure(y, x)),
        "plain loop": lambda: (loop_ranks(x, y), loop_ranks(y, x)),
    }
    faiss = faiss_search()
    if faiss is not None:
        assert abs(xsim_procedure(x, y, faiss) - xsim) < 1e-6, "xSIM by FAISS disagrees"
        works["xSIM with FAISS, both directions"] = lambda: (xsim_procedure(x, y, faiss), xsim_procedure(y, x, faiss))
    mteb = mteb_direction()
    if mteb is not None:
        for queries, candidates, items in ((x, y, everything.forward), (y, x, everything.backward)):
            for name, value in mteb(queries, candidates).items():
                assert abs(value - float(items[f"bitext_{name}"].mean())) < 1e-6, f"mteb disagrees on {name}"
        works["mteb bitext"] = lambda: (mteb(x, y), mteb(y, x))
    study: dict[str, Callable[[], Any]] = {"ours": lambda: all_pairs(languages)}
    if mteb is not None:
        study["mteb bitext"] = lambda: [mteb(*pair) for pair in permutations(languages, 2)]
    whole = rounds(study, options.repeats)
    times = rounds(works, options.repeats)
    seconds = {name: float(np.median(found)) for name, found in times.items()}
    ratios = {
        short: {name: float(np.median(found / times[base])) for name, found in times.items()}
        for short, base in (
            ("ours", "ours"),
            ("scaled once", "ours, scaled once"),
            ("product", "one matrix product (the floor)"),
        )
    }

    report: dict[str, Any] = {
        "items": options.items,
        "width": options.width,
        "top1": top1,
        "xsim": xsim,
        "bitext_f1": float(everything.forward["bitext_f1"].mean()),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "seconds_all_pairs": {name: float(np.median(found)) for name, found in whole.items()},
        "ratio_all_pairs": {name: float(np.median(found / whole["ours"])) for name, found in whole.items()},
        "seconds": seconds,
        "ratio_to": ratios,
        "mteb": "measured" if mteb is not None else "not installed (extra `bench`)",
    }
    if options.json:
        print(json.dumps(report, indent=2))
        return
    print(f"{options.items} items x {options.width}, float32, both directions, medians of {options.repeats} rounds")
    print(f"top-1 {top1:.3f}, xSIM error {xsim:.3f}, bitext F1 {report['bitext_f1']:.3f} by all that have them")
    threads = os.environ.get("OMP_NUM_THREADS", "unset")
    print(f"{os.cpu_count()} CPUs, NumPy {np.__version__}, OMP_NUM_THREADS={threads}\n")
    print(f"| all pairs of {options.languages} languages | ms a pair | × ours |\n| --- | ---: | ---: |")
    n_pairs = options.languages * (options.languages - 1) / 2
    for name, time in report["seconds_all_pairs"].items():
        print(f"| {name} | {time / n_pairs * 1e3:.1f} | {report['ratio_all_pairs'][name]:.2f} |")
    print("\n| one pair | ms | " + " | ".join(f"× {base}" for base in ratios) + " |")
    print("| --- |" + " ---: |" * (1 + len(ratios)))
    for name, time in seconds.items():
        print(f"| {name} | {time * 1e3:.1f} | " + " | ".join(f"{each[name]:.2f}" for each in ratios.values()) + " |")
    if mteb is None:
        print("  mteb bitext: not installed (extra `bench`)")
    if faiss is None:
        print("  FAISS: not installed (extra `faiss`)")


if __name__ == "__main__":
    main(sys.argv[1:])
