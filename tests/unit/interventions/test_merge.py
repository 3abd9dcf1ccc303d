"""Merged weights against hooks: the same model, written to a folder, loaded plainly."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from transformers import AutoConfig, AutoModel, PreTrainedModel

from sprachbund.errors import ModelError
from sprachbund.models.architectures import describe
from sprachbund_runners.export.merge import Merged, merge
from sprachbund_runners.interventions.edits import UnitAffine
from sprachbund_runners.interventions.low_rank import Edit, LowRank
from sprachbund_runners.models.loading import LoadedModel
from sprachbund_runners.models.steering import steering
from support.edits import interpolate, scale, set_to, shift

VOCABULARY, N_BLOCKS = 44, 3
_IDS = {"vocab_size": VOCABULARY, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
_PLAIN = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": N_BLOCKS, "num_attention_heads": 2, **_IDS}
_ROPE = {**_PLAIN, "num_key_value_heads": 1, "max_position_embeddings": 32}
_CAUSAL, _MASKED = "AutoModelForCausalLM", "AutoModelForMaskedLM"
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "bloom": (_CAUSAL, {"hidden_size": 16, "n_layer": N_BLOCKS, "n_head": 2, **_IDS}),
    "gpt2": (_CAUSAL, {"n_embd": 16, "n_inner": 24, "n_layer": N_BLOCKS, "n_head": 2, "n_positions": 32, **_IDS}),
    "cohere": (_CAUSAL, _ROPE),
    "cohere2": (_CAUSAL, {**_ROPE, "sliding_window": 4}),
    "llama": (_CAUSAL, _ROPE),
    "granite": (_CAUSAL, {**_ROPE, "residual_multiplier": 0.5}),
    "mistral": (_CAUSAL, _ROPE),
    "qwen2": (_CAUSAL, _ROPE),
    "gemma2": (_CAUSAL, {**_ROPE, "head_dim": 8, "sliding_window": 4}),
    "xlm-roberta": (_MASKED, {**_PLAIN, "max_position_embeddings": 33}),
    "bert": (_MASKED, {**_PLAIN, "max_position_embeddings": 32}),
}
LINEAR_SITES = ("mlp.up", "mlp.gate", "mlp.hidden", "mlp.down", "attn.out")
# Where a shift finds a bias; everywhere for those not listed.
SHIFTABLE = {
    "cohere": {"mlp.hidden", "mlp.down", "attn.out"},
    "cohere2": {"mlp.hidden", "mlp.down", "attn.out"},
    "gemma2": {"attn.out"},
    "mistral": set(),
    "qwen2": set(),
}
Outputs = tuple[torch.Tensor, torch.Tensor]


def build(model_type: str, **changes: Any) -> PreTrainedModel:
    """A seeded random model with its head; biases and norms are random too."""
    head, fields = MODELS[model_type]
    torch.manual_seed(20)
    config = AutoConfig.for_model(model_type, **{**fields, **changes})
    model: PreTrainedModel = getattr(transformers, head).from_config(config, attn_implementation="eager")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model.requires_grad_(False).eval()


def loaded(model: PreTrainedModel) -> LoadedModel:
    nothing: Any = None
    architecture = describe(model.config.to_dict())
    return LoadedModel(model, nothing, architecture, "", model.device, model.dtype, "eager", 0, "", None)


def outputs(model: PreTrainedModel) -> Outputs:
    """Last hidden state and logits on three sequences, one of them padded."""
    ids = torch.randint(3, VOCABULARY, (3, 9), generator=torch.Generator().manual_seed(5))
    mask = torch.ones_like(ids)
    ids[2, 6:], mask[2, 6:] = 0, 0
    with torch.inference_mode():
        found = model(input_ids=ids, attention_mask=mask)
        states = model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state
    return states[mask.bool()], found.logits[mask.bool()]


def reloaded(model: PreTrainedModel, folder: Path) -> Outputs:
    """What plain transformers computes from the written folder: AutoModel's states, the head's logits."""
    model.save_pretrained(folder)
    head = MODELS[model.config.model_type][0]
    full, report = getattr(transformers, head).from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    base = AutoModel.from_pretrained(folder)
    states, logits = outputs(full)
    assert torch.equal(outputs(_with_base(full, base))[0], states)
    return states, logits


def _with_base(full: PreTrainedModel, base: PreTrainedModel) -> PreTrainedModel:
    setattr(full, full.base_model_prefix, base)
    return full


def check(model: PreTrainedModel, edits: Sequence[Edit], folder: Path) -> Merged:
    """Merging changes the outputs, exactly as hooks do."""
    plain = outputs(model)
    with steering(loaded(model), edits):
        wanted = outputs(model)
    merged = merge(model, loaded(model).architecture, edits)
    for got, hooked, unedited in zip(reloaded(model, folder), wanted, plain, strict=True):
        assert (hooked - unedited).abs().max() > 1e-3, "the edit did nothing: nothing was compared"
        torch.testing.assert_close(got, hooked, atol=1e-5, rtol=1e-5)
    return merged


def mixed(site: str, block: int, width: int, seed: int) -> list[UnitAffine]:
    """Every kind of edit at one site."""
    drawn = np.random.default_rng(seed)
    units = drawn.permutation(width)[:8].reshape(4, 2)
    values = drawn.normal(size=(4, 2))
    return [
        set_to(site, block, units[0], values[0]),
        scale(site, block, units[1], values[1]),
        shift(site, block, units[2], values[2]),
        interpolate(site, block, units[3], values[3], 0.3),
    ]


def unshifted(site: str, block: int, width: int) -> list[UnitAffine]:
    return [set_to(site, block, range(6), 0.0), scale(site, block, range(6, width), 0.5)]  # type: ignore[arg-type]


def low_rank(site: str, block: int, width: int, seed: int, rank: int = 2, shifts: bool = True) -> LowRank:
    """A random oblique map, with a shift or without."""
    drawn = np.random.default_rng(seed)
    u, v = drawn.normal(size=(2, width, rank)) / np.sqrt(width)
    return LowRank(site, block, u, v, drawn.normal(size=width) * shifts)


def projection(site: str, block: int, width: int, seed: int) -> LowRank:
    """What erasing two directions about a mean gives."""
    drawn = np.random.default_rng(seed)
    basis = np.linalg.qr(drawn.normal(size=(width, 2)))[0]
    return LowRank(site, block, -basis, basis, basis @ (basis.T @ drawn.normal(size=width)))


CASES = [
    pytest.param(model_type, site, id=f"{model_type} {site}")
    for model_type in MODELS
    for site in LINEAR_SITES
    if site != "mlp.gate" or model_type not in ("bloom", "gpt2", "bert", "xlm-roberta")
]


@pytest.mark.parametrize(("model_type", "site"), CASES)
def test_one_site_equals_hooks_or_says_what_is_missing(model_type: str, site: str, tmp_path: Path) -> None:
    model = build(model_type)
    width = loaded(model).architecture.site(site).width
    edits = mixed(site, 2, width, 1)
    if site in SHIFTABLE.get(model_type, LINEAR_SITES):
        check(model, edits, tmp_path)
        return
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ModelError, match=rf"{site} in block 2 .* '{model_type}' has no bias .* b = 0"):
        merge(model, loaded(model).architecture, edits)
    assert {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])} == set()
    assert model.state_dict().keys() == before.keys()
    # What needs no bias is merged all the same.
    assert check(model, unshifted(site, 2, width), tmp_path) == Merged(rounding=0.0)


@pytest.mark.parametrize(("model_type", "site"), CASES)
def test_directions_at_one_site_equal_hooks_or_say_what_is_missing(model_type: str, site: str, tmp_path: Path) -> None:
    model = build(model_type)
    width = loaded(model).architecture.site(site).width
    edits = [low_rank(site, 2, width, 1), projection(site, 1, width, 2), low_rank(site, 3, width, 3, rank=0)]
    if site in SHIFTABLE.get(model_type, LINEAR_SITES):
        check(model, edits, tmp_path)
        return
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(
        ModelError, match=rf"{site} in block . .* '{model_type}' has no bias .* directions\) need hooks"
    ):
        merge(model, loaded(model).architecture, edits)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    # Without a shift no bias is needed.
    unshifted_maps = [low_rank(site, block, width, block, shifts=False) for block in (1, 3)]
    assert check(model, unshifted_maps, tmp_path).options == ()


@pytest.mark.parametrize("model_type", MODELS)
def test_shifts_of_the_residual_stream_equal_hooks_or_are_refused(model_type: str, tmp_path: Path) -> None:
    model = build(model_type)
    edits: list[Edit] = [low_rank("block", 2, 16, 1, rank=0), shift("block", 2, [3, 1], [0.5, -1.0])]
    reason = {
        **dict.fromkeys(("granite", "gemma2", "xlm-roberta", "bert"), "does not add the MLP's output"),
        **dict.fromkeys(("mistral", "qwen2"), "edit of block in block 2 .* has no bias there"),
    }.get(model_type)
    if reason is not None:
        with pytest.raises(ModelError, match=reason):
            merge(model, loaded(model).architecture, edits)
        return
    # They act after whatever happens inside the block.
    inside = [*unshifted("mlp.down", 2, 16), low_rank("mlp.down", 2, 16, 5, shifts=False)]
    merged = check(model, [*edits, *inside], tmp_path)
    assert merged.moved == ((2,) if model_type in ("cohere", "cohere2") else ())


@pytest.mark.parametrize("model_type", MODELS)
def test_directions_after_units_at_all_sites_equal_hooks(model_type: str, tmp_path: Path) -> None:
    """Input and output of one module, units and several directions, in the order of the hooks."""
    model = build(model_type)
    edits: list[Edit] = []
    for number, site in enumerate(site for site in loaded(model).architecture.sites if site.name != "block"):
        shifts = site.name in SHIFTABLE.get(model_type, LINEAR_SITES)
        # Directions come first in the list, and act last.
        edits += [low_rank(site.name, 2, site.width, 10 * number + each, shifts=shifts) for each in range(2)]
        edits += mixed(site.name, 2, site.width, number) if shifts else unshifted(site.name, 2, site.width)
    merged = check(model, edits, tmp_path)
    assert merged.moved == ((2,) if model_type in ("cohere", "cohere2") else ())


@pytest.mark.parametrize("model_type", MODELS)
def test_all_sites_and_blocks_together_equal_hooks(model_type: str, tmp_path: Path) -> None:
    model = build(model_type)
    sites = [site for site in loaded(model).architecture.sites if site.name != "block"]
    edits = []
    for block in (1, 3):
        for number, site in enumerate(sites):
            shifts = site.name in SHIFTABLE.get(model_type, LINEAR_SITES)
            edits += mixed(site.name, block, site.width, number) if shifts else unshifted(site.name, block, site.width)
    merged = check(model, edits, tmp_path)
    options = {
        "llama": ("mlp_bias", "attention_bias"),
        "granite": ("mlp_bias", "attention_bias"),
        **dict.fromkeys(("cohere", "cohere2", "gemma2"), ("attention_bias",)),
    }
    assert set(merged.options) == set(options.get(model_type, ()))
    assert merged.moved == ((1, 3) if model_type in ("cohere", "cohere2") else ())
    saved = AutoConfig.from_pretrained(tmp_path)
    assert all(getattr(saved, option) is True for option in merged.options)


def test_only_edited_modules_change_and_options_add_zeros() -> None:
    model = build("llama")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    merge(model, loaded(model).architecture, [set_to("mlp.up", 2, [3, 1], [0.5, -1.0])])
    after = model.state_dict()
    assert {name for name in before if not torch.equal(before[name], after[name])} == {
        "model.layers.1.mlp.up_proj.weight"
    }
    added = {name for name in after if name not in before}
    assert len(added) == 3 * N_BLOCKS
    assert all(".mlp." in name for name in added)
    assert {name for name in added if after[name].any()} == {"model.layers.1.mlp.up_proj.bias"}
    assert after["model.layers.1.mlp.up_proj.bias"][[1, 3]].tolist() == [-1.0, 0.5]
    assert after["model.layers.1.mlp.up_proj.weight"][[1, 3]].abs().max() == 0


def test_a_bias_that_is_there_needs_no_option(tmp_path: Path) -> None:
    model = build("llama", mlp_bias=True, attention_bias=True)
    assert check(model, mixed("mlp.hidden", 1, 24, 3), tmp_path).options == ()


def test_tied_heads_stay_tied(tmp_path: Path) -> None:
    model = build("bloom")
    assert model.config.tie_word_embeddings
    check(model, mixed("mlp.up", 1, 64, 3), tmp_path)
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    assert again.lm_head.weight is again.transformer.word_embeddings.weight


def test_identities_and_no_edits_change_and_demand_nothing() -> None:
    model = build("qwen2")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    still = np.zeros(16)
    edits: list[Edit] = [
        scale("mlp.up", 1, [1, 2], 1.0),
        shift("block", 1, [1], 0.0),
        scale("mlp.down", 2, [0], 1.0, "last"),
        LowRank("block", 1, np.zeros((16, 1)), np.ones((16, 1)), still),
        LowRank("attn.out", 2, np.zeros((16, 0)), np.zeros((16, 0)), still, "last"),
    ]
    for nothing in ([], edits):
        assert merge(model, loaded(model).architecture, nothing) == Merged()
        assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


REFUSED: dict[str, tuple[Edit, str]] = {
    "direction at last": (LowRank("attn.out", 1, *np.ones((2, 16, 1)), np.ones(16), "last"), "last tokens only"),
    "direction in block": (LowRank("block", 1, *np.ones((2, 16, 1)), np.ones(16)), "residual stream"),
    "width": (LowRank("mlp.up", 1, *np.ones((2, 16, 1)), np.ones(16)), "directions have 16 coordinates"),
    "last": (set_to("mlp.up", 1, [0], 1.0, "last"), "last tokens only"),
    "content": (set_to("mlp.up", 1, [0], 1.0, "content"), "content tokens only"),
    "bounded": (UnitAffine("mlp.up", 1, np.array([0]), *np.float32([[0], [1], [0], [1]])), "inside bounds"),
    "block": (scale("block", 1, [0], 0.5), "residual stream"),
    "unit": (shift("mlp.up", 1, [64], 1.0), "unit 64 does not exist"),
    "number": (shift("mlp.up", 4, [6], 1.0), "block 4 does not exist"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line(name: str) -> None:
    edit, reason = REFUSED[name]
    model = build("bloom")
    with pytest.raises(ModelError, match=reason) as error:
        merge(model, loaded(model).architecture, [scale("mlp.up", 2, [1], 0.5), edit])
    assert "\n" not in str(error.value)
    assert torch.equal(outputs(model)[0], outputs(build("bloom"))[0])


def test_shared_and_other_modules_are_refused() -> None:
    model = build("bloom")
    model.transformer.h[1].mlp.dense_h_to_4h.weight = model.transformer.h[0].mlp.dense_h_to_4h.weight
    with pytest.raises(ModelError, match="shares them with another"):
        merge(model, loaded(model).architecture, [scale("mlp.up", 1, [1], 0.5)])
    declared = {"blocks": "h.{i}", "sites": {"mlp.up": {"path": "h.{i}.mlp", "width": 16}}}
    architecture = describe(model.config.to_dict(), declared)
    with pytest.raises(ModelError, match=r"'h\.1\.mlp' cannot be merged .*BloomMLP is not linear"):
        merge(model, architecture, [scale("mlp.up", 2, [1], 0.5)])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_are_rounded_once(dtype: torch.dtype, half: Callable[[torch.dtype], PreTrainedModel]) -> None:
    model = half(dtype)
    module = model.transformer.h[0].mlp.dense_4h_to_h
    weight, bias = module.weight.double(), module.bias.double()
    edits = [*mixed("mlp.hidden", 1, 64, 1), *mixed("mlp.down", 1, 16, 2)]
    a_in, b_in, a_out, b_out = np.ones(64), np.zeros(64), np.ones(16), np.zeros(16)
    for edit in edits:
        a, b = (a_in, b_in) if edit.site == "mlp.hidden" else (a_out, b_out)
        a[edit.unit], b[edit.unit] = edit.a, edit.b
    exact = torch.from_numpy(a_out[:, None] * weight.numpy() * a_in[None, :])
    exact_bias = torch.from_numpy(a_out * (bias.numpy() + weight.numpy() @ b_in) + b_out)
    merged = merge(model, loaded(model).architecture, edits)
    assert torch.equal(module.weight, exact.to(dtype))
    torch.testing.assert_close(
        module.bias.double(), exact_bias.to(dtype).double(), atol=1e-3, rtol=torch.finfo(dtype).eps
    )
    stored = torch.cat([module.weight.double().flatten(), module.bias.double()])
    worst = (stored - torch.cat([exact.flatten(), exact_bias])).abs().max()
    assert merged.rounding == pytest.approx(float(worst), rel=1e-6)
    assert merged.rounding > 0


@pytest.fixture
def half() -> Callable[[torch.dtype], PreTrainedModel]:
    return lambda dtype: build("bloom").to(dtype)


def test_values_beyond_the_type_are_refused(half: Callable[[torch.dtype], PreTrainedModel]) -> None:
    model = half(torch.float16)
    with pytest.raises(ModelError, match=r"float16 cannot hold; .*--dtype float32"):
        merge(model, loaded(model).architecture, [shift("mlp.up", 1, [3], 1e5)])
