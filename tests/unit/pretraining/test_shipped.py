"""The checkpoint that travels with the package: complete, small, offline, and a model of the phrasebook."""

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch.nn import functional
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

import sprachbund
from sprachbund.corpora.phrasebook import LANGUAGES, sentences

FOLDER = Path(sprachbund.__file__).parent / "builtin" / "phrasebook-bloom"
FILES = {
    "README.md",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
}


def test_the_folder_is_complete_and_at_most_eight_megabytes() -> None:
    assert {path.name for path in FOLDER.iterdir()} == FILES
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 8_000_000
    with safe_open(FOLDER / "model.safetensors", framework="pt") as weights:
        assert {weights.get_tensor(name).dtype for name in weights.keys()} == {torch.float16}  # noqa: SIM118


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_knows_the_language_and_gives_finite_logits(language: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(FOLDER, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(FOLDER, local_files_only=True, dtype=torch.float32).eval()
    texts = [text for _, text, _ in sentences("test", language, 60)]
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    assert tokenizer.batch_decode(batch["input_ids"], skip_special_tokens=True) == texts
    with torch.inference_mode():
        logits = model(**batch).logits
    assert logits.isfinite().all()
    targets = batch["input_ids"][:, 1:].masked_fill(batch["attention_mask"][:, 1:] == 0, -100)
    loss = functional.cross_entropy(logits[:, :-1].flatten(0, 1), targets.flatten())
    # A uniform guess costs 7.6 nats a token; single sentences, each opening a document, cost more than later ones.
    assert loss < 2.5


def test_the_tokenizer_marks_its_special_tokens() -> None:
    tokenizer = AutoTokenizer.from_pretrained(FOLDER, local_files_only=True)
    found = tokenizer("Hola.", "Hallo.", return_special_tokens_mask=True)
    assert found["special_tokens_mask"] == [1] + [0] * (len(found["input_ids"]) - 1)
    assert found["input_ids"][0] == tokenizer.bos_token_id
    assert tokenizer.pad_token == "<pad>"
    base = AutoModel.from_pretrained(FOLDER, local_files_only=True)
    assert base.config.pad_token_id == tokenizer.pad_token_id
    assert (base.config.hidden_size, base.config.n_layer, base.config.n_head) == (192, 6, 4)
    assert base.config.vocab_size == len(tokenizer)
