"""Contrasts: what was chosen against what was chosen of the baselines, and any two settings against each other."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl
from sqlalchemy import Engine

from sprachbund.errors import WorkspaceError
from sprachbund.files.artifacts import ArtifactStore
from sprachbund.results.reader import read_view, schema

if TYPE_CHECKING:
    from sprachbund_runners.jobs.compare.unplanned import Unplanned

# What a contrast computed now has beside its settings and layers: columns of the view `contrasts`.
TESTED = (
    "delta_ci_low", "delta_ci_high", "ratio_ci_low", "ratio_ci_high", "p", "q", "median_gain", "median_low",
    "median_high", "n_gaining", "mean_gain",
    "population_low", "population_high", "population_p",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Contrasts:
    """Rows of the views `contrasts` and `contrast_controls`: of one role, metric and scope."""

    rows: pl.DataFrame
    controls: pl.DataFrame

    def of(self, contrast: str) -> pl.DataFrame:
        """Those that were `asked` for, or `best` against best."""
        return self.rows.filter(pl.col("contrast") == contrast)


def stored(engine: Engine, experiment: str, role: str, metric: str, scope: str, layer: str | None = None) -> Contrasts:
    """The experiment's contrasts in the order of its settings and layers; at one layer those asked for there alone."""
    where = "experiment = :experiment AND role = :role AND metric = :metric AND scope = :scope"
    params = {"experiment": experiment, "role": role, "metric": metric, "scope": scope}
    if layer is not None:
        where += " AND (contrast = 'best' OR layer = :layer)"
        params["layer"] = layer
    order = " ORDER BY corpus, contrast, setting_ordinal, layer_ordinal, against_key"
    rows, controls = (read_view(engine, view, where + order, params) for view in ("contrasts", "contrast_controls"))
    return Contrasts(rows, controls)


def unplanned(engine: Engine, store: ArtifactStore, experiments: Iterable[str], **of: Any) -> "Unplanned":
    """What computes contrasts that no plan has; WorkspaceError without the runners' package."""
    try:
        from sprachbund_runners.jobs.compare.unplanned import Unplanned
    except ModuleNotFoundError as error:
        raise WorkspaceError(
            f"comparing settings that no plan compares needs {error.name}: install `sprachbund[runner]`, or name them"
            " under `compare` in the experiment file"
        ) from None
    return Unplanned(engine, store, tuple(experiments), **of)


def against(
    engine: Engine,
    store: ArtifactStore,
    experiment: str,
    rows: pl.DataFrame,
    vs: str,
    *,
    role: str,
    metric: str,
    scope: str,
    progress: Any,
) -> pl.DataFrame:
    """Intervals, tests and gains of rows (corpus, setting_key, layer, target) against the setting with the key `vs`.

    The columns `TESTED` by corpus, setting_key and layer; q over all rows of a corpus.
    """
    found: list[dict[str, Any]] = []
    for (corpus,), some in rows.filter(pl.col("setting_key") != vs).group_by("corpus", maintain_order=True):
        asking = unplanned(engine, store, (experiment,), role=role, group=corpus, metric=metric, progress=progress)
        cells = [
            ((row["setting_key"], row["layer"]), (vs, row["layer"]), row["target"])
            for row in some.iter_rows(named=True)
        ]
        for each in asking.against(cells, scope):
            place = {"corpus": corpus, "setting_key": each["setting"], "layer": each["layer"]}
            found.append(place | {name: each[name] for name in TESTED})
    types = schema("contrasts")
    return pl.DataFrame(found, {name: types[name] for name in ("corpus", "setting_key", "layer", *TESTED)})
