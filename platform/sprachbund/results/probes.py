"""What logistic probes tell of an experiment's settings, to stand beside their gains: is the language really gone?"""

import polars as pl
from sqlalchemy import Engine

from sprachbund.results.reader import read_view

_COLUMNS = ("corpus", "collection", "task", "setting", "setting_key", "setting_ordinal", "layer", "layer_ordinal",
            "metric", "value")  # fmt: skip


def probes(engine: Engine, experiment: str, role: str, layer: str | None) -> pl.DataFrame:
    """One row per corpus (or collection), label, setting and layer, controls left out, in the experiment's order.

    Columns: corpus, task, setting, setting_key, setting_ordinal, layer, layer_ordinal, accuracy, and chance: the share
    of the most frequent label. Both over all languages together; of a collection the mean over its corpora, without
    what one of them lacks. A language is as frequent as any other in its corpus: of `language`, accuracy is balanced.
    """
    where = (
        "experiment = :experiment AND role = :role AND control IS NULL AND query_language IS NULL"
        " AND metric IN ('probe_accuracy', 'probe_majority')"
    )
    params = {"experiment": experiment, "role": role}
    if layer is not None:
        where, params = f"{where} AND layer = :layer", {**params, "layer": layer}
    found = read_view(engine, "probe_results", where, params, _COLUMNS)
    whole = pl.coalesce("collection", "corpus")
    n_corpora = found.select(whole.alias("whole"), "corpus").unique().group_by("whole").len("n_corpora")
    keys = ["whole", "task", "setting_ordinal", "setting", "setting_key", "layer_ordinal", "layer"]
    of = {"accuracy": "probe_accuracy", "chance": "probe_majority"}
    return (
        found.with_columns(whole=whole)
        .group_by(keys)
        .agg(
            *(pl.col("value").filter(pl.col("metric") == metric).mean().alias(name) for name, metric in of.items()),
            n=pl.col("corpus").n_unique(),
        )
        .join(n_corpora, on="whole")
        .filter(pl.col("n") == pl.col("n_corpora"))
        .sort("whole", "task", "setting_ordinal", "layer_ordinal")
        .select(pl.col("whole").alias("corpus"), "task", "setting", "setting_key", "setting_ordinal", "layer",
                "layer_ordinal", "accuracy", "chance")
    )  # fmt: skip
