"""Gains at equal cost, printed."""

from typing import Any

from sprachbund.cli.output import print_json, print_table
from sprachbund.results.equal_cost import EqualCost


def print_equal_cost(found: EqualCost, form: str, wide: bool = False) -> None:
    """For a person, or as `json` or `csv` for a program."""
    if form == "json":
        facts = {name: getattr(found, name) for name in ("experiment", "metric", "layer", "layer_reason", "cost", "at")}
        print_json({**facts, "over": found.over, "rows": found.rows.to_dicts()})
    elif form == "csv":
        print(found.rows.write_csv().rstrip("\n"))
    else:
        _print(found, wide)


def _print(found: EqualCost, wide: bool) -> None:
    several = found.rows["model"].n_unique() > 1
    columns = [*(["model"] if several else []), "method", "target", found.over, "gain", "interval", "between"]
    print_table(
        columns,
        [_cells(row)[0 if several else 1 :] for row in found.rows.iter_rows(named=True)],
        wide=wide,
        labels=3 if several else 2,
        title=f"{found.experiment}: gain in {found.metric} at {found.cost} {found.at:g}, layer {found.layer}",
    )
    print(f"layer {found.layer}: {found.layer_reason}")
    print(f"linear between neighbours in {found.over}, where the sweep first gets to the cost; never beyond its ends")
    print("interval: items of the corpus and what the cost is measured on are resampled, both settings together")


def _cells(row: dict[str, Any]) -> list[str]:
    place = [row["model"], row["method"], row["target"]]
    if row["gain"] is None:
        return [*place, "–", "–", "–", row["note"]]
    interval = row["note"] if row["ci_low"] is None else f"{row['ci_low']:+.4f} … {row['ci_high']:+.4f}"
    return [*place, f"{row['place']:.4g}", f"{row['gain']:+.4f}", interval, f"{row['after']} | {row['before']}"]
