import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel

from sprachbund.errors import ModelError
from sprachbund.models.architectures import KNOWN, describe
from sprachbund.models.fingerprints import fingerprint
from sprachbund_runners.models.embed import embed
from sprachbund_runners.models.loading import LoadedModel, load, verify


@pytest.fixture
def copy(tmp_path: Path, model_folder: Callable[[str], Path]) -> Callable[[str], Path]:
    def make(family: str) -> Path:
        return Path(shutil.copytree(model_folder(family), tmp_path / family))

    return make


def test_a_loaded_model_is_ready_to_be_read(loaded: LoadedModel) -> None:
    assert not loaded.model.training
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())
    assert "lm_head" not in dict(loaded.model.named_children())
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.float32}
    assert loaded.fingerprint.startswith("sha256:")
    assert loaded.max_length == {"bloom": None, "xlm-roberta": 32}.get(loaded.architecture.model_type, 32)


def test_loaded_weights_are_those_of_the_folder(
    load_family: Callable[[str], LoadedModel], copy: Callable[[str], Path]
) -> None:
    saved = load_file(copy("llama") / "model.safetensors")
    weight = load_family("llama").model.get_submodule("layers.1.mlp.up_proj").weight
    assert torch.equal(weight, saved["model.layers.1.mlp.up_proj.weight"])


def test_bloom_is_eager_and_refuses_sdpa(bloom: LoadedModel, model_folder: Callable[[str], Path]) -> None:
    assert bloom.attention == "eager"
    with pytest.raises(ModelError, match=r"attention 'sdpa' is not available for model type 'bloom'; available: eager"):
        load(model_folder("bloom"), attention="sdpa")


def test_eager_and_sdpa_agree(model_folder: Callable[[str], Path], texts: list[str]) -> None:
    vectors = [
        embed(load(model_folder("qwen2"), attention=kind), texts, ["final"])["final"] for kind in ("eager", "sdpa")
    ]
    torch.testing.assert_close(*map(torch.from_numpy, vectors), rtol=1e-4, atol=1e-5)


def test_padding_falls_to_the_end_of_sequence_and_says_so(copy: Callable[[str], Path]) -> None:
    folder = copy("gpt2")
    config = json.loads((folder / "config.json").read_text())
    del config["pad_token_id"]
    (folder / "config.json").write_text(json.dumps(config))
    loaded = load(folder)
    assert (loaded.pad_id, loaded.pad_source) == (2, "end of sequence")


def test_a_model_without_any_padding_id_is_refused(copy: Callable[[str], Path]) -> None:
    folder = copy("gpt2")
    for name, fields in (("config.json", ("pad_token_id",)), ("tokenizer_config.json", ("eos_token", "pad_token"))):
        content = json.loads((folder / name).read_text())
        content = {field: value for field, value in content.items() if field not in fields}
        (folder / name).write_text(json.dumps(content))
    with pytest.raises(ModelError, match=r"model type 'gpt2' has no usable padding id"):
        load(folder)


def test_a_config_that_does_not_fit_is_one_line(copy: Callable[[str], Path]) -> None:
    folder = copy("xlm-roberta")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"pad_token_id": 4000}))
    with pytest.raises(ModelError, match=r"cannot be loaded: Padding_idx must be within num_embeddings"):
        load(folder)


def test_bfloat16(model_folder: Callable[[str], Path], texts: list[str]) -> None:
    loaded = load(model_folder("llama"), dtype="bfloat16")
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.bfloat16}
    assert embed(loaded, texts, ["2"])["2"].dtype == "float32"


def test_a_missing_folder_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "bible-bloom").mkdir()
    with pytest.raises(ModelError, match=r"does not exist; did you mean 'bible-bloom'"):
        load(tmp_path / "bible-blom")


def test_a_hub_id_that_is_not_cached_says_how_to_fetch_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub.errors import OfflineModeIsEnabled

    def offline(*_: object, **__: object) -> str:
        raise OfflineModeIsEnabled("Cannot reach the Hub: offline mode is enabled.")

    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(ModelError, match=r"fetch it with: hf download owner/none --revision v2.*offline mode"):
        load("owner/none", revision="v2")


