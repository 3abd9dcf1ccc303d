"""How often intervals of a mean gain have the true mean, over languages and items that are drawn anew.

    python benchmarks/intervals.py [--trials 1000]

Gains of ordered pairs, item by item: a mean, an effect of the query's and of the candidate's language, of the pair, of
the item and of its group (the same for all pairs) and of the single answer, all normal; 100 items in 20 groups.
`items`, `groups`: the paired bootstrap of either, of these pairs, as it stands beside Δ by `statistics.unit`.
`languages`: crossed effects of the pairs' means. `both`: languages and groups. Each interval is of 95 %.
The second table is of one language's mean gain over its partners: Student's t over partners, over items, and both.
"""

import argparse
import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from sprachbund_runners.jobs.compare.language_gains import gains_by_language
from sprachbund_runners.jobs.compare.layer_outcomes import LayerOutcomes
from sprachbund_runners.jobs.compare.outcomes import Cell
from sprachbund_runners.statistics.bootstrap import bootstrap_replicates, summarise_mean
from sprachbund_runners.statistics.crossed import crossed_effects
from sprachbund_runners.statistics.population import item_error, population_mean


@dataclass(frozen=True, slots=True)
class Design:
    """Standard deviations of the effects."""

    name: str
    language: float
    pair: float
    item: float
    answer: float
    group: float = 0.0


DESIGNS = (
    Design("languages vary", 1.0, 0.5, 0.0, 1.0),
    Design("items vary", 0.0, 0.1, 3.0, 1.0),
    Design("both alike", 0.5, 0.3, 3.0, 1.0),
    Design("answers alone", 0.0, 0.0, 0.0, 1.0),
    Design("groups vary", 0.0, 0.1, 1.0, 1.0, 2.0),
    Design("groups, languages", 0.5, 0.3, 1.0, 1.0, 2.0),
)
N_LANGUAGES = (5, 12, 22)
N_ITEMS = 100
N_GROUPS = 20
INTERVALS = ("items", "groups", "languages", "both")
N_PARTNERS = (2, 4, 11, 21)
OF_ONE = ("partners", "items", "both")


def drawn(design: Design, n_languages: int, n_items: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Gains [ordered pairs, items] around 0."""
    n_pairs = n_languages * (n_languages - 1)
    query, candidate = sides(n_languages)
    of_query, of_candidate = random.normal(0, design.language, (2, n_languages))
    pairs = of_query[query] + of_candidate[candidate] + random.normal(0, design.pair, n_pairs)
    items = random.normal(0, design.item, n_items) + random.normal(0, design.group, N_GROUPS)[groups(n_items)]
    return np.asarray(pairs[:, None] + items + random.normal(0, design.answer, (n_pairs, n_items)))


def groups(n_items: int) -> NDArray[np.int64]:
    """The group of every item."""
    return np.arange(n_items) * N_GROUPS // n_items


def sides(n_languages: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Query and candidate of all ordered pairs."""
    pairs = np.array(list(itertools.permutations(range(n_languages), 2)))
    return pairs[:, 0], pairs[:, 1]


def covered(gains: NDArray[np.float64], n_languages: int, seed: int) -> dict[str, bool]:
    """Whether each interval has the true mean, 0."""
    means, items = gains.mean(axis=1), gains.mean(axis=0)
    labels = groups(len(items))
    singly, together = (bootstrap_replicates(items[:, None], of, 500, seed)[:, 0] for of in (None, labels))
    mean = float(items.mean())
    fixed = summarise_mean(mean, singly, n_items=len(items), n_groups=len(items), strata=1)
    grouped = summarise_mean(mean, together, n_items=len(items), n_groups=N_GROUPS, strata=1)
    crossed = crossed_effects(means, *sides(n_languages))
    mean, error = float(crossed.coefficients[0]), float(crossed.standard_errors[0])
    degrees = min(crossed.degrees, N_GROUPS - 1)
    of_groups = item_error(together, N_GROUPS, N_GROUPS - 1)
    assert of_groups is not None
    both = population_mean(mean, error, of_groups, degrees)
    ends = (
        (fixed.low, fixed.high), (grouped.low, grouped.high), (crossed.low[0], crossed.high[0]), (both.low, both.high),
    )  # fmt: skip
    return {name: bool(low <= 0 <= high) for name, (low, high) in zip(INTERVALS, ends, strict=True)}


def coverage(design: Design, n_languages: int, trials: int, n_items: int = N_ITEMS, seed: int = 0) -> dict[str, float]:
    """Shares of trials in which each interval has the true mean."""
    random = np.random.default_rng(seed)
    found = [covered(drawn(design, n_languages, n_items, random), n_languages, trial) for trial in range(trials)]
    return {name: float(np.mean([each[name] for each in found])) for name in INTERVALS}


def of_one_language(design: Design, n_partners: int, trials: int, seed: int = 0) -> dict[str, float]:
    """As `coverage`, of the mean gain of one language as query."""
    random = np.random.default_rng(seed)
    hits = dict.fromkeys(OF_ONE, 0)
    for _ in range(trials):
        partners = random.normal(0, np.hypot(design.language, design.pair), (n_partners, 1))
        items = random.normal(0, design.item, N_ITEMS)
        gains = partners + items + random.normal(0, design.answer, (n_partners, N_ITEMS))
        own, baseline = LayerOutcomes(), LayerOutcomes()
        for place, row in enumerate(gains):
            for outcomes, values in ((own, row), (baseline, np.zeros(N_ITEMS))):
                cell = Cell("corpus", "language", str(place), True, {"gain": values}, None, 0)
                outcomes.add(cell, ["gain"], [], tested=True)
        rows = gains_by_language(own.languages, baseline.languages, "gain", own.corpora, False, 0.95)
        row = next(each for each in rows if (each["language"], each["side"]) == ("language", "query"))
        errors = {"partners": (row["partner_error"], n_partners), "items": (row["item_error"], N_ITEMS)}
        for name, (error, n) in errors.items():
            hits[name] += bool(abs(row["gain"]) <= stats.t.ppf(0.975, n - 1) * error)
        hits["both"] += bool(row["low"] <= 0 <= row["high"])
    return {name: count / trials for name, count in hits.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    options = parser.parse_args()
    print("| what varies | languages | " + " | ".join(INTERVALS) + " |")
    print("| --- | ---: |" + " ---: |" * len(INTERVALS))
    for design, n_languages in itertools.product(DESIGNS, N_LANGUAGES):
        found = coverage(design, n_languages, options.trials)
        print(
            f"| {design.name} | {n_languages} | " + " | ".join(f"{found[name]:.3f}" for name in INTERVALS) + " |",
            flush=True,
        )
    print("\n| what varies | partners | " + " | ".join(OF_ONE) + " |")
    print("| --- | ---: |" + " ---: |" * len(OF_ONE))
    for design, n_partners in itertools.product((each for each in DESIGNS if not each.group), N_PARTNERS):
        found = of_one_language(design, n_partners, options.trials)
        print(
            f"| {design.name} | {n_partners} | " + " | ".join(f"{found[name]:.3f}" for name in OF_ONE) + " |",
            flush=True,
        )


if __name__ == "__main__":
    main()
