"""How often a setting that is one more random draw beats its controls at p ≤ .05, once a setting and layer were chosen.

    python benchmarks/choosing.py [--trials 2000]

Every member, the setting and each of 20 controls, has a true value in every cell of layers × k: the same plateau for
all, and a deviation of its own that neighbouring layers share. It is measured on `select`, where cells are chosen, and
on `test`, each time with noise. `fixed`: controls are taken at the cell that was chosen for the setting. `chosen`: each
at the cell that it chooses itself. p = (1 + controls at least as good) / 21; nominal .05 is 1 / 21 = .048.
"""

import argparse

import numpy as np
from numpy.typing import NDArray

from sprachbund_runners.statistics.comparisons import control_p

CELLS = ((8, 1), (8, 3), (32, 5))
N_CONTROLS = 20
# Between neighbouring layers of one member; and the noise of a measurement, where a member deviates by 1.
LIKENESS, NOISE = 0.7, 0.5


def deviations(layers: int, ks: int, members: int, random: np.random.Generator) -> NDArray[np.float64]:
    """True values [members, layers, ks] around 0, of standard deviation 1."""
    steps = random.normal(size=(members, layers, ks))
    found = np.empty_like(steps)
    found[:, 0] = steps[:, 0]
    for layer in range(1, layers):
        found[:, layer] = LIKENESS * found[:, layer - 1] + np.sqrt(1 - LIKENESS**2) * steps[:, layer]
    return found


def p_values(layers: int, ks: int, random: np.random.Generator) -> tuple[float, float]:
    """p against controls at the setting's cell, and against controls that choose."""
    true = deviations(layers, ks, 1 + N_CONTROLS, random).reshape(1 + N_CONTROLS, -1)
    select, test = (true + random.normal(0, NOISE, true.shape) for _ in range(2))
    cells = select.argmax(axis=1)
    own, each = test[0, cells[0]], test[np.arange(len(test)), cells]
    return float(control_p(own, test[1:, cells[0]])), float(control_p(own, each[1:]))


def false_positives(layers: int, ks: int, trials: int, seed: int = 0) -> tuple[float, float]:
    """Shares of trials with p ≤ .05: fixed, chosen."""
    random = np.random.default_rng(seed)
    found = np.array([p_values(layers, ks, random) for _ in range(trials)])
    return float((found[:, 0] <= 0.05).mean()), float((found[:, 1] <= 0.05).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    options = parser.parse_args()
    print("| layers | k | fixed | chosen |")
    print("| ---: | ---: | ---: | ---: |")
    for layers, ks in CELLS:
        fixed, chosen = false_positives(layers, ks, options.trials)
        print(f"| {layers} | {ks} | {fixed:.3f} | {chosen:.3f} |", flush=True)


if __name__ == "__main__":
    main()
