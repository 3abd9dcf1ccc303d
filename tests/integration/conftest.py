"""The tiny model, its corpus and its experiment: everything runs in seconds."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LANGUAGES = ("eng_Latn", "deu_Latn", "fra_Latn", "spa_Latn")
N_WORDS = 30


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Bloom of two blocks whose vocabulary has 30 words in each of four made-up languages."""
    # Here, since tests of the queue and of views load no torch.
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import BloomConfig, BloomForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny-bloom")
    words = [f"{language[:3]}{number}" for language in LANGUAGES for number in range(N_WORDS)]
    vocabulary = {word: number for number, word in enumerate(["<pad>", "<s>", "</s>", "<unk>", *words])}
    made = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = Whitespace()
    made.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>"
    ).save_pretrained(folder)
    torch.manual_seed(3)
    ids = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    config = BloomConfig(vocab_size=len(vocabulary), hidden_size=16, n_layer=2, n_head=2, **ids)
    model = BloomForCausalLM(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def word_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wide CSV: 90 items in four languages, 30 each in the splits fit, select and test."""
    drawn = random.Random(1)
    lines = ["item,group,split," + ",".join(LANGUAGES)]
    for item in range(90):
        meaning = [drawn.randrange(N_WORDS) for _ in range(drawn.randint(3, 9))]
        texts = [" ".join(f"{language[:3]}{number}" for number in meaning) for language in LANGUAGES]
        lines.append(f"{item},g{item // 3},{('fit', 'select', 'test')[item // 30]}," + ",".join(texts))
    path = tmp_path_factory.mktemp("corpus") / "words.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def experiment(tiny_model: Path, word_corpus: Path) -> Callable[..., dict[str, Any]]:
    """A spec with every method, one control seed each; keyword arguments replace fields."""

    def source(split: str) -> dict[str, Any]:
        return {"name": "words", "path": str(word_corpus), "layout": "wide", "split": split}

    def make(**fields: Any) -> dict[str, Any]:
        return {
            "name": "tiny",
            "models": {"path": str(tiny_model), "name": "tiny-bloom"},
            "corpora": {role: source(role) for role in ("fit", "select", "test")},
            "languages": ["eng_Latn", "deu_Latn", "fra_Latn"],
            "targets": ["eng_Latn"],
            "interventions": [
                "none",
                "centring",
                "centring_transductive",
                {"method": "experts", "k": [4, 12], "controls": ["profile x2", "shift x2", "wrong_language"]},
                {"method": "union", "k": 3, "controls": ["uniform x1"]},
            ],
            "choose": {"metric": "top1"},
            "statistics": {"resamples": 200},
            **fields,
        }

    return make
