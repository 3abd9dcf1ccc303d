"""The documented queries over a study that a model ran: all have rows, and what a run records is what it did."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats
from transformers import AutoTokenizer

from sprachbund.results.questions import questions
from support.hits import hits

LANGUAGES = ("eng_Latn", "deu_Latn", "fra_Latn")
SMALL, LARGE = "experts eng_Latn k=4", "experts eng_Latn k=12"


@pytest.fixture
def content(experiment, word_corpus: Path) -> dict[str, Any]:
    text = {"name": "words", "path": str(word_corpus), "layout": "wide", "split": "test"}
    return experiment(
        interventions=["none", "centring", {"method": "experts", "k": [4, 12], "controls": ["profile x1"]}],
        embeddings={"layers": [1, "final"]},
        statistics={"resamples": 200, "metrics": ["top1", "distance_gap"]},
        compare=[[LARGE, "centring"]],
        side_effects={"perplexity": {"corpus": text, "window": 16, "stride": 8}},
    )


def test_all_are_answered(space, content, tiny_model: Path, word_corpus: Path):
    space.submit(content)
    begun = time.time()
    assert space.run(max_tokens=128).failed == 0
    took = time.time() - begun
    points = space.query(
        "SELECT setting, avg(value / baseline) AS ratio FROM side_effects WHERE metric = 'perplexity' AND"
        " control IS NULL AND k IS NOT NULL GROUP BY setting"
    )
    ratio = float(points.filter(pl.col("setting") == SMALL)["ratio"][0])
    values = {"experiment": "tiny", "layer": "final", "ratio": (1 + ratio) / 2}
    found = {
        name: space.query(each.sql, params={name: values[name] for name in each.parameters})
        for name, each in questions().items()
    }
    assert [name for name, frame in found.items() if frame.is_empty()] == ["failures"]
    _tokens(found["tokens"], tiny_model, word_corpus)
    _tests_of_pairs(space)
    _at_the_middle(found["equal_perplexity"], space)
    hardware = found["hardware"]
    assert set(hardware["device"]) == {"cpu"} and set(hardware["outcome"]) == {"done"}
    assert hardware["threads"].min() >= 1
    # The runner's busy seconds are those of the run, but for what it starts and ends with.
    assert 0 < hardware["hours"].sum() * 3600 <= took


def _tokens(frame: pl.DataFrame, tiny_model: Path, word_corpus: Path) -> None:
    """As the tokenizer says."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    table = pl.read_csv(word_corpus)
    assert frame.height == 9
    for row in frame.iter_rows(named=True):
        texts = table.filter(pl.col("split") == row["role"])[row["language"]].to_list()
        n_tokens = sum(len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts)
        assert (row["n_items"], row["n_tokens"]) == (30, n_tokens)
        assert row["fertility"] == pytest.approx(n_tokens / sum(len(text.split()) for text in texts))


def _tests_of_pairs(space) -> None:
    """tested_pairs is McNemar's exact test of the stored outcomes."""
    rows = space.query("SELECT * FROM tested_pairs WHERE role = 'test' AND layer = 'final'")
    assert set(rows["setting"]) <= {SMALL, LARGE, "centring"} and rows.height > 0
    for row in rows.iter_rows(named=True):
        pair = row["query_language"], row["candidate_language"]
        own, other = (hits(space, each, "final")[pair] for each in (row["setting"], row["baseline_setting"]))
        gained, lost = int(np.sum(own > other)), int(np.sum(own < other))
        assert (row["only_setting"], row["only_baseline"]) == (gained, lost)
        expected = stats.binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
        assert row["p"] == pytest.approx(expected)


def _at_the_middle(frame: pl.DataFrame, space) -> None:
    """Half-way in cost is half-way in gain."""
    gain = space.query(
        "SELECT delta FROM setting_comparison WHERE role = 'test' AND metric = 'top1' AND scope = 'all'"
        " AND layer = 'final' AND setting = :setting",
        params={"setting": SMALL},
    )["delta"][0]
    (row,) = frame.filter(pl.col("setting") == SMALL).to_dicts()
    assert row["setting_before"] == "none"
    assert row["delta_at_ratio"] == pytest.approx(gain / 2)
