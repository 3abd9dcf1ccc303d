"""How often a setting that does nothing seems to do something, by what its tests stand in one family with.

    python benchmarks/families.py [--trials 1000]

An experiment has 16 tests of baselines that certainly work (centring at 16 layers) and 32 of steering that does
nothing (4 settings at 8 layers), by the paired bootstrap over 100 items and Benjamini and Hochberg. `one family`, `own
family`: experiments in which some steering test has q <= .05. `alike`: correlation of steering's tests.

Then how often a single true effect, far from 0, has q <= .05 among tests that find nothing, by draws.
"""

import argparse

import numpy as np
from numpy.typing import NDArray

from sprachbund.statistics import default_resamples, least_q
from sprachbund_runners.jobs.compare.families import adjusted_p
from sprachbund_runners.statistics.bootstrap import bootstrap_replicates, summarise_replicates

N_ITEMS = 100
CERTAIN, NULL = 16, 32


def p_values(differences: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    """Of differences [items, tests]."""
    replicates = bootstrap_replicates(differences, None, resamples, seed)
    found = summarise_replicates(differences.mean(axis=0), replicates, n_items=N_ITEMS, n_groups=N_ITEMS)
    return found.p


def nothing(n: int, alike: float, random: np.random.Generator) -> NDArray[np.float64]:
    """Differences [items, n] around 0; two tests' of one item have this correlation."""
    common = random.normal(0, np.sqrt(alike), (N_ITEMS, 1))
    return np.asarray(common + random.normal(0, np.sqrt(1 - alike), (N_ITEMS, n)))


def false_finds(alike: float, trials: int, seed: int = 0) -> dict[str, float]:
    """Shares of experiments in which steering that does nothing is found to do something."""
    random = np.random.default_rng(seed)
    hits = {"one family": 0, "own family": 0}
    resamples = default_resamples(CERTAIN + NULL, 0.05, "bh")
    for trial in range(trials):
        certain = 1 + random.normal(0, 1, (N_ITEMS, CERTAIN))
        p = p_values(np.hstack([certain, nothing(NULL, alike, random)]), resamples, trial)
        hits["one family"] += bool((adjusted_p(p, "bh")[CERTAIN:] <= 0.05).any())
        hits["own family"] += bool((adjusted_p(p[CERTAIN:], "bh") <= 0.05).any())
    return {name: count / trials for name, count in hits.items()}


def true_finds(tests: int, resamples: int, trials: int, seed: int = 0) -> float:
    """Share of experiments in which the one effect there is, among so many tests, is found."""
    random = np.random.default_rng(seed)
    found = 0
    for trial in range(trials):
        differences = nothing(tests, 0.0, random)
        differences[:, 0] += 1
        found += bool(adjusted_p(p_values(differences, resamples, trial), "bh")[0] <= 0.05)
    return found / trials


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    options = parser.parse_args()
    print("| alike | one family | own family |\n| ---: | ---: | ---: |")
    for alike in (0.0, 0.3, 0.8):
        found = false_finds(alike, options.trials)
        print(f"| {alike} | {found['one family']:.3f} | {found['own family']:.3f} |", flush=True)
    print("\n| tests | draws | least q | true effect found |\n| ---: | ---: | ---: | ---: |")
    for tests in (20, 60, 120):
        for resamples in dict.fromkeys((1000, default_resamples(tests, 0.05, "bh"))):
            share = true_finds(tests, resamples, options.trials // 5)
            print(f"| {tests} | {resamples} | {least_q(tests, resamples, 'bh'):.3f} | {share:.3f} |", flush=True)


if __name__ == "__main__":
    main()
