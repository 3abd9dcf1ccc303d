"""Side effects of an experiment's settings, one row each, to stand beside their gains."""

from typing import Any

import polars as pl
from sqlalchemy import Engine

from sprachbund.db.engine import reading
from sprachbund.db.names import find_experiment, find_setting
from sprachbund.errors import QueryError
from sprachbund.results.reader import read_view

# Column → metric of the view `side_effects`. Of metrics per language, that of the setting's target.
COLUMNS: dict[str, str] = {
    "target_share": "language_share",
    "target_share_nondegenerate": "language_share_nondegenerate",
    "degenerate": "degenerate_share",
    "repetition": "repetition",
    "distinct_1": "distinct_1",
    "distinct_2": "distinct_2",
    "perplexity": "perplexity",
    "bits_per_byte": "bits_per_byte",
    "mean_bits_per_byte": "bits_per_byte",
    "chrf": "chrf",
    "bleu": "bleu",
}
OF_TARGET = frozenset({"target_share", "target_share_nondegenerate", "perplexity", "bits_per_byte"})
PARTS = ("", "_low", "_high", "_baseline", "_delta", "_delta_low", "_delta_high", "_p")
_FIGURES = ("value", "ci_low", "ci_high", "baseline", "delta", "delta_ci_low", "delta_ci_high", "p")


def side_effects(engine: Engine, experiment: str) -> pl.DataFrame:
    """One row per setting of which a side effect was measured, in the experiment's order.

    Columns: setting, setting_key, ordinal, model, method, target, k, strength, control_of; and for each name of
    `COLUMNS` its value, `_low` and `_high` (interval), `_baseline`, and the difference on what both settings read:
    `_delta`, `_delta_low`, `_delta_high` and `_p`. Columns in `OF_TARGET` hold the
    target language's figure; a setting without target (the unsteered one) has it where the experiment has a single
    target, else null. `mean_bits_per_byte` is the mean over all languages measured, `chrf` and `bleu` the mean over
    pairs; a mean over several has no interval. Nothing measured: no rows, the same columns.

    Raises QueryError for an unknown experiment.
    """
    with reading(engine) as connection:
        find_experiment(connection, experiment)
    found = read_view(engine, "side_effects", "experiment = :experiment", {"experiment": experiment})
    targets = sorted({each for each in found["target"].to_list() if each is not None})
    only = targets[0] if len(targets) == 1 else None
    rows: list[dict[str, Any]] = []
    by_setting: dict[str, list[dict[str, Any]]] = {}
    for each in found.sort("setting_ordinal").iter_rows(named=True):
        by_setting.setdefault(each["setting_key"], []).append(each)
    # How many languages or pairs a setting's mean is over where nothing is missing.
    whole = {
        metric: max((sum(each["metric"] == metric for each in figures) for figures in by_setting.values()), default=0)
        for metric in COLUMNS.values()
    }
    for figures in by_setting.values():
        first = figures[0]
        target = first["target"] or only
        row = {name: first[name] for name in ("setting", "setting_key", "model", "method", "target", "k", "strength")}
        row |= {"ordinal": first["setting_ordinal"], "control_of": first["control_of"]}
        for column, metric in COLUMNS.items():
            of_metric = [each for each in figures if each["metric"] == metric]
            if column in OF_TARGET:
                of_metric = [each for each in of_metric if each["language"] == target]
            elif len(of_metric) < whole[metric]:
                of_metric = []  # a mean over fewer would look comparable
            row |= {f"{column}{part}": value for part, value in zip(PARTS, _mean(of_metric), strict=True)}
        rows.append(row)
    return pl.DataFrame(rows, schema=_schema())


def samples(engine: Engine, experiment: str, setting: str, n: int) -> pl.DataFrame:
    """The first `n` texts of each kind (free generation of the first seed, translations of each pair) of a setting.

    Raises QueryError for an unknown experiment or setting, and where none of its texts are there.
    """
    with reading(engine) as connection:
        named = find_setting(connection, setting, experiment)
    found = read_view(
        engine,
        "generated_samples",
        "experiment = :experiment AND setting_key = :setting"
        " ORDER BY into_language IS NOT NULL, language, into_language, seed, sample",
        {"experiment": experiment, "setting": named.key},
    )
    if found.is_empty():
        raise QueryError(
            f"setting '{named.label}' of '{experiment}' has no texts: none were asked for (side_effects.generation or"
            " .translation), or their jobs are not done"
        )
    return found.group_by("language", "into_language", maintain_order=True).head(n).select(found.columns)


def _mean(figures: list[dict[str, Any]]) -> tuple[float | None, ...]:
    """The parts: of one figure its own, of several their means, which have no interval."""
    if not figures:
        return (None,) * len(PARTS)
    if len(figures) == 1:
        return tuple(figures[0][name] for name in _FIGURES)

    def mean(name: str) -> float | None:
        values = [each[name] for each in figures]
        # A mean over fewer languages than the setting's own would compare different things.
        return None if None in values else sum(values) / len(values)

    return mean("value"), None, None, mean("baseline"), mean("delta"), None, None, None


def _schema() -> dict[str, Any]:
    names = ("setting", "setting_key", "model", "method", "target")
    schema: dict[str, Any] = dict.fromkeys(names, pl.String)
    schema |= {"k": pl.Int64, "strength": pl.Float64, "ordinal": pl.Int64, "control_of": pl.String}
    return schema | {f"{column}{part}": pl.Float64 for column in COLUMNS for part in PARTS}
