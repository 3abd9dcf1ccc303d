"""Saving a trained model as a folder that transformers loads."""

from pathlib import Path

import torch
from transformers import BloomConfig, BloomForCausalLM, PreTrainedTokenizerFast

from sprachbund_runners.pretraining.bloom import Bloom
from sprachbund_runners.pretraining.tokenizer import BEGIN, END, PADDING


def as_transformers(model: Bloom) -> BloomForCausalLM:
    """The same model as transformers' class, float32, its own copy of the parameters."""
    config = BloomConfig(
        vocab_size=model.shape.vocabulary,
        hidden_size=model.shape.width,
        n_layer=model.shape.blocks,
        n_head=model.shape.heads,
        hidden_dropout=0.0,
        attention_dropout=0.0,
        bos_token_id=BEGIN,
        eos_token_id=END,
        pad_token_id=PADDING,
        tie_word_embeddings=True,
    )
    twin = BloomForCausalLM(config)
    loaded = twin.load_state_dict(model.state_dict(), strict=False)
    if loaded.unexpected_keys or set(loaded.missing_keys) - {"lm_head.weight"}:
        raise ValueError(f"parameter names differ from transformers': {loaded}")
    twin.tie_weights()
    return twin.eval()


def save(model: Bloom, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Writes config, float16 weights (safetensors) and tokenizer into `folder`."""
    as_transformers(model).to(torch.float16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
