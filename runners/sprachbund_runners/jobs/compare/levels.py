"""Levels of settings over language pairs, resampled together so that their differences are paired."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sprachbund.work.keys import content_key
from sprachbund.work.payloads.compare import ComparedSetting, ComparisonPayload, OutcomesPayload
from sprachbund_runners.jobs.compare.layer_outcomes import LayerOutcomes, PairMeans
from sprachbund_runners.jobs.compare.scopes import TargetScope, scope_of, scopes_of
from sprachbund_runners.statistics.bootstrap import bootstrap_replicates
from sprachbund_runners.statistics.paired import ROUNDING as ROUNDING

Key = tuple[str, str, TargetScope]  # setting, metric, scope
K = TypeVar("K", bound=Hashable)
Corpora = Mapping[str, tuple[int, Sequence[str] | None]]


@dataclass(frozen=True, slots=True)
class ResampledLevel:
    """A setting on one metric, layer and scope: its mean over pairs, the median pair, and bootstrap replicates.

    n_drawn: items, or groups of them, that are drawn, in `strata` corpora, each by itself. n_groups: groups of the
    items, drawn or not; None where no text has any. means, corpora: what the replicates are of.
    """

    value: float
    median: float
    n_pairs: int
    n_items: int
    n_groups: int | None
    n_drawn: int
    strata: int
    replicates: NDArray[np.float64]
    means: PairMeans
    corpora: Corpora

    @property
    def degrees(self) -> int:
        """Degrees of freedom of an error over what is drawn."""
        return self.n_drawn - self.strata


def levels_of(payload: ComparisonPayload, outcomes: Mapping[str, LayerOutcomes]) -> dict[Key, ResampledLevel]:
    """Levels of all settings of a comparison at one layer, given the outcomes by setting.

    There is none where the scope has no pairs, or the metric is undefined for an item.
    """
    corpora = {corpus: each for found in outcomes.values() for corpus, each in found.corpora.items()}
    wanted = {key: outcomes[key[0]].means.get(key[1:]) for key in wanted_levels(payload)}
    return resampled(payload, {key: means for key, means in wanted.items() if means is not None}, corpora)


def wanted_levels(payload: ComparisonPayload) -> list[Key]:
    """What the rows of a comparison are made of, in an order that no hash decides: by it sums are rounded."""
    found: dict[Key, None] = {}
    for metric in payload.metrics:
        for setting in payload.settings:
            for name in scopes_of(setting.target):
                for member in members_of(setting):
                    found[member, metric, scope_of(name, setting.target)] = None
    return list(found)


def members_of(setting: ComparedSetting) -> list[str]:
    """A setting, its baseline and its controls."""
    return [setting.setting, setting.reference, *(key for variant in setting.controls.values() for key in variant)]


def resampled(payload: OutcomesPayload, wanted: Mapping[K, PairMeans], corpora: Corpora) -> dict[K, ResampledLevel]:
    """The levels that are defined of those wanted, all by the same draws."""
    usable = {key: means for key, means in wanted.items() if means.usable}
    replicates = {key: np.zeros(payload.resamples) for key in usable}
    drawn_of: dict[K, list[int]] = {key: [] for key in usable}
    for corpus in sorted(corpora):
        inside = {key: means for key, means in usable.items() if corpus in means.sums}
        if not inside:
            continue
        items = np.stack([means.items(corpus) for means in inside.values()], axis=1)
        groups = corpora[corpus][1] if payload.unit == "group" else None
        n_drawn = len(items) if groups is None else len(set(groups))
        # Corpora of a collection are independent: each has draws of its own.
        seed = payload.seed if len(corpora) == 1 else draws_seed(payload.seed, corpus)
        drawn = bootstrap_replicates(items, groups, payload.resamples, seed)
        for place, (key, means) in enumerate(inside.items()):
            replicates[key] += means.counts[corpus] / len(means.pairs) * drawn[:, place]
            drawn_of[key].append(n_drawn)
    return {
        key: ResampledLevel(
            value=float(np.mean(means.pairs)),
            median=float(np.median(means.pairs)),
            n_pairs=len(means.pairs),
            n_items=sum(map(len, means.sums.values())),
            n_groups=_n_groups([corpora[corpus] for corpus in means.sums]),
            n_drawn=sum(drawn_of[key]),
            strata=len(drawn_of[key]),
            replicates=replicates[key],
            means=means,
            corpora=corpora,
        )
        for key, means in usable.items()
    }


def _n_groups(corpora: Sequence[tuple[int, Sequence[str] | None]]) -> int | None:
    """Groups of all items; where a text has none, each item is its own."""
    if all(groups is None for _, groups in corpora):
        return None
    return sum(n if groups is None else len(set(groups)) for n, groups in corpora)


def n_differing(own: ResampledLevel, baseline: ResampledLevel, unit: str) -> int:
    """Items on which two settings differ; of groups, where these are drawn, those with such an item."""
    count = 0
    for corpus, change in differences(own.means, baseline.means).items():
        places = np.flatnonzero(change).tolist()
        groups = own.corpora[corpus][1] if unit == "group" else None
        count += len(places) if groups is None else len({groups[place] for place in places})
    return count


def differences(own: PairMeans, baseline: PairMeans) -> dict[str, NDArray[np.float64]]:
    """Item by item what a setting adds to its baseline's mean over all pairs, per corpus."""
    found = {}
    for corpus in own.sums:
        change = _shares(own, corpus) - _shares(baseline, corpus)
        # Batches differ between runs: what rounding did to an embedding is no difference of settings.
        change[np.abs(change) * len(change) < ROUNDING] = 0.0
        found[corpus] = change
    return found


def _shares(means: PairMeans, corpus: str) -> NDArray[np.float64]:
    items = means.items(corpus)
    return means.counts[corpus] / (len(means.pairs) * len(items)) * items


def draws_seed(seed: int, corpus: str) -> int:
    """A seed of a corpus's own: what is independent is drawn so."""
    return int(content_key("draws", 1, seed=seed, corpus=corpus)[:12], 16)
