"""What an experiment's plan asks for and a comparison does not have yet, in lines for people.

How many cells of the plan are missing is in the view `experiment_audit`, which ones in `planned_cells`.
"""

from collections.abc import Sequence

import polars as pl

from sprachbund.results.left_out import LeftOut
from sprachbund.results.reader import Reader


def missing_lines(
    read: Reader,
    metric: str,
    layers: Sequence[str],
    sums: pl.DataFrame,
    settings: pl.DataFrame,
    left_out: Sequence[LeftOut],
) -> list[str]:
    """Rows left out, cells of the metric that lack pairs, jobs that are not done; none where all is there.

    sums: as `Reader.sums` has them. settings: those that have a row, as `Reader.settings` has them.
    """
    return [*_rows(left_out), *_cells(read, metric, layers, sums, settings), *_jobs(read)]


def _rows(left_out: Sequence[LeftOut]) -> list[str]:
    lines = [each.line for each in left_out]
    return [*lines, "q-values are adjusted over the rows that are there"] if lines else []


def _cells(read: Reader, metric: str, layers: Sequence[str], sums: pl.DataFrame, settings: pl.DataFrame) -> list[str]:
    """Cells without all of the pairs that the fullest cell of their corpus has."""
    counted = (
        sums.filter(pl.col("metric") == metric)
        .group_by("corpus", "setting_key", "layer")
        .agg(pl.col("n_values").sum())
        .select("corpus", "setting_key", "layer", "n_values")
    )
    counts = {(corpus, key, layer): n for corpus, key, layer, n in counted.iter_rows()}
    lines = []
    for corpus in read.corpora():
        expected = max((n for (name, *_), n in counts.items() if name == corpus), default=0)
        for setting in settings.iter_rows(named=True):
            if setting["target"] is None and (read.scope != "all" or metric == "to_target"):
                continue
            for layer in layers:
                n = counts.get((corpus, setting["setting_key"], layer), 0)
                if n < expected or not n:
                    lines.append(
                        f"{setting['setting']}, layer {layer}, {metric} on {corpus}: "
                        f"{n} of {expected or 'unknown'} pairs"
                    )
    return lines


def _jobs(read: Reader) -> list[str]:
    found = read.unfinished()
    lines = []
    for (kind,), rows in found.group_by("kind", maintain_order=True):
        states = ", ".join(f"{row['n_jobs']} {row['status']}" for row in rows.iter_rows(named=True))
        lines.append(f"{kind}: {rows['n_jobs'].sum()} jobs are not done ({states})")
    return lines
