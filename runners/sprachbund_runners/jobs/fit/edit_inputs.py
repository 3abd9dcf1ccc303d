"""What edits are computed from: the units that may be edited, their rankings, and how they respond per language."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprachbund.catalogue.edits import parse_value
from sprachbund.files.tensors import load_tensors
from sprachbund.models.architectures import UnitBlock
from sprachbund.vocabulary import SITES
from sprachbund_runners.jobs.fit.expert_set import Ranking, Statistics
from sprachbund_runners.jobs.fit.unit_statistics import place_name
from sprachbund_runners.models.moments import TokenMoments, merge_all
from sprachbund_runners.scorers.selection import Rule, choose


@dataclass(slots=True)
class Axis:
    """The units that may be edited: those of the wanted sites and blocks, on a flat axis of their own.

    Where they are edited at another site than they are scored at, `units` are where they are edited.
    """

    units: list[UnitBlock]
    # Position on the rankings' axis of every unit of this one.
    parent: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        whole: Sequence[tuple[int, str, int]],
        sites: Sequence[str],
        blocks: Sequence[int] | None,
        edit_sites: Sequence[str] | None = None,
    ) -> "Axis":
        """whole: the axis of a ranking as (block, site, width); edit_sites: where each of `sites` is edited instead."""
        edited = dict(zip(sites, edit_sites or sites, strict=True))
        starts = np.cumsum([0, *(width for _, _, width in whole)])
        # Edits are made, and fitted one after the other, in the order in which a pass comes by.
        places = sorted(
            (block, SITES.index(edited[site]), int(start), width)
            for (block, site, width), start in zip(whole, starts[:-1], strict=True)
            if site in edited and (blocks is None or block in blocks)
        )
        offsets = np.cumsum([0, *(width for *_, width in places)])
        units = [
            UnitBlock(block, SITES[site], width, int(offset))
            for (block, site, _, width), offset in zip(places, offsets[:-1], strict=True)
        ]
        return cls(units, np.concatenate([np.arange(start, start + width) for _, _, start, width in places]))

    def chosen(self, ranking: Ranking, rule: Rule) -> NDArray[np.int64]:
        """The units of this axis that a rule takes from a ranking, best first."""
        place = np.full(sum(width for _, _, width in ranking.axis), -1, dtype=np.int64)
        place[self.parent] = np.arange(len(self.parent))
        here = place[ranking.order]
        return choose(rule, self.units, here[here >= 0], ranking.p[self.parent], ranking.effect[self.parent])

    def parts(self, flat: NDArray[np.int64]) -> list[tuple[UnitBlock, NDArray[np.int64]]]:
        """Flat positions by block and site, as positions inside each, ascending; parts without any are left out."""
        found = []
        for part in self.units:
            here = flat[(flat >= part.offset) & (flat < part.offset + part.width)]
            if len(here):
                found.append((part, np.sort(here) - part.offset))
        return found


@dataclass(slots=True)
class Responses:
    """Stored responses of the fit languages; the arrays of one block and site are kept at a time."""

    statistics: Mapping[str, Statistics]
    _place: str = ""
    _kept: dict[tuple[str, str], Any] = field(default_factory=dict)

    def pooled(self, language: str, part: UnitBlock) -> NDArray[np.float32]:
        """float32 [sentences, width]."""
        name = place_name(part.block, part.site)
        return self._read(name, (language, "pooled"), lambda: load_tensors(self._of(language).responses, [name])[name])

    def moments(self, language: str, part: UnitBlock) -> TokenMoments:
        """Moments of every unit of a part over the language's fitted tokens."""
        name = place_name(part.block, part.site)

        def read() -> TokenMoments:
            names = [f"{name}/{each}" for each in ("count", "mean", "m2")]
            count, mean, m2 = load_tensors(self._of(language).moments, names).values()
            return TokenMoments(int(count[0]), mean, m2)

        return self._read(name, (language, "moments"), read)

    def all_moments(self, part: UnitBlock, languages: Iterable[str] | None = None) -> TokenMoments:
        """Moments over the fitted tokens of these languages (all by default) together."""
        return merge_all(self.moments(language, part) for language in languages or self.statistics)

    def _of(self, language: str) -> Statistics:
        return self.statistics[language]

    def _read(self, name: str, key: tuple[str, str], read: Any) -> Any:
        if name != self._place:
            self._kept.clear()
            self._place = name
        if key not in self._kept:
            self._kept[key] = read()
        return self._kept[key]


def value_of(responses: Responses, language: str | None, part: UnitBlock, value: str, value_from: str) -> NDArray[Any]:
    """What every unit of a part would be set to, float64 [width]."""
    statistic, level = parse_value(value)
    if statistic == "zero" or language is None:
        return np.zeros(part.width)
    if value_from == "tokens":
        return responses.moments(language, part).mean
    pooled = responses.pooled(language, part)
    if statistic == "mean":
        return pooled.mean(axis=0, dtype=np.float64)
    return np.quantile(pooled.astype(np.float64), level, axis=0)


def first_two(samples: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and population variance over sentences, float64 [k] each."""
    return samples.mean(axis=0, dtype=np.float64), samples.var(axis=0, dtype=np.float64)
