import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprachbund.errors import ModelError
from sprachbund.models.architectures import UnitBlock, describe, read_config, split_flat
from sprachbund.vocabulary import SITES, layer_order

BLOOM = {"model_type": "bloom", "n_layer": 2, "hidden_size": 8}
LLAMA = {"model_type": "llama", "num_hidden_layers": 3, "hidden_size": 8, "intermediate_size": 20}
GPT2 = {"model_type": "gpt2", "n_layer": 2, "n_embd": 8, "n_positions": 32}
XLMR = {
    "model_type": "xlm-roberta",
    "num_hidden_layers": 2,
    "hidden_size": 8,
    "intermediate_size": 20,
    "max_position_embeddings": 514,
    "pad_token_id": 1,
}


def test_bloom() -> None:
    bloom = describe(BLOOM)
    assert (bloom.n_blocks, bloom.hidden_size, bloom.attention) == (2, 8, ("eager",))
    assert bloom.site_names == ("mlp.up", "mlp.hidden", "mlp.down", "attn.out", "block")
    assert bloom.site("mlp.up").module(2) == "h.1.mlp.dense_h_to_4h"
    assert (bloom.site("mlp.hidden").module(1), bloom.site("mlp.hidden").of_input) == ("h.0.mlp.dense_4h_to_h", True)
    assert [site.width for site in bloom.sites] == [32, 32, 8, 8, 8]
    assert bloom.layers == ("0", "1", "2", "final")
    assert bloom.max_positions is None
    assert describe({"model_type": "bloom", "n_layer": 1, "n_embed": 16, "hidden_size": 64}).hidden_size == 16


def test_the_others() -> None:
    llama = describe(LLAMA)
    assert llama.site_names == SITES
    assert llama.site("mlp.gate").module(3) == "layers.2.mlp.gate_proj"
    gpt2 = describe(GPT2)
    assert (gpt2.site("mlp.up").width, gpt2.max_positions) == (32, 32)
    assert describe(GPT2 | {"n_inner": 20}).site("mlp.hidden").width == 20
    xlmr = describe(XLMR)
    assert (xlmr.max_positions, xlmr.pads_by_id) == (512, True)
    assert xlmr.site("attn.out").module(1) == "encoder.layer.0.attention.output.dense"


def test_the_flat_unit_axis() -> None:
    """Blocks 1 … L, inside a block the sites in their order, whatever the order they are asked in."""
    llama = describe(LLAMA)
    assert llama.units(["mlp.down", "mlp.up", "mlp.down"], [3, 1]) == [
        UnitBlock(1, "mlp.up", 20, 0),
        UnitBlock(1, "mlp.down", 8, 20),
        UnitBlock(3, "mlp.up", 20, 28),
        UnitBlock(3, "mlp.down", 8, 48),
    ]
    assert llama.n_units(["mlp.up", "mlp.down"]) == 84


@given(st.lists(st.sampled_from(SITES), min_size=1), st.lists(st.integers(0, 100), max_size=30))
def test_flat_positions_split_into_block_site_and_unit(sites: list[str], positions: list[int]) -> None:
    units = describe(LLAMA).units(sites)
    slow = [(index, unit) for index, part in enumerate(units) for unit in range(part.width)]
    inside = np.array([position % len(slow) for position in positions], dtype=np.int64)
    part, unit = split_flat(units, inside)
    assert list(zip(part.tolist(), unit.tolist(), strict=True)) == [slow[position] for position in inside]
    with pytest.raises(ModelError, match=rf"unit {len(slow)} lies outside"):
        split_flat(units, np.array([0, len(slow)]))


