"""A Llama in place of a Mistral or a Qwen 2: the same numbers, with room for shifts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from sprachbund.models.architectures import describe
from sprachbund_runners.export.merge import NoBiasError, merge
from sprachbund_runners.export.stand_in import llama_of
from sprachbund_runners.interventions.edits import UnitAffine
from sprachbund_runners.models.loading import LoadedModel
from sprachbund_runners.models.steering import steering
from support.edits import set_to, shift

FIELDS: dict[str, Any] = {
    "vocab_size": 44, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2,
    "num_key_value_heads": 1, "max_position_embeddings": 32, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip


def build(model_type: str, **changes: Any) -> PreTrainedModel:
    torch.manual_seed(3)
    # Mistral slides over 4,096 tokens by default: longer than these models read.
    config = AutoConfig.for_model(model_type, **{**FIELDS, **changes})
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model.requires_grad_(False).eval()


def logits(model: PreTrainedModel) -> torch.Tensor:
    ids = torch.randint(3, 44, (3, 20), generator=torch.Generator().manual_seed(5))
    with torch.inference_mode():
        found: torch.Tensor = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    return found


def loaded(model: PreTrainedModel) -> LoadedModel:
    nothing: Any = None
    architecture = describe(model.config.to_dict())
    return LoadedModel(model, nothing, architecture, "", model.device, model.dtype, "eager", 0, "", None)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("model_type", ["mistral", "qwen2"])
def test_the_stand_in_computes_the_same(model_type: str, tied: bool) -> None:
    model = build(model_type, tie_word_embeddings=tied, rope_theta=5000.0)
    twin = llama_of(model)
    assert twin is not None
    assert type(twin).__name__ == "LlamaForCausalLM"
    torch.testing.assert_close(logits(twin), logits(model), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("model_type", ["mistral", "qwen2"])
def test_shifts_merge_into_it_and_load_plainly(model_type: str, tmp_path: Path) -> None:
    model = build(model_type)
    edits = [
        set_to("mlp.up", 1, [2, 5], [0.7, -0.4]),
        shift("mlp.down", 2, np.arange(16), np.linspace(-0.5, 0.5, 16)),
        UnitAffine("attn.out", 3, np.array([1]), np.float32([0.5]), np.float32([0.3])),
    ]
    with steering(loaded(model), edits):
        expected = logits(model)
    with pytest.raises(NoBiasError):
        merge(model, loaded(model).architecture, edits)
    twin = llama_of(model)
    assert twin is not None
    assert merge(twin, describe(twin.config.to_dict()), edits).options
    twin.save_pretrained(tmp_path)
    written = AutoModelForCausalLM.from_pretrained(tmp_path, attn_implementation="eager").eval()
    assert written.config.model_type == "llama"
    torch.testing.assert_close(logits(written), expected, rtol=1e-5, atol=1e-5)


def test_what_llama_cannot_do_has_no_stand_in() -> None:
    assert llama_of(build("mistral", sliding_window=4)) is None
    sliding = build("qwen2", use_sliding_window=True, sliding_window=4, max_window_layers=0)
    assert llama_of(sliding) is None
    assert llama_of(build("llama")) is None
    assert llama_of(build("olmo2")) is None
