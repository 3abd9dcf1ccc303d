"""What each language gains: over the pairs that it is in, as query, as candidate, or either.

Its interval is for partner languages and items like these. With a single partner (a collection of bilingual corpora)
it is about that partner alone.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sprachbund_runners.jobs.compare.levels import ROUNDING, Corpora
from sprachbund_runners.jobs.compare.partners import Own, PartnerMeans
from sprachbund_runners.statistics.population import mean_error, population_mean


def gains_by_language(
    own: Mapping[Own, PartnerMeans], baseline: Mapping[Own, PartnerMeans], metric: str, corpora: Corpora,
    by_group: bool, confidence: float,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """A row per language and side where setting and baseline have the same pairs, on all of which they are defined."""
    of_baseline = _with_either(baseline, metric)
    for (_, language, side), after in _with_either(own, metric).items():
        before = of_baseline.get((metric, language, side))
        if before is None or after.partners.keys() != before.partners.keys():
            continue
        if after.usable and before.usable:
            yield {"language": language, "side": side, **_gain(after, before, corpora, by_group, confidence)}


def _with_either(of_sides: Mapping[Own, PartnerMeans], metric: str) -> dict[Own, PartnerMeans]:
    """Those of a metric; where it has directions, both of them together too."""
    found = {own: means for own, means in of_sides.items() if own[0] == metric}
    for (_, language, side), means in list(found.items()):
        if side != "either":
            either = found.get((metric, language, "either"), PartnerMeans())
            found[metric, language, "either"] = either.joined(means)
    return found


def _gain(
    after: PartnerMeans, before: PartnerMeans, corpora: Corpora, by_group: bool, confidence: float
) -> dict[str, Any]:
    values, baselines = (_by_partner(each) for each in (after, before))
    gains = np.array([values[partner] - baselines[partner] for partner in sorted(values)])
    n_pairs = sum(after.counts.values())
    variance, n_items, n_groups = 0.0, 0, 0
    for corpus, count in after.counts.items():
        change = (after.sums[corpus] - before.sums[corpus]) / count
        # Batches differ between runs: what rounding did to an embedding is no difference of settings.
        change[np.abs(change) < ROUNDING] = 0.0
        error, drawn = mean_error(change, corpora[corpus][1] if by_group else None)
        variance += (count / n_pairs * error) ** 2
        n_items, n_groups = n_items + len(change), n_groups + drawn
    several = len(gains) > 1
    partner_error = float(gains.std(ddof=1) / np.sqrt(len(gains))) if several else None
    degrees = min(len(gains), n_groups) - 1 if several else n_groups - 1
    row: dict[str, Any] = {
        "n_partners": len(gains), "n_items": n_items, "n_groups": n_groups,
        "value": float(np.mean(list(values.values()))), "gain": float(gains.mean()),
        "partner_error": partner_error, "item_error": float(np.sqrt(variance)),
        "degrees": degrees, "low": None, "high": None,
    }  # fmt: skip
    if degrees > 0:
        found = population_mean(row["gain"], partner_error or 0.0, row["item_error"], degrees, confidence)
        row |= {"low": found.low, "high": found.high}
    return row


def _by_partner(means: PartnerMeans) -> dict[str, float]:
    """The mean over the pairs with each partner language."""
    found: dict[str, list[float]] = {}
    for (_, partner), values in means.partners.items():
        found.setdefault(partner, []).extend(values)
    return {partner: float(np.mean(values)) for partner, values in found.items()}
