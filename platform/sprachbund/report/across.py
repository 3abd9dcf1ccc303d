"""The table of a comparison between experiments, or over models."""

from typing import Any

from sprachbund.report.tables import TextTable
from sprachbund.results.across import Across
from sprachbund.results.wording import EMPTY, number, probability, ranged, signed


def across_table(found: Across) -> TextTable:
    """What `across` found, for people."""
    what = f"{found.metric}, role {found.role}, pairs {found.scope}"
    several = found.rows["corpus"].n_unique() > 1
    labels = ["setting", *(["corpus"] if several else [])]
    rows = list(found.rows.iter_rows(named=True))
    names = [[row["setting"], *([row["corpus"]] if several else [])] for row in rows]
    numbers = [_model_cells(row) if found.models else _cells(row) for row in rows]
    if found.models:
        columns = (
            *labels,
            "models",
            "Δ of each",
            "mean Δ",
            "interval",
            "languages and items",
            "p",
            "differ p",
        )
        columns += ("other models", "p")
        title = f"{' and '.join(found.experiments)} over models: gains in {what}"
        notes: tuple[str, ...] = (
            "Δ: to each model's own baseline, at the layer chosen for it; mean Δ and interval: of these, over items",
            "differ p: of all models gaining alike; other models: of the mean over models like these, from three on",
        )
    else:
        first, second = found.experiments
        columns = (*labels, "layers", first, second, "Δ", "interval", "q", "languages and items", "p")
        title = f"{second} against {first}: {what}"
        notes = (f"Δ: {second} minus {first}, item by item, each at the layer chosen for it; q over the rows",)
    cells = tuple((*name, *each) for name, each in zip(names, numbers, strict=True))
    return TextTable(title, columns, len(labels), cells, (False,) * len(cells), notes)


def _cells(row: dict[str, Any]) -> list[str]:
    layers = row["layer"] if row["layer"] == row["other_layer"] else f"{row['layer']} / {row['other_layer']}"
    return [
        layers,
        number(row["value"]),
        number(row["other_value"]),
        signed(row["delta"]),
        ranged(row["delta_ci_low"], row["delta_ci_high"], signed=True),
        probability(row["q"]),
        *_population(row),
    ]


def _model_cells(row: dict[str, Any]) -> list[str]:
    at = ", ".join(f"{model} ({layer})" for model, layer in zip(row["models"], row["layers"], strict=True))
    sample = row["n_models"] >= 3
    return [
        at,
        ", ".join(signed(each) for each in row["gains"]),
        signed(row["delta"]),
        ranged(row["delta_ci_low"], row["delta_ci_high"], signed=True),
        *_population(row),
        probability(row["differ_p"]),
        ranged(row["models_low"], row["models_high"], signed=True) if sample else EMPTY,
        probability(row["models_p"]) if sample else EMPTY,
    ]


def _population(row: dict[str, Any]) -> list[str]:
    interval = ranged(row["population_low"], row["population_high"], signed=True)
    return [interval, probability(row["population_p"])]
