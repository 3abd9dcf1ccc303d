"""Differences of side effects on what both settings read, and gains at equal cost."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sqlalchemy import select

from sprachbund.cli.equal_cost import print_equal_cost
from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.errors import QueryError
from sprachbund.files.tensors import load_tensors
from sprachbund.results.side_effects import side_effects
from sprachbund.workspace import Workspace
from sprachbund_runners.jobs.compare.levels import draws_seed
from sprachbund_runners.jobs.write import perplexity
from sprachbund_runners.statistics.bootstrap import bootstrap_draws, summarise_mean
from support.written import work


def test_settings_that_stopped_elsewhere_are_compared_on_what_both_read(
    space: Workspace, spec: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The tiny model's settings are too much alike to stop at different places by themselves.
    first, whole = iter((60, 100)), perplexity.read_until

    def until(n: int, seed: int, read: Any, narrow: Any) -> Any:
        least = next(first)
        return whole(n, seed, read, lambda done: len(done) > least)

    monkeypatch.setattr(perplexity, "read_until", until)
    drawn = np.random.default_rng(0)
    lines = [" ".join(f"eng{number}" for number in drawn.integers(0, 30, size=12)) for _ in range(300)]
    (tmp_path / "eng.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    corpus = {"name": "long", "files": {"eng_Latn": str(tmp_path / "eng.txt")}}
    part = {"corpus": corpus, "languages": "eng_Latn", "window": 40, "stride": 20, "stop": {"half_width": 1}}
    space.submit({**spec, "side_effects": {"perplexity": part}})
    work(space)
    frame = space.query("select * from side_effects where metric = 'bits_per_byte'")
    steered, plain = (frame.filter(pl.col("method") == method).row(0, named=True) for method in ("experts", "none"))
    assert steered["n_items"] != plain["n_items"], "both read the same: nothing was shared"
    assert steered["n_shared"] == min(steered["n_items"], plain["n_items"])
    tables = documents(space)
    both = set(tables["none"]["row"]) & set(tables[steered["setting"]]["row"])
    means = {
        setting: sum(table["nats"][place] for place, row in enumerate(table["row"]) if row in both)
        / sum(table["bytes"][place] for place, row in enumerate(table["row"]) if row in both) / np.log(2)
        for setting, table in tables.items()
    }  # fmt: skip
    assert steered["delta"] == pytest.approx(means[steered["setting"]] - means["none"])
    assert steered["delta"] != pytest.approx(steered["value"] - steered["baseline"], abs=1e-9)
    assert steered["delta_ci_low"] < steered["delta"] < steered["delta_ci_high"]


def documents(space: Workspace) -> dict[str, dict[str, np.ndarray]]:
    """What was kept of the documents of the one text, by setting."""
    with reading(space.engine) as connection:
        rows = connection.execute(
            select(t.Setting.label, t.Artifact.uri, t.Artifact.digest)
            .join(t.Evaluation, t.Evaluation.setting_id == t.Setting.id)
            .join(t.Artifact, t.Artifact.id == t.Evaluation.outcomes_id)
            .where(t.Evaluation.measure == "perplexity")
        ).all()
    kept = {label: load_tensors(space.store.fetch(uri, digest)) for label, uri, digest in rows}
    return {label: {name.partition("/")[2]: values for name, values in each.items()} for label, each in kept.items()}


def test_differences_are_those_of_the_stored_samples_and_translations(measured: Workspace) -> None:
    """Values and differences again from the texts in the view, with sacrebleu's own corpus scores."""
    space = measured
    steered = "experts eng_Latn k=12"
    found = {
        (row["metric"], row["language"], row["other_language"]): row
        for row in space.query("select * from paired_differences").iter_rows(named=True)
    }
    shown = space.query("select * from side_effects where baseline is not null").iter_rows(named=True)
    for row in shown:
        other = found.pop((row["metric"], row["language"], row["into_language"]), None)
        if other is None:
            assert row["metric"] in ("scored_share", "looks", "stopped_early") and row["n_shared"] is None
            continue
        for name in ("value", "baseline", "delta", "delta_ci_low", "delta_ci_high", "p"):
            assert row[name] == pytest.approx(other[name]), (row["metric"], name)
        assert row["n_shared"] == other["n_items"] and row["p"] is not None
        assert row["delta_ci_low"] <= row["delta"] <= row["delta_ci_high"]
    assert not found
    texts = space.query("select * from generated_samples where seed is not null order by seed, sample")
    share = {
        setting: (texts.filter(pl.col("setting") == setting)["label"] == "de").fill_null(False).to_numpy().astype(float)
        for setting in ("none", steered)
    }
    row = one_difference(space, "language_share", "deu_Latn")
    assert (row["n_items"], row["n_groups"]) == (36, 36)
    draws = np.concatenate(list(bootstrap_draws(36, 100, draws_seed(0, "generation"))))
    replicates = (draws @ share[steered] - draws @ share["none"]) / 36
    change = float(share[steered].mean() - share["none"].mean())
    expected = summarise_mean(change, replicates, n_items=36, n_groups=36, strata=1)
    assert (row["delta_ci_low"], row["delta_ci_high"]) == pytest.approx((float(expected.low), float(expected.high)))
    assert one_difference(space, "distinct_1", None)["n_groups"] == 3
    row = one_difference(space, "chrf", "eng_Latn")
    # Sentences 63 to 67, counted from 1 in groups of three: of three documents, which are drawn.
    assert (row["n_items"], row["n_groups"]) == (5, 3)


