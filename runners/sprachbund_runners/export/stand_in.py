"""A Llama that computes what a Mistral or a Qwen 2 does, for shifts that these have no bias to hold.

The three differ in which biases exist (Qwen 2 has those of query, key and value) and in sliding windows; a Llama with
`attention_bias` holds the former, the latter has no counterpart.
"""

import inspect

import torch
import transformers
from torch import nn
from transformers import LlamaConfig, PreTrainedModel

# Model type → how its classes are called, and whether query, key and value have biases.
_KIN = {"mistral": ("Mistral", False), "qwen2": ("Qwen2", True)}


def llama_of(model: PreTrainedModel) -> PreTrainedModel | None:
    """The same computation as a Llama, sharing `model`'s tensors; None where there is none.

    There is none for other model types, for sliding windows shorter than the longest input, and for a head that Llama
    does not have. Whether both give the same numbers is for the caller to compare.
    """
    kin = _KIN.get(model.config.model_type)
    if kin is None or _slides(model):
        return None
    prefix, biased = kin
    made = getattr(transformers, type(model).__name__.replace(prefix, "Llama"), None)
    if made is None or made is type(model):
        return None
    fields = set(inspect.signature(LlamaConfig.__init__).parameters) - {"self", "kwargs"}
    content = {name: value for name, value in model.config.to_dict().items() if name in fields}
    config = LlamaConfig(**{**content, "attention_bias": biased, "mlp_bias": False})
    config._attn_implementation = model.config._attn_implementation
    with torch.device("meta"):
        twin: PreTrainedModel = made(config)
    state = model.state_dict()
    for name, parameter in twin.state_dict().items():
        if name not in state and name.endswith("o_proj.bias"):
            # Llama's option adds this one too.
            state[name] = torch.zeros(parameter.shape, dtype=model.dtype, device=model.device)
    if state.keys() != twin.state_dict().keys():
        return None
    twin.load_state_dict(state, assign=True)
    _take_buffers(twin, model)
    twin.tie_weights()
    return twin.requires_grad_(False).eval()


def _slides(model: PreTrainedModel) -> bool:
    config = model.config
    if "sliding_attention" in (getattr(config, "layer_types", None) or ()):
        return True
    window = getattr(config, "sliding_window", None)
    used = getattr(config, "use_sliding_window", True)
    return bool(used and window is not None and window < config.max_position_embeddings)


def _take_buffers(twin: PreTrainedModel, model: PreTrainedModel) -> None:
    """Rotary frequencies and the like, which no checkpoint holds."""
    theirs = dict(model.named_buffers())
    for name, buffer in list(twin.named_buffers()):
        if buffer.is_meta:
            path, _, leaf = name.rpartition(".")
            module: nn.Module = twin.get_submodule(path)
            module.register_buffer(leaf, theirs[name].clone(), persistent=False)
