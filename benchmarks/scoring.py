"""What scoring a unit costs, beside scikit-learn's functions called once per unit, in one run on the same responses.

    python benchmarks/scoring.py [--units N] [--sentences N] [--json]

Responses are normal random numbers without ties; five targets against five negative languages each. scikit-learn is
timed on the first `--peer-units` units. Each time is the processor time of the one working thread, the least of several
repetitions, so that a busy machine distorts little. The results of both are compared before anything is printed.
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable

import numpy as np
import sklearn
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score, mutual_info_score, roc_auc_score

from sprachbund_runners.scorers import SCORERS, Target, lay_out, rank_responses, score_units
from sprachbund_runners.scorers.mutual_information import BINS

LANGUAGES = 6
ROWS = 128  # units sorted at a time, as score_units does with 1,000 sentences


def microseconds(function: Callable[[], object], units: int, repetitions: int) -> float:
    """Least processor time of `function` per unit."""
    best = float("inf")
    for _ in range(repetitions):
        start = time.thread_time()
        function()
        best = min(best, time.thread_time() - start)
    return best / units * 1e6


def one_scorer(
    name: str, responses: NDArray[np.float32], language_of: NDArray[np.int64], targets: list[Target]
) -> NDArray[np.float64]:
    """Scores [targets, units] of one scorer alone, without the details that `score_units` adds."""
    layout = lay_out(language_of, targets)
    blocks = range(0, len(responses), ROWS)
    return np.hstack([SCORERS[name].function(rank_responses(responses[b : b + ROWS], layout, b)) for b in blocks])


def mutual_information_score(labels: NDArray[np.bool_], row: NDArray[np.float32]) -> float:
    """scikit-learn's estimate over bins from scipy's midranks."""
    return float(mutual_info_score(labels, ((2 * rankdata(row) - 1) * BINS // (2 * len(row))).astype(int)))


def whole_sites(positives: NDArray[np.float32], negatives: NDArray[np.float32]) -> list[dict[str, float | str]]:
    """Scorers that look at all units of a site together and have no peer that scores one: [n, units] of each side."""
    width = positives.shape[1]
    rng = np.random.default_rng(1)
    tokens = np.full(LANGUAGES, 20_000)
    active = rng.binomial(tokens, rng.beta(0.5, 2, (width, LANGUAGES)))
    each = {
        "l1_probe": lambda: SCORERS["l1_probe"].function(positives, negatives),
        "lape": lambda: SCORERS["lape"].function(active, tokens),
    }
    return [
        {"work": f"{name}, 1 target, a site of {width} units", "us_per_unit": microseconds(work, width, 3)}
        for name, work in each.items()
    ]


def measure(units: int, sentences: int, peer_units: int, repetitions: int) -> list[dict[str, float | str]]:
    rng = np.random.default_rng(0)
    responses = rng.standard_normal((units, sentences)).astype(np.float32)
    language_of = np.arange(sentences) % LANGUAGES
    targets = [Target(t, tuple(n for n in range(LANGUAGES) if n != t)) for t in range(LANGUAGES - 1)]
    functions = {
        "auroc": roc_auc_score,
        "average_precision": average_precision_score,
        "mutual_information": mutual_information_score,
    }

    def peer(name: str, n_targets: int) -> NDArray[np.float64]:
        labels = [language_of == t.positive for t in targets[:n_targets]]
        return np.array([[functions[name](y, row) for row in responses[:peer_units]] for y in labels])

    rows: list[dict[str, float | str]] = []

    def compare(work: str, name: str, n_targets: int, ours: Callable[[], NDArray[np.float64]]) -> None:
        difference = float(np.abs(ours()[:, :peer_units] - peer(name, n_targets)).max())
        if difference > 1e-12:
            sys.exit(f"{work}: differs from scikit-learn by {difference}")
        here = microseconds(ours, units, repetitions)
        there = microseconds(lambda: peer(name, n_targets), peer_units, max(2, repetitions // 2))
        rows.append(
            {
                "work": work,
                "us_per_unit": here,
                "sklearn_us_per_unit": there,
                "ratio": there / here,
                "differs": difference,
            }
        )

    for name in functions:
        for n in (1, len(targets)):
            label = f"{name}, {n} target{'s' if n > 1 else ''}"
            compare(label, name, n, lambda name=name, n=n: one_scorer(name, responses, language_of, targets[:n]))  # type: ignore[misc]
    both = f"score_units: AUROC, AP, minimum, p and d, {len(targets)} targets, against AUROC alone"
    compare(both, "auroc", len(targets), lambda: score_units(responses, language_of, targets).values["auroc"])
    site = np.ascontiguousarray(responses[:768].T)
    site[language_of == 0, :40] += 0.5
    return rows + whole_sites(site[language_of == 0], site[language_of != 0])


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost of scoring a unit, beside scikit-learn.")
    parser.add_argument("--units", type=int, default=4000)
    parser.add_argument("--sentences", type=int, default=1000)
    parser.add_argument("--peer-units", type=int, default=100, help="units that scikit-learn scores")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args()
    peer_units = min(options.peer_units, options.units)
    rows = measure(options.units, options.sentences, peer_units, options.repetitions)
    if options.json:
        about = {"units": options.units, "sentences": options.sentences, "sklearn": sklearn.__version__}
        print(json.dumps({**about, "machine": platform.machine(), "rows": rows}))
        return
    print(
        f"{options.units} units x {options.sentences} sentences; scikit-learn {sklearn.__version__}: {peer_units} units"
    )
    print(f"{'µs per unit':>11}  {'scikit-learn':>12}  {'ratio':>6}  {'differs by':>10}  work")
    for row in rows:
        if "ratio" not in row:
            print(f"{row['us_per_unit']:>11.1f}  {'':>12}  {'':>6}  {'':>10}  {row['work']}")
            continue
        print(
            f"{row['us_per_unit']:>11.1f}  {row['sklearn_us_per_unit']:>12.1f}  {row['ratio']:>5.0f}x"
            f"  {row['differs']:>10.1e}  {row['work']}"
        )


if __name__ == "__main__":
    main()