def test_layers_are_sorted_by_number() -> None:
    assert sorted(["final", "10", "2", "0"], key=layer_order) == ["0", "2", "10", "final"]
    assert describe(LLAMA).check_layers(["final", "2", "2"]) == ("2", "final")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "no 'model_type'"),
        (
            {"model_type": "lama"},
            r"model type 'lama' is not known; did you mean 'llama'.*known: bert, bloom, .*architecture: \{blocks",
        ),
        ({"model_type": "llama", "hidden_size": 8, "intermediate_size": 9}, "does not tell the number of blocks"),
        (LLAMA | {"hidden_size": "8"}, "'hidden_size' is '8', expected a positive whole number"),
        (LLAMA | {"intermediate_size": None}, "does not tell the MLP width: expected one of intermediate_size"),
        ({k: v for k, v in GPT2.items() if k != "n_positions"}, "number of positions"),
    ],
)
def test_configs_that_do_not_say_enough(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        describe(config)


def test_unknown_sites_layers_and_blocks() -> None:
    bloom = describe(BLOOM)
    with pytest.raises(
        ModelError,
        match=r"'mlp.gate' does not exist in model type 'bloom' \(its MLP has no gate\); available: mlp.up, mlp.hidden",
    ):
        bloom.units(["mlp.gate"])
    with pytest.raises(ModelError, match=r"did you mean 'mlp.down'"):
        bloom.site("mlp.don")
    with pytest.raises(ModelError, match=r"no site requested"):
        bloom.units([])
    with pytest.raises(ModelError, match=r"layer '3' does not exist in model type 'bloom' with 2 blocks"):
        bloom.check_layers(["3"])
    with pytest.raises(ModelError, match=r"did you mean 'final'"):
        bloom.check_layers(["finale"])
    with pytest.raises(ModelError, match=r"no layer requested"):
        bloom.check_layers([])
    with pytest.raises(ModelError, match=r"block 0 does not exist.*blocks are 1 … 2"):
        bloom.units(["block"], [0])


def test_a_declared_architecture() -> None:
    config = {"model_type": "novel", "num_layers": 4, "d_model": 8, "ffn_dim": 20}
    declared = {
        "blocks": "decoder.{i}",
        "sites": {
            "mlp.up": "decoder.{i}.fc1",
            "mlp.down": "decoder.{i}.fc2",
            "attn.out": {"path": "decoder.{i}.o", "width": 12},
        },
    }
    novel = describe(config, declared)
    assert (novel.family, novel.n_blocks) == ("declared", 4)
    assert {site.name: site.width for site in novel.sites} == {
        "mlp.up": 20,
        "mlp.hidden": 20,
        "mlp.down": 8,
        "attn.out": 12,
        "block": 8,
    }
    hidden = novel.site("mlp.hidden")
    assert (hidden.module(4), hidden.of_input) == ("decoder.3.fc2", True)
    sized = describe({"model_type": "novel"}, {"blocks": "b.{i}", "n_blocks": 2, "hidden_size": 6})
    assert (sized.n_blocks, sized.site("block").width, sized.site_names) == (2, 6, ("block",))


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({}, r"architecture.blocks: found None, expected a module path with one \{i\}"),
        ({"blocks": "h.0"}, "architecture.blocks: found 'h.0'"),
        ({"blocks": "h.{i}", "block": 3}, "architecture: unknown field 'block'.*did you mean 'blocks'"),
        ({"blocks": "h.{i}", "sites": ["mlp.up"]}, "architecture.sites: found a list"),
        ({"blocks": "h.{i}", "sites": {"mlp.upp": "h.{i}.u"}}, "unknown site 'mlp.upp'.*did you mean 'mlp.up'"),
        ({"blocks": "h.{i}", "sites": {"mlp.up": "h.u"}}, "architecture.sites.mlp.up: found 'h.u'"),
        ({"blocks": "h.{i}", "sites": {"mlp.up": {"path": "h.{i}.u", "width": 0}}}, "mlp.up.width: found 0"),
        ({"blocks": "h.{i}", "sites": {"mlp.up": "h.{i}.u"}}, "does not tell the width of mlp.up"),
    ],
)
def test_wrong_declarations(declared: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        describe({"model_type": "novel", "num_layers": 4, "d_model": 8}, declared)


def test_reading_a_config(tmp_path: Path) -> None:
    folder = tmp_path / "my-model"
    folder.mkdir()
    with pytest.raises(ModelError, match=r"'.*my-modle' does not exist; did you mean 'my-model'"):
        read_config(tmp_path / "my-modle")
    (folder / "confg.json").write_text("{}")
    with pytest.raises(ModelError, match=r"has no config.json; did you mean 'confg.json'"):
        read_config(folder)
    (folder / "config.json").write_text("[1,")
    with pytest.raises(ModelError, match=r"not valid JSON"):
        read_config(folder)
    (folder / "config.json").write_text("[1]")
    with pytest.raises(ModelError, match=r"holds a list, expected an object"):
        read_config(folder)
    (folder / "config.json").write_text(json.dumps(BLOOM))
    assert read_config(folder) == BLOOM


def test_describing_needs_no_torch() -> None:
    code = (
        "import sys, sprachbund.models.architectures, sprachbund.models.fingerprints;"
        "assert not {'torch', 'transformers', 'sprachbund_runners'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
