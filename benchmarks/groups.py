"""How often intervals of a mean difference have the true mean where few groups (documents) are drawn.

    python benchmarks/groups.py [--trials 1000]

Differences item by item, around 0, of items in groups that have something in common: normal ones; changes of hits over
six pairs; and lopsided ones (an exponential effect of the group). Groups have five items each, or from one to nine.
`percentile`: of 1,000 draws of groups. `ours`: what comparisons use, Student's t below 100 groups. `false`: how often p
is at most .05, of which ours should be.
"""

import argparse
import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sprachbund_runners.statistics.bootstrap import bootstrap_replicates, summarise_mean, summarise_replicates

N_GROUPS = (5, 8, 12, 19, 50, 100)
RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Groups:
    """What the items of a group have in common, and whether groups are of one size."""

    name: str
    effect: str
    equal: bool


DESIGNS = tuple(
    Groups(f"{effect}, {'groups of 5' if equal else 'groups of 1 to 9'}", effect, equal)
    for effect, equal in itertools.product(("normal", "hits", "lopsided"), (True, False))
)


def drawn(design: Groups, n_groups: int, random: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Differences [items] around 0, and their groups."""
    sizes = np.full(n_groups, 5) if design.equal else random.integers(1, 10, n_groups)
    groups = np.repeat(np.arange(n_groups), sizes)
    n = len(groups)
    if design.effect == "hits":
        share = 0.15 + 0.3 * random.beta(0.5, 0.5, n_groups)[groups]
        one, other = (random.random((n, 6)) < share[:, None] for _ in range(2))
        return np.asarray((one.astype(float) - other).mean(axis=1)), groups
    of_groups = random.normal(0, 1, n_groups) if design.effect == "normal" else random.exponential(1, n_groups) - 1
    return np.asarray(of_groups[groups] + random.normal(0, 1, n)), groups


def shares(design: Groups, n_groups: int, trials: int, seed: int = 0) -> dict[str, float]:
    """Shares of trials in which each interval has the true mean, and in which p is at most .05."""
    random = np.random.default_rng(seed)
    hits = {"percentile": 0, "ours": 0, "false": 0}
    for trial in range(trials):
        differences, groups = drawn(design, n_groups, random)
        replicates = bootstrap_replicates(differences[:, None], groups, RESAMPLES, trial)[:, 0]
        mean, sizes = float(differences.mean()), {"n_items": len(groups), "n_groups": n_groups}
        plain = summarise_replicates(mean, replicates, **sizes)
        ours = summarise_mean(mean, replicates, **sizes, strata=1)
        hits["percentile"] += bool(plain.low <= 0 <= plain.high)
        hits["ours"] += bool(ours.low <= 0 <= ours.high)
        hits["false"] += bool(ours.p <= 0.05)
    return {name: count / trials for name, count in hits.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    options = parser.parse_args()
    print("| differences | groups | percentile | ours | false |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for design, n_groups in itertools.product(DESIGNS, N_GROUPS):
        found = shares(design, n_groups, options.trials)
        row = " | ".join(f"{found[name]:.3f}" for name in ("percentile", "ours", "false"))
        print(f"| {design.name} | {n_groups} | {row} |", flush=True)


if __name__ == "__main__":
    main()
