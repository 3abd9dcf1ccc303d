"""Contrasts of cells: a setting at a layer against any other setting, at the same layer or at one of its own."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sprachbund.work.payloads.compare import OutcomesPayload
from sprachbund_runners.jobs.compare.families import Differences
from sprachbund_runners.jobs.compare.layer_outcomes import LayerOutcomes, PairMeans, read_layers
from sprachbund_runners.jobs.compare.levels import Corpora, ResampledLevel, differences, resampled
from sprachbund_runners.jobs.compare.outcomes import Outcomes
from sprachbund_runners.jobs.compare.pair_statistics import PairValues, gains_of
from sprachbund_runners.jobs.compare.refits import refit_differences, refits_of
from sprachbund_runners.jobs.compare.rows import beside, row_of
from sprachbund_runners.jobs.compare.scopes import TargetScope, scope_of, scopes_of

Cell = tuple[str, str]  # setting, layer
Place = tuple[Cell, str, TargetScope]


@dataclass(frozen=True, slots=True)
class Against:
    """A cell against another. controls: cells by variant, beside the first."""

    own: Cell
    reference: Cell
    target: str | None
    controls: Mapping[str, Sequence[Cell]] = field(default_factory=dict)

    @property
    def cells(self) -> Iterator[Cell]:
        """All that are read."""
        yield from (self.own, self.reference)
        for members in self.controls.values():
            yield from members


@dataclass(frozen=True, slots=True)
class Contrasted:
    """A row of one contrast, the controls beside it, and its differences item by item by corpus."""

    row: dict[str, Any]
    controls: list[dict[str, Any]]
    differences: Differences


@dataclass(frozen=True, slots=True)
class Cells:
    """Outcomes of cells, and the levels of all of them that contrasts need, by the same draws."""

    outcomes: Mapping[Cell, LayerOutcomes]
    levels: Mapping[Place, ResampledLevel]

    @classmethod
    def read(cls, outcomes: Outcomes, payload: OutcomesPayload, contrasts: Sequence[Against]) -> "Cells":
        """Read every setting's layers together: a file has all of them."""
        scopes: dict[str, dict[TargetScope, None]] = {}
        layers: dict[str, dict[str, None]] = {}
        wanted: dict[Place, None] = {}
        for contrast in contrasts:
            for cell in contrast.cells:
                for name in scopes_of(contrast.target):
                    scope = scope_of(name, contrast.target)
                    layers.setdefault(cell[0], {})[cell[1]] = None
                    scopes.setdefault(cell[0], {})[scope] = None
                    wanted |= {(cell, metric, scope): None for metric in payload.metrics}
                    # Of refits only means are read.
                    for refit in refits_of(payload.refits, [cell[0]]):
                        layers.setdefault(refit, {})[cell[1]] = None
                        scopes.setdefault(refit, {})[scope] = None
        found: dict[Cell, LayerOutcomes] = {}
        for setting, of_setting in layers.items():
            read = read_layers(outcomes, setting, list(of_setting), payload.metrics, scopes[setting], tested=False)
            found |= {(setting, layer): each for layer, each in read.items()}
        means = {place: found[place[0]].means.get(place[1:]) for place in wanted}
        corpora = {corpus: each for layer in found.values() for corpus, each in layer.corpora.items()}
        levels = resampled(payload, {place: each for place, each in means.items() if each is not None}, corpora)
        return cls(found, levels)

    @property
    def corpora(self) -> Corpora:
        """The items of every corpus, and their groups where they have them."""
        return {corpus: each for found in self.outcomes.values() for corpus, each in found.corpora.items()}

    def means(self, cell: Cell, metric: str, scope: TargetScope) -> PairMeans:
        """A cell's means over the pairs of a scope; it has some where it has a level."""
        return self.outcomes[cell].means[metric, scope]

    def value(self, layer: str, metric: str, scope: TargetScope, setting: str) -> float | None:
        """The mean over pairs of a setting that is read at a layer; None where the metric is undefined."""
        means = self.outcomes[setting, layer].means.get((metric, scope))
        return None if means is None else means.mean


def contrasted(
    cells: Cells, values: PairValues, payload: OutcomesPayload, contrasts: Sequence[Against], contrast: str
) -> Iterator[Contrasted]:
    """What each contrast comes to, by metric and scope; nothing where a metric is undefined for one of its cells."""
    for each in contrasts:
        for metric in payload.metrics:
            after, before = (values.cells(*cell, metric) for cell in (each.own, each.reference))
            for name in scopes_of(each.target):
                scope = scope_of(name, each.target)
                own, reference = (cells.levels.get((cell, metric, scope)) for cell in (each.own, each.reference))
                if own is None or reference is None:
                    continue
                place = {
                    "setting": each.own[0], "baseline_setting": each.reference[0], "layer": each.own[1],
                    "baseline_layer": each.reference[1], "metric": metric, "scope": name, "contrast": contrast,
                }  # fmt: skip
                gains = gains_of(after, before, metric, scope, payload)
                sides = (partial(cells.value, layer, metric, scope) for _, layer in (each.own, each.reference))
                refitted = refit_differences(payload.refits, each.own[0], each.reference[0], *sides)
                controls = {
                    variant: [cells.levels.get((cell, metric, scope)) for cell in members]
                    for variant, members in each.controls.items()
                }
                yield Contrasted(
                    {**place, **row_of(metric, own, reference, gains, payload, refitted, tested=True)},
                    beside(own.value, metric, controls),
                    differences(cells.means(each.own, metric, scope), cells.means(each.reference, metric, scope)),
                )
