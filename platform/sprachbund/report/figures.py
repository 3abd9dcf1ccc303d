"""Figures of an embedding space before and after: projections of both sides onto the same axes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, select

from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.db.names import NamedSetting, find_baseline, find_setting
from sprachbund.errors import QueryError, SprachbundError, nearest
from sprachbund.files.artifacts import ArtifactStore
from sprachbund.report.charts import COLOURS, new_figure, styled
from sprachbund.results.layers import LayersShown, find_layers
from sprachbund.results.snapshots import embedded, planned_pairs, require_snapshots
from sprachbund.vocabulary import DRAWN_BY, DrawnBy
from sprachbund.work.payloads.measure import SideSnapshots
from sprachbund.work.payloads.pairs import PairEvaluationPayload

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Vectors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Panel:
    """One side of a figure: a title, and embeddings [n, d] by language, items aligned."""

    title: str
    vectors: Vectors


@dataclass(frozen=True, slots=True)
class Drawn:
    """The sides of a figure, and the layer they are at."""

    panels: list[Panel]
    layers: LayersShown


def panels(
    engine: Engine,
    store: ArtifactStore,
    experiment: str,
    setting: str,
    layer: str | None = None,
    *,
    role: str = "test",
    corpus: str | None = None,
) -> Drawn:
    """The setting's baseline and the setting, or the setting alone if it has no baseline, as pairs were evaluated.

    layer: default as `find_layers` has it.
    Raises QueryError if the experiment, the setting or the corpus does not exist, naming the nearest; if a layer was
    not computed, or its file is not there any more.
    """
    with reading(engine) as connection:
        named = find_setting(connection, setting, experiment)
    layers = find_layers(engine, experiment, named.key, layer, role)
    at = layers.first
    with reading(engine) as connection:
        key = _corpus_key(connection, experiment, role, corpus)
        shown = [each for each in (find_baseline(connection, named, experiment), named) if each is not None]
        sides = [_side(connection, experiment, each, key) for each in shown]
        require_snapshots(engine, store, [key for _, side in sides for key in side.keys], at)
        found = [
            Panel(
                f"{each.label}, layer {at}",
                embedded(connection, store, side, sorted(side.snapshots), at, asked.transform, asked.components),
            )
            for each, (asked, side) in zip(shown, sides, strict=True)
        ]
    return Drawn(found, layers)


def _corpus_key(connection: Connection, experiment: str, role: str, corpus: str | None) -> str:
    statement = (
        select(t.Corpus.name, t.Corpus.key)
        .join(t.ExperimentCorpus, t.ExperimentCorpus.corpus_id == t.Corpus.id)
        .join(t.Experiment, t.Experiment.id == t.ExperimentCorpus.experiment_id)
        .where(t.Experiment.name == experiment, t.ExperimentCorpus.role == role)
        .order_by(t.Corpus.name)
    )
    found = {row.name: row.key for row in connection.execute(statement)}
    if not found:
        raise QueryError(f"'{experiment}' has no corpus in role '{role}'")
    if corpus is None and len(found) > 1:
        raise QueryError(f"'{experiment}' has several corpora in role {role}: name one, such as '{next(iter(found))}'")
    name = corpus or next(iter(found))
    if name not in found:
        raise QueryError(f"'{experiment}' has no corpus '{name}' in role {role}{nearest(name, found)}")
    return str(found[name])


def _side(
    connection: Connection, experiment: str, setting: NamedSetting, corpus: str
) -> tuple[PairEvaluationPayload, SideSnapshots]:
    """What some pair evaluation of a setting is asked, and the snapshots of all of them."""
    payloads = planned_pairs(connection, experiment, setting.key, corpus)
    if not payloads:
        raise QueryError(f"setting '{setting.label}' is not evaluated on this corpus")
    side = SideSnapshots(
        {language: key for each in payloads for language, key in each.steered.snapshots.items()},
        {language: key for each in payloads for language, key in each.steered.fitted.items()},
    )
    return payloads[0], side


@styled
def space_figure(panels: list[Panel], *, method: DrawnBy = "pca", items: int | None = 400, seed: int = 0) -> "Figure":
    """The panels side by side on the same axes, a colour per language, each language's mean as a large mark.

    Embeddings are scaled to length one, as cosine measures see them. `pca`: the two principal components of all panels
    together; `umap`: one UMAP of all panels together, by cosine. items: at most so many of each language, the same
    ones everywhere. Raises SprachbundError if the panels do not fit together or a package is missing.
    """
    if method not in DRAWN_BY:
        raise QueryError(f"method: found '{method}', expected one of {', '.join(DRAWN_BY)}{nearest(method, DRAWN_BY)}")
    languages = list(panels[0].vectors)
    shapes = {array.shape for panel in panels for array in panel.vectors.values()}
    if len(shapes) != 1 or any(list(panel.vectors) != languages for panel in panels):
        raise SprachbundError(f"the sides cannot share axes: their embeddings have the shapes {sorted(shapes)}")
    n, width = shapes.pop()
    if n < 3 or width < 2:
        raise SprachbundError(f"a figure needs at least 3 items and 2 dimensions, found {n} and {width}")
    kept = np.arange(n)
    if items is not None and items < n:
        kept = np.sort(np.random.default_rng(seed).choice(n, items, replace=False))
    stacked = np.concatenate(
        [np.asarray(panel.vectors[each][kept], dtype=np.float64) for panel in panels for each in languages]
    )
    stacked /= np.maximum(np.linalg.norm(stacked, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    points, axis_labels = _project(stacked, method, seed)
    parts = points.reshape(len(panels), len(languages), len(kept), 2)
    figure = new_figure(5.2 * len(panels) + 1.6, 5.0)
    grid = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    for axes, panel, of_panel in zip(grid, panels, parts, strict=True):
        for number, (language, of_language) in enumerate(zip(languages, of_panel, strict=True)):
            colour = COLOURS[number % len(COLOURS)]
            # Beyond the colours there are, the shape of the points tells languages apart.
            marker = "os^Dv<>"[number // len(COLOURS) % 7]
            axes.scatter(*of_language.T, s=7, alpha=0.45, color=colour, marker=marker, lw=0)
            axes.scatter(*of_language.mean(axis=0), s=110, color=colour, marker=marker, edgecolor="black",
                         lw=1.2, zorder=3, label=language)  # fmt: skip
        axes.set_title(panel.title, fontsize=10)
        axes.set_xlabel(axis_labels[0])
    grid[0].set_ylabel(axis_labels[1])
    grid[-1].legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5), title="language (mean)")
    return figure


def _project(stacked: NDArray[np.float64], method: DrawnBy, seed: int) -> tuple[NDArray[np.float64], tuple[str, str]]:
    """float64 [n, 2] and the axes' labels."""
    if method == "umap":
        try:
            import umap
        except ImportError:
            raise SprachbundError("UMAP figures need umap-learn: pip install 'sprachbund[figures]'") from None
        neighbours = min(15, len(stacked) - 1)
        # A fixed seed means one thread: the same picture every time.
        fitted = umap.UMAP(n_neighbors=neighbours, metric="cosine", random_state=seed, n_jobs=1)
        return np.asarray(fitted.fit_transform(stacked), dtype=np.float64), ("UMAP 1", "UMAP 2")
    centred = stacked - stacked.mean(axis=0)
    _, singular, directions = np.linalg.svd(centred, full_matrices=False)
    points = centred @ directions[:2].T
    # A component's sign is arbitrary: the coordinate of largest size is made positive.
    for axis in range(2):
        if points[np.abs(points[:, axis]).argmax(), axis] < 0:
            points[:, axis] *= -1
    shares = singular**2 / max(float((singular**2).sum()), np.finfo(np.float64).tiny)
    return points, (f"PC 1 ({shares[0]:.0%} of the variance)", f"PC 2 ({shares[1]:.0%})")
