"""The retrieval heatmap of one setting as a PNG."""

from pathlib import Path

import polars as pl

from sprachbund.mirror.records import Heatmap
from sprachbund.report.plots import retrieval_heatmap

ROLE = "test"


def draw(heatmap: Heatmap, path: Path) -> None:
    """Write `heatmap` to `path`; raises SprachbundError where matplotlib is missing."""
    cells = [
        (query, candidate, value)
        for query, values in zip(heatmap.languages, heatmap.values, strict=True)
        for candidate, value in zip(heatmap.languages, values, strict=True)
        if value is not None
    ]
    queries, candidates, found = zip(*cells, strict=True)
    frame = pl.DataFrame({"query_language": queries, "candidate_language": candidates, "value": found}).with_columns(
        setting=pl.lit(heatmap.setting),
        layer=pl.lit(heatmap.layer),
        metric=pl.lit(heatmap.metric),
        role=pl.lit(ROLE),
        corpus=pl.lit(""),
        collection=pl.lit(None, pl.String),
    )
    figure = retrieval_heatmap(frame, setting=heatmap.setting, layer=heatmap.layer, metric=heatmap.metric, role=ROLE)
    # `save` would lay the figure out a second time, to crop it: here are a hundred of them.
    figure.savefig(path, dpi=80)
