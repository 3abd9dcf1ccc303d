"""How often the interval of a difference has the value it would have on average over fit samples and test items.

    python benchmarks/fit_sample.py [--trials 1000]

Units respond to fit items with normal noise; what is fitted on these is either which units are experts (the first k
by mean response) or a value (the mean response of k given units). A test item's gain is what was fitted (the experts'
mean benefit, or the value) and normal noise. Every trial draws 200 fit and 200 test items anew. `items`: the paired
bootstrap of the test items. `with fit sample`: that with the error over random halves of the fit items in it. Each is
of 95 %.
"""

import argparse
import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sprachbund_runners.statistics.bootstrap import bootstrap_replicates, summarise_replicates
from sprachbund_runners.statistics.fit_sample import half_sample_error, with_fit_sample

N_ITEMS, N_UNITS, K = 200, 300, 10
INTERVALS = ("items", "with fit sample")


@dataclass(frozen=True, slots=True)
class Design:
    """What is fitted; noise: standard deviation of a test item's gain."""

    fitted: str
    noise: float


DESIGNS = tuple(Design(fitted, noise) for fitted in ("experts", "value") for noise in (1.0, 3.0, 10.0))


@dataclass(frozen=True, slots=True)
class Units:
    """Mean responses [units], and what a unit benefits the gain by [units]."""

    means: NDArray[np.float64]
    benefits: NDArray[np.float64]

    @classmethod
    def drawn(cls, seed: int = 0) -> "Units":
        """The same for all trials: units do not vary, samples do."""
        random = np.random.default_rng(seed)
        means = random.normal(0, 0.5, N_UNITS)
        return cls(means, means + random.normal(0, 1, N_UNITS))

    def responses(self, n: int, random: np.random.Generator) -> NDArray[np.float64]:
        """Of n fit items [n, units]."""
        return self.means + random.normal(0, 2, (n, len(self.means)))

    def effect(self, fitted: str, responses: NDArray[np.float64]) -> float:
        """The gain, but for noise, of what is fitted on these responses."""
        seen = responses.mean(axis=0)
        return float(self.benefits[np.argsort(-seen)[:K]].mean() if fitted == "experts" else seen[:K].mean())

    def truth(self, fitted: str, draws: int = 4000, seed: int = 1) -> float:
        """The mean effect over fit samples."""
        random = np.random.default_rng(seed)
        return float(np.mean([self.effect(fitted, self.responses(N_ITEMS, random)) for _ in range(draws)]))


def intervals(
    design: Design, units: Units, random: np.random.Generator, n_halves: int, seed: int
) -> dict[str, tuple[float, float]]:
    """Both intervals of one trial."""
    responses = units.responses(N_ITEMS, random)
    gains = units.effect(design.fitted, responses) + random.normal(0, design.noise, N_ITEMS)
    replicates = bootstrap_replicates(gains[:, None], None, 400, seed)[:, 0]
    value = float(gains.mean())
    fixed = summarise_replicates(value, replicates, confidence=0.95, n_items=N_ITEMS, n_groups=N_ITEMS)
    halves = [
        units.effect(design.fitted, responses[random.permutation(N_ITEMS)[: N_ITEMS // 2]]) for _ in range(n_halves)
    ]
    ends = float(fixed.low), float(fixed.high)
    return {"items": ends, "with fit sample": with_fit_sample(value, *ends, half_sample_error(halves), n_halves)}


def coverage(design: Design, n_halves: int, trials: int, seed: int = 2) -> dict[str, float]:
    """Shares of trials in which each interval has the truth, and how many times wider the second is."""
    units, random = Units.drawn(), np.random.default_rng(seed)
    truth = units.truth(design.fitted)
    found = [intervals(design, units, random, n_halves, trial) for trial in range(trials)]
    shares = {name: float(np.mean([each[name][0] <= truth <= each[name][1] for each in found])) for name in INTERVALS}
    widths = [np.mean([each[name][1] - each[name][0] for each in found]) for name in INTERVALS]
    return {**shares, "width": float(widths[1] / widths[0])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    options = parser.parse_args()
    print("| fitted | noise of an item | halves | " + " | ".join(INTERVALS) + " | width |")
    print("| --- | ---: | ---: |" + " ---: |" * (len(INTERVALS) + 1))
    for design, n_halves in itertools.product(DESIGNS, (5, 20)):
        found = coverage(design, n_halves, options.trials)
        shares = " | ".join(f"{found[name]:.3f}" for name in INTERVALS)
        print(f"| {design.fitted} | {design.noise:g} | {n_halves} | {shares} | ×{found['width']:.2f} |", flush=True)


if __name__ == "__main__":
    main()