def one_difference(space: Workspace, metric: str, language: str | None) -> dict[str, Any]:
    frame = space.query("select * from paired_differences where metric = :metric", params={"metric": metric})
    chosen = pl.col("language").is_null() if language is None else pl.col("language") == language
    (row,) = frame.filter(chosen).iter_rows(named=True)
    return row


def test_gains_at_equal_cost_lie_between_neighbours_of_the_sweep(
    space: Workspace, spec: dict[str, Any], asked: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    text = {"perplexity": {**asked["perplexity"], "languages": ["eng_Latn"]}}
    swept = {**spec, "interventions": ["none", {"method": "experts", "k": [12, 4, 30]}], "side_effects": text}
    space.submit(swept)
    work(space)
    frame = side_effects(space.engine, "tiny").sort("k", nulls_last=False)
    costs = frame["bits_per_byte"].to_list()
    gains = [0.0, *space.compare("tiny").rows.filter(
        pl.col("metric") == "mrr", pl.col("layer") == "final", pl.col("method") == "experts"
    ).sort("k")["delta"]]  # fmt: skip
    # Half way between the unsteered model and the first setting.
    found = space.equal_cost("tiny", f"bits_per_byte={(costs[0] + costs[1]) / 2}", metric="mrr")
    (row,) = found.rows.iter_rows(named=True)
    assert (found.over, row["after"], row["before"], row["target"]) == ("k", "none", frame["setting"][1], "eng_Latn")
    assert (row["place"], row["gain"]) == pytest.approx((2.0, gains[1] / 2))
    assert row["ci_low"] is None or row["ci_low"] <= row["gain"] <= row["ci_high"]
    assert (row["least_cost"], row["greatest_cost"]) == pytest.approx((min(costs), max(costs)))
    (beyond,) = space.equal_cost("tiny", f"bits_per_byte={max(costs) + 1}").rows.iter_rows(named=True)
    assert beyond["gain"] is None and beyond["note"].startswith("not reached: bits_per_byte goes from")
    print_equal_cost(found, "")
    assert "never beyond its ends" in capsys.readouterr().out
    print_equal_cost(found, "json")
    assert json.loads(capsys.readouterr().out)["rows"][0]["place"] == pytest.approx(2.0)
    print_equal_cost(found, "csv")
    assert capsys.readouterr().out.startswith("model,method,target")
    for wrong, message in (
        ("bits_per_bite=1", "did you mean 'bits_per_byte'"),
        ("bits_per_byte", "found no level"),
        ("bits_per_byte=much", "found 'much'"),
        ("target_share=0.5", "has no target_share of its sweeps"),
    ):
        with pytest.raises(QueryError, match=message):
            space.equal_cost("tiny", wrong)
    space.submit({**swept, "interventions": ["none", {"method": "experts", "k": 4}]}, replace=True)
    with pytest.raises(QueryError, match="sweeps nothing"):
        space.equal_cost("tiny", "bits_per_byte=1")
