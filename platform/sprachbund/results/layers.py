"""Which layers are looked at where nobody names one: a rule for tables, reports, figures, explanations and mirror."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import polars as pl
from sqlalchemy import Engine

from sprachbund.db.engine import reading
from sprachbund.db.names import find_experiment
from sprachbund.measures import METRICS
from sprachbund.results.reader import Reader, means
from sprachbund.vocabulary import layer_order

ASKED = "as asked"
CHOSEN = "chosen on the select role"
BEST = "best on the reported text itself, not chosen beforehand"
LAST = "the last: neither way of the metric is better, or there are no numbers yet"


@dataclass(frozen=True, slots=True)
class LayersShown:
    """Layers to look at closely, in order, and why these."""

    layers: tuple[str, ...]
    reason: str

    @property
    def first(self) -> str:
        """Where one has to do."""
        return self.layers[0]


def layers_shown(
    asked: str | None, chosen: Collection[str], levels: Mapping[str, float], layers: Sequence[str], metric: str
) -> LayersShown:
    """The layer asked for, else those chosen on the select role, else where the metric is best, else the last.

    levels: the metric's mean over steered settings (over all where none is steered) by layer; ties go to the first.
    layers: all there are, in order.
    """
    if asked is not None:
        return LayersShown((asked,), ASKED)
    picked = [layer for layer in layers if layer in chosen]
    if picked:
        return LayersShown(tuple(picked), CHOSEN)
    better = METRICS[metric].better
    if better == "none" or not levels:
        return LayersShown(tuple(layers[-1:]), LAST)
    best = (max if better == "higher" else min)(levels.values())
    return LayersShown((min((layer for layer in levels if levels[layer] == best), key=layer_order),), BEST)


def levels_by_layer(rows: pl.DataFrame) -> dict[str, float]:
    """`layers_shown`'s levels from rows with method, layer and value of one metric, none of them of a control."""
    steered = rows.filter(pl.col("method") != "none")
    found = (steered if steered.height else rows).group_by("layer").agg(pl.col("value").mean())
    return dict(found.drop_nulls().iter_rows())


def find_layers(
    engine: Engine, experiment: str, setting: str, asked: str | None, role: str, metric: str = "top1"
) -> LayersShown:
    """`layers_shown` for who has no comparison at hand; of a setting (its key) that was chosen, the layers of that one.

    Raises QueryError for an unknown experiment.
    """
    if asked is not None:
        return LayersShown((asked,), ASKED)
    with reading(engine) as connection:
        find_experiment(connection, experiment)
    read = Reader(engine, experiment, role, "all")
    layers, chosen = read.layers(), read.chosen()
    own = chosen.filter(pl.col("setting_key") == setting)
    picked = (own if own.height else chosen)["layer"].to_list()
    if picked:
        return layers_shown(None, picked, {}, layers, metric)
    settings = read.settings().filter(pl.col("control").is_null()).select("setting_key", "method")
    levels = means(read.sums((metric,), ()), ["setting_key", "layer"]).join(settings, on="setting_key")
    return layers_shown(None, (), levels_by_layer(levels), layers, metric)