def test_pickled_weights_are_refused(copy: Callable[[str], Path]) -> None:
    folder = copy("bert")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"only pickled weights \(pytorch_model.bin\)"):
        load(folder)


def test_damaged_weights_are_one_line(copy: Callable[[str], Path]) -> None:
    folder = copy("bert")
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:1000])
    with pytest.raises(ModelError, match=r"cannot be loaded") as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_weights_that_do_not_fill_the_model_are_refused(copy: Callable[[str], Path]) -> None:
    folder = copy("qwen2")
    tensors = load_file(folder / "model.safetensors")
    del tensors["layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lack 1 tensors of the model, first 'layers.1.mlp.up_proj.weight'"):
        load(folder)


def test_an_unknown_architecture_lists_its_modules(model_folder: Callable[[str], Path]) -> None:
    with pytest.raises(ModelError, match=r"model type 'gpt_neox' is not known.*layers\.\{i\}\.mlp\.dense_h_to_4h"):
        load(model_folder("gpt_neox"))


def test_an_unknown_architecture_can_be_declared(model_folder: Callable[[str], Path], texts: list[str]) -> None:
    declared = {
        "blocks": "layers.{i}",
        "sites": {"mlp.up": "layers.{i}.mlp.dense_h_to_4h", "mlp.down": "layers.{i}.mlp.dense_4h_to_h"},
    }
    loaded = load(model_folder("gpt_neox"), declared=declared)
    assert loaded.architecture.site_names == ("mlp.up", "mlp.hidden", "mlp.down", "block")
    assert loaded.architecture.n_units(["mlp.up", "mlp.down"]) == 3 * (24 + 16)
    assert embed(loaded, texts, ["final"])["final"].shape == (len(texts), 16)


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"blocks": "layer.{i}"}, "no module 'layer.0'; did you mean 'layers.0'"),
        ({"blocks": "layers.{i}", "n_blocks": 2}, "more than the 2 blocks"),
        (
            {"blocks": "layers.{i}", "sites": {"mlp.up": {"path": "layers.{i}.mlp.dense_h_to_4h", "width": 25}}},
            "site mlp.up in block 1 is 25 wide by its description, but module 'layers.0.mlp.dense_h_to_4h' has 24",
        ),
    ],
)
def test_a_wrong_declaration_is_refused(
    model_folder: Callable[[str], Path], declared: dict[str, object], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        load(model_folder("gpt_neox"), declared=declared)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float23"}, "dtype 'float23' is not known; .*did you mean 'float32'"),
        ({"device": "quantum"}, "cannot be put on device 'quantum'"),
        ({"attention": "flash"}, "attention 'flash' is not available"),
        ({"revision": "main"}, "is a folder: 'revision'"),
    ],
)
def test_unknown_options_are_refused(
    model_folder: Callable[[str], Path], options: dict[str, str], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        load(model_folder("llama"), **options)  # type: ignore[arg-type]


def test_the_fingerprint_is_of_the_contents(copy: Callable[[str], Path], model_folder: Callable[[str], Path]) -> None:
    folder = copy("llama")
    assert fingerprint(folder) == fingerprint(model_folder("llama")) == load(folder).fingerprint


@pytest.mark.parametrize("model_type", sorted(KNOWN))
def test_every_known_model_type_is_described_as_transformers_builds_it(model_type: str) -> None:
    small = {"vocab_size": 20, "pad_token_id": 0, "max_position_embeddings": 16}
    wide = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    if model_type == "gpt2":
        wide = {"n_embd": 16, "n_inner": 24, "n_layer": 2, "n_head": 2}
    elif model_type == "bloom":
        wide = {"hidden_size": 16, "n_layer": 2, "n_head": 2}
    elif model_type not in ("bert", "roberta", "camembert", "xlm-roberta"):
        wide |= {"num_key_value_heads": 1, "head_dim": 8}
    config = AutoConfig.for_model(model_type, **small, **wide)
    architecture = describe(json.loads(config.to_json_string(use_diff=False)))
    for attention in architecture.attention:
        model = AutoModel.from_config(config, attn_implementation=attention)
        verify(model, architecture)
    if "sdpa" not in architecture.attention:
        with pytest.raises(ValueError, match=r"scaled_dot_product_attention"):
            AutoModel.from_config(config, attn_implementation="sdpa")
