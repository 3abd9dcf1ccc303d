"""docs/questions.md: its SQL is run as it stands, on both engines, and gives the answers that Python gives."""

import re
from pathlib import Path
from statistics import fmean, median

import numpy as np
import polars as pl
import pytest

from sprachbund.results import query

PAGE = Path(__file__).resolve().parents[3] / "docs" / "questions.md"
BLOCKS = re.findall(r"```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
LAYER = "10"
STEERED = "experts fra_Latn k=20"


def ask(database, number: int) -> pl.DataFrame:
    sql = BLOCKS[number]
    params = {name: value for name, value in {"experiment": "made", "layer": LAYER}.items() if f":{name}" in sql}
    return query.run(database.engine, sql, params)


def deltas(made, setting: str, metric: str, layer: str) -> dict:
    """Differences to the baseline per pair, on test."""
    return {
        key[4:]: value - made.truth[("test", "none", *key[2:])]
        for key, value in made.truth.items()
        if key[:4] == ("test", setting, metric, layer)
    }


def test_the_page_has_the_five_questions():
    assert len(re.findall(r"^## ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)) == 5
    assert len(BLOCKS) == 8


def test_headline_by_method_and_k(database):
    made = database.made
    frame = ask(database, 0)
    assert frame.height == 4 * 4
    assert frame["layer"].to_list()[:4] == ["0", "1", "10", "final"]
    row = frame.filter(pl.col("k") == 20, pl.col("layer") == LAYER).row(0, named=True)
    label = "experts fra_Latn k=20"
    values = [value for key, value in made.truth.items() if key[:4] == ("test", label, "top1", LAYER)]
    change = list(deltas(made, label, "top1", LAYER).values())
    assert (row["method"], row["n_values"]) == ("experts", 12)
    assert row["median_value"] == pytest.approx(median(values))
    assert row["mean_value"] == pytest.approx(fmean(values))
    assert row["median_delta"] == pytest.approx(median(change))
    assert row["mean_delta"] == pytest.approx(fmean(change))


def test_headline_with_tests(database):
    frame = ask(database, 1)
    assert frame["setting"].unique(maintain_order=True).to_list() == [
        "none",
        "experts fra_Latn k=10",
        "experts fra_Latn k=20",
        "centring",
    ]
    for row in frame.iter_rows(named=True):
        value = database.made.macro("test", row["setting"], "top1", row["layer"])
        stored = database.stored("test", row["setting"], "top1", row["layer"])
        assert row["value"] == pytest.approx(value)
        assert (row["ci_low"], row["q"]) == (stored.ci_low, stored.q)
        assert (row["q"] is None) == (row["setting"] == "none")


def test_controls(database):
    frame = ask(database, 2)
    assert frame["layer"].to_list() == ["0", "1", "10", "final"]
    for row in frame.iter_rows(named=True):
        value = database.made.macro("test", "experts fra_Latn k=20", "top1", row["layer"])
        seeds = [
            database.made.macro("test", f"random:profile seed={seed} of experts fra_Latn k=20", "top1", row["layer"])
            for seed in range(3)
        ]
        assert row["delta"] == pytest.approx(value - fmean(seeds))
        assert row["p"] == pytest.approx((1 + sum(seed >= value for seed in seeds)) / 4)


def test_alignment_or_collapse(database):
    frame = ask(database, 3)
    assert frame.height == 6 * 4
    metrics = {
        "paired": "paired_distance", "unpaired": "unpaired_distance", "gap": "distance_gap", "spread": "spread",
        "top1": "top1",
    }  # fmt: skip
    for row in frame.iter_rows(named=True):
        for column, metric in metrics.items():
            change = deltas(database.made, row["setting"], metric, row["layer"]).values()
            assert row[column] == pytest.approx(fmean(change))


def test_which_pairs_gain(database):
    frame = ask(database, 4)
    sides = {"query": lambda q, c: q == "fra_Latn", "candidate": lambda q, c: c == "fra_Latn"}
    sides["neither"] = lambda q, c: "fra_Latn" not in (q, c)
    assert frame.height == 2 * 3
    for row in frame.iter_rows(named=True):
        all_pairs = deltas(database.made, row["setting"], "top1", LAYER)
        change = [value for pair, value in all_pairs.items() if sides[row["target_side"]](*pair)]
        assert row["n_pairs"] == len(change)
        assert row["median_delta"] == pytest.approx(median(change))
        assert row["low_delta"] == pytest.approx(np.quantile(change, 0.1))
        assert row["n_gain"] == sum(value > 0 for value in change)
        assert row["n_lose"] == sum(value < 0 for value in change)
    pairs = ask(database, 5)
    every = [
        value
        for setting in ("experts fra_Latn k=10", "experts fra_Latn k=20")
        for value in deltas(database.made, setting, "top1", LAYER).values()
    ]
    assert pairs["delta"].to_list() == pytest.approx(sorted(every, reverse=True)[:20])


def test_trust(database):
    row = ask(database, 6).row(0, named=True)
    assert (row["expected_cells"], row["missing_cells"], row["overlap_texts"]) == (392, 0, 7)
    assert ask(database, 7).height == 0


def test_trust_where_something_failed(make):
    broken = make(failed=[("test", "centring", ("deu_Latn", "eng_Latn"))])
    assert ask(broken, 6).row(0, named=True)["missing_cells"] == 3 * 4
    failed = ask(broken, 7).row(0, named=True)
    assert (failed["status"], failed["error"]) == ("failed", "it broke")
