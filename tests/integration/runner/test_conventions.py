"""Conventions, sides and trained languages from a spec to the views."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from sqlalchemy import select
from transformers import AutoTokenizer, BloomConfig, BloomForCausalLM

from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.files.tensors import load_tensors
from sprachbund.workspace import Workspace
from sprachbund_runners.evaluation.mining import mine, score_at, tuned_threshold
from sprachbund_runners.evaluation.retrieval import survey, top_k_credit
from sprachbund_runners.evaluation.similarity import unit_vectors
from sprachbund_runners.models import embed as embedding
from sprachbund_runners.models.loading import load
from support.retrieval import retrieve

Make = Callable[..., dict[str, Any]]


def run(space: Workspace, spec: dict[str, Any]) -> None:
    space.submit(spec)
    tally = space.run()
    assert tally.failed == 0, tally.errors


def embeddings(space: Workspace, setting: str, language: str, layer: str, split: str) -> np.ndarray:
    """One layer of the snapshot of a setting (by label)."""
    statement = (
        select(t.Artifact.uri, t.Artifact.digest, t.SnapshotPart.tensor)
        .join(t.SnapshotPart, t.SnapshotPart.artifact_id == t.Artifact.id)
        .join(t.Snapshot, t.Snapshot.id == t.SnapshotPart.snapshot_id)
        .join(t.Setting, t.Setting.id == t.Snapshot.setting_id)
        .join(t.CorpusText, t.CorpusText.id == t.Snapshot.corpus_text_id)
        .join(t.Corpus, t.Corpus.id == t.CorpusText.corpus_id)
        .where(t.Setting.label == setting, t.CorpusText.language == language, t.SnapshotPart.layer == layer,
               t.Corpus.split == split)
    )  # fmt: skip
    with reading(space.engine) as connection:
        row = connection.execute(statement).one()
    return load_tensors(space.store.fetch(row.uri, row.digest))[row.tensor]


def test_every_convention_is_stored_compared_and_averaged(space: Workspace, experiment: Make) -> None:
    metrics = ["top1", "csls_top1", "xsim", "bitext_f1", "mexa", "language_abx"]
    spec = experiment(
        interventions=["none", "centring", {"method": "experts", "k": 4}],
        choose={"metric": "xsim"},
        statistics={"resamples": 200, "metrics": metrics},
    )
    run(space, spec)
    results = space.results("tiny")
    wanted = {"margin_distance_top1", "csls_top1", "bitext_f1", "bitext_accuracy", "mexa", "top1"}
    for metric in wanted:
        rows = results.filter((results["metric"] == metric) & (results["role"] == "test"))
        assert rows.height == 6 * 4 * 3, metric
        assert rows["value"].is_between(0, 1).all()
    compared = space.query("select distinct metric from setting_comparison where experiment = 'tiny' and delta <> 0")
    assert {"csls_top1", "bitext_f1", "language_abx"} <= set(compared["metric"])

    scores = space.query("select * from benchmark_scores where experiment = 'tiny' and role = 'test'")
    into = results.filter(
        (results["metric"] == "bitext_accuracy") & (results["role"] == "test")
        & (results["candidate_language"] == "eng_Latn")
    )  # fmt: skip
    expected = into.group_by("setting", "layer").agg(pl.col("value").mean().alias("expected"))
    found = scores.filter(scores["convention"] == "xtreme_into_english").join(expected, on=["setting", "layer"])
    assert found.height == 3 * 4 and found["value"].to_list() == pytest.approx(found["expected"].to_list())
    layered = results.filter((results["metric"] == "mexa") & (results["role"] == "test")
                             & (results["candidate_language"] == "eng_Latn"))  # fmt: skip
    by_language = layered.group_by("setting", "query_language").agg(pl.col("value").max())
    expected = by_language.group_by("setting").agg(pl.col("value").mean().alias("expected"))
    found = scores.filter(scores["convention"] == "mexa_max_layers").join(expected, on="setting")
    assert found.height == 3 and found["value"].to_list() == pytest.approx(found["expected"].to_list())

    # Centring makes neighbour means that are not positive: then there is a reason in place of a number.
    undefined = space.query("select * from metric_notes where experiment = 'tiny'")
    assert undefined.height > 0 and undefined["note"].str.contains("not positive").all()
    keys = ["setting_key", "corpus", "split", "layer", "query_language", "candidate_language"]
    both = results.filter(results["metric"] == "xsim").join(undefined.filter(pl.col("metric") == "xsim"), on=keys)
    assert both.height == 0
    n_xsim = results.filter(results["metric"] == "xsim").height
    assert n_xsim + undefined.filter(pl.col("metric") == "xsim").height == 2 * 6 * 4 * 3


def test_one_side_alone_is_steered(space: Workspace, experiment: Make) -> None:
    interventions: list[Any] = ["none", {"method": "experts", "k": 12}]
    interventions += [{"method": "experts", "k": 12, "side": side} for side in ("query", "candidate")]
    spec = experiment(interventions=interventions, choose=None, embeddings={"layers": ["final"]})
    spec = {name: value for name, value in spec.items() if value is not None}
    run(space, spec)
    results = space.results("tiny")
    labels = results.select("setting", "setting_ordinal").unique().sort("setting_ordinal")["setting"].to_list()
    assert len(labels) == 4
    plain, steered, query, candidate = labels
    sides = {plain: (plain, plain), steered: (steered, steered), query: (steered, plain), candidate: (plain, steered)}
    top1 = results.filter((results["metric"] == "top1") & (results["role"] == "test"))
    assert top1.height == 4 * 6
    for row in top1.iter_rows(named=True):
        asking, answering = sides[row["setting"]]
        x = embeddings(space, asking, row["query_language"], "final", "test")
        y = embeddings(space, answering, row["candidate_language"], "final", "test")
        expected = top_k_credit(retrieve(unit_vectors(x), unit_vectors(y)).forward, 1).mean()
        assert row["value"] == pytest.approx(expected, abs=0.04), row["setting"]
    values = {label: top1.filter(top1["setting"] == label)["value"].to_list() for label in labels}
    assert values[query] != values[steered] and values[query] != values[plain]
    alignment = space.results("tiny", "alignment")
    assert set(alignment.filter(alignment["metric"] == "language_abx")["setting"]) == {plain, steered}
    distances = alignment.filter((alignment["metric"] == "paired_distance") & (alignment["role"] == "test"))
    assert distances.height == 4 * 3


def test_mining_takes_its_threshold_from_select(space: Workspace, experiment: Make) -> None:
    spec = experiment(
        interventions=["none", "centring_transductive"],
        embeddings={"layers": [1, "final"]},
        evaluations={"mining": True, "pairs": [["eng_Latn", "deu_Latn"]]},
    )
    del spec["choose"], spec["corpora"]["fit"]
    spec["targets"] = []
    run(space, spec)
    found = space.results("tiny", "alignment")
    mined = found.filter(found["measure"] == "mining")
    plain = mined.filter((mined["transform"] == "none") & (mined["metric"] == "mining_f1"))
    assert set(plain["role"]) == {"test"} and sorted(plain["layer"]) == ["1", "final"]
    for row in plain.iter_rows(named=True):
        sides = {}
        for split in ("select", "test"):
            x, y = (
                unit_vectors(embeddings(space, row["setting"], code, row["layer"], split))
                for code in ("deu_Latn", "eng_Latn")
            )
            near = survey(x, y)
            sides[split] = mine(near.forward, near.backward, x, y)
        expected = score_at(sides["test"], tuned_threshold(sides["select"]))
        assert row["value"] == pytest.approx(expected.f1, abs=0.05)
    notes = space.query("select * from metric_notes where experiment = 'tiny' and measure = 'mining'")
    centred = mined.filter((mined["transform"] != "none") & (mined["metric"] == "mining_f1"))
    assert centred.height + notes.filter(notes["metric"] == "mining_f1").height == 2


def test_a_space_that_units_drew_together_is_measured_in_float64(space: Workspace, experiment: Make) -> None:
    """Every coordinate of the last block is moved 999 thousandths of the way to one value."""
    together = {"method": "experts", "k": 1.0, "edit": "interpolate", "strength": 0.999, "blocks": [2]}
    spec = experiment(
        interventions=["none", together], experts={"sites": ["block"]}, embeddings={"layers": [1, 2]}, choose=None
    )
    del spec["corpora"]["select"]
    run(space, spec)
    notes = space.query("select distinct setting, layer, metric from metric_notes where note like '%in float64%'")
    assert set(notes["layer"]) == {"2"} and notes["setting"].n_unique() == 1
    assert set(notes["metric"]) == {"top1", "language_abx", "paired_distance"}
    distance = space.results("tiny", "alignment")
    near = distance.filter((distance["metric"] == "paired_distance") & (distance["layer"] == "2"))
    assert 0 < near["value"].min() < 1e-5 < near["value"].max()


def test_a_large_pool_is_searched_approximately(space: Workspace, experiment: Make) -> None:
    pytest.importorskip("faiss")
    spec = experiment(interventions=["none"], evaluations={"approximate_above": 20}, embeddings={"layers": ["final"]})
    del spec["choose"], spec["corpora"]["fit"]
    spec["targets"] = []
    run(space, spec)
    results = space.results("tiny")
    assert "top1" in set(results["metric"]) and not {"mrr", "meaning_abx"} & set(results["metric"])
    notes = space.query("select distinct metric, note from metric_notes where experiment = 'tiny' and metric = 'top1'")
    assert notes["note"].str.contains("recall of the 10 nearest").all() and notes.height > 0
    assert "language_abx" not in set(space.results("tiny", "alignment")["metric"])


def test_languages_of_training_are_marked(space: Workspace, experiment: Make, tiny_model: Path) -> None:
    base = experiment()
    spec = experiment(
        corpora={"test": base["corpora"]["test"]},
        models=[{"path": str(tiny_model), "name": "tiny-bloom"}, {"path": str(tiny_model), "name": "as-bloom",
                "family": "bloom", "attention": "eager", "dtype": "float16"}],
        interventions=["none"], choose=None, targets=[],
    )  # fmt: skip
    space.submit({name: value for name, value in spec.items() if value is not None})
    marked = space.query("select * from trained_languages where experiment = 'tiny'")
    known = {row["language"]: row["trained"] for row in marked.iter_rows(named=True) if row["family"] == "bloom"}
    assert known == {"eng_Latn": 1, "fra_Latn": 1, "deu_Latn": 0}
    # The same model said to be of another family: nothing stays of the first.
    spec["models"] = {"path": str(tiny_model), "name": "tiny-bloom", "family": "phrasebook"}
    space.submit({name: value for name, value in spec.items() if value is not None}, replace=True)
    assert set(space.query("select family from model_languages")["family"]) == {"phrasebook"}


def test_the_layer_that_xtreme_reads(tiny_model: Path, tmp_path: Path) -> None:
    """Index 7 of the last 12 of 13 hidden states, mean over all tokens: layer 8 here."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.save_pretrained(tmp_path)
    torch.manual_seed(0)
    ids = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    config = BloomConfig(vocab_size=len(tokenizer), hidden_size=16, n_layer=12, n_head=2, **ids)
    BloomForCausalLM(config).save_pretrained(tmp_path)
    texts = ["eng1 eng2 eng3", "deu4", "fra5 fra6"]
    batch = tokenizer(texts, return_tensors="pt", padding=True)
    batch.pop("token_type_ids", None)
    model = BloomForCausalLM.from_pretrained(tmp_path).transformer.eval()
    with torch.no_grad():
        states = model(**batch, output_hidden_states=True).hidden_states
    kept = states[-12:][7].numpy()
    mask = batch["attention_mask"].numpy()[:, :, None]
    expected = (kept * mask).sum(axis=1) / mask.sum(axis=1)
    found = embedding.embed(load(tmp_path), texts, ["8"], pooling="mean", tokens="all")["8"]
    assert found == pytest.approx(expected, abs=1e-5)
