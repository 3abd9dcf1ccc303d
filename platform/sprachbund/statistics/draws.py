"""How many bootstrap draws let a test be found among others of its family."""

import math

# What is drawn by default is one of these, so that another setting seldom changes it.
RESAMPLES = (1000, 2000, 5000, 10_000, 20_000)


def least_q(tests: int, resamples: int, rule: str) -> float:
    """The least q of a family's only true effect. A bootstrap's p is at least 2 / (resamples + 1), that of swaps half.

    rule: `bh`, `by`, or `max_t`, which does not grow with tests.
    """
    return min(1.0, _least(tests, rule) / (resamples + 1))


def resamples_needed(tests: int, alpha: float, rule: str) -> int:
    """The fewest draws with which `least_q` is at most alpha."""
    return math.ceil(_least(tests, rule) / alpha - 1e-9) - 1


def default_resamples(tests: int, alpha: float, rule: str) -> int:
    """The least of `RESAMPLES` that is enough, or the largest."""
    needed = resamples_needed(tests, alpha, rule)
    return next((each for each in RESAMPLES if each >= needed), RESAMPLES[-1])


def _least(tests: int, rule: str) -> float:
    if rule == "max_t":
        return 1.0
    return 2.0 * max(1, tests) * (1.0 if rule == "bh" else sum(1 / rank for rank in range(1, tests + 1)))
