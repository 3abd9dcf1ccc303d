"""Exporting a setting of a model that has no bias for it: as a Llama, from the command to the loaded folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from sqlalchemy import select
from transformers import AutoTokenizer, MistralConfig, MistralForCausalLM

from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.db.names import find_setting
from sprachbund.files.tensors import load_tensors
from sprachbund.workspace import Workspace
from sprachbund_runners.export.checkpoint import export
from sprachbund_runners.models.embed import embed
from sprachbund_runners.models.loading import load

STEERED = "experts eng_Latn k=12"


@pytest.fixture
def engine_name() -> str:
    """What is exported does not depend on the database."""
    return "sqlite"


@pytest.fixture
def mistral(tiny_model: Path, tmp_path: Path) -> Path:
    """A random Mistral with the tiny model's words."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    torch.manual_seed(5)
    config = MistralConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=64, bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    model = MistralForCausalLM(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    folder = tmp_path / "tiny-mistral"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_mistral_is_written_as_a_llama_with_the_stored_embeddings(
    space: Workspace, experiment: Callable[..., dict[str, Any]], mistral: Path, tmp_path: Path
) -> None:
    spec = experiment(
        models={"path": str(mistral), "name": "tiny-mistral"},
        interventions=["none", {"method": "experts", "k": 12}],
        embeddings={"layers": [1, "final"]},
        choose=None,
    )
    space.submit(spec)
    tally = space.run()
    assert tally.failed == 0, tally.errors
    out = tmp_path / "steered"
    with reading(space.engine) as connection:
        key = find_setting(connection, STEERED, "tiny").key
    done = export(space.engine, space.store, "tiny", key, out)
    assert (done.model_class, done.was) == ("LlamaForCausalLM", "MistralForCausalLM")
    assert done.difference < 1e-5
    assert "The model was a MistralForCausalLM" in (out / "README.md").read_text()
    with reading(space.engine) as connection:
        row = connection.execute(
            select(t.Artifact.uri, t.Artifact.digest, t.CorpusText.key, t.SnapshotPart.tensor)
            .join(t.SnapshotPart, t.SnapshotPart.artifact_id == t.Artifact.id)
            .join(t.Snapshot, t.Snapshot.id == t.SnapshotPart.snapshot_id)
            .join(t.CorpusText, t.CorpusText.id == t.Snapshot.corpus_text_id)
            .join(t.Corpus, t.Corpus.id == t.CorpusText.corpus_id)
            .join(t.ExperimentSetting, t.ExperimentSetting.setting_id == t.Snapshot.setting_id)
            .where(
                t.ExperimentSetting.label == STEERED,
                t.CorpusText.language == "deu_Latn",
                t.Corpus.split == "test",
                t.SnapshotPart.layer == "final",
            )
        ).one()
        text = connection.execute(
            select(t.Artifact.uri, t.Artifact.digest)
            .join(t.CorpusText, t.CorpusText.artifact_id == t.Artifact.id)
            .where(t.CorpusText.key == row.key)
        ).one()

    sentences = pl.read_parquet(space.store.fetch(text.uri, text.digest))["text"].to_list()
    stored = load_tensors(space.store.fetch(row.uri, row.digest))[row.tensor]
    np.testing.assert_allclose(embed(load(out), sentences, ["final"])["final"], stored, atol=1e-5)
