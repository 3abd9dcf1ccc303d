"""What a comparison keeps of the outcomes of one setting at one layer: means over pairs, and which items were hit.

Outcomes of all pairs, item by item, are read once and added up as they come: what stays does not grow with pairs, but
for a bit per item that tells hits.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sprachbund.measures.retrieval import TESTED
from sprachbund_runners.jobs.compare.outcomes import Cell, Outcomes
from sprachbund_runners.jobs.compare.partners import Own, PartnerMeans
from sprachbund_runners.jobs.compare.scopes import TargetScope, inside

_KEPT_BYTES = 256 * 2**20  # of baselines, for the next comparison with one

Pair = tuple[str, str | None, str | None]  # corpus, query, candidate


@dataclass(slots=True)
class PairMeans:
    """One metric over the pairs of a scope: sums over pairs item by item, and the mean of every pair.

    sums: per corpus, float64 [items]. counts: pairs per corpus. pairs: in the order of evaluations.
    """

    sums: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    pairs: list[float] = field(default_factory=list)

    def add(self, corpus: str, items: NDArray[np.float64], mean: float) -> None:
        """One more pair."""
        if corpus in self.sums:
            self.sums[corpus] += items
        else:
            self.sums[corpus] = items.copy()
        self.counts[corpus] = self.counts.get(corpus, 0) + 1
        self.pairs.append(mean)

    @property
    def usable(self) -> bool:
        """Whether there are pairs, and the metric is defined for all of their items."""
        return bool(self.pairs) and not np.isnan(self.pairs).any()

    @property
    def mean(self) -> float | None:
        """Over pairs; None where there is none or the metric is undefined."""
        return float(np.mean(self.pairs)) if self.usable else None

    def items(self, corpus: str) -> NDArray[np.float64]:
        """An item's mean over the corpus's pairs, float64 [items]."""
        return self.sums[corpus] / self.counts[corpus]


@dataclass(slots=True)
class Hits:
    """Items that pairs hit at first place, a bit each; of pairs without a tie there, whose credits are all 0 or 1."""

    ids: list[int] = field(default_factory=list)
    rows: dict[Pair, int] = field(default_factory=dict)
    _sizes: list[int] = field(default_factory=list)
    _packed: list[NDArray[np.uint8]] = field(default_factory=list)

    def add(self, cell: Cell) -> None:
        """One more pair, if it has no tie."""
        items = cell.items[TESTED]
        if ((items == 0) | (items == 1)).all():
            self.rows[cell.corpus, cell.query, cell.candidate] = len(self.ids)
            self.ids.append(cell.result_id)
            self._sizes.append(len(items))
            self._packed.append(np.packbits(items == 1))

    def of(self, pairs: Iterable[Pair]) -> NDArray[np.uint8]:
        """The bits of some pairs [pairs, bytes]; of a shorter corpus zeros follow."""
        packed = [self._packed[self.rows[pair]] for pair in pairs]
        table = np.zeros((len(packed), max(map(len, packed), default=0)), np.uint8)
        for row, each in zip(table, packed, strict=True):
            row[: len(each)] = each
        return table

    def items(self, pair: Pair) -> NDArray[np.float64]:
        """A pair's outcomes, 0 or 1, float64 [items]."""
        row = self.rows[pair]
        return np.unpackbits(self._packed[row], count=self._sizes[row]).astype(np.float64)

    @property
    def nbytes(self) -> int:
        # What a pair takes beside its bits.
        return sum(each.nbytes + 400 for each in self._packed)


@dataclass(slots=True)
class LayerOutcomes:
    """One setting at one layer. corpora: the items of every corpus, and their groups where they have them.

    languages, hits: of what is tested alone.
    """

    means: dict[tuple[str, TargetScope], PairMeans] = field(default_factory=dict)
    languages: dict[Own, PartnerMeans] = field(default_factory=dict)
    hits: Hits = field(default_factory=Hits)
    corpora: dict[str, tuple[int, Sequence[str] | None]] = field(default_factory=dict)

    def add(self, cell: Cell, metrics: Collection[str], scopes: Collection[TargetScope], *, tested: bool) -> None:
        """One more pair."""
        within = [scope for scope in scopes if inside(scope, cell.query, cell.candidate, cell.directed)]
        for metric, items in cell.items.items():
            self.corpora.setdefault(cell.corpus, (len(items), cell.groups))
            if metric in metrics:
                mean = float(items.mean())
                for scope in within:
                    self.means.setdefault((metric, scope), PairMeans()).add(cell.corpus, items, mean)
                for language, partner, side in cell.sides if tested else ():
                    of_language = self.languages.setdefault((metric, language, side), PartnerMeans())
                    of_language.add(cell.corpus, partner, items, mean)
        if tested and TESTED in cell.items:
            self.hits.add(cell)

    @property
    def nbytes(self) -> int:
        every: tuple[PairMeans | PartnerMeans, ...] = (*self.means.values(), *self.languages.values())
        return self.hits.nbytes + sum(each.nbytes for means in every for each in means.sums.values())


def read_layers(
    outcomes: Outcomes,
    setting: str,
    layers: Sequence[str],
    metrics: Collection[str],
    scopes: Collection[TargetScope],
    *,
    tested: bool,
) -> dict[str, LayerOutcomes]:
    """The setting's outcomes by layer; `tested`: with its hits and languages."""
    found = {layer: LayerOutcomes() for layer in layers}
    wanted = dict.fromkeys([*metrics, TESTED] if tested else metrics)
    for layer, cell in outcomes.cells(setting, layers, wanted):
        found[layer].add(cell, metrics, scopes, tested=tested)
    return found


@dataclass(slots=True)
class Baselines:
    """What comparisons that are served together read of their baselines: once for all, while there is room.

    scopes: by baseline, of all that are compared with it.
    """

    scopes: Mapping[str, Collection[TargetScope]]
    _kept: dict[tuple[str, str, frozenset[str]], tuple[tuple[int, ...], LayerOutcomes]] = field(default_factory=dict)
    _room: int = _KEPT_BYTES

    def read(
        self, outcomes: Outcomes, setting: str, layers: Sequence[str], metrics: Collection[str]
    ) -> dict[str, LayerOutcomes]:
        """As `read_layers`, with hits."""
        found, asked = {}, frozenset(metrics)
        for layer in layers:
            # Another comparison may read other pairs of it.
            ids, known = self._kept.get((setting, layer, asked), ((), None))
            if known is not None and ids == outcomes.ids(setting, layer):
                found[layer] = known
        rest = [layer for layer in layers if layer not in found]
        for layer, each in read_layers(outcomes, setting, rest, metrics, self.scopes[setting], tested=True).items():
            found[layer] = each
            if each.nbytes <= self._room and (setting, layer, asked) not in self._kept:
                self._kept[setting, layer, asked] = (outcomes.ids(setting, layer), each)
                self._room -= each.nbytes
        return found
